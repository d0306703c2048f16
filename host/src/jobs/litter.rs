//! Removes what a stopped process left: folders of imports that never ended, rated files of runs that were not published, half-written
//! files. Runs when the work begins, while nothing else writes, or only a lost daemon whose files nobody will name; what is deleted for
//! good meanwhile is removed by name.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::JobsError;
use super::data_dir::DataDir;
use crate::store::{PageRequest, Store};

/// Where several daemons share the folder, what one of them hands out or computes is left alone for this long: nothing takes a day.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn remove(store: &Store, data: &DataDir, shared: bool) -> Result<(), JobsError> {
    for import in store.imports().await? {
        store.import_discard(&import.id).await?;
    }
    let snapshots = snapshot_folders(store).await?;
    let overlays = store.overlays_named().await?;
    let io_at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| JobsError::Io { path, source }
    };
    remove_folders(&data.lake(), &snapshots).map_err(io_at(&data.lake()))?;
    remove_files(&data.overlays(), &data.lake(), &overlays).map_err(io_at(&data.overlays()))?;
    let from = if shared { FORGOTTEN } else { Duration::ZERO };
    empty(&data.exports(), from).map_err(io_at(&data.exports()))?;
    empty(&data.scratch(), from).map_err(io_at(&data.scratch()))
}

/// Removes files and folders that nothing names any more. What cannot be removed now is litter of the next start.
pub fn remove_all(paths: &[PathBuf]) {
    for path in paths {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a file that nothing names any more cannot be removed now");
            }
            _ => {}
        }
    }
}

async fn snapshot_folders(store: &Store) -> Result<BTreeSet<String>, JobsError> {
    let mut folders = BTreeSet::new();
    let mut page = PageRequest::largest();
    loop {
        let found = store.snapshots(None, None, &page).await?;
        folders.extend(found.items.into_iter().map(|snapshot| snapshot.location));
        match found.next {
            Some(next) => page = PageRequest::new(Some(crate::store::MAX_PAGE), Some(next)),
            None => return Ok(folders),
        }
    }
}

/// Folders of imports that no snapshot names.
fn remove_folders(lake: &Path, named: &BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(lake)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && name.starts_with("snp_") && !named.contains(&name) {
            tracing::info!(folder = name, "removing an import that did not end");
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Rated files that no done run names.
fn remove_files(folder: &Path, lake: &Path, named: &BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            remove_files(&path, lake, named)?;
        } else if !path.strip_prefix(lake).is_ok_and(|name| named.contains(&name.display().to_string())) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Removes what has not changed for this long.
fn empty(folder: &Path, from: Duration) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if from > Duration::ZERO && entry.metadata()?.modified()?.elapsed().unwrap_or_default() < from {
            continue;
        }
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        } else {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
