//! Secrets at rest: sealed with a key that is not in the database, so that a copy of the database alone opens none of them.
//!
//! A sealed text names its place (`sign-in/msp/client_secret`), and opens only there: one that is copied into another row is refused.
//! What is sealed is never shown again; callers are told only whether there is one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::clock::Clock;

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// How a sealed text begins: what it was sealed with, for the day when that changes.
const SEALED: &str = "sealed1:";

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot use the key of the secrets in {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} holds no key of the secrets: it should be 64 hexadecimal digits", .0.display())]
    NoKey(PathBuf),
    #[error("a secret cannot be opened: it was sealed with another key; put the secrets.key back that belongs to this database")]
    OtherKey,
}

/// Seals and opens. Cheap to clone; never shown.
#[derive(Clone)]
pub struct Secrets {
    key: Arc<LessSafeKey>,
    clock: Clock,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// With the key of a file, 64 hexadecimal digits. Made, readable by its owner only, if there is none.
    pub fn open_file(path: &Path, clock: Clock) -> Result<Self, SecretError> {
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text: String = clock.random::<KEY_BYTES>().iter().map(|byte| format!("{byte:02x}")).collect();
                write_private(path, &text).map_err(failed)?;
                text
            }
            read => read.map_err(failed)?,
        };
        let key = key_of(text.trim()).ok_or_else(|| SecretError::NoKey(path.to_owned()))?;
        Self::new(&key, clock).ok_or_else(|| SecretError::NoKey(path.to_owned()))
    }

    fn new(key: &[u8; KEY_BYTES], clock: Clock) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
        Some(Self { key: Arc::new(LessSafeKey::new(key)), clock })
    }

    /// The text, sealed for one place.
    pub fn seal(&self, place: &str, text: &str) -> Result<String, SecretError> {
        // 96 random bits: a billion sealed texts are far from two that share them.
        let nonce: [u8; NONCE_LEN] = self.clock.random();
        let mut sealed = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut sealed)
            .map_err(|_| SecretError::OtherKey)?;
        Ok(format!("{SEALED}{}", STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// The text that was sealed for this place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<String, SecretError> {
        self.opened(place, sealed).ok_or(SecretError::OtherKey)
    }

    fn opened(&self, place: &str, sealed: &str) -> Option<String> {
        let mut bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(SEALED)?).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key.open_in_place(nonce, Aad::from(place.as_bytes()), text).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

fn key_of(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

/// Writes a file that nobody else can read at any moment, and that is not there yet: of two daemons that start at once, one makes the key.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
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
        let (_other_folder, other) = secrets();
        assert!(other.open("here", &sealed).is_err());
        fs::write(&path, "not a key").unwrap();
        assert!(Secrets::open_file(&path, Clock::system()).unwrap_err().to_string().contains("64 hexadecimal digits"));
    }
}
