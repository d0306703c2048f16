//! Who is calling: a bearer token, known by its SHA-256.
//!
//! Texts are never compared with stored ones, only hashes looked up, so how long a refusal takes tells nothing about a token. Roles are
//! not here yet: every token may do everything.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::AppState;
use super::errors::ApiError;
use crate::plugins::hex;
use crate::store::{Store, StoreError, Token};

/// Random bytes of a token: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

/// How a token begins, so that people and secret scanners recognise one.
const PREFIX: &str = "rrt_";

const ADMIN: &str = "administrator";

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the token to {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// Whose call it is; in the request's extensions behind [`require_token`].
#[derive(Clone, Debug)]
pub struct Caller(pub Token);

/// Lets a request pass that carries a known token.
pub(super) async fn require_token(State(state): State<AppState>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let text = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let token = match text {
        Some(text) => state.store.token_by_sha256(&hash(text)).await?,
        None => None,
    };
    request.extensions_mut().insert(Caller(token.ok_or_else(ApiError::unauthorized)?));
    Ok(next.run(request).await)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Makes a token and returns its text: the only time that anybody sees it.
pub async fn token_create(store: &Store, name: &str) -> Result<String, StoreError> {
    let text = format!("{PREFIX}{}", hex(&store.clock().random::<TOKEN_BYTES>()));
    store.token_create(name, &hash(&text)).await?;
    Ok(text)
}

/// The file of the administrator's token, `<data>/admin.token`, readable by its owner only. Made at the first start; a file that is gone,
/// or whose token the store does not know, is replaced by one with a new token, and the old token ends.
pub async fn ensure_admin_token(store: &Store, data_dir: &Path) -> Result<PathBuf, TokenError> {
    let path = data_dir.join("admin.token");
    let known = store.tokens().await?.into_iter().find(|token| token.name == ADMIN);
    let on_file = std::fs::read_to_string(&path).ok();
    if let (Some(known), Some(text)) = (&known, &on_file)
        && store.token_by_sha256(&hash(text.trim())).await?.as_ref() == Some(known)
    {
        return Ok(path);
    }
    if let Some(known) = known {
        store.token_delete(&known.id).await?;
    }
    let text = token_create(store, ADMIN).await?;
    write_private(&path, &text).map_err(|source| TokenError::File { path: path.clone(), source })?;
    Ok(path)
}

/// Writes a file that nobody else can read at any moment: it is made with its mode, then renamed into place.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let half_written = path.with_extension("token.new");
    match std::fs::remove_file(&half_written) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&half_written)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&half_written, path)
}
