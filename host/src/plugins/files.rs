//! The components' bytes: `<digest>.wasm` in one depot, each written once and whole.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::deploy::DeployError;
use crate::depot::Depot;

/// Longer than any deployment takes.
const UNDER_WAY: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug)]
pub(super) struct Files {
    depot: Depot,
}

impl Files {
    pub(super) fn open(depot: Depot) -> Result<Self, DeployError> {
        std::fs::create_dir_all(depot.folder()).map_err(|source| failed(depot.folder(), source))?;
        Ok(Self { depot })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.depot.folder().join(name_of(digest))
    }

    pub(super) fn read(&self, digest: &str) -> Result<Vec<u8>, DeployError> {
        let path = self.depot.hold().file(&name_of(digest))?;
        std::fs::read(&path).map_err(|source| failed(&path, source))
    }

    /// Written beside its place and renamed into it, so that a file with a digest's name is always whole. Where daemons share a bucket, it
    /// is put there each time: whoever deploys a component again may do so because it is gone there.
    pub(super) fn keep(&self, digest: &str, bytes: &[u8]) -> Result<(), DeployError> {
        let path = self.path(digest);
        if !std::fs::metadata(&path).is_ok_and(|known| known.len() == bytes.len() as u64) {
            write_whole(&path, bytes).map_err(|source| failed(&path, source))?;
        }
        Ok(self.depot.publish(&[name_of(digest)])?)
    }

    pub(super) async fn remove(&self, digest: &str) {
        self.depot.remove(&[name_of(digest)]).await;
    }

    /// Removes what a stopped process left: files that no version names, whole or not. Says how many. In a shared folder, a new file may be
    /// part of another daemon's deployment.
    pub(super) fn remove_strays(&self, known: &BTreeSet<String>, shared: bool) -> Result<usize, DeployError> {
        let mut removed = 0;
        let listed = std::fs::read_dir(self.depot.folder()).map_err(|source| failed(self.depot.folder(), source))?;
        for entry in listed {
            let path = entry.map_err(|source| failed(self.depot.folder(), source))?.path();
            let is_known = path.extension().is_some_and(|ending| ending == "wasm")
                && path.file_stem().and_then(|name| name.to_str()).is_some_and(|digest| known.contains(digest));
            let under_way = shared && changed_within(&path, UNDER_WAY);
            if !is_known && !under_way && path.is_file() {
                std::fs::remove_file(&path).map_err(|source| failed(&path, source))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// What a component's file is called.
pub(crate) fn name_of(digest: &str) -> String {
    format!("{digest}.wasm")
}

fn changed_within(path: &Path, time: Duration) -> bool {
    let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| at.elapsed().unwrap_or_default() < time)
}

fn failed(path: &Path, source: io::Error) -> DeployError {
    DeployError::File { path: path.to_path_buf(), source }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
