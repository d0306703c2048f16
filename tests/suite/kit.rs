//! An author's kit: `plugin new`, `plugin build`, `plugin inspect`.

use std::path::Path;
use std::process::Command;

use super::run::{rerate, rerate_in, rerate_with, root};
use super::server::Server;

/// All projects share compiled dependencies; what they need was fetched for this repository.
pub(crate) const CARGO: [(&str, &str); 2] =
    [("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/kit")), ("CARGO_NET_OFFLINE", "true")];

fn cargo_in(folder: &Path, arguments: &[&str]) {
    let output = Command::new("cargo").args(arguments).envs(CARGO).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn build(folder: &Path) -> serde_json::Value {
    rerate_in(folder, &["plugin", "build", "--json"], &CARGO.map(|(name, value)| (name, value.as_ref()))).json()
}

#[test]
fn a_new_project_of_each_kind_in_rust_passes_its_tests_and_builds_outside_of_this_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for (kind, columns) in [
        ("adjust", serde_json::json!([])),
        ("charge", serde_json::json!(["x_CustomerCost"])),
        ("check", serde_json::json!(["BilledCost", "ServiceName", "x_CustomerCost"])),
    ] {
        let name = format!("author-{kind}");
        let made = rerate(&["plugin", "new", &name, "--lang", "rust", "--kind", kind, "--dir", &dir]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let project = folder.path().join(&name);
        cargo_in(&project, &["test", "--quiet"]);
        let built = build(&project);
        assert_eq!((&built["name"], &built["version"]), (&name.as_str().into(), &"0.1.0".into()));
        assert_eq!((&built["capabilities"], &built["imports"]), (&serde_json::json!([kind]), &serde_json::json!([])));
        assert_eq!((&built["wit"], &built["columns"]["totals"]), (&"rerate:rule@1.0.0".into(), &columns));
        assert!(built["size"].as_u64() < Some(200_000), "{}", built["size"]);

        let component = project.join(format!("{name}.wasm")).display().to_string();
        assert_eq!(rerate(&["plugin", "inspect", &component, "--json"]).json(), built);
        let told = rerate(&["plugin", "inspect", &component]).stdout;
        assert!(told.contains(built["digest"].as_str().unwrap()) && told.contains("configuration"), "{told}");
    }
}

#[test]
fn a_folder_that_is_there_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let new = || rerate(&["plugin", "new", "my-rule", "--lang", "rust", "--dir", &dir]);
    assert_eq!(new().code, 0);
    std::fs::write(folder.path().join("my-rule/src/lib.rs"), "mine").unwrap();
    let again = new();
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("my-rule is there already") && again.stderr.contains("another name"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(folder.path().join("my-rule/src/lib.rs")).unwrap(), "mine");
}

#[test]
fn a_name_that_no_compiler_takes_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for (name, why) in [("My_Rule", "small letters"), ("match", "a longer name"), ("../up", "small letters")] {
        let refused = rerate(&["plugin", "new", name, "--lang", "rust", "--dir", &dir]);
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_folder_without_a_project_is_told_what_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let refused = rerate(&["plugin", "build", &folder.path().display().to_string()]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("no Cargo.toml (Rust), package.json (JavaScript) or pyproject.toml (Python)"), "{}", refused.stderr);
}

#[test]
fn a_rule_that_does_not_compile_shows_the_compilers_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    assert_eq!(rerate(&["plugin", "new", "broken", "--lang", "rust", "--dir", &dir]).code, 0);
    let source = folder.path().join("broken/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap().replace("Decision::zero(", "Decision::nought(");
    std::fs::write(&source, text).unwrap();
    let environment = CARGO.map(|(name, value)| (name, value.as_ref()));
    let failed = rerate_in(&folder.path().join("broken"), &["plugin", "build"], &environment);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("`nought`") && failed.stderr.contains("src/lib.rs:"), "{}", failed.stderr);
}

#[test]
fn what_is_no_component_is_refused_by_inspect_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.wasm");
    std::fs::write(&file, "not wasm").unwrap();
    let refused = rerate(&["plugin", "inspect", &file.display().to_string()]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("rule.wasm: this is not a WebAssembly file"), "{}", refused.stderr);
}

/// Whether a toolchain is there; a test that needs it says so and passes where it is not.
pub(crate) fn has(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

pub(crate) fn has_componentize_js() -> bool {
    let library = Path::new("node_modules/@bytecodealliance/componentize-js/package.json");
    let listed = std::env::var_os("NODE_PATH").unwrap_or_default();
    let listed = std::env::split_paths(&listed).any(|folder| folder.parent().is_some_and(|folder| folder.join(library).is_file()));
    let own = root().join("examples/tag-discount").join(library).is_file();
    has("node", &["--version"]) && (own || listed)
}

/// Builds a project, tries its cases in the sandbox, and says what was built.
fn built_and_tested(project: &Path) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("rule.wasm").display().to_string();
    let dir = project.display().to_string();
    let built = rerate_with(&["plugin", "build", &dir, "--out", &component, "--json"], &CARGO).json();
    let cases = project.join("cases").read_dir().unwrap().count();
    assert_eq!(built["cases"].as_u64(), Some(cases as u64), "every case travels in the component");
    assert_eq!(built["imports"], serde_json::json!([]), "{dir}");
    let tested = rerate(&["plugin", "test", &dir, "--component", &component, "--sandbox"]);
    assert_eq!(tested.code, 0, "{}{}", tested.stdout, tested.stderr);
    built
}

#[test]
fn the_example_in_javascript_passes_its_tests_natively_and_in_the_sandbox() {
    if !has_componentize_js() {
        println!("skipped: componentize-js is not installed");
        return;
    }
    let project = root().join("examples/tag-discount");
    assert!(Command::new("node").args(["--test", "test/"]).current_dir(&project).output().unwrap().status.success());
    let built = built_and_tested(&project);
    assert_eq!(built["capabilities"], serde_json::json!(["adjust"]));
    assert_eq!(built["columns"]["dimensions"], serde_json::json!(["Tags.environment"]));
}

#[test]
fn the_example_in_python_passes_its_tests_natively_and_in_the_sandbox() {
    if !has("componentize-py", &["--version"]) {
        println!("skipped: componentize-py is not installed");
        return;
    }
    let project = root().join("examples/tiered-support");
    let tests = Command::new("python3").args(["-B", "-m", "unittest"]).current_dir(&project).output().unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
    let built = built_and_tested(&project);
    assert_eq!(built["capabilities"], serde_json::json!(["charge"]));
    assert_eq!(built["columns"]["selects_by"], serde_json::json!(["ChargeCategory"]));
}

#[test]
fn the_example_of_a_check_passes_its_cases_in_the_sandbox() {
    let built = built_and_tested(&root().join("examples/margin-guard"));
    assert_eq!(built["capabilities"], serde_json::json!(["check"]));
}

/// The same cases are the starting point in every language, so that the languages are held against each other.
#[test]
fn a_new_project_in_python_passes_its_tests_and_cases_and_names_the_line_that_failed() {
    if !has("componentize-py", &["--version"]) {
        println!("skipped: componentize-py is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    // Named as in the author's story: what that built of the same sources need not be built again.
    assert_eq!(rerate(&["plugin", "new", "shop-markup-python", "--lang", "python", "--dir", &dir]).code, 0);
    let project = folder.path().join("shop-markup-python");
    let tests = Command::new("python3").args(["-B", "-m", "unittest"]).current_dir(&project).output().unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
    built_and_tested(&project);

    let source = project.join("rule.py");
    let text = std::fs::read_to_string(&source).unwrap().replace("service = charge[", "service = charge.values.nothing[");
    let line = text.lines().position(|line| line.contains("nothing")).unwrap() + 1;
    std::fs::write(&source, text).unwrap();
    let component = folder.path().join("broken.wasm").display().to_string();
    assert_eq!(rerate(&["plugin", "build", &project.display().to_string(), "--out", &component]).code, 0);
    let failed = rerate(&["plugin", "test", &project.display().to_string(), "--component", &component, "--sandbox"]);
    assert_eq!(failed.code, 1);
    let told = format!("{}{}", failed.stdout, failed.stderr);
    assert!(told.contains(&format!("rule.py:{line}: AttributeError")), "{told}");
}

#[test]
fn a_new_project_in_javascript_passes_its_tests_and_cases() {
    if !has_componentize_js() {
        println!("skipped: componentize-js is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    assert_eq!(rerate(&["plugin", "new", "springs", "--lang", "js", "--kind", "charge", "--dir", &dir]).code, 0);
    let project = folder.path().join("springs");
    assert!(Command::new("node").args(["--test"]).current_dir(&project).output().unwrap().status.success());
    built_and_tested(&project);
}

#[test]
fn a_missing_toolchain_is_told_with_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for (language, tool) in [("js", "https://nodejs.org"), ("python", "pip install componentize-py")] {
        let name = format!("{language}-rule");
        assert_eq!(rerate(&["plugin", "new", &name, "--lang", language, "--dir", &dir]).code, 0);
        let failed = rerate_in(&folder.path().join(&name), &["plugin", "build"], &[("PATH", "/nowhere".as_ref())]);
        assert_eq!(failed.code, 1);
        assert!(failed.stderr.contains(tool), "{}", failed.stderr);
    }
}

#[test]
fn a_version_that_a_daemon_has_looks_like_its_file_and_its_signature_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let file = root().join("plugins/dist/markup.wasm").display().to_string();
    let active = server.get("/v1/plugins/markup")["active_digest"].as_str().unwrap().to_owned();
    let told = server.cli(&["plugin", "inspect", &active[..8]]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let of_file = server.cli(&["plugin", "inspect", &file]).stdout;
    let without_place = |text: &str| text.lines().filter(|line| !line.starts_with("  file ")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_place(&told.stdout), without_place(&of_file));
    assert!(told.stdout.contains("unsigned") && told.stdout.contains("configuration"), "{}", told.stdout);

    let path = |name: &str| folder.path().join(name).display().to_string();
    let id = |key: &str| {
        let made = rerate(&["key", "new", "--out", &path(key)]).stdout;
        let value = |what: &str| made.lines().find_map(|line| line.strip_prefix(what)).unwrap().trim().to_owned();
        (value("key id"), value("public key"))
    };
    let ((ours, public), (theirs, _)) = (id("ours"), id("theirs"));
    assert_eq!(server.cli(&["key", "trust", &public, "--name", "Release team"]).code, 0);
    let component = root().join("tests/fixtures/dist/logs.wasm").display().to_string();
    for key in ["ours", "theirs"] {
        assert_eq!(rerate(&["plugin", "sign", &component, "--key", &path(key), "--out", &path(&format!("{key}.wasm"))]).code, 0);
    }
    let mut tampered = std::fs::read(path("ours.wasm")).unwrap();
    rerate::sandbox::sections::append(&mut tampered, "added", b"later");
    std::fs::write(path("tampered.wasm"), tampered).unwrap();
    let signature = |file: &str| server.cli(&["plugin", "inspect", file, "--json"]).json()["signature"].clone();
    let check = |file: &str, state: &str, key: &str| {
        let found = signature(file);
        assert_eq!((found["state"].as_str(), found["key"].as_str()), (Some(state), Some(key)), "{found}");
        found["told"].as_str().unwrap().to_owned()
    };
    assert_eq!(check(&path("ours.wasm"), "valid", &ours), format!("signed by Release team (key {ours})"));
    check(&path("theirs.wasm"), "unknown key", &theirs);
    check(&path("tampered.wasm"), "tampered", &ours);
    let alone = rerate(&["plugin", "inspect", &path("ours.wasm"), "--json"]).json()["signature"].clone();
    assert_eq!((alone["state"].as_str(), alone["key"].as_str()), (Some("unchecked"), Some(ours.as_str())));

    // A deployed version is the same, and a key that is revoked later is told of both.
    assert_eq!(server.cli(&["plugin", "push", &path("ours.wasm")]).code, 0);
    let digest = rerate(&["plugin", "inspect", &path("ours.wasm"), "--json"]).json()["digest"].as_str().unwrap().to_owned();
    let deployed = || server.cli(&["plugin", "inspect", &digest, "--json"]).json();
    assert_eq!(deployed(), server.cli(&["plugin", "inspect", &path("ours.wasm"), "--json"]).json());
    assert_eq!(server.cli(&["plugin", "inspect", &digest[..8], "--json"]).json(), deployed(), "it need not be active");
    assert_eq!(server.cli(&["key", "revoke", &ours]).code, 0);
    assert_eq!(deployed()["signature"]["state"], "revoked");
    check(&path("ours.wasm"), "revoked", &ours);

    let unknown = server.cli(&["plugin", "inspect", "0123456789"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("no file and no version"), "{}", unknown.stderr);
}

#[test]
fn a_projects_folder_is_built_and_pushed_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    assert_eq!(rerate(&["plugin", "new", "pushed", "--lang", "rust", "--dir", &dir]).code, 0);
    let project = folder.path().join("pushed");
    let server = Server::start(&folder.path().join("data"));
    let push = |more: &[&str]| {
        let path = project.display().to_string();
        server.cli_with(&[&["plugin", "push", path.as_str()], more].concat(), &CARGO)
    };
    let tried = push(&["--dry-run"]);
    assert_eq!(tried.code, 0, "{}", tried.stderr);
    assert!(tried.stderr.contains("building ") && tried.stdout.contains("2 cases passed"), "{}{}", tried.stderr, tried.stdout);
    let pushed = push(&["--activate", "--json"]).json();
    assert_eq!((&pushed["state"], &pushed["name"]), (&"active".into(), &"pushed".into()), "{pushed:#}");
    assert_eq!(pushed["digest"], build(&project)["digest"], "it is what `plugin build` makes");
    assert_eq!(server.get("/v1/plugins/pushed")["active_digest"], pushed["digest"]);

    std::fs::write(project.join("src/lib.rs"), "nonsense").unwrap();
    let failed = push(&["--activate"]);
    assert!(failed.code == 1 && failed.stderr.contains("src/lib.rs:1"), "{}", failed.stderr);
    let nothing = server.cli(&["plugin", "push", &dir]);
    assert!(nothing.code == 2 && nothing.stderr.contains("Cargo.toml (Rust)"), "{}", nothing.stderr);
}
