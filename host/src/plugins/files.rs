//! The components' bytes: `<digest>.wasm` in one folder, each written once and whole.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::deploy::DeployError;

/// Longer than any deployment takes.
const UNDER_WAY: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self, DeployError> {
        std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    pub(super) fn read(&self, digest: &str) -> Result<Vec<u8>, DeployError> {
        let path = self.path(digest);
        std::fs::read(&path).map_err(|source| failed(&path, source))
    }

    /// Written beside its place and renamed into it, so that a file with a digest's name is always whole.
    pub(super) fn keep(&self, digest: &str, bytes: &[u8]) -> Result<(), DeployError> {
        let path = self.path(digest);
        if std::fs::metadata(&path).is_ok_and(|known| known.len() == bytes.len() as u64) {
            return Ok(());
        }
        write_whole(&path, bytes).map_err(|source| failed(&path, source))
    }

    pub(super) fn remove(&self, digest: &str) -> Result<(), DeployError> {
        let path = self.path(digest);
        std::fs::remove_file(&path).map_err(|source| failed(&path, source))
    }

    /// Removes what a stopped process left: files that no version names, whole or not. Says how many. In a shared folder, a new file may be
    /// part of another daemon's deployment.
    pub(super) fn remove_strays(&self, known: &BTreeSet<String>, shared: bool) -> Result<usize, DeployError> {
        let mut removed = 0;
        let listed = std::fs::read_dir(&self.folder).map_err(|source| failed(&self.folder, source))?;
        for entry in listed {
            let path = entry.map_err(|source| failed(&self.folder, source))?.path();
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
