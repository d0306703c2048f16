//! A rule's project to a component: `rerate plugin build`, and the built-in rules' own build.
//!
//! The result depends on the sources and the compiler, not on where the project lies. Nothing here installs anything; it says what to
//! install.

mod javascript;
mod kept;
mod lines;
mod python;
mod rust;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cases::{self, CaseError};
use super::digest_of;
use crate::sandbox::{Cache, sections};

const CONTRACT: &str = include_str!("../../../../wit/rule.wit");

/// What the world of a project is called, where a toolchain wants one.
const WORLD: &str = "author-rule";

const TARGET: &str = "wasm32-unknown-unknown";

#[derive(Debug)]
pub struct Built {
    /// sha256 of the component, hexadecimal.
    pub digest: String,
    /// In bytes.
    pub size: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "no Rust compiler is installed: https://rustup.rs has one, then `rustup target add {TARGET}`; or on Debian \
         `apt-get install cargo-web rust-web-src`"
    )]
    NoRust,
    #[error(
        "the Rust compiler here cannot compile for {TARGET}: run `rustup target add {TARGET}`, or on Debian, where rustup cannot, \
         `apt-get install cargo-web rust-web-src`"
    )]
    NoCompiler,
    #[error(
        "Debian's compiler in /usr/bin needs the linker {missing}, which is not installed: `apt-get install {package}`; or use rustup: \
         `rustup target add {TARGET}`"
    )]
    NoLinker { missing: String, package: String },
    #[error("cargo is not installed: https://rustup.rs has it and the compiler, or on Debian `apt-get install cargo-web`")]
    NoCargo,
    #[error(
        "{} is no rule's project: it has no Cargo.toml (Rust), package.json (JavaScript) or pyproject.toml (Python); \
         `rerate plugin new` makes one", .0.display()
    )]
    NoProject(PathBuf),
    #[error(
        "componentize-py is not installed: `pip install componentize-py`, or in the project `python3 -m venv .venv && .venv/bin/pip install componentize-py`"
    )]
    NoPythonCompiler,
    #[error(
        "node is not installed: JavaScript rules need Node.js 20 or newer and npm, from https://nodejs.org or `apt-get install nodejs npm`"
    )]
    NoNode,
    #[error("componentize-js is not installed: `npm install` in {}, or for all projects `npm install --global @bytecodealliance/componentize-js`", .0.display())]
    NoJavaScriptCompiler(PathBuf),
    #[error("{}: {message}", .path.display())]
    Manifest { path: PathBuf, message: String },
    #[error("{} is missing in {}; `rerate plugin new` writes it", .file, .dir.display())]
    Incomplete { dir: PathBuf, file: &'static str },
    #[error("{} is no crate: it has no Cargo.toml with a [package]", .0.display())]
    NotACrate(PathBuf),
    #[error("{program} does not start: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("the rule does not compile:\n{0}")]
    Compile(String),
    #[error("what was compiled is no rule: {0}; does the crate end with `rerate_rule::export!(...)`?")]
    NotARule(String),
    #[error("a golden case: {0}")]
    Case(#[from] CaseError),
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
}

enum Language {
    Rust,
    JavaScript,
    Python,
}

impl Language {
    /// By the file that every project of a language has.
    fn of(dir: &Path) -> Option<Self> {
        let has = |file: &str| dir.join(file).is_file();
        if has("Cargo.toml") {
            Some(Self::Rust)
        } else if has("package.json") {
            Some(Self::JavaScript)
        } else if has("pyproject.toml") {
            Some(Self::Python)
        } else {
            None
        }
    }
}

/// Compiles the project in `dir`, puts its golden cases into the component and writes it to `out`. With a `cache`, JavaScript and Python whose
/// sources and tools are as they were are not compiled again.
pub fn build_component(dir: &Path, out: &Path, cache: Option<&Cache>) -> Result<Built, BuildError> {
    let dir = dir.canonicalize().map_err(|source| BuildError::File { path: dir.to_owned(), source })?;
    let cases = cases::read_folder(&dir.join("cases"))?;
    let mut component = match Language::of(&dir) {
        Some(Language::Rust) => rust::component(&dir)?,
        Some(Language::JavaScript) => javascript::component(&dir, cache)?,
        Some(Language::Python) => python::component(&dir, cache)?,
        None => return Err(BuildError::NoProject(dir)),
    };
    if cases.iter().any(|case| case.files.expected.is_some()) {
        sections::append(&mut component, sections::CASES, &cases::bundle(&cases)?);
    }
    write_whole(out, &component).map_err(|source| BuildError::File { path: out.to_owned(), source })?;
    Ok(Built { digest: digest_of(&component), size: component.len() })
}

/// The capabilities that a project's manifest names; `None` for none, or for one that is none.
fn does<'a>(named: impl Iterator<Item = &'a str>) -> Option<Vec<&'static str>> {
    let known = |name: &str| ["adjust", "charge", "check"].into_iter().find(|known| *known == name);
    named.map(known).collect::<Option<Vec<_>>>().filter(|does| !does.is_empty())
}

/// The contract, frozen and therefore ours as well as the project's, with a world of the project's own, in a folder below `work`: what a
/// component exports is what its project names.
fn world(work: &Path, does: &[&str]) -> Result<PathBuf, BuildError> {
    let folder = work.join("wit");
    let path = folder.join("rule.wit");
    let exports: String = does.iter().map(|capability| format!(" export {capability};")).collect();
    let text = format!("{CONTRACT}\nworld {WORLD} {{ export describe;{exports} }}\n");
    let written = std::fs::create_dir(&folder).and_then(|()| std::fs::write(&path, text));
    written.map_err(|source| BuildError::File { path, source })?;
    Ok(folder)
}

fn output(command: &mut Command) -> Result<std::process::Output, BuildError> {
    command.output().map_err(|source| BuildError::Start { program: command.get_program().to_string_lossy().into_owned(), source })
}

/// A reader never sees half a component.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    std::io::Write::write_all(&mut file, bytes)?;
    let file = file.persist(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?; // a temporary file is its owner's alone
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Python project whose own compiler notes that it was called, and makes a component of a known one.
    #[cfg(unix)]
    #[test]
    fn a_python_project_is_compiled_once_until_it_or_its_compiler_changes_and_always_with_packages() {
        let (folder, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let project = folder.path().join("project");
        let write = |file: &str, text: &str| {
            let path = project.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        write("pyproject.toml", "[tool.rerate]\ndoes = [\"adjust\"]\n");
        write("rerate/component.py", "");
        write("rule.py", "import json\n");
        let (calls, known) = (folder.path().join("calls"), folder.path().join("known.wasm"));
        std::fs::write(&known, "a component").unwrap();
        let compiler = |version: &str| {
            let script = format!(
                "#!/bin/sh\nif [ \"$1\" = --version ]; then echo {version}; exit; fi\necho called >> {}\nfor out; do :; done\ncp {} \"$out\"\n",
                calls.display(),
                known.display()
            );
            // Aside and renamed: nobody may be writing to a program that is started.
            let aside = write(".venv/bin/aside", &script);
            std::fs::set_permissions(&aside, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::rename(aside, project.join(".venv/bin/componentize-py")).unwrap();
        };
        compiler("1");
        let cache = Cache::open(&kept.path().join("cache")).unwrap();
        let built = |cache: Option<&Cache>| {
            let out = folder.path().join("out.wasm");
            build_component(&project, &out, cache).unwrap();
            assert_eq!(std::fs::read_to_string(&out).unwrap(), "a component");
            std::fs::read_to_string(&calls).unwrap().lines().count()
        };
        assert_eq!([built(Some(&cache)), built(Some(&cache))], [1, 1]);
        assert_eq!(built(None), 2, "without a cache");
        write("rule.py", "import json\nPERCENT = 5\n");
        assert_eq!([built(Some(&cache)), built(Some(&cache))], [3, 3]);
        compiler("2");
        assert_eq!([built(Some(&cache)), built(Some(&cache))], [4, 4]);
        write("rule.py", "import yaml\n");
        assert_eq!([built(Some(&cache)), built(Some(&cache))], [5, 6]);
    }
}
