//! A provider under our own control: honest, out of date, broken and hostile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::oidc::{Attempt, Drawn, Identity, OidcError, Registration, Relying, Returned};

mod flow;
mod hostile;
pub(crate) mod letters;
mod tokens;

const NOW: i64 = 1_790_000_000_000;

/// One of the provider's keys.
struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(kid: &'static str, seed: u8) -> Self {
        Self { kid, pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap() }
    }

    fn published(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "alg": "EdDSA", "x": x})
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": "EdDSA", "kid": self.kid}), claims)
    }

    fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

/// A request as the provider got it.
#[derive(Clone, Debug)]
struct Asked {
    head: String,
    body: String,
}

/// A web server whose answers are set: address -> status and body.
struct Provider {
    issuer: String,
    answers: Arc<Mutex<BTreeMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    /// Describes itself well, with one key.
    async fn honest(signer: &Signer) -> Self {
        let provider = Self::silent().await;
        let issuer = &provider.issuer;
        let description = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize?tenant=one"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/me"),
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        provider.answer("/.well-known/openid-configuration", 200, &description);
        provider.answer("/keys", 200, &json!({"keys": [signer.published()]}));
        provider
    }

    /// Answers 404 to everything.
    async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Mutex<BTreeMap<String, (u16, String)>>> = Arc::default();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (served, seen) = (Arc::clone(&answers), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (served, seen) = (Arc::clone(&served), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut text = String::new();
                    let mut buffer = [0; 4096];
                    let request = loop {
                        let read = stream.read(&mut buffer).await.unwrap_or_default();
                        if read == 0 {
                            return;
                        }
                        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                        if body.len() >= length.unwrap_or(0) {
                            break Asked { head: head.to_owned(), body: body.to_owned() };
                        }
                    };
                    let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(request);
                    let (status, body) = served.lock().unwrap().get(&path).cloned().unwrap_or((404, String::new()));
                    let location = if status == 302 { "location: http://127.0.0.1:9/\r\n" } else { "" };
                    let head = format!("HTTP/1.1 {status} X\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                });
            }
        });
        Self { issuer, answers, asked }
    }

    fn answer(&self, path: &str, status: u16, body: &Value) {
        self.answer_text(path, status, &body.to_string());
    }

    fn answer_text(&self, path: &str, status: u16, body: &str) {
        self.answers.lock().unwrap().insert(path.to_owned(), (status, body.to_owned()));
    }

    /// The requests to an address.
    fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|request| request.head.split(' ').nth(1) == Some(path)).cloned().collect()
    }

    /// What its description says otherwise.
    fn describe(&self, name: &str, value: Value) {
        let path = "/.well-known/openid-configuration";
        let mut description: Value = serde_json::from_str(&self.answers.lock().unwrap()[path].1).unwrap();
        description[name] = value;
        self.answer(path, 200, &description);
    }

    fn registration(&self) -> Registration {
        Registration {
            issuer: self.issuer.clone(),
            client_id: "rerate".to_owned(),
            client_secret: Some("s3cret / of+ours".to_owned()),
            redirect_uri: "http://127.0.0.1:8080/v1/sign-in/callback".to_owned(),
            scopes: vec!["email".to_owned()],
            group_claim: "groups".to_owned(),
        }
    }
}

fn drawn() -> Drawn {
    Drawn { state: [1; 32], nonce: [2; 32], verifier: [3; 32] }
}

fn nonce() -> String {
    URL_SAFE_NO_PAD.encode([2; 32])
}

/// The claims of a good token for [`Provider::registration`].
fn claims(provider: &Provider) -> Value {
    let now = NOW / 1_000;
    json!({"iss": provider.issuer, "sub": "person-1", "aud": "rerate", "exp": now + 300, "iat": now, "nonce": nonce(),
        "email": "ada@acme.example", "email_verified": true, "name": "Ada", "groups": ["billing", "all"]})
}

async fn begun(relying: &Relying, provider: &Provider) -> Attempt {
    relying.begin(&provider.registration(), &drawn(), NOW).await.unwrap().1
}

fn returned(attempt: &Attempt) -> Returned {
    Returned { state: attempt.state.clone(), code: Some("the-code".to_owned()), ..Returned::default() }
}

/// A whole sign-in whose token endpoint answers with this ID token.
async fn sign_in(relying: &Relying, provider: &Provider, id_token: &str) -> Result<Identity, OidcError> {
    provider.answer("/token", 200, &json!({"id_token": id_token, "access_token": "access", "token_type": "Bearer"}));
    let attempt = begun(relying, provider).await;
    relying.finish(&provider.registration(), &attempt, &returned(&attempt), NOW).await
}

/// Why a sign-in with these claims is refused.
async fn refused(changed: &[(&str, Value)]) -> String {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    let mut claims = claims(&provider);
    for (name, value) in changed {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[*name] = value.clone(),
        }
    }
    sign_in(&Relying::default(), &provider, &signer.sign(&claims)).await.unwrap_err().to_string()
}
