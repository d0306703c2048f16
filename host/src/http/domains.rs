//! `/v1/settings/domains`: the MSP's mail domains.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiResult, Problems};
use super::extract::{Body, By, Everywhere, IfMatch};
use super::reply;
use crate::store::list_tag;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(domains_get, domains_set))
}

/// Where the contacts of tenants must be.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"domains": ["msp.example"]}))]
struct Domains {
    /// While there is none, any address passes.
    #[schema(max_items = 100)]
    domains: Vec<String>,
}

/// Shows the domains on which tenants' contacts must be.
#[utoipa::path(get, path = "/v1/settings/domains", tag = "tenants", 
    responses((status = 200, body = Domains, headers(("ETag" = String))), Problems))]
async fn domains_get(By(store): By) -> ApiResult<Response> {
    let domains = store.domains().await?;
    Ok(reply::versioned(list_tag(&domains), Domains { domains }))
}

/// Sets the domains on which tenants' contacts must be; refused while a tenant's contact is elsewhere.
#[utoipa::path(put, path = "/v1/settings/domains", tag = "tenants", request_body = Domains,
    responses((status = 200, body = Domains, headers(("ETag" = String))), Problems))]
async fn domains_set(Everywhere(store): Everywhere, IfMatch(expected): IfMatch, Body(body): Body<Domains>) -> ApiResult<Response> {
    let domains = store.domains_set(&body.domains, expected).await?;
    Ok(reply::versioned(list_tag(&domains), Domains { domains }))
}
