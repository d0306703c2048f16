//! A backup: one archive with the rows of the control data, the files that they name, and a manifest with the SHA-256 of each.
//!
//! The daemon goes on meanwhile: rows are read as they are at one moment, and what they name is immutable and stays. Rows are lines of
//! JSON, so that a backup of SQLite can be restored to PostgreSQL and the other way. What can be made again (compiled components, copies of
//! bills, exports) is not in it; the bills themselves are not, but what was imported of them is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::clock::{Clock, Moment};
use crate::depot::{DepotError, Remote};
use crate::plugins::hex;
use crate::store::{Columns, Dump, Fill, StoreError};

/// The way in which archives are made; another number is of another program.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";

/// Files of the folder itself: without the first, a new token is made; without the second, sealed secrets stay sealed for ever.
const OF_THE_FOLDER: [&str; 2] = ["admin.token", "secrets.key"];

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Archive { path: PathBuf, source: zip::result::ZipError },
    #[error("the database names {}, which is not there", .0.display())]
    Missing(PathBuf),
    #[error("the files of this database are in {0}")]
    InBucket(String),
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is not a backup that this program can read: {what}", path.display())]
    Unreadable { path: PathBuf, what: String },
    #[error("{} is damaged: {name} is not what it was", path.display())]
    Damaged { path: PathBuf, name: String },
}

/// An entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `rows/<table>.jsonl`, or a path in the data folder below `files/`.
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    /// Of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub program: String,
    pub made_at: Moment,
    /// Which migrations made the tables what they are.
    pub migrations: Vec<i64>,
    pub entries: Vec<Entry>,
}

impl Manifest {
    pub fn rows(&self) -> u64 {
        self.entries.iter().filter_map(|entry| entry.rows).sum()
    }

    /// Whether something in it may be sealed with a key that is not in it: one that is given by the environment.
    pub fn lacks_its_key(&self) -> bool {
        let sealed = ["rows/integration_credentials.jsonl", "rows/sign_in.jsonl"];
        let has = |name: &str| self.entries.iter().any(|entry| entry.name == name && entry.rows != Some(0));
        sealed.into_iter().any(has) && !has("files/secrets.key")
    }

    /// Number and bytes of the files.
    pub fn files(&self) -> (u64, u64) {
        let files = self.entries.iter().filter(|entry| entry.rows.is_none());
        files.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.bytes))
    }
}

/// Writes a backup of the data folder and its database to a new file. It appears under its name when it is whole. Of files that are in a
/// bucket, those are taken from there that the folder has no copy of.
pub async fn backup(data: &Path, database: &str, bucket: Option<&Remote>, out: &Path, clock: &Clock) -> Result<Manifest, BackupError> {
    if out.exists() {
        return Err(BackupError::Exists(out.to_owned()));
    }
    let mut dump = Dump::open(database).await?;
    let migrations = dump.migrations().await?;
    match (dump.bucket().await?, bucket) {
        (Some(known), None) => return Err(BackupError::InBucket(known)),
        (Some(known), Some(given)) if known != given.url() => return Err(BackupError::InBucket(known)),
        _ => {}
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable by its owner only, as the data folder is: the administrator's token is in it.
    let file = tempfile::NamedTempFile::new_in(folder).map_err(io_at(folder))?;
    let mut archive = Archive { path: out.to_owned(), zip: ZipWriter::new(file), entries: Vec::new() };
    let mut named: BTreeSet<PathBuf> = OF_THE_FOLDER.iter().map(PathBuf::from).filter(|name| data.join(name).exists()).collect();
    for table in dump.tables().await? {
        archive.begin(format!("rows/{table}.jsonl"), CompressionMethod::Deflated)?;
        let mut rows = 0;
        dump.rows(&table, |row| {
            name_files(&table, &row, &mut named);
            rows += 1;
            let mut line = Value::Object(row).to_string();
            line.push('\n');
            archive.write(line.as_bytes())
        })
        .await?;
        archive.end(Some(rows));
    }
    drop(dump);
    for name in named {
        let path = data.join(&name);
        let mut content = match (File::open(&path), bucket) {
            (Err(error), Some(bucket)) if error.kind() == io::ErrorKind::NotFound => {
                let got = bucket.get(&name.to_string_lossy(), folder, None).await?;
                got.reopen().map_err(io_at(got.path()))?
            }
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::Missing(path)),
            (opened, _) => opened.map_err(io_at(&path))?,
        };
        archive.begin(format!("files/{}", name.display()), CompressionMethod::Stored)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match content.read(&mut buffer).map_err(io_at(&path))? {
                0 => break,
                read => archive.write(&buffer[..read])?,
            }
        }
        archive.end(None);
    }
    let program = env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest {
        format: FORMAT,
        program,
        made_at: clock.now(),
        migrations,
        entries: archive.entries.iter().map(Written::entry).collect(),
    };
    archive.finish(&manifest)?;
    Ok(manifest)
}

/// What a row says of files in the data folder.
fn name_files(table: &str, row: &Columns, named: &mut BTreeSet<PathBuf>) {
    let text = |column: &str| row.get(column).and_then(Value::as_str);
    let lake = Path::new("lake");
    match table {
        "plugin_versions" => named.extend(text("digest").map(|digest| Path::new("plugins-store").join(format!("{digest}.wasm")))),
        "runs" => named.extend(text("overlay").map(|overlay| lake.join(overlay))),
        "snapshots" => {
            let parts: Vec<Value> = text("parts").and_then(|parts| serde_json::from_str(parts).ok()).unwrap_or_default();
            let names = parts.iter().filter_map(|part| part["file_name"].as_str());
            named.extend(text("location").into_iter().flat_map(|location| names.clone().map(move |name| lake.join(location).join(name))));
        }
        _ => {}
    }
}

struct Written {
    name: String,
    bytes: u64,
    digest: Sha256,
    rows: Option<u64>,
}

impl Written {
    fn entry(&self) -> Entry {
        Entry { name: self.name.clone(), bytes: self.bytes, sha256: hex(&self.digest.clone().finalize()), rows: self.rows }
    }
}

/// An archive that is being written.
struct Archive {
    path: PathBuf,
    zip: ZipWriter<tempfile::NamedTempFile>,
    entries: Vec<Written>,
}

impl Archive {
    fn begin(&mut self, name: String, method: CompressionMethod) -> Result<(), BackupError> {
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        self.zip.start_file(&name, options).map_err(archive_at(&self.path))?;
        self.entries.push(Written { name, bytes: 0, digest: Sha256::new(), rows: None });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.zip.write_all(bytes).map_err(io_at(&self.path))?;
        if let Some(entry) = self.entries.last_mut() {
            entry.digest.update(bytes);
            entry.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn end(&mut self, rows: Option<u64>) {
        if let Some(entry) = self.entries.last_mut() {
            entry.rows = rows;
        }
    }

    fn finish(mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| io_at(&self.path)(error.into()))?;
        self.begin(MANIFEST.to_owned(), CompressionMethod::Deflated)?;
        self.write(&text)?;
        let file = self.zip.finish().map_err(archive_at(&self.path))?;
        file.as_file().sync_all().map_err(io_at(&self.path))?;
        file.persist_noclobber(&self.path).map_err(|error| io_at(&self.path)(error.error))?;
        Ok(())
    }
}

/// Makes a data folder and a database of a backup. Every digest is checked before anything is made, and the folder appears when it is whole.
pub async fn restore(from: &Path, data: &Path, database: Option<&str>) -> Result<Manifest, BackupError> {
    if data.exists() && fs::read_dir(data).map_err(io_at(data))?.next().is_some() {
        return Err(BackupError::NotEmpty(data.to_owned()));
    }
    let file = File::open(from).map_err(io_at(from))?;
    let mut archive = ZipArchive::new(file).map_err(|error| unreadable(from, error))?;
    let manifest = checked(from, &mut archive)?;
    let parent = data.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(io_at(parent))?;
    let making = tempfile::Builder::new().prefix(".rerate-restoring-").tempdir_in(parent).map_err(io_at(parent))?;
    for entry in manifest.entries.iter().filter(|entry| entry.rows.is_none()) {
        let path = making.path().join(inside(from, &entry.name)?);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_at(folder))?;
        }
        let mut content = archive.by_name(&entry.name).map_err(archive_at(from))?;
        let mut written = private(&path).map_err(io_at(&path))?;
        io::copy(&mut content, &mut written).and_then(|_| written.sync_all()).map_err(io_at(&path))?;
    }
    let beside = making.path().join("rerate.db").display().to_string();
    let mut fill = Fill::begin(database.unwrap_or(&beside), &manifest.migrations).await?;
    for entry in manifest.entries.iter().filter(|entry| entry.rows.is_some()) {
        let table = entry.name.trim_start_matches("rows/").trim_end_matches(".jsonl");
        let rows = BufReader::new(archive.by_name(&entry.name).map_err(archive_at(from))?);
        for line in rows.lines() {
            let row: Columns = serde_json::from_str(&line.map_err(io_at(from))?).map_err(|error| unreadable(from, error))?;
            fill.row(table, row).await?;
        }
    }
    fill.finish().await?;
    if data.exists() {
        fs::remove_dir(data).map_err(io_at(data))?;
    }
    fs::rename(making.keep(), data).map_err(io_at(data))?;
    Ok(manifest)
}

/// The manifest, once everything in the archive is what it says.
fn checked(from: &Path, archive: &mut ZipArchive<File>) -> Result<Manifest, BackupError> {
    let mut text = String::new();
    archive.by_name(MANIFEST).map_err(|_| unreadable(from, "it has no manifest"))?.read_to_string(&mut text).map_err(io_at(from))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| unreadable(from, error))?;
    if manifest.format != FORMAT {
        return Err(unreadable(from, format!("its format is {}", manifest.format)));
    }
    let damaged = |name: &str| BackupError::Damaged { path: from.to_owned(), name: name.to_owned() };
    let entries: BTreeMap<&str, &Entry> = manifest.entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    for name in archive.file_names() {
        let name = name.map_err(archive_at(from))?;
        if name != MANIFEST && !entries.contains_key(&*name) {
            return Err(damaged(&name));
        }
    }
    for entry in &manifest.entries {
        if entry.rows.is_none() {
            inside(from, &entry.name)?;
        }
        let mut content = archive.by_name(&entry.name).map_err(|_| damaged(&entry.name))?;
        let mut digest = Sha256::new();
        // A broken checksum of the archive's own ends the reading as well.
        let bytes = io::copy(&mut content, &mut digest).map_err(|_| damaged(&entry.name))?;
        if bytes != entry.bytes || hex(&digest.finalize()) != entry.sha256 {
            return Err(damaged(&entry.name));
        }
    }
    Ok(manifest)
}

/// Where a file belongs in the data folder: inside it, whatever an archive says.
fn inside(from: &Path, name: &str) -> Result<PathBuf, BackupError> {
    let path = name.strip_prefix("files/").map(PathBuf::from);
    let plain = |path: &PathBuf| path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)));
    path.filter(plain).ok_or_else(|| unreadable(from, format!("{name:?} is no file of a data folder")))
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn unreadable(path: &Path, what: impl ToString) -> BackupError {
    BackupError::Unreadable { path: path.to_owned(), what: what.to_string() }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path: path.clone(), source }
}

fn archive_at(path: &Path) -> impl Fn(zip::result::ZipError) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Archive { path: path.clone(), source }
}
