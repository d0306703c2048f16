//! `/v1/users`: people, and what they are in which organisation.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, By, IfMatch, Path, Query, page};
use super::reply;
use crate::domain::access::{Organisation, Role};
use crate::signin::password;
use crate::store::{Membership, MembershipFields, Page, Store, User, UserFields};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(user_list, user_add))
        .routes(routes!(user_get, user_rename, user_remove))
        .routes(routes!(user_password))
        .routes(routes!(membership_get, membership_set, membership_remove))
}

/// A person, and what they are where.
#[derive(Debug, Serialize, ToSchema)]
struct Person {
    #[serde(flatten)]
    user: User,
    /// As far as the caller sees their organisations.
    memberships: Vec<Membership>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UserQuery {
    /// People of one organisation: `msp`, or a tenant's id.
    organisation: Option<Organisation>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Somebody to be made a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@msp.example", "name": "Ann Example", "organisation": "msp", "role": "editor"}))]
struct UserBody {
    email: String,
    #[schema(max_length = 200)]
    name: String,
    organisation: Organisation,
    role: Role,
    /// Only these cost centers of the tenant; absent: all of it.
    #[serde(default)]
    cost_centers: Option<Vec<String>>,
    /// For somebody who is not known yet; absent: they get in by an invitation or by single sign-on.
    #[serde(default)]
    password: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NameBody {
    #[schema(max_length = 200)]
    name: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPasswordBody {
    /// 12 to 200 characters, and not the e-mail address.
    password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "viewer", "cost_centers": ["cct_01k9x3v0z8e4m6q2r7s5t9w1ab"]}))]
struct MembershipBody {
    role: Role,
    /// Only these cost centers of the tenant; null: all of it.
    #[serde(default)]
    cost_centers: Option<Vec<String>>,
}

async fn person(store: &Store, user: User) -> ApiResult<Person> {
    let memberships = store.memberships(&user.id).await?;
    Ok(Person { user, memberships })
}

/// Lists people, oldest first: the MSP's Owners see everybody, a tenant's Owners their own.
#[utoipa::path(get, path = "/v1/users", tag = "people", params(UserQuery), responses((status = 200, body = Page<Person>), Problems))]
async fn user_list(By(store): By, Query(query): Query<UserQuery>) -> ApiResult<Json<Page<Person>>> {
    let found = store.users(query.organisation.as_ref(), &page(query.limit, query.after)?).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for user in found.items {
        items.push(person(&store, user).await?);
    }
    Ok(Json(Page { items, next: found.next }))
}

/// Makes somebody a member of the MSP or of a tenant, without asking them. Who is known already keeps name and password, and comes into the
/// MSP by an invitation only.
#[utoipa::path(post, path = "/v1/users", tag = "people", request_body = UserBody,
    responses((status = 201, body = Person, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn user_add(State(state): State<AppState>, By(store): By, Body(body): Body<UserBody>) -> ApiResult<Response> {
    let UserBody { email, name, organisation, role, cost_centers, password } = body;
    let password_hash = match password {
        None => None,
        Some(text) => {
            password::check(&text, &email).map_err(|error| ApiError::invalid_at("/password", error.to_string()))?;
            Some(state.doorkeeper.hash(text, state.store.clock().random()).await?)
        }
    };
    let fields = UserFields { email, name, password_hash };
    let (user, _) = store.user_add(&fields, &MembershipFields { organisation, role, cost_centers }).await?;
    let (id, version) = (user.id.clone(), user.version);
    Ok(reply::created(&format!("/v1/users/{id}"), version, person(&store, user).await?))
}

/// Shows a person.
#[utoipa::path(get, path = "/v1/users/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = Person, headers(("ETag" = String))), Problems))]
async fn user_get(By(store): By, Path(id): Path<String>) -> ApiResult<Response> {
    let user = store.user(&id).await?;
    Ok(reply::versioned(user.version, person(&store, user).await?))
}

/// Changes a person's name.
#[utoipa::path(put, path = "/v1/users/{id}", tag = "people", request_body = NameBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Person, headers(("ETag" = String))), Problems))]
async fn user_rename(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch, Body(body): Body<NameBody>) -> ApiResult<Response> {
    let user = store.user_rename(&id, &body.name, expected).await?;
    Ok(reply::versioned(user.version, person(&store, user).await?))
}

/// Removes a person from every organisation. Their sessions and tokens end at once. An organisation's last Owner stays.
#[utoipa::path(delete, path = "/v1/users/{id}", tag = "people",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn user_remove(By(store): By, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.user_remove(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a person's password. All of their sessions end.
#[utoipa::path(put, path = "/v1/users/{id}/password", tag = "people", request_body = NewPasswordBody, params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn user_password(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<NewPasswordBody>,
) -> ApiResult<StatusCode> {
    let user = store.user(&id).await?;
    password::check(&body.password, &user.email).map_err(|error| ApiError::invalid_at("/password", error.to_string()))?;
    let hash = state.doorkeeper.hash(body.password, state.store.clock().random()).await?;
    store.user_set_password(&id, &hash, None, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what a person is in an organisation.
#[utoipa::path(get, path = "/v1/users/{id}/memberships/{organisation}", tag = "people",
    params(("id" = String, Path), ("organisation" = Organisation, Path)),
    responses((status = 200, body = Membership, headers(("ETag" = String))), Problems))]
async fn membership_get(By(store): By, Path((id, organisation)): Path<(String, Organisation)>) -> ApiResult<Response> {
    store.user(&id).await?;
    let found = store.membership(&id, &organisation).await?;
    let membership = found.ok_or_else(|| ApiError::not_found(format!("{id} is not in {organisation}")))?;
    Ok(reply::versioned(membership.tag(), &membership))
}

/// Sets what a person is in an organisation. An organisation's last Owner stays one.
#[utoipa::path(put, path = "/v1/users/{id}/memberships/{organisation}", tag = "people", request_body = MembershipBody,
    params(("id" = String, Path), ("organisation" = Organisation, Path)),
    responses((status = 200, body = Membership, headers(("ETag" = String))), Problems))]
async fn membership_set(
    By(store): By,
    Path((id, organisation)): Path<(String, Organisation)>,
    IfMatch(expected): IfMatch,
    Body(body): Body<MembershipBody>,
) -> ApiResult<Response> {
    let MembershipBody { role, cost_centers } = body;
    let membership = store.membership_set(&id, &MembershipFields { organisation, role, cost_centers }, expected).await?;
    Ok(reply::versioned(membership.tag(), &membership))
}

/// Ends what a person is in an organisation, with their sessions and tokens there. Who is in no other is removed.
#[utoipa::path(delete, path = "/v1/users/{id}/memberships/{organisation}", tag = "people",
    params(("id" = String, Path), ("organisation" = Organisation, Path)), responses((status = 204), Problems))]
async fn membership_remove(
    By(store): By,
    Path((id, organisation)): Path<(String, Organisation)>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    store.membership_remove(&id, &organisation, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
