//! What commands keep in the user's cache: compiled components, since compiling three of them takes longer than rating a million charges, and
//! built ones of JavaScript and Python.

use std::path::PathBuf;

use super::Failure;
use crate::sandbox::{Cache, Sandbox, SandboxOptions};

/// None where neither the environment nor a home says where.
pub(super) fn folder() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).map(|dir| dir.join("rerate"))
}

/// The folder, which opening makes in one that is there.
fn prepared() -> Option<PathBuf> {
    let folder = folder()?;
    std::fs::create_dir_all(folder.parent()?).ok()?;
    Some(folder)
}

/// None where there is no such folder, or it may not be used.
pub(super) fn cache() -> Option<Cache> {
    Cache::open(&prepared()?).ok()
}

/// Where there is no such folder, or it may not be used, components are compiled anew.
pub(super) fn sandbox() -> Result<Sandbox, Failure> {
    let options = |dir| SandboxOptions { cache_dir: Some(dir), ..SandboxOptions::default() };
    match prepared().and_then(|dir| Sandbox::new(options(dir)).ok()) {
        Some(sandbox) => Ok(sandbox),
        None => Ok(Sandbox::new(SandboxOptions::default())?),
    }
}
