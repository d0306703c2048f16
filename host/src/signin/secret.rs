//! Secrets that are shown once and known by their SHA-256 afterwards: tokens, cookies, links.

use sha2::{Digest, Sha256};

/// Random bytes of a secret: nobody guesses 256 bits.
pub const BYTES: usize = 32;

/// Characters that stay visible for recognition, beside the prefix: a thirty-second part of the secret.
const SHOWN: usize = 4;

/// A new secret. It is not shown by `Debug`.
pub struct Secret {
    text: String,
    prefix: usize,
}

impl Secret {
    pub fn new(random: &[u8; BYTES], prefix: &str) -> Self {
        Self { text: format!("{prefix}{}", hex(random)), prefix: prefix.len() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn hash(&self) -> String {
        hash(&self.text)
    }

    /// Its first characters.
    pub fn shown(&self) -> String {
        self.text[..self.prefix + SHOWN].to_owned()
    }
}

/// How a secret is known: the SHA-256 of its text, in hexadecimal.
pub fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_first_characters_and_is_known_by_its_hash() {
        let secret = Secret::new(&[7; BYTES], "rrt_");
        assert_eq!(secret.text().len(), 4 + 64);
        assert!(secret.text().starts_with(&secret.shown()) && secret.shown().len() == 8);
        assert_eq!(secret.hash(), hash(secret.text()));
        assert_ne!(secret.text(), Secret::new(&[8; BYTES], "rrt_").text());
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
