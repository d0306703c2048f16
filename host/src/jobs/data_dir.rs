//! The data folder: what lies where, and the lock that keeps a second daemon out.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::depot::{Depot, DepotError, Remote};

/// Of charges; also their folder in a bucket, as a backup has them.
pub(super) const LAKE: &str = "lake";

/// Of components.
pub(super) const COMPONENTS: &str = "plugins-store";

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("another rerate is using {}", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// An opened data folder. Its lock lasts as long as this value, and ends with the process however that ends.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    charges: Depot,
    component_files: Depot,
    bucket: Option<Remote>,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if there is none; only its owner may look into it. Nobody else can open it meanwhile.
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        Self::locked(root, File::try_lock)
    }

    /// As [`DataDir::open`], beside others who share it: daemons on one PostgreSQL.
    pub fn open_shared(root: &Path) -> Result<Self, DataDirError> {
        Self::locked(root, File::try_lock_shared)
    }

    fn locked(root: &Path, try_lock: fn(&File) -> Result<(), TryLockError>) -> Result<Self, DataDirError> {
        let io_at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| DataDirError::Io { path, source }
        };
        if !root.exists() {
            fs::create_dir_all(root).map_err(io_at(root))?;
            private(root).map_err(io_at(root))?;
        }
        let root = fs::canonicalize(root).map_err(io_at(root))?;
        let lock_path = root.join("rerate.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(io_at(&lock_path))?;
        match try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse(root)),
            Err(TryLockError::Error(source)) => return Err(DataDirError::Io { path: lock_path, source }),
        }
        let (charges, component_files) = (Depot::local(&root.join(LAKE)), Depot::local(&root.join(COMPONENTS)));
        let opened = Self { root, charges, component_files, bucket: None, _lock: lock };
        for folder in
            [opened.lake(), opened.overlays(), opened.spool(), opened.exports(), opened.scratch(), opened.plugins(), opened.components()]
        {
            fs::create_dir_all(&folder).map_err(io_at(&folder))?;
        }
        Ok(opened)
    }

    /// The same folder, whose charges and components are copies of what is in a bucket; copies of charges come to at most `limit` bytes.
    /// To be called in a runtime.
    pub fn with_bucket(self, bucket: Remote, limit: Option<u64>) -> Result<Self, DepotError> {
        let charges = Depot::shared(&self.lake(), bucket.below(LAKE), limit)?;
        // A component has at most 32 MiB, and those in use are read at each start: they are all kept.
        let component_files = Depot::shared(&self.components(), bucket.below(COMPONENTS), None)?;
        Ok(Self { charges, component_files, bucket: Some(bucket), ..self })
    }

    /// Waits until no other daemon is starting in this folder, and keeps others waiting as long as the value is there.
    pub fn starting(&self) -> Result<File, DataDirError> {
        let path = self.root.join("rerate.starting");
        let failed = |source| DataDirError::Io { path: path.clone(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn database(&self) -> PathBuf {
        self.root.join("rerate.db")
    }

    /// Snapshots: one folder an import.
    pub fn lake(&self) -> PathBuf {
        self.root.join(LAKE)
    }

    /// What the files here are copies of, if daemons share a bucket.
    pub fn bucket(&self) -> Option<&Remote> {
        self.bucket.as_ref()
    }

    /// What is below the lake, for those who read it or tell its names.
    pub fn charges(&self) -> &Depot {
        &self.charges
    }

    /// Deployed components, by `<digest>.wasm`.
    pub fn component_files(&self) -> &Depot {
        &self.component_files
    }

    /// Rated files, below the lake.
    pub fn overlays(&self) -> PathBuf {
        self.lake().join("rated")
    }

    /// Copies of bucket objects that are being imported.
    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Files that are being handed out.
    pub fn exports(&self) -> PathBuf {
        self.root.join("exports")
    }

    /// What is computed to be looked at and thrown away: a folder for each replay and preview.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// A new folder in there, removed with the value.
    pub(crate) fn scratch_folder(&self) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix("rerate-").tempdir_in(self.scratch())
    }

    /// The watched folder: whoever may write here may deploy.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Deployed components by digest.
    pub fn components(&self) -> PathBuf {
        self.root.join(COMPONENTS)
    }

    /// Compiled components. Native code: the sandbox checks it before it loads it.
    pub fn compiled(&self) -> PathBuf {
        self.root.join("plugins-compiled")
    }
}

#[cfg(unix)]
fn private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_kept_out_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        let refused = DataDir::open(folder.path()).unwrap_err();
        assert!(matches!(refused, DataDirError::InUse(_)), "{refused}");
        assert!(DataDir::open_shared(folder.path()).is_err());
        drop(first);
        let shared = [DataDir::open_shared(folder.path()).unwrap(), DataDir::open_shared(folder.path()).unwrap()];
        assert!(DataDir::open(folder.path()).is_err());
        drop(shared);
        DataDir::open(folder.path()).unwrap();
    }
}
