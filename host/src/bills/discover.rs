//! Which files make a bill: one file, or what the newest manifest of each period lists.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::BillError;
use super::manifest::{self, Manifest};
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

/// Folders below each other at most: deeper than any export's layout, and an end to a loop of links.
const MAX_DEPTH: usize = 16;

/// Files of a folder at most; a month of the largest payer has a few thousand.
const MAX_FILES: usize = 200_000;

/// Finds the bills at a path: a file is one bill; a folder with AWS manifests is one bill for each period, made of the files that the
/// period's newest manifest lists, and one of each folder beside them that has no manifest; any other folder is one bill of all its bill
/// files.
pub fn discover(path: &Path) -> Result<Vec<Bill>, BillError> {
    let metadata = path.metadata().map_err(|source| BillError::Io { path: path.to_owned(), source })?;
    if metadata.is_file() {
        let root = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        return Ok(vec![Bill { root, files: vec![path.to_owned()], manifest: None, skipped: Vec::new() }]);
    }
    let mut found = Vec::new();
    walk(path, 0, &mut found)?;
    found.sort();
    let mut newest: BTreeMap<(String, Option<Period>), Manifest> = BTreeMap::new();
    for file in found.iter().filter(|file| manifest::is_manifest(file)) {
        let Some(manifest) = manifest::read(file)? else { continue };
        let key = (manifest.report.clone(), manifest.period);
        if newest.get(&key).is_none_or(|known| known.age < manifest.age) {
            newest.insert(key, manifest);
        }
    }
    if newest.is_empty() {
        return without_manifest(path, found);
    }
    let mut bills = Vec::new();
    for manifest in newest.into_values() {
        let files = manifest.keys.iter().map(|key| {
            let missing = || BillError::MissingFile { path: manifest.path.clone(), file: key.clone() };
            resolve(path, &found, key).ok_or_else(missing)
        });
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let mut known = BTreeSet::new();
        if let Some(twice) = files.iter().find(|file| !known.insert(*file)) {
            let what = format!("two files that it lists are the one at {}, which would count twice", twice.display());
            return Err(BillError::Manifest { path: manifest.path, what });
        }
        let info = ManifestInfo { path: manifest.path.clone(), id: manifest.id.clone(), period: manifest.period };
        bills.push(Bill { root: path.to_owned(), files, manifest: Some(info), skipped: Vec::new() });
    }
    bills.sort_by_key(|bill| bill.manifest.as_ref().and_then(|manifest| manifest.period));
    // Bill files that no newest manifest lists are earlier refreshes, except where a folder beside has neither a manifest nor a listed
    // file: that is another source, whose charges must not be lost.
    let listed: BTreeSet<&PathBuf> = bills.iter().flat_map(|bill| &bill.files).collect();
    let governed: BTreeSet<OsString> = found
        .iter()
        .filter(|file| listed.contains(file) || manifest::is_manifest(file))
        .filter_map(|file| top_folder(path, file))
        .collect();
    let (mut beside, mut skipped) = (BTreeMap::<OsString, Vec<PathBuf>>::new(), Vec::new());
    for file in found.iter().filter(|file| is_bill(file) && !listed.contains(file)) {
        match top_folder(path, file).filter(|folder| !governed.contains(folder)) {
            Some(folder) => beside.entry(folder).or_default().push(file.clone()),
            None => skipped.push(file.clone()),
        }
    }
    if let Some(first) = bills.first_mut() {
        first.skipped = skipped;
    }
    bills.extend(beside.into_values().map(|files| Bill { root: path.to_owned(), files, manifest: None, skipped: Vec::new() }));
    Ok(bills)
}

/// The folder right below `root` in which a file lies; none for a file that lies in `root` itself.
fn top_folder(root: &Path, file: &Path) -> Option<OsString> {
    let mut components = file.strip_prefix(root).ok()?.components();
    let first = components.next()?;
    components.next().map(|_| first.as_os_str().to_owned())
}

fn without_manifest(root: &Path, found: Vec<PathBuf>) -> Result<Vec<Bill>, BillError> {
    let (files, skipped): (Vec<_>, Vec<_>) = found.into_iter().partition(|file| is_bill(file));
    if files.is_empty() {
        return Err(BillError::NothingFound { path: root.to_owned() });
    }
    Ok(vec![Bill { root: root.to_owned(), files, manifest: None, skipped }])
}

fn is_bill(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    [".csv", ".csv.gz", ".zip", ".parquet"].iter().any(|ending| name.ends_with(ending))
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), BillError> {
    let io = |source| BillError::Io { path: folder.to_owned(), source };
    for entry in folder.read_dir().map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        let metadata = path.metadata().map_err(|source| BillError::Io { path: path.clone(), source })?;
        if metadata.is_dir() && depth < MAX_DEPTH {
            walk(&path, depth + 1, found)?;
        } else if metadata.is_file() && found.len() < MAX_FILES {
            found.push(path);
        } else {
            let limit = std::io::Error::other(format!("more than {MAX_DEPTH} folders deep or {MAX_FILES} files"));
            return Err(BillError::Io { path, source: limit });
        }
    }
    Ok(())
}

/// The file that a key of a bucket means: the folder may be a copy of the whole bucket, of a part of it, or hold it in a subfolder. Of a
/// file's path below the folder and the key one must end with the other, so that a file of an older refresh never stands in.
fn resolve(root: &Path, found: &[PathBuf], key: &str) -> Option<PathBuf> {
    let key: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    let mut best: Option<(usize, &PathBuf)> = None;
    for file in found {
        let relative = file.strip_prefix(root).unwrap_or(file);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let shared = parts.iter().rev().zip(key.iter().rev()).take_while(|(part, key)| part == *key).count();
        if shared > 0 && (shared == parts.len() || shared == key.len()) && best.is_none_or(|(known, _)| known < shared) {
            best = Some((shared, file));
        }
    }
    best.map(|(_, file)| file.clone())
}
