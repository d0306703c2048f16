//! Who is calling: a bearer token or a browser's session, known by its SHA-256; what they are, and in which organisation they act.
//!
//! Texts are never compared with stored ones, only hashes looked up, so how long a refusal takes tells nothing about a secret. People,
//! memberships and teams are read anew for every call: what is taken away is gone with the next one.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;
use super::access;
use super::errors::{ApiError, ApiResult};
use crate::domain::access::{Organisation, Role};
use crate::signin::cookie;
use crate::signin::secret::{self, Secret};
use crate::store::{Actor, NewToken, SUSPENDED, Session, Store, StoreError, TenantState, Token, User, View};

/// How a token begins, so that people and secret scanners recognise one.
pub(super) const PREFIX: &str = "rrt_";

const ADMIN: &str = "administrator";

/// Names the tenant in which a token of the MSP acts as Manager User.
pub(super) const ACT_IN: &str = "rerate-tenant";

/// Carries the session's proof that the page that sends a change is our own.
pub(super) const CSRF: &str = "rerate-csrf";

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the token to {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// What a caller showed.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    Token(Token),
    Session(Session),
}

/// Whose call it is; in the request's extensions behind [`guard`].
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) by: Credential,
    /// None for a service's token.
    pub(super) user: Option<User>,
    /// Where they belong.
    pub(super) home: Organisation,
    /// The tenant in which they act as Manager User.
    pub(super) acting: Option<String>,
    pub(super) role: Role,
    pub(super) view: View,
    pub(super) actor: Actor,
}

impl Caller {
    /// The token's or the session's id.
    pub(super) fn id(&self) -> &str {
        match &self.by {
            Credential::Token(token) => &token.id,
            Credential::Session(session) => &session.id,
        }
    }

    /// In which organisation they act.
    pub(super) fn organisation(&self) -> Organisation {
        self.acting.clone().map_or_else(|| self.home.clone(), Organisation::Tenant)
    }

    /// Who may not go on unless they are at least this.
    pub(super) fn require(&self, role: Role, what: &str) -> ApiResult<()> {
        if self.role >= role {
            return Ok(());
        }
        Err(ApiError::forbidden(format!("your role is {}; {what} takes {}", self.role.title(), role.title())))
    }
}

/// Lets a request pass that carries a known token or session and that the table of permissions allows.
pub(super) async fn guard(State(state): State<AppState>, mut request: Request, next: Next) -> ApiResult<Response> {
    let (headers, changes) = (request.headers().clone(), !request.method().is_safe());
    let address = address(&state, request.extensions(), &headers);
    let caller = caller(&state, &headers, changes, address).await?;
    access::check(&request, &caller)?;
    if !request.uri().path().starts_with("/v1/session") {
        admitted(&state.store, &caller.home).await?; // whoever is kept out may sign out, and go on elsewhere
    }
    let acting = caller.acting.as_ref().map(|tenant| format!("manager-user; tenant={tenant}; user={}", caller.actor.name));
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Some(acting) = acting
        && let Ok(value) = HeaderValue::from_str(&acting)
    {
        response.headers_mut().insert("rerate-acting", value);
    }
    Ok(response)
}

/// Keeps the people of a suspended tenant out.
pub(super) async fn admitted(store: &Store, home: &Organisation) -> ApiResult<()> {
    let Organisation::Tenant(id) = home else { return Ok(()) };
    match store.tenant(id).await?.state {
        TenantState::Suspended => Err(ApiError::forbidden(SUSPENDED)),
        TenantState::Active | TenantState::Unlinked => Ok(()),
    }
}

async fn caller(state: &AppState, headers: &HeaderMap, changes: bool, address: Option<IpAddr>) -> ApiResult<Caller> {
    let address = address.map(|address| address.to_string());
    if let Some(text) = headers.get(header::AUTHORIZATION) {
        let text = text.to_str().ok().and_then(bearer).ok_or_else(ApiError::unauthorized)?;
        let token = state.store.token_by_sha256(&secret::hash(text)).await?.ok_or_else(ApiError::unauthorized)?;
        state.store.token_used(&token).await?;
        let act_in = headers.get(ACT_IN).map(|value| value.to_str().unwrap_or_default().to_owned());
        return of_token(&state.store, token, act_in, address).await;
    }
    let text = cookie::secret(headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()));
    let text = text.ok_or_else(ApiError::unauthorized)?;
    let (session, user) = state.store.session_by_sha256(&secret::hash(text)).await?.ok_or_else(ApiError::unauthorized)?;
    if changes {
        own_page(headers)?;
        let proof = headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !cookie::proves(text, proof) {
            return Err(ApiError::forbidden("a change needs the session's proof: the header Rerate-CSRF, as GET /v1/session gives it"));
        }
    }
    state.store.session_used(&session).await?;
    of_session(&state.store, session, user, address).await
}

/// Refuses a request that a page of another origin sent.
pub(super) fn own_page(headers: &HeaderMap) -> ApiResult<()> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = || Err(ApiError::forbidden("a page of another origin sent this"));
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) if !cookie::same_origin(origin, host) => refused(),
        (Some(_), None) => refused(),
        _ => Ok(()),
    }
}

async fn of_token(store: &Store, token: Token, act_in: Option<String>, address: Option<String>) -> ApiResult<Caller> {
    let (user, member) = match &token.user_id {
        None => (None, None),
        Some(id) => {
            let user = store.user(id).await?;
            let member = store.membership(id, &token.organisation).await?.ok_or_else(ApiError::unauthorized)?;
            (Some(user), Some(member))
        }
    };
    let role = member.as_ref().map_or(token.role, |member| member.role.min(token.role));
    let only = token.virtual_integration_id.as_deref().map(|id| View::Virtual(id.into()));
    let name = user.as_ref().map_or(&token.name, |user| &user.email).clone();
    let id = user.as_ref().map_or(&token.id, |user| &user.id).clone();
    let home = token.organisation.clone();
    let view = match only {
        Some(only) => only,
        None => view(store, user.as_ref(), &home, role, member.as_ref()).await?,
    };
    let actor = Actor { name, id: Some(id), organisation: home.clone(), acting_in: None, address };
    let caller = Caller { by: Credential::Token(token), user, home, acting: None, role, view, actor };
    match act_in {
        None => Ok(caller),
        Some(tenant) => enter(store, caller, tenant).await,
    }
}

async fn of_session(store: &Store, session: Session, user: User, address: Option<String>) -> ApiResult<Caller> {
    let member = store.membership(&user.id, &session.organisation).await?.ok_or_else(ApiError::unauthorized)?;
    let home = session.organisation.clone();
    let view = view(store, Some(&user), &home, member.role, Some(&member)).await?;
    let actor = Actor { name: user.email.clone(), id: Some(user.id.clone()), organisation: home.clone(), acting_in: None, address };
    let entered = session.entered.clone();
    let role = member.role;
    let caller = Caller { by: Credential::Session(session), user: Some(user), home, acting: None, role, view, actor };
    match entered {
        None => Ok(caller),
        // One that is no longer theirs to enter is left.
        Some(tenant) => match enter(store, caller.clone(), tenant).await {
            Err(error) if error.is_refusal() => Ok(caller),
            entered => entered,
        },
    }
}

/// What somebody sees of the tenants.
async fn view(
    store: &Store,
    user: Option<&User>,
    home: &Organisation,
    role: Role,
    member: Option<&crate::store::Membership>,
) -> ApiResult<View> {
    match home {
        Organisation::Tenant(id) => {
            let accounts = match member {
                Some(member) => store.accounts_of(member).await?,
                None => None,
            };
            Ok(View::of_tenant(id, accounts))
        }
        Organisation::Msp if role == Role::Owner => Ok(View::Everything),
        Organisation::Msp => {
            let Some(user) = user else { return Ok(View::Everything) };
            let tenants = store.team_tenants_of(&user.id).await?;
            Ok(tenants.map_or(View::Everything, |tenants| View::of_tenants(tenants.iter().map(String::as_str))))
        }
    }
}

/// The caller as Manager User in a tenant: with their own role there, seeing what its people see.
pub(super) async fn enter(store: &Store, caller: Caller, tenant: String) -> ApiResult<Caller> {
    if caller.home != Organisation::Msp {
        return Err(ApiError::forbidden("only people of the MSP enter tenants"));
    }
    caller.require(Role::IntegrationOwner, "entering a tenant")?;
    let seen = store.on_behalf(caller.actor.clone(), caller.view.clone());
    let tenant = seen.tenant(&tenant).await?;
    if tenant.state == TenantState::Unlinked {
        return Err(ApiError::forbidden(format!("the tenant {} is unlinked: the MSP manages it no more", tenant.name)));
    }
    let tenant = tenant.id;
    let view = View::of_tenant(&tenant, None);
    let actor = Actor { acting_in: Some(tenant.clone()), ..caller.actor };
    Ok(Caller { acting: Some(tenant), view, actor, ..caller })
}

/// From where the call comes: the connection's other end, or what a configured proxy says of it.
pub(super) fn address(state: &AppState, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<std::net::SocketAddr>>()?;
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    Some(cookie::origin_of(peer.ip(), forwarded, state.proxies()))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Makes a token of the MSP with every right and returns its text: the only time that anybody sees it.
pub async fn token_create(store: &Store, name: &str) -> Result<String, StoreError> {
    let secret = Secret::new(&store.clock().random(), PREFIX);
    let new = NewToken {
        name: name.to_owned(),
        sha256: secret.hash(),
        shown: secret.shown(),
        user_id: None,
        organisation: Organisation::Msp,
        role: Role::Owner,
        virtual_integration_id: None,
        expires_at: None,
    };
    store.token_create(&new).await?;
    Ok(secret.text().to_owned())
}

/// The file of the administrator's token, `<data>/admin.token`, readable by its owner only. Made at the first start; a file that is gone,
/// or whose token the store does not know, is replaced by one with a new token, and the old token ends, unless daemons have a folder and
/// thus a token each.
pub async fn ensure_admin_token(store: &Store, data_dir: &Path, folders_of_their_own: bool) -> Result<PathBuf, TokenError> {
    let path = data_dir.join("admin.token");
    let tokens = store.tokens(&Organisation::Msp, None).await?;
    let known = tokens.iter().find(|token| token.name == ADMIN && token.user_id.is_none());
    if let Ok(text) = std::fs::read_to_string(&path)
        && let Some(found) = store.token_by_sha256(&secret::hash(text.trim())).await?
        && (known.is_some_and(|known| known.id == found.id) || (folders_of_their_own && found.name.starts_with(ADMIN)))
    {
        return Ok(path);
    }
    let name = match known {
        Some(_) if folders_of_their_own => {
            let mut names = (2..).map(|number| format!("{ADMIN}-{number}"));
            names.find(|name| tokens.iter().all(|token| token.name != *name)).unwrap_or_default()
        }
        Some(known) => {
            store.token_delete(&known.id, None).await?;
            ADMIN.to_owned()
        }
        None => ADMIN.to_owned(),
    };
    let text = token_create(store, &name).await?;
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
