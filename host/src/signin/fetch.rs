//! Calls to a provider that may be slow, broken or hostile: bounded in time and size, never redirected, and in the clear only to this
//! very machine.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;

use super::oidc::OidcError;

/// A provider that is up answers in well under a second; somebody is waiting in a browser.
const CALL_WITHIN: Duration = Duration::from_secs(10);

const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// Bytes of a provider's answer: discovery documents have a few thousand, key sets and tokens with many groups some ten thousand.
const MAX_ANSWER: usize = 512 << 10;

/// Bytes of a provider's own words that are shown to people.
const MAX_SHOWN: usize = 200;

/// No redirects: nothing that OpenID Connect fetches needs one, and each is a way to somewhere that nobody configured.
pub(super) fn client() -> Result<reqwest::Client, OidcError> {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(CALL_WITHIN)
        .connect_timeout(CONNECT_WITHIN)
        .build()
        .map_err(|error| OidcError::Unreachable { what: "this machine's certificates".to_owned(), why: with_causes(&error) })
}

/// An address that may be called: https, or plain http to this machine (for a provider under test).
pub(super) fn checked(what: &str, text: &str) -> Result<Url, OidcError> {
    let refused = |why: &str| OidcError::Address { what: what.to_owned(), address: shown(text), why: why.to_owned() };
    let url = Url::parse(text).map_err(|error| refused(&format!("it is no address: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it carries a user name or password"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(refused("it must begin with https://")),
    }
}

/// Whether an address names this very machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An answer's status and body, as far as it may go.
pub(super) struct Answered {
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Answered {
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, OidcError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| OidcError::Answer { what: what.to_owned(), why: format!("it is not the JSON that it should be: {error}") })
    }
}

pub(super) async fn call(what: &str, request: RequestBuilder) -> Result<Answered, OidcError> {
    let failed = |error: reqwest::Error| OidcError::Unreachable { what: what.to_owned(), why: with_causes(&error.without_url()) };
    let mut response = request.header("accept", "application/json").send().await.map_err(failed)?;
    let status = response.status().as_u16();
    if (300..400).contains(&status) {
        return Err(OidcError::Answer { what: what.to_owned(), why: format!("it redirects elsewhere ({status}), which is not followed") });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(OidcError::Answer { what: what.to_owned(), why: format!("it is longer than {MAX_ANSWER} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered { status, body })
}

/// A document that is there or is not.
pub(super) async fn document<T: DeserializeOwned>(what: &str, request: RequestBuilder) -> Result<T, OidcError> {
    let answered = call(what, request).await?;
    if answered.status != 200 {
        return Err(OidcError::Answer { what: what.to_owned(), why: format!("its status is {}, not 200", answered.status) });
    }
    answered.json(what)
}

/// Words from outside as people may be shown them: short, on one line.
pub(super) fn shown(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}...", &plain[..at]),
        None => plain,
    }
}

pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
