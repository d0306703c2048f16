//! A Python project to a component, by componentize-py from PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BuildError, does, kept, output, sources, world};
use crate::sandbox::Cache;

mod imports;

const RULE: &str = "rule.py";

/// Where componentize-py looks for the functions of an interface: classes named after it in one module.
const ENTRY: &str = "rerate_component_entry";

/// Builds the project in `dir`, an absolute path.
pub(super) fn component(dir: &Path, cache: Option<&Cache>) -> Result<Vec<u8>, BuildError> {
    let manifest = dir.join("pyproject.toml");
    let text = std::fs::read_to_string(&manifest).map_err(|source| BuildError::File { path: manifest.clone(), source })?;
    let project: toml::Table =
        toml::from_str(&text).map_err(|error| BuildError::Manifest { path: manifest.clone(), message: error.to_string() })?;
    let named = project.get("tool").and_then(|tool| tool.get("rerate")).and_then(|rerate| rerate.get("does"));
    let named = named.and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
    let does = does(named).ok_or_else(|| BuildError::Manifest {
        path: manifest,
        message: "[tool.rerate] needs `does = [\"adjust\"]`, or charge, or check".to_owned(),
    })?;
    for file in [RULE, "rerate/component.py"] {
        if !dir.join(file).is_file() {
            return Err(BuildError::Incomplete { dir: dir.to_owned(), file });
        }
    }

    let work = tempfile::tempdir().map_err(|source| BuildError::File { path: std::env::temp_dir(), source })?;
    let write = |path: &Path, text: &str| std::fs::write(path, text).map_err(|source| BuildError::File { path: path.to_owned(), source });
    let wit = world(work.path(), &does)?;
    let (project, entries) = (work.path().join("project"), work.path().join("entry"));
    sources::copy(dir, &project, &["py"])?;
    std::fs::create_dir(&entries).map_err(|source| BuildError::File { path: entries.clone(), source })?;
    let mut entry = "from rerate.component import Describe\n".to_owned();
    for capability in &does {
        match *capability {
            "adjust" => {
                // A resource is looked for in a module named after its interface.
                write(&entries.join("adjust.py"), "from rerate.component_adjust import Rater\n")?;
                entry.push_str("import adjust\n\nclass Adjust:\n    pass\n");
            }
            "charge" => entry.push_str("from rerate.component_charge import Charge\n"),
            _ => entry.push_str("from rerate.component_check import Check\n"),
        }
    }
    write(&entries.join(format!("{ENTRY}.py")), &entry)?;

    let (program, version) = compiler(dir)?;
    // A package that pip installed becomes a part of the component too, and may change without the project.
    let cache = match imports::are_of_project(&project).map_err(|source| BuildError::File { path: project.clone(), source })? {
        true => cache,
        false => None,
    };
    kept::or_built(cache, &[&program.display().to_string(), &version], work.path(), || {
        let out = work.path().join("out.wasm");
        let mut command = Command::new(&program);
        // Its own backtrace below a mistake in the rule would help nobody.
        command.current_dir(work.path()).env_remove("PYTHONPATH").env_remove("RUST_BACKTRACE").arg("-d").arg(&wit);
        command.args(["-w", super::WORLD, "componentize", "--stub-wasi"]);
        command.arg("-p").arg(&project).arg("-p").arg(&entries).arg(ENTRY).arg("-o").arg(&out);
        let answer = output(&mut command)?;
        if !answer.status.success() {
            return Err(BuildError::Compile(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
        }
        std::fs::read(&out).map_err(|source| BuildError::File { path: out, source })
    })
}

/// The project's own environment first, then whatever the shell would find; and its version.
fn compiler(dir: &Path) -> Result<(PathBuf, String), BuildError> {
    let version = |program: PathBuf| {
        let answer = Command::new(&program).arg("--version").output().ok().filter(|answer| answer.status.success())?;
        Some((program, String::from_utf8_lossy(&answer.stdout).into_owned()))
    };
    let candidates = [dir.join(".venv/bin/componentize-py"), PathBuf::from("componentize-py")];
    candidates.into_iter().find_map(version).ok_or(BuildError::NoPythonCompiler)
}
