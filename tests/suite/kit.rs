//! An author's kit: `plugin new`, `plugin build`, `plugin inspect`.

use std::path::Path;
use std::process::Command;

use super::run::{rerate, rerate_in};

/// All projects share compiled dependencies; what they need was fetched for this repository.
fn cargo_in(folder: &Path, arguments: &[&str]) {
    let output = Command::new("cargo")
        .args(arguments)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit"))
        .env("CARGO_NET_OFFLINE", "true")
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn build(folder: &Path) -> serde_json::Value {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit");
    rerate_in(folder, &["plugin", "build", "--json"], &[("CARGO_TARGET_DIR", target.as_os_str()), ("CARGO_NET_OFFLINE", "true".as_ref())])
        .json()
}

#[test]
fn a_new_project_of_each_kind_in_rust_passes_its_tests_and_builds_outside_of_this_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for (kind, columns) in [
        ("adjust", serde_json::Value::Null), // its configuration is required
        ("charge", serde_json::Value::Null),
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
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit");
    let environment = [("CARGO_TARGET_DIR", target.as_os_str()), ("CARGO_NET_OFFLINE", "true".as_ref())];
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
