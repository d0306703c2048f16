//! A rule in JavaScript and one in Python that do everything that the contract knows: natively they answer what they answer in the
//! sandbox, and both answer the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{has, has_componentize_js};
use crate::run::{Ran, rerate, root};

/// Says where the rule stands, so each language has its own answer.
const OWN_WORDS: &str = "a-failure-in-its-own-words";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap();
        if entry.is_dir() {
            copy(&entry, &to.join(name));
        } else {
            std::fs::copy(&entry, to.join(name)).unwrap();
        }
    }
}

/// The project of a language with the SDK and the cases, built.
fn project(folder: &Path, language: &str, sdk: &str, sdk_folder: &str) -> (PathBuf, PathBuf) {
    let project = folder.join("everything");
    copy(&root().join("tests/fixtures/native").join(language), &project);
    copy(&root().join("tests/fixtures/native/cases"), &project.join("cases"));
    copy(&root().join(sdk), &project.join(sdk_folder));
    let component = folder.join("everything.wasm");
    let built = rerate(&["plugin", "build", project.to_str().unwrap(), "--out", component.to_str().unwrap()]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    (project, component)
}

fn test(project: &Path, component: &Path, more: &[&str]) -> Ran {
    let arguments = ["plugin", "test", project.to_str().unwrap(), "--component", component.to_str().unwrap()];
    rerate(&[&arguments, more].concat())
}

/// `natively` is a place in the rule and what makes it answer otherwise outside of a component.
fn is_the_same(folder: &Path, language: &str, sdk: &str, sdk_folder: &str, natively: (&str, &str)) {
    let (project, component) = project(folder, language, sdk, sdk_folder);
    assert_eq!(test(&project, &component, &["--sandbox", "--update", "--filter", OWN_WORDS]).code, 0);
    let words = std::fs::read_to_string(project.join("cases").join(OWN_WORDS).join("expected.csv")).unwrap();
    assert!(words.contains("the rule refused: rule.") && words.contains(": not this service"), "{words}");

    let both = test(&project, &component, &["--both", "--json"]).json();
    let (sandbox, native) = (both["sandbox"].as_array().unwrap(), both["native"]["cases"].as_array().unwrap());
    assert_eq!((sandbox.len(), native.len(), both["failed"].as_u64()), (9, 9, Some(0)), "{both:#}");

    let rule = ["rule.js", "rule.py"].map(|name| project.join(name)).into_iter().find(|path| path.is_file()).unwrap();
    let text = std::fs::read_to_string(&rule).unwrap();
    assert!(text.contains(natively.0), "{text}");
    std::fs::write(&rule, text.replacen(natively.0, natively.1, 1)).unwrap();
    let other = test(&project, &component, &["--both", "--filter", "every-decision"]);
    assert_eq!(other.code, 1, "{}", other.stdout);
    let told = ["natively it is not what it is in the sandbox", "charge 14, Reason: expected a present, got elsewhere"];
    assert!(told.iter().all(|part| other.stdout.contains(part)), "{}", other.stdout);
}

#[test]
fn everything_in_javascript_is_the_same_in_node_and_in_the_sandbox() {
    if !has_componentize_js() {
        println!("skipped: componentize-js is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    is_the_same(folder.path(), "js", "plugins/sdk-js/src", "sdk", ("Decision.zero('a present')", "Decision.zero('elsewhere')"));
}

#[test]
fn everything_in_python_is_the_same_in_python_and_in_the_sandbox() {
    if !has("componentize-py", &["--version"]) {
        println!("skipped: componentize-py is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = ("Decision.zero(\"a present\")", "Decision.zero(\"elsewhere\")");
    is_the_same(folder.path(), "python", "plugins/sdk-python/rerate", "rerate", elsewhere);
}

/// What the committed cases expect is what both languages answer, also where no compiler for components is installed.
#[test]
fn without_a_component_both_languages_answer_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (language, sdk, sdk_folder, program, arguments) in [
        ("js", "plugins/sdk-js/src", "sdk", "node", &["--test"][..]),
        ("python", "plugins/sdk-python/rerate", "rerate", "python3", &["-B", "-m", "unittest"][..]),
    ] {
        if !has(program, &["--version"]) {
            println!("skipped: {program} is not installed");
            continue;
        }
        let project = folder.path().join(language);
        copy(&root().join("tests/fixtures/native").join(language), &project);
        copy(&root().join("tests/fixtures/native/cases"), &project.join("cases"));
        copy(&root().join(sdk), &project.join(sdk_folder));
        std::fs::remove_dir_all(project.join("cases").join(OWN_WORDS)).unwrap();
        let tests = Command::new(program).args(arguments).current_dir(&project).output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&tests.stdout), String::from_utf8_lossy(&tests.stderr));
        assert!(tests.status.success() && (told.contains("# pass 8") || told.contains("Ran 8 tests")), "{told}");
    }
}
