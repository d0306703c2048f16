//! Removes what a stopped process left: folders of imports that never ended, rated files of runs that were not published, half-written
//! files. Runs when the work begins, while nothing else writes, or only a lost daemon whose files nobody will name; what is deleted for
//! good meanwhile is removed by name. In a bucket, which other daemons put files into, only what is old is litter.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::JobsError;
use super::data_dir::DataDir;
use super::engine::Causes;
use super::importing::stopped;
use super::named::{Named, each_snapshot};
use crate::clock::Moment;
use crate::depot::{DepotError, Remote};
use crate::store::{Store, StoreError};

/// Where several daemons share the folder, what one of them hands out or computes is left alone for this long: nothing takes a day.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn remove(store: &Store, data: &DataDir, shared: bool) -> Result<(), JobsError> {
    for import in store.imports().await? {
        store.import_discard(&import.id).await?;
    }
    remove_local(store, data, if shared { FORGOTTEN } else { Duration::ZERO }).await
}

/// What is in the folder and named by nothing; what is handed out or computed, if it is older than that.
pub(super) async fn remove_local(store: &Store, data: &DataDir, from: Duration) -> Result<(), JobsError> {
    let mut snapshots = BTreeSet::new();
    each_snapshot(store, |snapshot| {
        snapshots.insert(snapshot.location);
    })
    .await?;
    let overlays = store.overlays_named().await?;
    let io_at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| JobsError::Io { path, source }
    };
    remove_folders(&data.lake(), &snapshots).map_err(io_at(&data.lake()))?;
    remove_files(&data.overlays(), &data.lake(), &overlays).map_err(io_at(&data.overlays()))?;
    empty(&data.exports(), from).map_err(io_at(&data.exports()))?;
    empty(&data.scratch(), from).map_err(io_at(&data.scratch()))
}

/// Removes objects that nothing names and that were put there before a time; gives how many. What is newer may be about to be named by
/// whoever put it there, another daemon too.
pub(super) async fn sweep(store: &Store, bucket: &Remote, before: Moment) -> Result<u64, SweepError> {
    let mut old = Vec::new();
    bucket.list(|object| old.extend((object.put_at < before.0).then_some(object.name))).await?;
    // Asked after the listing: what was named meanwhile is named here.
    let named = Named::read(store).await?;
    let mut removed = 0;
    for name in old.into_iter().filter(|name| !named.has(name)) {
        // A component that is deployed again is put under the name of before.
        if bucket.find(&name).await?.is_some_and(|object| object.put_at < before.0) {
            tracing::info!(name, "removing an object that nothing names");
            bucket.remove([name]).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// How long an object that nothing names is left alone: nothing that is under way takes a day, and no daemon that was stalled for as long may
/// name anything any more.
const UNNAMED: Duration = FORGOTTEN;

/// Between two looks for copies and objects that nothing names.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);

/// Removes what nothing names from this daemon's copies and, where it works, from the bucket, until the daemon stops.
pub(super) async fn tidy(store: Store, data: Arc<DataDir>, on_duty: watch::Receiver<bool>, mut stop: watch::Receiver<bool>) {
    let Some(bucket) = data.bucket() else { return };
    loop {
        match Named::read(&store).await {
            Ok(named) => data.charges().keep(|name| named.has_charges(name)),
            Err(error) => tracing::warn!(error = %Causes(&error), "copies that nothing names cannot be looked for"),
        }
        if *on_duty.borrow() {
            let before = Moment(store.clock().now().0 - i64::try_from(UNNAMED.as_millis()).unwrap_or(i64::MAX));
            if let Err(error) = sweep(&store, bucket, before).await {
                tracing::warn!(error = %Causes(&error), "objects that nothing names cannot be removed");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY_EVERY) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Depot(#[from] DepotError),
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
