//! OpenID Connect, as the party that relies on it: the authorisation code flow with PKCE.
//!
//! [`Relying::begin`] gives the address to send a browser to and the [`Attempt`] to remember meanwhile; [`Relying::finish`] takes what the
//! browser came back with and gives the person. Absent on purpose: the implicit and hybrid flows, refresh tokens, logout at the provider,
//! encrypted tokens, and dynamic registration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::claims::{self, Expected};
use super::fetch;
use super::jws::{KeySet, Untrusted};

/// How long a provider's description and keys are used before they are read again. A key that is unknown is looked for at once.
const FRESH_MILLIS: i64 = 10 * 60 * 1_000;

/// Providers that are remembered; with more of them, the memory begins anew.
const MAX_REMEMBERED: usize = 500;

/// Bytes of an authorisation code.
const MAX_CODE: usize = 8 << 10;

/// Why nobody was signed in. What a provider wrote is in it only in short, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// An address that is not called at all.
    #[error("the {what} {address} is not used: {why}")]
    Address { what: String, address: String, why: String },
    #[error("cannot reach the {what}: {why}")]
    Unreachable { what: String, why: String },
    #[error("the {what} is not usable: {why}")]
    Answer { what: String, why: String },
    /// The provider says no.
    #[error("the provider refused: {0}")]
    Refused(String),
    #[error("the ID token is refused: {0}")]
    Token(String),
    /// What the browser came back with does not belong to the attempt.
    #[error("this answer does not belong to the sign-in that was begun here: {0}")]
    Attempt(&'static str),
}

/// The client that a provider knows us as.
#[derive(Clone)]
pub struct Registration {
    pub issuer: String,
    pub client_id: String,
    /// `None` for a public client.
    pub client_secret: Option<String>,
    /// Where the provider sends the browser back to.
    pub redirect_uri: String,
    /// Beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups.
    pub group_claim: String,
}

/// Random bytes for one attempt.
pub struct Drawn {
    pub state: [u8; 32],
    pub nonce: [u8; 32],
    pub verifier: [u8; 32],
}

/// What has to be remembered, in confidence, until the browser is back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub state: String,
    nonce: String,
    verifier: String,
    issuer: String,
}

/// What the browser came back with, as it stands in the address.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Returned {
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub iss: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub error_description: Option<String>,
}

/// A person, as the provider vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    /// The provider's own name of the person: never given to another one, unlike an e-mail address.
    pub subject: String,
    pub email: Option<String>,
    /// Whether the provider says that it has checked the address. Silence is no.
    pub email_verified: bool,
    pub name: Option<String>,
    pub groups: Vec<String>,
}

/// What a provider says of itself, as far as it is used.
#[derive(Clone, Debug, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Clone)]
struct Provider {
    described: Arc<Described>,
    keys: Arc<KeySet>,
    read_at: i64,
}

/// A description whose addresses have been looked at.
struct Described {
    description: Description,
    authorization: Url,
    token: Url,
    keys: Url,
    userinfo: Option<Url>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

/// The refusal of a token endpoint (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// Relies on any number of providers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Relying {
    http: Arc<OnceCell<reqwest::Client>>,
    known: Arc<Mutex<BTreeMap<String, Provider>>>,
}

impl Relying {
    /// Whether a provider is there and can be used: its description and keys are read anew.
    pub async fn look(&self, issuer: &str, now_millis: i64) -> Result<(), OidcError> {
        self.read(issuer, now_millis).await.map(|_| ())
    }

    /// The address to send the browser to, and what to remember.
    pub async fn begin(&self, registration: &Registration, drawn: &Drawn, now_millis: i64) -> Result<(Url, Attempt), OidcError> {
        let provider = self.provider(&registration.issuer, now_millis).await?;
        let attempt = Attempt {
            state: URL_SAFE_NO_PAD.encode(drawn.state),
            nonce: URL_SAFE_NO_PAD.encode(drawn.nonce),
            verifier: URL_SAFE_NO_PAD.encode(drawn.verifier),
            issuer: registration.issuer.clone(),
        };
        let scopes = std::iter::once("openid").chain(registration.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        let mut url = provider.described.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &registration.client_id)
            .append_pair("redirect_uri", &registration.redirect_uri)
            .append_pair("scope", &scopes.collect::<Vec<_>>().join(" "))
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.as_bytes())))
            .append_pair("code_challenge_method", "S256");
        Ok((url, attempt))
    }

    /// The person that the provider vouches for.
    pub async fn finish(
        &self,
        registration: &Registration,
        attempt: &Attempt,
        returned: &Returned,
        now_millis: i64,
    ) -> Result<Identity, OidcError> {
        if returned.state != attempt.state {
            return Err(OidcError::Attempt("its state is another one"));
        }
        if registration.issuer != attempt.issuer {
            return Err(OidcError::Attempt("the organisation's provider was changed meanwhile"));
        }
        if let Some(error) = &returned.error {
            return Err(refusal(error, returned.error_description.as_deref()));
        }
        let provider = self.provider(&registration.issuer, now_millis).await?;
        match &returned.iss {
            Some(iss) if *iss != registration.issuer => return Err(OidcError::Attempt("another provider answers")),
            None if provider.described.description.authorization_response_iss_parameter_supported => {
                return Err(OidcError::Attempt("it does not say which provider answers"));
            }
            _ => {}
        }
        let code = returned.code.as_deref().filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
        let code = code.ok_or(OidcError::Attempt("it has no code"))?;
        let tokens = self.exchange(registration, &provider.described, attempt, code).await?;
        let payload = self.open(&registration.issuer, &provider, &tokens.id_token, now_millis).await?;
        let expected = Expected {
            issuer: &registration.issuer,
            client_id: &registration.client_id,
            nonce: &attempt.nonce,
            now_seconds: now_millis.div_euclid(1_000),
        };
        let mut person = claims::believed(&payload, &expected)?;
        self.complete(registration, &provider.described, tokens.access_token.as_deref(), &mut person).await?;
        Ok(identity(registration, &person))
    }

    async fn http(&self) -> Result<&reqwest::Client, OidcError> {
        self.http.get_or_try_init(async || fetch::client()).await
    }

    async fn provider(&self, issuer: &str, now_millis: i64) -> Result<Provider, OidcError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned();
        match known {
            Some(known) if now_millis.saturating_sub(known.read_at) < FRESH_MILLIS => Ok(known),
            _ => self.read(issuer, now_millis).await,
        }
    }

    async fn read(&self, issuer: &str, now_millis: i64) -> Result<Provider, OidcError> {
        let described = Arc::new(self.describe(issuer).await?);
        let keys = self.keys(&described).await?;
        let provider = Provider { described, keys, read_at: now_millis };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(issuer.to_owned(), provider.clone());
        Ok(provider)
    }

    async fn describe(&self, issuer: &str) -> Result<Described, OidcError> {
        let what = "provider's description";
        fetch::checked("issuer", issuer)?;
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let address = fetch::checked("issuer", &address)?;
        let description: Description = fetch::document(what, self.http().await?.get(address)).await?;
        let unusable = |why: String| OidcError::Answer { what: what.to_owned(), why };
        if description.issuer != issuer {
            return Err(unusable(format!("it is of the issuer {}, not {issuer}", fetch::shown(&description.issuer))));
        }
        if description.code_challenge_methods_supported.as_ref().is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(unusable("it does not support PKCE with S256".to_owned()));
        }
        Ok(Described {
            authorization: fetch::checked("authorization endpoint", &description.authorization_endpoint)?,
            token: fetch::checked("token endpoint", &description.token_endpoint)?,
            keys: fetch::checked("address of the keys", &description.jwks_uri)?,
            userinfo: description.userinfo_endpoint.as_deref().map(|url| fetch::checked("userinfo endpoint", url)).transpose()?,
            description,
        })
    }

    async fn keys(&self, described: &Described) -> Result<Arc<KeySet>, OidcError> {
        let what = "provider's key set";
        let keys: KeySet = fetch::document(what, self.http().await?.get(described.keys.clone())).await?;
        if keys.within_limits() {
            Ok(Arc::new(keys))
        } else {
            Err(OidcError::Answer { what: what.to_owned(), why: "it has too many keys".to_owned() })
        }
    }

    async fn exchange(
        &self,
        registration: &Registration,
        described: &Described,
        attempt: &Attempt,
        code: &str,
    ) -> Result<Tokens, OidcError> {
        let what = "provider's token endpoint";
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &registration.redirect_uri),
            ("code_verifier", &attempt.verifier),
        ];
        let mut request = self.http().await?.post(described.token.clone());
        let methods = described.description.token_endpoint_auth_methods_supported.as_deref();
        match &registration.client_secret {
            None => form.push(("client_id", &registration.client_id)),
            // Basic is what a provider that lists nothing supports (OpenID Connect Discovery, section 3).
            Some(secret) if methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")) => {
                request = request.basic_auth(form_encoded(&registration.client_id), Some(form_encoded(secret)));
            }
            Some(secret) => {
                form.push(("client_id", &registration.client_id));
                form.push(("client_secret", secret));
            }
        }
        let answered = fetch::call(what, request.form(&form)).await?;
        if answered.status == 200 {
            return answered.json(what);
        }
        match answered.json::<TokenRefusal>(what) {
            Ok(told) => Err(refusal(&told.error, told.error_description.as_deref())),
            Err(_) => Err(OidcError::Answer { what: what.to_owned(), why: format!("its status is {}, not 200", answered.status) }),
        }
    }

    /// Opens a token with the keys that are known; when they lack its key, with those of the provider as they are now, once.
    async fn open(&self, issuer: &str, provider: &Provider, token: &str, now_millis: i64) -> Result<Vec<u8>, OidcError> {
        let refused = |why: Untrusted| OidcError::Token(why.to_string());
        match provider.keys.open(token) {
            Err(Untrusted::UnknownKey) => {
                let keys = self.keys(&provider.described).await?;
                let renewed = Provider { keys: Arc::clone(&keys), read_at: now_millis, ..provider.clone() };
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.to_owned(), renewed);
                keys.open(token).map_err(refused)
            }
            opened => opened.map_err(refused),
        }
    }

    /// Asks the provider for what the token does not say: its groups or its address.
    async fn complete(
        &self,
        registration: &Registration,
        described: &Described,
        access_token: Option<&str>,
        person: &mut Map<String, Value>,
    ) -> Result<(), OidcError> {
        let is_complete = claims::groups(person, &registration.group_claim).is_some() && claims::text(person, "email").is_some();
        let (Some(address), Some(token), false) = (&described.userinfo, access_token, is_complete) else { return Ok(()) };
        let what = "provider's userinfo endpoint";
        let told: Map<String, Value> = fetch::document(what, self.http().await?.get(address.clone()).bearer_auth(token)).await?;
        if claims::text(&told, "sub") != claims::text(person, "sub") {
            return Err(OidcError::Answer { what: what.to_owned(), why: "it tells of another person".to_owned() });
        }
        // An address and whether it was checked come from one place: the one must not vouch for the other's.
        let has_address = person.contains_key("email");
        if !has_address {
            person.remove("email_verified");
        }
        for (name, value) in told {
            if !(has_address && name == "email_verified") {
                person.entry(name).or_insert(value);
            }
        }
        Ok(())
    }
}

fn identity(registration: &Registration, person: &Map<String, Value>) -> Identity {
    let owned = |name: &str| claims::text(person, name).map(str::to_owned);
    Identity {
        issuer: registration.issuer.clone(),
        subject: owned("sub").unwrap_or_default(),
        email: owned("email"),
        // A text is what some providers send.
        email_verified: matches!(person.get("email_verified"), Some(Value::Bool(true)))
            || claims::text(person, "email_verified") == Some("true"),
        name: owned("name").or_else(|| owned("preferred_username")),
        groups: claims::groups(person, &registration.group_claim).unwrap_or_default(),
    }
}

fn refusal(error: &str, description: Option<&str>) -> OidcError {
    match description.filter(|text| !text.is_empty()) {
        Some(description) => OidcError::Refused(format!("{} ({})", fetch::shown(error), fetch::shown(description))),
        None => OidcError::Refused(fetch::shown(error)),
    }
}

/// As a form writes it: an id or a secret inside Basic is written so first (RFC 6749, section 2.3.1).
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
