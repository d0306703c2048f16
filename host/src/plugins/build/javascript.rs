//! A JavaScript project to a component, by componentize-js from npm.
//!
//! The library is called from a script: its own command cannot disable every feature, and the sandbox gives none.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BuildError, WORLD, does, kept, output, sources, world};
use crate::sandbox::Cache;

const LIBRARY: &str = "@bytecodealliance/componentize-js";
const SCRIPT: &str = include_str!("componentize.mjs");
const RULE: &str = "rule.js";

/// Builds the project in `dir`, an absolute path.
pub(super) fn component(dir: &Path, cache: Option<&Cache>) -> Result<Vec<u8>, BuildError> {
    let manifest = dir.join("package.json");
    let wrong = |message: String| BuildError::Manifest { path: manifest.clone(), message };
    let text = std::fs::read_to_string(&manifest).map_err(|source| BuildError::File { path: manifest.clone(), source })?;
    let project: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let named = project["rerate"]["does"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
    let does = does(named).ok_or_else(|| wrong(r#"it needs "rerate": {"does": ["adjust"]}, or charge, or check"#.to_owned()))?;
    for file in [RULE, "sdk/component.js"] {
        if !dir.join(file).is_file() {
            return Err(BuildError::Incomplete { dir: dir.to_owned(), file });
        }
    }
    let node = node()?;
    let library = library(dir)?;

    let work = tempfile::tempdir().map_err(|source| BuildError::File { path: std::env::temp_dir(), source })?;
    let wit = world(work.path(), &does)?;
    // Only what lies below the entry's folder can be imported, and no file of ours belongs into the project.
    let project = work.path().join("project");
    sources::copy(dir, &project, &["js", "mjs", "json"])?;
    let write = |path: PathBuf, text: &str| {
        std::fs::write(&path, text).map_err(|source| BuildError::File { path: path.clone(), source })?;
        Ok::<_, BuildError>(path)
    };
    let entry = format!(
        "import rule from './{RULE}';\nimport {{ component }} from './sdk/component.js';\nexport const {{ describe, {} }} = component(rule);\n",
        does.join(", ")
    );
    let entry = write(project.join("rerate-component-entry.js"), &entry)?;
    let script = write(work.path().join("componentize.mjs"), SCRIPT)?;

    kept::or_built(cache, &[&node, &version(&library)], work.path(), || {
        let out = work.path().join("out.wasm");
        let mut command = Command::new("node");
        command.current_dir(&project).arg(script).arg(&library).arg(entry).arg(wit).arg(WORLD).arg(&out);
        let answer = output(&mut command)?;
        if !answer.status.success() {
            return Err(BuildError::Compile(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
        }
        std::fs::read(&out).map_err(|source| BuildError::File { path: out, source })
    })
}

/// Its version.
fn node() -> Result<String, BuildError> {
    let answer = Command::new("node").arg("--version").output().ok().filter(|answer| answer.status.success());
    answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).ok_or(BuildError::NoNode)
}

/// Where the library is and which one it is, with what npm notes of everything that was installed beside it.
fn version(library: &Path) -> String {
    let notes = library.ancestors().nth(2).map(|modules| modules.join(".package-lock.json"));
    let texts =
        [Some(library.join("package.json")), notes].into_iter().flatten().map(|path| std::fs::read_to_string(path).unwrap_or_default());
    [library.display().to_string()].into_iter().chain(texts).collect::<Vec<_>>().join("\n")
}

/// As node would find it from the project, else where npm installs for everyone.
fn library(dir: &Path) -> Result<PathBuf, BuildError> {
    let below = dir.ancestors().map(|folder| folder.join("node_modules"));
    let path = std::env::var_os("NODE_PATH").unwrap_or_default();
    let listed: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let installed = below.chain(listed).map(|folder| folder.join(LIBRARY)).find(|folder| folder.join("package.json").is_file());
    if let Some(found) = installed {
        return Ok(found);
    }
    let global = Command::new("npm").args(["root", "--global"]).output().ok().filter(|answer| answer.status.success());
    let global = global.map(|answer| PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()).join(LIBRARY));
    global.filter(|folder| folder.join("package.json").is_file()).ok_or_else(|| BuildError::NoJavaScriptCompiler(dir.to_owned()))
}
