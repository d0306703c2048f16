//! Runs the binary.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// Where commands and daemons of these tests keep what takes long to make, so that it is made once. Nobody's own is touched.
pub(crate) const CACHE: &str = env!("CARGO_TARGET_TMPDIR");

pub(crate) fn rerate(arguments: &[&str]) -> Ran {
    rerate_with(arguments, &[])
}

pub(crate) fn rerate_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_rerate"))
        .args(arguments)
        .env("XDG_CACHE_HOME", CACHE)
        .envs(environment.iter().copied())
        .current_dir(root())
        .output()
        .unwrap();
    ran(output)
}

/// Runs it in another folder, with more of an environment.
pub(crate) fn rerate_in(folder: &Path, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_rerate"))
        .args(arguments)
        .env("XDG_CACHE_HOME", CACHE)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    ran(output)
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Python is a second opinion, not a requirement.
pub(crate) fn python(arguments: &[&str]) -> Option<String> {
    let output = Command::new("python3").args(arguments).current_dir(root()).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
