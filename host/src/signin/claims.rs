//! What a provider says of a person, and whether it says so to us, now, and about this very attempt.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::oidc::OidcError;

/// How far the provider's clock and ours may be apart.
const LEEWAY_SECONDS: i64 = 60;

/// Groups that are looked at: a directory puts a few hundred people-sized groups into a token at most.
const MAX_GROUPS: usize = 1_000;

/// Bytes of a subject (OpenID Connect Core, section 2).
const MAX_SUBJECT: usize = 255;

/// What an ID token must agree with.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_seconds: i64,
}

/// The claims that are checked. A claim of the wrong type refuses the token instead of counting as absent.
#[derive(Deserialize)]
struct Checked {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Seconds,
    iat: Seconds,
    #[serde(default)]
    nbf: Option<Seconds>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Seconds since 1970. Some providers write them with a fraction.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct Seconds(i64);

impl TryFrom<serde_json::Number> for Seconds {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        let text = number.to_string();
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
        whole.parse().map(Self).map_err(|_| "not a time in seconds")
    }
}

/// The claims of an ID token whose signature is right, if it is for us, now, and an answer to this attempt.
pub(super) fn believed(payload: &[u8], expected: &Expected<'_>) -> Result<Map<String, Value>, OidcError> {
    let refused = |why: String| OidcError::Token(why);
    let all: Map<String, Value> =
        serde_json::from_slice(payload).map_err(|error| refused(format!("its claims are no JSON object: {error}")))?;
    let claims: Checked = serde_json::from_value(Value::Object(all.clone()))
        .map_err(|error| refused(format!("its claims are not as they should be: {error}")))?;
    if claims.iss != expected.issuer {
        return Err(refused("another issuer made it".to_owned()));
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT || claims.sub.chars().any(char::is_control) {
        return Err(refused(format!("its subject is not 1 to {MAX_SUBJECT} bytes of text")));
    }
    let audience = match claims.aud {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    };
    if !audience.iter().any(|id| id == expected.client_id) {
        return Err(refused("it was made for another client".to_owned()));
    }
    match claims.azp {
        Some(party) if party != expected.client_id => return Err(refused("it was given to another client".to_owned())),
        None if audience.len() > 1 => return Err(refused("it is for several clients and does not say which it was given to".to_owned())),
        _ => {}
    }
    let (earliest, latest) = (expected.now_seconds.saturating_sub(LEEWAY_SECONDS), expected.now_seconds.saturating_add(LEEWAY_SECONDS));
    if claims.exp.0 <= earliest {
        return Err(refused("it has expired".to_owned()));
    }
    if claims.iat.0 > latest || claims.nbf.is_some_and(|from| from.0 > latest) {
        return Err(refused("it is not valid yet: compare the clocks of the provider and of this machine".to_owned()));
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(refused("it answers another attempt to sign in".to_owned()));
    }
    Ok(all)
}

/// A text among the claims.
pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The groups under a claim: its own name, or a path with dots (`realm_access.roles`). `None` when there is no such claim.
pub(super) fn groups(claims: &Map<String, Value>, claim: &str) -> Option<Vec<String>> {
    let found = claims.get(claim).or_else(|| {
        let (first, rest) = claim.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
    })?;
    let groups: Vec<String> = match found {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).take(MAX_GROUPS).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Some(groups)
}
