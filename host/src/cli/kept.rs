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

/// The folder, if it may be used.
pub(super) fn cache() -> Option<Cache> {
    let folder = folder()?;
    std::fs::create_dir_all(folder.parent()?).ok()?;
    Cache::open(&folder).ok()
}

/// Where there is no such folder, or it may not be used, components are compiled anew.
pub(super) fn sandbox() -> Result<Sandbox, Failure> {
    let cached = folder().and_then(|dir| {
        std::fs::create_dir_all(dir.parent()?).ok()?;
        Sandbox::new(SandboxOptions { cache_dir: Some(dir), ..SandboxOptions::default() }).ok()
    });
    match cached {
        Some(sandbox) => Ok(sandbox),
        None => Ok(Sandbox::new(SandboxOptions::default())?),
    }
}
