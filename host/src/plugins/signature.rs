//! Who vouches for a component: an ed25519 signature in its last section, over every byte before it.
//!
//! What is signed is the SHA-256 of those bytes behind a prefix of our own, so that a signature made for anything else means nothing here.
//! The section names the key and the hash, which tells three things apart: nobody signed, somebody without our trust signed, and somebody
//! signed something else than what is here. Which of them is let in is decided by the policy, in `deploy`.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hex;
use crate::clock::Clock;
use crate::sandbox::sections::{self, SIGNATURE, section};
use crate::store::TrustedKey;

/// Before the hash in what is signed.
const CONTEXT: &[u8] = b"rerate component signature 1\0";

const PUBLIC: &str = "ed25519:";
const PRIVATE: &str = "rerate-signing-key:ed25519:";

/// Bytes of a key's id: too many to make a second key with the same.
const ID_BYTES: usize = 16;

/// The section's content, as JSON.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// The key's id.
    key: String,
    /// Of every byte before the section, in hex.
    sha256: String,
    /// In hex.
    signature: String,
}

/// What a component's signature is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by a key that is trusted.
    Trusted {
        key: String,
        name: String,
    },
    Unsigned,
    Wrong {
        key: String,
        why: Fault,
    },
    /// The content is not what was signed.
    Tampered {
        key: String,
        why: String,
    },
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the signature's section cannot be read")]
    Unreadable,
    #[error("nobody here trusts the key; `rerate key trust` does")]
    Unknown,
    #[error("the signature does not verify")]
    Forged,
    #[error("the key was revoked")]
    Revoked,
}

/// A verdict for programs, and for a person's eye.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignatureView {
    /// `unsigned`, `valid`, `unknown key`, `revoked`, `invalid`, `tampered`; or `unchecked` where nobody could be asked whom to trust.
    pub state: &'static str,
    /// Id of the key that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The verdict in words.
    pub told: String,
}

impl SignatureView {
    /// `keys` are those that a daemon trusts, if one was asked.
    pub fn of(component: &[u8], keys: Option<&[TrustedKey]>) -> Self {
        let verdict = verdict(component, keys.unwrap_or_default());
        let unchecked = keys.is_none() && matches!(verdict, Verdict::Wrong { why: Fault::Unknown, .. });
        let (state, key) = match &verdict {
            Verdict::Unsigned => ("unsigned", None),
            Verdict::Trusted { key, .. } => ("valid", Some(key)),
            Verdict::Wrong { key, .. } if unchecked => ("unchecked", Some(key)),
            Verdict::Wrong { key, why: Fault::Unknown } => ("unknown key", Some(key)),
            Verdict::Wrong { key, why: Fault::Revoked } => ("revoked", Some(key)),
            Verdict::Wrong { key, .. } => ("invalid", Some(key)),
            Verdict::Tampered { key, .. } => ("tampered", Some(key)),
        };
        let told = match key {
            Some(key) if unchecked => {
                format!("signed by key {key}; whether that is trusted is a daemon's to say: --server and --token-file")
            }
            _ => verdict.to_string(),
        };
        Self { state, key: key.cloned(), told }
    }
}

impl Verdict {
    pub const fn is_trusted(&self) -> bool {
        matches!(self, Self::Trusted { .. })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Trusted { key, name } => write!(f, "signed by {name} (key {key})"),
            Self::Unsigned => f.write_str("unsigned (`rerate plugin sign` signs a component)"),
            Self::Wrong { key, why } => write!(f, "wrongly signed: {why} (key {key})"),
            Self::Tampered { key, why } => write!(f, "tampered: {why} (signed by key {key})"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("this is no public key: it has the form {PUBLIC} and 64 hexadecimal digits")]
    NotPublic,
    #[error("this is no private key: `rerate key new` writes one")]
    NotPrivate,
}

/// A public key as people hand it around, and its id. Letters may be large or small; its text is always given back small.
pub fn public_key(text: &str) -> Result<(String, String), KeyError> {
    let text = text.trim().to_lowercase();
    let bytes: [u8; 32] = text.strip_prefix(PUBLIC).and_then(unhex).ok_or(KeyError::NotPublic)?;
    Ok((key_id(&bytes), text))
}

fn key_id(public: &[u8]) -> String {
    hex(&Sha256::digest(public)[..ID_BYTES])
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.iter().all(u8::is_ascii_hexdigit))?;
    }
    Some(bytes)
}

/// A key that signs.
pub struct PrivateKey(Ed25519KeyPair);

impl PrivateKey {
    /// A new key, and the text of its file.
    pub fn new(clock: &Clock) -> Result<(Self, String), KeyError> {
        let text = format!("{PRIVATE}{}", hex(&clock.random::<32>()));
        Ok((Self::read(&text)?, text))
    }

    pub fn read(text: &str) -> Result<Self, KeyError> {
        let seed: [u8; 32] = text.trim().strip_prefix(PRIVATE).and_then(unhex).ok_or(KeyError::NotPrivate)?;
        Ed25519KeyPair::from_seed_unchecked(&seed).map(Self).map_err(|_| KeyError::NotPrivate)
    }

    /// The text by which others trust it.
    pub fn public(&self) -> String {
        format!("{PUBLIC}{}", hex(self.0.public_key().as_ref()))
    }

    pub fn id(&self) -> String {
        key_id(self.0.public_key().as_ref())
    }

    /// The component with this key's signature as its last section, in the place of one that it had there.
    pub fn sign(&self, component: &[u8]) -> Vec<u8> {
        let mut signed = unsigned(component).to_vec();
        let digest = Sha256::digest(&signed);
        let signature = hex(self.0.sign(&message(&digest)).as_ref());
        let claim = serde_json::json!(Claim { key: self.id(), sha256: hex(&digest), signature });
        sections::append(&mut signed, SIGNATURE, claim.to_string().as_bytes());
        signed
    }
}

fn unsigned(component: &[u8]) -> &[u8] {
    match section(component, SIGNATURE) {
        Some(signature) if signature.is_last => &component[..signature.at],
        _ => component,
    }
}

fn message(digest: &[u8]) -> Vec<u8> {
    [CONTEXT, digest].concat()
}

/// Looks at a component's signature in the light of the keys that are known. Only for a file that was parsed before: what cannot be read as
/// sections counts as unsigned.
pub fn verdict(component: &[u8], keys: &[TrustedKey]) -> Verdict {
    let Some(found) = section(component, SIGNATURE) else { return Verdict::Unsigned };
    let Ok(claim) = serde_json::from_slice::<Claim>(found.data) else {
        return Verdict::Wrong { key: "unknown".to_owned(), why: Fault::Unreadable };
    };
    if !found.is_last {
        return Verdict::Tampered { key: shown(claim.key), why: "bytes were added behind the signature".to_owned() };
    }
    let digest = Sha256::digest(&component[..found.at]);
    if hex(&digest) != claim.sha256 {
        let why = format!("its content has the SHA-256 {}, and another one was signed", hex(&digest));
        return Verdict::Tampered { key: shown(claim.key), why };
    }
    let Some(key) = keys.iter().find(|key| key.id == claim.key) else {
        return Verdict::Wrong { key: shown(claim.key), why: Fault::Unknown };
    };
    let verified = key.public_key.strip_prefix(PUBLIC).and_then(unhex::<32>).zip(unhex::<64>(&claim.signature));
    let verifies =
        verified.is_some_and(|(public, signature)| UnparsedPublicKey::new(&ED25519, public).verify(&message(&digest), &signature).is_ok());
    match (verifies, key.revoked_at) {
        (false, _) => Verdict::Wrong { key: claim.key, why: Fault::Forged },
        (true, Some(_)) => Verdict::Wrong { key: claim.key, why: Fault::Revoked },
        (true, None) => Verdict::Trusted { key: claim.key, name: key.name.clone() },
    }
}

/// A key's id comes from a file of a stranger: what is none is not repeated.
fn shown(key: String) -> String {
    if unhex::<ID_BYTES>(&key).is_some() { key } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::plugins::builtin::builtin;

    fn component() -> Vec<u8> {
        builtin("charge").unwrap().component.to_vec()
    }

    fn key() -> PrivateKey {
        PrivateKey::new(&Clock::system()).unwrap().0
    }

    fn trusted(key: &PrivateKey) -> TrustedKey {
        let (id, public_key) = public_key(&key.public()).unwrap();
        assert_eq!(id, key.id());
        TrustedKey { id, name: "Release".to_owned(), public_key, created_at: Moment(0), revoked_at: None }
    }

    #[test]
    fn unsigned_wrongly_signed_and_tampered_are_told_apart() {
        let (ours, theirs) = (key(), key());
        let keys = [trusted(&ours)];
        let signed = ours.sign(&component());
        assert_eq!(verdict(&signed, &keys), Verdict::Trusted { key: ours.id(), name: "Release".to_owned() });
        assert_eq!(verdict(&component(), &keys), Verdict::Unsigned);

        let stranger = verdict(&theirs.sign(&component()), &keys);
        assert!(matches!(&stranger, Verdict::Wrong { key, why: Fault::Unknown } if *key == theirs.id()), "{stranger}");
        let revoked = verdict(&signed, &[TrustedKey { revoked_at: Some(Moment(1)), ..keys[0].clone() }]);
        assert!(matches!(&revoked, Verdict::Wrong { key, why: Fault::Revoked } if *key == ours.id()), "{revoked}");

        let mut longer = signed.clone();
        sections::append(&mut longer, "note", b"more");
        let after = verdict(&longer, &keys);
        assert!(matches!(&after, Verdict::Tampered { key, why } if *key == ours.id() && why.contains("behind")), "{after}");
        let mut altered = signed.clone();
        altered[200] ^= 1;
        let altered = verdict(&altered, &keys);
        assert!(matches!(&altered, Verdict::Tampered { why, .. } if why.contains("another one was signed")), "{altered}");
    }

    #[test]
    fn a_verdict_is_shown_with_the_key_and_without_a_daemon_it_is_left_open() {
        let (ours, theirs) = (key(), key());
        let keys = [trusted(&ours)];
        let signed = ours.sign(&component());
        let state = |component: &[u8], keys: Option<&[TrustedKey]>| {
            let view = SignatureView::of(component, keys);
            (view.state, view.key)
        };
        assert_eq!(state(&signed, Some(&keys)), ("valid", Some(ours.id())));
        assert_eq!(state(&signed, None), ("unchecked", Some(ours.id())));
        assert_eq!(state(&theirs.sign(&component()), Some(&keys)), ("unknown key", Some(theirs.id())));
        let revoked = [TrustedKey { revoked_at: Some(Moment(1)), ..keys[0].clone() }];
        assert_eq!(state(&signed, Some(&revoked)), ("revoked", Some(ours.id())));
        assert_eq!(state(&component(), None), ("unsigned", None));
        let mut longer = signed;
        sections::append(&mut longer, "note", b"more");
        assert_eq!(state(&longer, None), ("tampered", Some(ours.id())));
    }

    #[test]
    fn a_signature_of_other_content_or_of_a_stranger_under_our_name_does_not_verify() {
        let (ours, theirs) = (key(), key());
        let keys = [trusted(&ours)];
        let claim = |signer: &PrivateKey, of: &[u8], content: &[u8]| {
            let signature = hex(signer.0.sign(&message(&Sha256::digest(of))).as_ref());
            let claim = Claim { key: ours.id(), sha256: hex(&Sha256::digest(content)), signature };
            let mut file = content.to_vec();
            sections::append(&mut file, SIGNATURE, serde_json::to_string(&claim).unwrap().as_bytes());
            verdict(&file, &keys)
        };
        let content = component();
        assert!(claim(&ours, &content, &content).is_trusted());
        for forged in [claim(&theirs, &content, &content), claim(&ours, b"something else", &content)] {
            assert_eq!(forged, Verdict::Wrong { key: ours.id(), why: Fault::Forged });
        }
    }

    #[test]
    fn no_flipped_bit_of_a_signed_component_is_trusted() {
        let ours = key();
        let keys = [trusted(&ours)];
        let signed = ours.sign(&component());
        let start = section(&signed, SIGNATURE).unwrap().at;
        // The section whole, and a sample of the content.
        for at in (start..signed.len()).chain((8..start).step_by(997)) {
            let mut flipped = signed.clone();
            flipped[at] ^= 4;
            assert!(!verdict(&flipped, &keys).is_trusted(), "byte {at}");
        }
    }

    #[test]
    fn signing_again_replaces_the_signature_and_the_same_key_signs_the_same() {
        let (first, second) = (key(), key());
        let once = first.sign(&component());
        assert_eq!(first.sign(&once), once);
        assert_eq!(second.sign(&once), second.sign(&component()));
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_nothing_else_is_one() {
        let (key, text) = PrivateKey::new(&Clock::system()).unwrap();
        assert_eq!(PrivateKey::read(&format!("{text}\n")).unwrap().public(), key.public());
        assert_eq!(public_key(&key.public().to_uppercase()).unwrap().1, key.public());
        for wrong in ["", "ed25519:", "ed25519:zz", &key.public()[..70], &text] {
            assert!(public_key(wrong).is_err(), "{wrong}");
        }
        assert!(PrivateKey::read(&key.public()).is_err());
    }
}
