//! Which files make a bill: one file, or what the newest manifest of each period lists.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::BillError;
use crate::domain::period::Period;

/// A source document to import as a whole. A later bill of the same period replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// What names of files are relative to.
    pub root: PathBuf,
    pub files: Vec<PathBuf>,
    /// The newest of its period; none where the files lie there without one.
    pub manifest: Option<ManifestInfo>,
    /// Files beside these that are no bills.
    pub skipped: Vec<PathBuf>,
}

/// What an AWS manifest says of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestInfo {
    pub path: PathBuf,
    /// `assemblyId` or `executionId`: which refresh this is.
    pub id: String,
    pub period: Option<Period>,
}

impl Bill {
    /// A file's name in reports and messages.
    pub fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// SHA-256 in hexadecimal over the names, lengths and contents of the files, in order: the identity of the source document.
    pub fn digest(&self) -> Result<String, BillError> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        for path in &self.files {
            let io = |source| BillError::Io { path: path.clone(), source };
            let mut file = File::open(path).map_err(io)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            for length in [name.len() as u64, file.metadata().map_err(io)?.len()] {
                hasher.update(length.to_le_bytes());
            }
            hasher.update(name.as_bytes());
            loop {
                let read = file.read(&mut buffer).map_err(io)?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
            }
        }
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Finds the bills at a path.
pub fn discover(path: &Path) -> Result<Vec<Bill>, BillError> {
    let metadata = path.metadata().map_err(|source| BillError::Io { path: path.to_owned(), source })?;
    if metadata.is_file() {
        let root = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        return Ok(vec![Bill { root, files: vec![path.to_owned()], manifest: None, skipped: Vec::new() }]);
    }
    Err(BillError::NothingFound { path: path.to_owned() })
}
