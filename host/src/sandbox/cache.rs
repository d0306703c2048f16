//! What took long to make, on disk: compiled components, and on an author's machine built ones. An entry may be native code, so it is given
//! out only with a proof that this installation wrote it: an HMAC with a key that lies beside the entries, readable by the user alone.
//!
//! Nothing here is needed for correctness: whatever is missing, foreign or damaged is made again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

/// What an entry of native code ends with, and one of WebAssembly.
const ENDINGS: [&str; 2] = ["aot", "wasm"];

/// Room for entries; about 30 interpreters or thousands of compiled guests. The oldest go first.
const CACHE_BYTES: u64 = 2 << 30;

/// Native code that this process, its compiling child or an earlier run of this installation made.
pub(super) struct Artefact(Vec<u8>);

impl Artefact {
    /// Only for what the compiler just wrote.
    pub(super) const fn fresh(code: Vec<u8>) -> Self {
        Self(code)
    }

    pub(super) fn code(&self) -> &[u8] {
        &self.0
    }
}

/// A folder of entries by their names.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

impl Cache {
    /// Opens the folder, creating it and its key when they do not exist.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let key = match read_key(folder)? {
            Some(key) => key,
            None => create_key(folder)?,
        };
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The compiled form of the component with this digest, if this installation made it for this engine.
    pub(super) fn get(&self, digest: &str, engine: &Engine) -> Option<Artefact> {
        self.read(&entry_name(digest, engine)).map(Artefact)
    }

    /// What was kept under this name, if this installation kept it.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.join(name);
        let mut entry = match fs::read(&path) {
            Ok(entry) => entry,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "a file of the cache could not be read; its content is made again");
                }
                return None;
            }
        };
        let genuine = entry.split_at_checked(MAC_BYTES).is_some_and(|(mac, content)| self.mac(name, content).verify_slice(mac).is_ok());
        if !genuine {
            tracing::warn!(path = %path.display(), "a file of the cache is damaged or not from this installation; its content is made again");
            return None;
        }
        entry.drain(..MAC_BYTES);
        Some(entry)
    }

    /// Keeps a compiled component.
    pub(super) fn put(&self, digest: &str, engine: &Engine, artefact: &Artefact) -> io::Result<()> {
        self.write(&entry_name(digest, engine), &artefact.0)
    }

    /// Keeps something under a name that says everything it was made of, with one of [`ENDINGS`]: written aside and renamed, so that no
    /// reader sees half of it.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&self.mac(name, content).finalize().into_bytes())?;
        file.write_all(content)?;
        file.persist(self.folder.join(name)).map_err(|error| error.error)?;
        self.prune()
    }

    /// The name is part of what is authenticated: one component's code under another's name is foreign too.
    fn mac(&self, name: &str, content: &[u8]) -> Hmac<Sha256> {
        // A key of any length is valid for HMAC.
        #[allow(clippy::unwrap_used)]
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key).unwrap();
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(content);
        mac
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let is_entry = entry.path().extension().is_some_and(|extension| ENDINGS.iter().any(|ending| extension == *ending));
            // Another program may make room at the same time.
            let Some(metadata) = is_entry.then(|| entry.metadata().ok()).flatten() else { continue };
            entries.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in entries {
            if bytes <= CACHE_BYTES {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= size,
            }
        }
        Ok(())
    }
}

fn entry_name(digest: &str, engine: &Engine) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.aot", hasher.finish())
}

/// The standard library's own hasher may change with the compiler; an entry's name should not.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

/// The key, unless there is none or others could have read or written it.
fn read_key(folder: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let path = folder.join("key");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o077 != 0 || metadata.len() != KEY_BYTES as u64 {
        tracing::warn!(path = %path.display(), "the key of the compiled rules was open to others or damaged; a new one is made");
        fs::remove_file(&path)?;
        return Ok(None);
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(Some(key))
}

/// Written aside and linked, so that of two processes that start at once one wins and both use its key.
fn create_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let aside = tempfile::Builder::new()
        .prefix("key-")
        .make_in(folder, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    aside.as_file().write_all(&key)?;
    aside.as_file().sync_all()?;
    match fs::hard_link(aside.path(), folder.join("key")) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(folder)?.ok_or_else(|| io::Error::other("the key of the compiled rules is not usable"))
        }
        Err(error) => Err(error),
    }
}
