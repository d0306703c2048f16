//! Passwords: what one must be, and how it is kept.

use std::sync::LazyLock;

use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// Characters of a password at least: a few words.
pub const MIN_CHARS: usize = 12;

/// Characters of a password at most: more is no safer, and hashing takes longer.
pub const MAX_CHARS: usize = 200;

/// Random bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// KiB, passes and lanes of argon2id: what OWASP asks for at least, some 20 ms.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("a password has {MIN_CHARS} to {MAX_CHARS} characters, and this one has {0}")]
    Length(usize),
    #[error("a password cannot be the e-mail address")]
    Email,
}

/// Whether a password will do.
pub fn check(password: &str, email: &str) -> Result<(), Unfit> {
    let chars = password.chars().count();
    if !(MIN_CHARS..=MAX_CHARS).contains(&chars) {
        return Err(Unfit::Length(chars));
    }
    if password.trim().to_lowercase() == email.trim().to_lowercase() {
        return Err(Unfit::Email);
    }
    Ok(())
}

fn argon2() -> Result<Argon2<'static>, password_hash::Error> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, LANES, None)?))
}

/// The argon2id hash of a password, with its salt and parameters.
pub fn hash(password: &str, salt: &[u8; SALT_BYTES]) -> Result<String, password_hash::Error> {
    let salt = SaltString::encode_b64(salt)?;
    Ok(argon2()?.hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Whether a password is the one of a stored hash. Without one it takes as long and is never.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody's password", &[0; SALT_BYTES]).ok());
    // Longer ones are nobody's, and are not worth the work.
    if password.len() > 4 * MAX_CHARS {
        return false;
    }
    let Some(against) = stored.or(NOBODYS.as_deref()) else { return false };
    let matches = match (argon2(), PasswordHash::new(against)) {
        (Ok(argon2), Ok(hash)) => argon2.verify_password(password.as_bytes(), &hash).is_ok(),
        _ => false,
    };
    matches && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let stored = hash("correct horse battery", &[7; SALT_BYTES]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)) && !verify("", Some(&stored)));
        assert!(!verify("nobody's password", None) && !verify("x", Some("no hash")));
        assert_ne!(stored, hash("correct horse battery", &[8; SALT_BYTES]).unwrap());
    }

    #[test]
    fn a_password_is_long_and_not_the_address() {
        let check = |password: &str| check(password, "Ann@msp.example");
        assert_eq!(check("twelve chars"), Ok(()));
        assert_eq!(check("äöüäöüäöüäöü"), Ok(()), "characters are counted, not bytes");
        assert_eq!(check("eleven char"), Err(Unfit::Length(11)));
        assert_eq!(check(&"x".repeat(201)), Err(Unfit::Length(201)));
        assert_eq!(check("ann@MSP.example"), Err(Unfit::Email));
    }
}
