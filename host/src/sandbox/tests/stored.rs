//! Compiling in a child, and compiled components on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::*;

fn stored(folder: &Path, compile: Compile, limits: Limits) -> Sandbox {
    let limits = Limits { instances: 8, ..limits };
    Sandbox::new(SandboxOptions { cache_dir: Some(folder.to_owned()), limits, compile }).unwrap()
}

/// A sandbox that cannot compile: it loads from the cache or not at all.
fn cache_only(folder: &Path) -> Sandbox {
    stored(folder, Compile::Child("/nonexistent/compiler".into()), Limits::default())
}

fn load(sandbox: &Sandbox, component: &[u8]) -> Result<(), Refusal> {
    sandbox.load(component).map(|_| ())
}

fn entry(folder: &Path) -> PathBuf {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "aot")).unwrap()
}

#[test]
fn a_component_that_was_compiled_once_is_not_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let component = Guest::adjustment().build();
    assert!(matches!(load(&cache_only(folder.path()), &component), Err(Refusal::Sandbox(_))));
    load(&stored(folder.path(), Compile::InProcess, Limits::default()), &component).unwrap();
    load(&cache_only(folder.path()), &component).unwrap();
}

#[test]
fn a_changed_byte_anywhere_in_a_stored_artefact_is_noticed_before_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let component = Guest::adjustment().build();
    load(&stored(folder.path(), Compile::InProcess, Limits::default()), &component).unwrap();
    let path = entry(folder.path());
    let genuine = fs::read(&path).unwrap();
    let places = (0..genuine.len()).step_by(genuine.len() / 50);
    for changed in places.map(|place| [&genuine[..place], &[genuine[place] ^ 1], &genuine[place + 1..]].concat()) {
        fs::write(&path, changed).unwrap();
        assert!(matches!(load(&cache_only(folder.path()), &component), Err(Refusal::Sandbox(_))));
    }
    for shorter in [0, 10, 32, genuine.len() - 1] {
        fs::write(&path, &genuine[..shorter]).unwrap();
        assert!(matches!(load(&cache_only(folder.path()), &component), Err(Refusal::Sandbox(_))));
    }
    load(&stored(folder.path(), Compile::InProcess, Limits::default()), &component).unwrap();
    assert_eq!(fs::read(&path).unwrap().len(), genuine.len());
    load(&cache_only(folder.path()), &component).unwrap();
}

#[test]
fn an_artefact_of_another_installation_or_another_component_is_not_loaded() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let component = Guest::adjustment().build();
    load(&stored(theirs.path(), Compile::InProcess, Limits::default()), &component).unwrap();
    let foreign = entry(theirs.path());
    cache_only(ours.path());
    fs::copy(&foreign, ours.path().join(foreign.file_name().unwrap())).unwrap();
    assert!(matches!(load(&cache_only(ours.path()), &component), Err(Refusal::Sandbox(_))));

    let other = Guest::charging().build();
    let digest = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let name = foreign.file_name().unwrap().to_str().unwrap().replace(&digest(&component), &digest(&other));
    fs::copy(&foreign, theirs.path().join(name)).unwrap();
    load(&cache_only(theirs.path()), &component).unwrap();
    assert!(matches!(load(&cache_only(theirs.path()), &other), Err(Refusal::Sandbox(_))));
}

#[test]
fn the_folder_and_its_key_are_closed_to_others_and_an_open_key_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let component = Guest::adjustment().build();
    load(&stored(folder.path(), Compile::InProcess, Limits::default()), &component).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let key = folder.path().join("key");
    assert_eq!((mode(folder.path()), mode(&key)), (0o700, 0o600));
    let before = fs::read(&key).unwrap();
    assert_eq!(before.len(), 32);
    load(&cache_only(folder.path()), &component).unwrap();
    assert_eq!(fs::read(&key).unwrap(), before);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(load(&cache_only(folder.path()), &component), Err(Refusal::Sandbox(_))));
    assert_ne!(fs::read(&key).unwrap(), before);
}

/// A program that stands for the compiler.
fn program(folder: &Path, script: &str) -> Compile {
    let path = folder.join("compiler");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Compile::Child(path)
}

/// Not a test of its own: what the child process of the test below runs.
#[test]
#[ignore = "runs inside the child of the next test"]
fn child() {
    let paths: Vec<_> = std::env::var("RERATE_TEST_COMPILE").unwrap().split(' ').map(Into::into).collect();
    compile_child_main(&paths).unwrap();
}

#[test]
fn a_component_compiled_in_a_child_runs_in_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "test \"$1\" = {CHILD_COMMAND} || exit 1\nRERATE_TEST_COMPILE=\"$2 $3\" exec {} --exact sandbox::tests::stored::child --ignored",
        this.display()
    );
    let compile = program(folder.path(), &script);
    let sandbox = stored(&folder.path().join("cache"), compile, Limits::default());
    let plugin = sandbox.load(&Guest::adjustment().build()).unwrap();
    assert_eq!(plugin.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap().len(), 1);
}

#[test]
fn a_compilation_beyond_its_deadline_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let compile = program(folder.path(), "exec sleep 60");
    let limits = Limits { compile_deadline: Duration::from_millis(200), ..Limits::default() };
    let sandbox = stored(&folder.path().join("cache"), compile, limits);
    assert_eq!(load(&sandbox, &Guest::adjustment().build()), Err(Refusal::CompileSlow { seconds: 0 }));
}

#[test]
fn a_compilation_that_takes_too_much_memory_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let compile = program(folder.path(), "exec sleep 60");
    let limits = Limits { compile_bytes: 1 << 10, ..Limits::default() };
    let sandbox = stored(&folder.path().join("cache"), compile, limits);
    assert!(matches!(load(&sandbox, &Guest::adjustment().build()), Err(Refusal::CompileMemory { .. })));
}

#[test]
fn what_a_failing_compiler_says_reaches_the_author() {
    let folder = tempfile::tempdir().unwrap();
    let compile = program(folder.path(), "echo 'function 7 is too large' >&2; exit 1");
    let sandbox = stored(&folder.path().join("cache"), compile, Limits::default());
    assert_eq!(load(&sandbox, &Guest::adjustment().build()), Err(Refusal::Compile("function 7 is too large".to_owned())));
}

#[test]
fn the_child_refuses_what_is_no_component() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::write(&source, b"\0asm nonsense").unwrap();
    let target = folder.path().join("target");
    assert!(compile_child_main(&[source.into(), target.clone().into()]).is_err());
    assert!(!target.exists());
    assert!(compile_child_main(&[]).is_err());
}
