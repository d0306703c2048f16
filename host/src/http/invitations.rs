//! `/v1/invitations`: letting somebody in by a one-time link.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::auth::{self, Caller};
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Origin, PageQuery, Path, Query};
use super::once::{self, Asked, Begun, Key};
use super::reply;
use super::signing_in::{began, begin, known_as, signed_in};
use crate::domain::access::{Organisation, Role};
use crate::signin::mail::Mail;
use crate::signin::password;
use crate::signin::secret::Secret;
use crate::store::{Actor, Invitation, InvitationFields, MembershipFields, NewPerson, Page, Store, View};

/// How a link's secret begins.
const PREFIX: &str = "rri_";

/// What answers to everybody.
pub(super) fn open_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(invitation_page, invitation_accept))
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(invitation_list, invitation_create)).routes(routes!(invitation_get, invitation_revoke))
}

/// Whom to invite as what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "bob@acme.example", "role": "viewer"}))]
struct InvitationBody {
    email: String,
    role: Role,
    /// Absent: where the caller acts. An Owner of the MSP may name a tenant.
    #[serde(default)]
    organisation: Option<Organisation>,
    /// Only these cost centers of the tenant; absent: all of it.
    #[serde(default)]
    cost_centers: Option<Vec<String>>,
}

/// An invitation, with the secret of its link: the only time that anybody sees it.
#[derive(Serialize, ToSchema)]
struct InvitationMade {
    #[serde(flatten)]
    invitation: Invitation,
    /// For `POST /v1/invitations/accept`.
    secret: String,
    /// The page on which the person accepts. Null where the daemon listens on every address and was not told its public one.
    link: Option<String>,
    /// Whether it was sent to the person by mail. If not, hand the link on.
    mailed: bool,
    /// Why the mail could not be sent, where it should have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_error: Option<String>,
}

/// What the invited person says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    secret: String,
    /// Their name, where they are not known yet.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
    /// A new password; of somebody who is known already the one that they have.
    password: String,
}

/// Lists invitations that still open, oldest first.
#[utoipa::path(get, path = "/v1/invitations", tag = "people", params(PageQuery),
    responses((status = 200, body = Page<Invitation>), Problems))]
async fn invitation_list(By(store): By, Query(page): Query<PageQuery>) -> ApiResult<Json<Page<Invitation>>> {
    Ok(Json(store.invitations(&page.request()?).await?))
}

/// Invites somebody: whoever has the answer's link or secret can come in with it once, within a week. It is mailed to them where the daemon
/// has a mail server; if that fails, the invitation stands. Inviting the same person again ends the link before.
#[utoipa::path(post, path = "/v1/invitations", tag = "people", request_body = InvitationBody,
    responses((status = 201, body = InvitationMade, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn invitation_create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    By(store): By,
    Body(body): Body<InvitationBody>,
) -> ApiResult<Response> {
    let InvitationBody { email, role, organisation, cost_centers } = body;
    let organisation = organisation.unwrap_or_else(|| caller.organisation());
    let secret = Secret::new(&state.store.clock().random(), PREFIX);
    let membership = MembershipFields { organisation, role, cost_centers };
    let invitation = store.invitation_create(&InvitationFields { email, membership, sha256: secret.hash() }).await?;
    let address = format!("/v1/invitations/{}", invitation.id);
    let mail_error = match &state.mailer {
        None => None,
        Some(mailer) => {
            let mail = letter(&state, &store, &invitation, &caller.actor, secret.text()).await?;
            mailer.send(&mail).await.err().map(|error| {
                tracing::warn!(invitation = invitation.id, %error, "an invitation was not mailed");
                error.to_string()
            })
        }
    };
    let mailed = state.mailer.is_some() && mail_error.is_none();
    let link = state.reached_at().map(|url| link(url, secret.text()));
    let tag = invitation.tag();
    let made = InvitationMade { invitation, secret: secret.text().to_owned(), link, mailed, mail_error };
    Ok(reply::created(&address, tag, made))
}

/// The secret is behind `#`: browsers keep that part to themselves, so it is in no log of a proxy.
fn link(url: &str, secret: &str) -> String {
    format!("{url}/v1/invitations/accept#{secret}")
}

/// What the invited person reads. A tenant's people do not learn who of the MSP it was.
async fn letter(state: &AppState, store: &Store, invitation: &Invitation, inviter: &Actor, secret: &str) -> ApiResult<Mail> {
    let organisation = match invitation.organisation.tenant() {
        Some(tenant) => store.tenant(tenant).await?.name,
        None => "your organisation".to_owned(),
    };
    let inviter = inviter.creator_in(&invitation.organisation);
    Ok(Mail::invitation(&invitation.email, &organisation, inviter, &link(state.public_url(), secret)))
}

/// Shows an invitation that still opens.
#[utoipa::path(get, path = "/v1/invitations/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = Invitation, headers(("ETag" = String))), Problems))]
async fn invitation_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let invitation = store.invitation(&id).await?;
    Ok(reply::versioned(invitation.tag(), &invitation))
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/v1/invitations/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn invitation_revoke(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.invitation_revoke(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The page of a link.
const PAGE: &str = include_str!("pages/accept.html");

/// Nothing runs in the page but its own script, which may call nobody but us; no other page may frame it.
static PAGE_POLICY: LazyLock<String> = LazyLock::new(|| {
    let script = PAGE.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>")).map_or("", |(script, _)| script);
    let script = STANDARD.encode(Sha256::digest(script));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'none'"
    )
});

/// The page that an invitation's link opens: it asks for a name and a password, and accepts.
#[utoipa::path(get, path = "/v1/invitations/accept", tag = "people", security(()),
    responses((status = 200, content_type = "text/html", body = String), Problems))]
async fn invitation_page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, PAGE)
}

/// Accepts an invitation, once, and signs in. Who is known already says the password that they have: the link alone does not open what they
/// are elsewhere.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "people", security(()), request_body = AcceptBody,
    responses((status = 201, body = super::signing_in::SessionView), Problems))]
async fn invitation_accept(
    State(state): State<AppState>,
    origin: Origin,
    Key(key): Key,
    Body(body): Body<AcceptBody>,
) -> ApiResult<Response> {
    auth::own_page(&origin.headers)?;
    let sha256 = known_as(&body.secret);
    let asked = format!("/v1/invitations/accept {}", body.name.as_deref().unwrap_or_default());
    match once::ask(&state, format!("invitation/{sha256}"), key, &origin, &asked).await? {
        // The link was used, and is no proof any more.
        Asked::Again(begun, user) => {
            signed_in(&state, &origin, &user.email, &body.password).await?;
            Ok(began(begun, &origin, true))
        }
        Asked::First(once) => {
            let by = origin.clone();
            let begun = once.begin(async move { accept(&state, &by, &sha256, body).await }).await?;
            Ok(began(begun, &origin, false))
        }
    }
}

async fn accept(state: &AppState, origin: &Origin, sha256: &str, body: AcceptBody) -> ApiResult<Begun> {
    let invitation = state.store.invitation_by_sha256(sha256).await?;
    let invitation =
        invitation.ok_or_else(|| ApiError::not_found("this invitation was used, taken back or is too old: ask for another"))?;
    let known = state.store.user_by_email(&invitation.email).await?;
    let (name, password_hash) = match known {
        Some((user, _)) => (signed_in(state, origin, &user.email, &body.password).await?.name, None),
        None => {
            password::check(&body.password, &invitation.email).map_err(|error| ApiError::invalid_at("/password", error.to_string()))?;
            let name = body.name.ok_or_else(|| ApiError::invalid_at("/name", "say your name"))?;
            (name, Some(state.doorkeeper.hash(body.password, state.store.clock().random()).await?))
        }
    };
    let organisation = invitation.organisation;
    let actor =
        Actor { name: invitation.email, id: None, organisation: organisation.clone(), acting_in: None, address: origin.address.clone() };
    let store = state.store.on_behalf(actor, View::Everything);
    let (user, _) = store.invitation_accept(sha256, &NewPerson { name, password_hash }).await?;
    begin(state, user, organisation, origin.address.clone()).await
}
