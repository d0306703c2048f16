//! Signed tokens (RFC 7515) and the keys they are checked with (RFC 7517): RS256, ES256 and EdDSA with Ed25519, nothing else.
//!
//! The algorithm is the key's, never the token's alone: a token that names `none`, or a symmetric algorithm so that the public key would
//! be its secret, finds no key. The signatures themselves are ring's work.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// Bytes of a token: with hundreds of groups it has some ten thousand.
const MAX_TOKEN: usize = 128 << 10;

/// Keys of a set: providers publish two or three, and during a change of keys a few more.
const MAX_KEYS: usize = 100;

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untrusted {
    #[error("it is no signed token")]
    Malformed,
    #[error("it is longer than {MAX_TOKEN} bytes")]
    TooLong,
    #[error("it is signed with {0}; RS256, ES256 and EdDSA are accepted")]
    Algorithm(String),
    /// The set that is known may be out of date.
    #[error("the provider publishes no key for it")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    fn named(name: &str) -> Result<Self, Untrusted> {
        match name {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            "EdDSA" | "Ed25519" => Ok(Self::EdDsa),
            other => Err(Untrusted::Algorithm(super::fetch::shown(other))),
        }
    }
}

/// A provider's keys.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

/// A key as published. Kinds that are not accepted here are in sets as well, so every field may be absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<serde_json::Value>,
}

impl Key {
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::Rs256 => self.kty == "RSA",
            Algorithm::Es256 => self.kty == "EC" && self.crv == "P-256",
            Algorithm::EdDsa => self.kty == "OKP" && self.crv == "Ed25519",
        };
        let purpose = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        kind && purpose && self.alg.as_deref().is_none_or(|alg| Algorithm::named(alg) == Ok(algorithm))
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Untrusted> {
        let verified = match algorithm {
            Algorithm::Rs256 => {
                let (n, e) = (decoded(&self.n)?, decoded(&self.e)?);
                // ring wants the number without leading zeros, which some providers write.
                let trimmed = |bytes: &[u8]| bytes.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>();
                RsaPublicKeyComponents { n: trimmed(&n), e: trimmed(&e) }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Algorithm::Es256 => {
                let point = [&[4], decoded(&self.x)?.as_slice(), decoded(&self.y)?.as_slice()].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, decoded(&self.x)?).verify(message, signature),
        };
        verified.map_err(|_| Untrusted::Signature)
    }
}

impl KeySet {
    pub(super) fn within_limits(&self) -> bool {
        self.keys.len() <= MAX_KEYS
    }

    /// The payload of a token that one of these keys has signed.
    pub(super) fn open(&self, token: &str) -> Result<Vec<u8>, Untrusted> {
        if token.len() > MAX_TOKEN {
            return Err(Untrusted::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Untrusted::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Untrusted::Malformed)?;
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| Untrusted::Malformed)?;
        if header.crit.is_some() {
            return Err(Untrusted::Malformed);
        }
        let algorithm = Algorithm::named(&header.alg)?;
        let (payload, signature) = (decoded(payload)?, decoded(signature)?);
        let fitting: Vec<&Key> = self.keys.iter().filter(|key| key.is_for(algorithm)).collect();
        let key = match (&header.kid, fitting.as_slice()) {
            (Some(kid), _) => fitting.iter().find(|key| key.kid.as_ref() == Some(kid)),
            // Without a name it must be the only one: trying them all would make a wrong signature cost as many checks as there are keys.
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        key.ok_or(Untrusted::UnknownKey)?.verify(algorithm, signed.as_bytes(), &signature)?;
        Ok(payload)
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, Untrusted> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Untrusted::Malformed)
}
