//! Secrets at rest: sealed with a key that is not in the database, so that a copy of the database alone opens none of them.
//!
//! A sealed text names its place (`sign-in/msp/client_secret`), and opens only there: one that is copied into another row is refused.
//! What is sealed is never shown again; callers are told only whether there is one. The key is in a file, or in the environment where
//! several daemons share a database. Keys are read each time, so that a rotation counts at once: the first one seals, all of them open.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::clock::Clock;

/// The file in the data folder.
const FILE: &str = "secrets.key";

/// Keys as the file has them, in its place.
const VARIABLE: &str = "RERATE_SECRET_KEY";

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Keys at a time: the one in use, and those before it.
const MAX_KEYS: usize = 16;

/// How a sealed text begins: what it was sealed with, for the day when that changes.
const SEALED: &str = "sealed1:";

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot use the key of the secrets in {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{0} holds no key of the secrets: it should be 64 hexadecimal digits, or up to {MAX_KEYS} such keys with commas between")]
    NoKey(String),
    #[error("{} holds {MAX_KEYS} keys already: take the last ones out, with which nothing is sealed any more", .0.display())]
    TooMany(PathBuf),
    #[error(
        "a secret cannot be opened: it was sealed with another key than those in {0}; put the one there that belongs to this database, or, \
         behind a comma, the one that another daemon sealed it with: all daemons on a database need the same keys"
    )]
    OtherKey(String),
}

/// Seals and opens. Cheap to clone; never shown.
#[derive(Clone)]
pub struct Secrets {
    file: Arc<Path>,
    /// What the environment gives in place of the file.
    given: Option<Arc<str>>,
    clock: Clock,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// A key and its digits.
struct Key {
    key: LessSafeKey,
    digits: String,
}

impl Secrets {
    /// With the keys of a data folder, unless the environment gives others.
    pub fn of(data: &Path, clock: Clock) -> Result<Self, SecretError> {
        let given = std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty());
        Self::checked(Self { file: data.join(FILE).into(), given: given.map(Into::into), clock })
    }

    /// With the keys of a file, each 64 hexadecimal digits. Made, readable by its owner only, if there is none.
    pub fn open_file(path: &Path, clock: Clock) -> Result<Self, SecretError> {
        Self::checked(Self { file: path.into(), given: None, clock })
    }

    fn checked(self) -> Result<Self, SecretError> {
        if self.given.is_none() && !self.file.exists() {
            self.make_file()?;
        }
        self.keys()?;
        Ok(self)
    }

    /// Whether a text is a sealed one.
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(SEALED)
    }

    /// The text, sealed for one place.
    pub fn seal(&self, place: &str, text: &str) -> Result<String, SecretError> {
        let keys = self.keys()?;
        let Key { key, .. } = keys.first().ok_or_else(|| SecretError::NoKey(self.place()))?;
        // 96 random bits: a billion sealed texts are far from two that share them.
        let nonce: [u8; NONCE_LEN] = self.clock.random();
        let mut sealed = text.as_bytes().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut sealed)
            .map_err(|_| SecretError::NoKey(self.place()))?;
        Ok(format!("{SEALED}{}", STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// The text that was sealed for this place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<String, SecretError> {
        let keys = self.keys()?;
        keys.iter().find_map(|key| opened(&key.key, place, sealed)).ok_or_else(|| self.other_key())
    }

    /// Opens and seals again, with the first key.
    pub fn seal_again(&self, place: &str, sealed: &str) -> Result<String, SecretError> {
        self.seal(place, &self.open(place, sealed)?)
    }

    /// A new first key before those that there are, which go on opening what was sealed with them. Of keys in the environment, whoever set
    /// them adds one.
    pub fn add_key(&self) -> Result<(), SecretError> {
        let mut digits = vec![self.new_digits()];
        digits.extend(self.keys()?.into_iter().map(|key| key.digits));
        if digits.len() > MAX_KEYS {
            return Err(SecretError::TooMany(self.file.to_path_buf()));
        }
        self.replace(&digits)
    }

    /// Whether the keys are in a file, which is this daemon's own: a key that is added is unknown to every other.
    pub fn are_in_a_file(&self) -> bool {
        self.given.is_none()
    }

    /// Where the keys are.
    fn place(&self) -> String {
        if self.are_in_a_file() { self.file.display().to_string() } else { VARIABLE.to_owned() }
    }

    pub(crate) fn other_key(&self) -> SecretError {
        SecretError::OtherKey(self.place())
    }

    fn keys(&self) -> Result<Vec<Key>, SecretError> {
        let text = match &self.given {
            Some(text) => text.to_string(),
            None => fs::read_to_string(&self.file).map_err(|source| self.failed(source))?,
        };
        let keys = text.trim().split(',').map(|part| key_of(part.trim())).collect::<Option<Vec<Key>>>();
        keys.filter(|keys| keys.len() <= MAX_KEYS).ok_or_else(|| SecretError::NoKey(self.place()))
    }

    fn failed(&self, source: io::Error) -> SecretError {
        SecretError::File { path: self.file.to_path_buf(), source }
    }

    fn new_digits(&self) -> String {
        self.clock.random::<KEY_BYTES>().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Of two daemons that start at once, one makes the key.
    fn make_file(&self) -> Result<(), SecretError> {
        match self.file_of(&[self.new_digits()])?.persist_noclobber(&self.file) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(self.failed(error.error)),
            _ => Ok(()),
        }
    }

    fn replace(&self, digits: &[String]) -> Result<(), SecretError> {
        if self.given.is_some() {
            return Ok(());
        }
        self.file_of(digits)?.persist(&self.file).map_err(|error| self.failed(error.error))?;
        Ok(())
    }

    /// A whole file beside the real one, that nobody else can read at any moment: a temporary file is its owner's alone.
    fn file_of(&self, digits: &[String]) -> Result<tempfile::NamedTempFile, SecretError> {
        let folder = self.file.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|source| self.failed(source))?;
        writeln!(file, "{}", digits.join(",")).and_then(|()| file.as_file().sync_all()).map_err(|source| self.failed(source))?;
        Ok(file)
    }
}

fn opened(key: &LessSafeKey, place: &str, sealed: &str) -> Option<String> {
    let mut bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(SEALED)?).ok()?;
    let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = key.open_in_place(nonce, Aad::from(place.as_bytes()), text).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}

fn key_of(digits: &str) -> Option<Key> {
    let mut key = [0; KEY_BYTES];
    if digits.len() != 2 * KEY_BYTES || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(Key { key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).ok()?), digits: digits.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open_file(&folder.path().join("secrets.key"), Clock::system()).unwrap();
        (folder, secrets)
    }

    #[test]
    fn a_secret_opens_in_its_place_and_nowhere_else() {
        let (_folder, secrets) = secrets();
        let sealed = secrets.seal("sign-in/msp/client_secret", "s3cret").unwrap();
        assert!(!sealed.contains("s3cret"));
        assert_ne!(sealed, secrets.seal("sign-in/msp/client_secret", "s3cret").unwrap());
        assert_eq!(secrets.open("sign-in/msp/client_secret", &sealed).unwrap(), "s3cret");
        let elsewhere = secrets.open("sign-in/tnt_1/client_secret", &sealed).unwrap_err();
        assert!(elsewhere.to_string().contains("another key"));
        assert!(!format!("{secrets:?}").contains("key:"));
    }

    #[test]
    fn a_changed_or_cut_or_plain_text_is_refused() {
        let (_folder, secrets) = secrets();
        let sealed = secrets.seal("here", "s3cret").unwrap();
        for at in [SEALED.len(), sealed.len() / 2, sealed.len() - 2] {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(secrets.open("here", &String::from_utf8(changed).unwrap()).is_err(), "{at}");
        }
        for text in ["", "s3cret", SEALED, "sealed1:AAAA", &sealed[..sealed.len() - 4]] {
            assert!(secrets.open("here", text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_only_and_another_one_opens_nothing() {
        let (folder, first) = secrets();
        let path = folder.path().join("secrets.key");
        let sealed = first.seal("here", "s3cret").unwrap();
        assert_eq!(Secrets::open_file(&path, Clock::system()).unwrap().open("here", &sealed).unwrap(), "s3cret");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let (other_folder, other) = secrets();
        let refused = other.open("here", &sealed).unwrap_err().to_string();
        let file = other_folder.path().join("secrets.key");
        assert!(refused.contains(&format!("another key than those in {}", file.display())), "{refused}");
        // Done as it says, it counts at once.
        let both = [&file, &path].map(|path| fs::read_to_string(path).unwrap().trim().to_owned());
        fs::write(&file, both.join(",")).unwrap();
        assert_eq!(other.open("here", &sealed).unwrap(), "s3cret");
        fs::write(&path, "not a key").unwrap();
        assert!(Secrets::open_file(&path, Clock::system()).unwrap_err().to_string().contains("64 hexadecimal digits"));
    }

    #[test]
    fn after_a_rotation_the_new_key_seals_and_the_old_one_opens_what_it_sealed() {
        let (folder, secrets) = secrets();
        let path = folder.path().join("secrets.key");
        let other = Secrets::open_file(&path, Clock::system()).unwrap();
        let old = secrets.seal("here", "s3cret").unwrap();
        secrets.add_key().unwrap();
        let new = other.seal_again("here", &old).unwrap();
        assert_eq!(secrets.open("here", &old).unwrap(), "s3cret");
        // Whoever takes the old key out keeps what was sealed again.
        let text = fs::read_to_string(&path).unwrap();
        secrets.replace(&[text.split(',').next().unwrap().to_owned()]).unwrap();
        assert_eq!(other.open("here", &new).unwrap(), "s3cret");
        assert!(other.open("here", &old).is_err());
        for _ in 1..MAX_KEYS {
            secrets.add_key().unwrap();
        }
        assert!(secrets.add_key().unwrap_err().to_string().contains("16 keys already"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("secrets.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn keys_from_the_environment_take_the_files_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        let with = |text: &str| Secrets { file: path.as_path().into(), given: Some(text.into()), clock: Clock::system() };
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let sealed = with(&one).seal("here", "s3cret").unwrap();
        let again = with(&format!("{two}, {one}")).seal_again("here", &sealed).unwrap();
        assert_eq!(with(&two).open("here", &again).unwrap(), "s3cret");
        assert!(with(&two).open("here", &sealed).is_err() && !path.exists());
        assert!(with("12").keys().err().unwrap().to_string().contains("RERATE_SECRET_KEY"));
    }
}
