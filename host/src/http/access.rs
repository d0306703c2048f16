//! Who may call what: one table of every route, what the MSP's people need for it and what a tenant's people need.
//!
//! The middleware refuses by it, `rerate roles` prints it, and a test walks it. Which tenants somebody sees is not here but in the store's
//! view; that a caller changes only what is their own (a password, a token) is in the handlers.

use axum::extract::{MatchedPath, Request};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::errors::{ApiError, ApiResult};
use crate::domain::access::{Organisation, Role};

/// What a route needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Nothing: it answers to everybody.
    Open,
    /// To look at the organisation.
    View,
    /// To make and change what belongs to the organisation.
    Create,
    /// To add and remove tenants and integrations, to see tenants and to work in them.
    Tenants,
    /// To govern: people, teams, signing in, billing options, whose code is trusted.
    Govern,
    /// It is not for this side.
    Nobody,
}

impl Needs {
    /// The capabilities that a role may have, in the order in which they are printed.
    pub const CAPABILITIES: [Self; 4] = [Self::View, Self::Create, Self::Tenants, Self::Govern];

    /// The first role that has it, everyone above has it too; none where nobody has.
    pub const fn least(self) -> Option<Role> {
        match self {
            Self::Open | Self::View => Some(Role::Viewer),
            Self::Create => Some(Role::Editor),
            Self::Tenants => Some(Role::IntegrationOwner),
            Self::Govern => Some(Role::Owner),
            Self::Nobody => None,
        }
    }

    pub fn allows(self, role: Role) -> bool {
        self.least().is_some_and(|least| role >= least)
    }

    /// As `rerate roles` says it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Open => "everybody, without signing in",
            Self::View => "look at the organisation",
            Self::Create => "create and change resources there",
            Self::Tenants => "tenants and integrations: add, remove, see, work in them",
            Self::Govern => "people, teams, signing in, billing options",
            Self::Nobody => "nobody",
        }
    }
}

/// A route and what it needs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    /// Of the MSP's people.
    pub msp: Needs,
    /// Of a tenant's people, and of the MSP's while they act in a tenant: in that tenant.
    pub tenant: Needs,
}

const fn row(method: &'static str, path: &'static str, msp: Needs, tenant: Needs) -> Row {
    Row { method, path, msp, tenant }
}

/// Every route.
pub const TABLE: &[Row] = {
    use Needs::{Create, Govern, Nobody, Open, Tenants, View};
    &[
        row("GET", "/v1/health", Open, Open),
        row("GET", "/v1/ready", Open, Open),
        row("GET", "/v1/sign-in/callback", Open, Open),
        row("GET", "/v1/sign-in/{id}", Open, Open),
        row("GET", "/v1/organisations/{id}/sign-in", Govern, Govern),
        row("PUT", "/v1/organisations/{id}/sign-in", Govern, Govern),
        row("DELETE", "/v1/organisations/{id}/sign-in", Govern, Govern),
        row("GET", "/metrics", View, Nobody),
        row("GET", "/v1/openapi.json", View, View),
        row("GET", "/v1/whoami", View, View),
        // Signing in, and what a session can do.
        row("POST", "/v1/sessions", Open, Open),
        // One's own; those of others are an Owner's, which the handlers see to.
        row("GET", "/v1/sessions", View, View),
        row("DELETE", "/v1/sessions", View, View),
        row("GET", "/v1/sessions/{id}", View, View),
        row("DELETE", "/v1/sessions/{id}", View, View),
        row("GET", "/v1/session", View, View),
        row("PUT", "/v1/session", View, View),
        row("DELETE", "/v1/session", View, View),
        row("PUT", "/v1/session/password", View, View),
        row("POST", "/v1/session/leave", View, View),
        row("POST", "/v1/tenants/{id}/enter", Tenants, Nobody),
        // People.
        row("GET", "/v1/users", Govern, Govern),
        row("POST", "/v1/users", Govern, Nobody),
        row("GET", "/v1/users/{id}", Govern, Govern),
        row("PUT", "/v1/users/{id}", Govern, Nobody),
        row("DELETE", "/v1/users/{id}", Govern, Nobody),
        row("PUT", "/v1/users/{id}/password", Govern, Nobody),
        row("GET", "/v1/users/{id}/memberships/{organisation}", Govern, Govern),
        row("PUT", "/v1/users/{id}/memberships/{organisation}", Govern, Govern),
        row("DELETE", "/v1/users/{id}/memberships/{organisation}", Govern, Govern),
        row("GET", "/v1/invitations", Govern, Govern),
        row("POST", "/v1/invitations", Govern, Govern),
        row("GET", "/v1/invitations/{id}", Govern, Govern),
        row("DELETE", "/v1/invitations/{id}", Govern, Govern),
        row("GET", "/v1/invitations/accept", Open, Open),
        row("POST", "/v1/invitations/accept", Open, Open),
        row("GET", "/v1/teams", Govern, Nobody),
        row("POST", "/v1/teams", Govern, Nobody),
        row("GET", "/v1/teams/{id}", Govern, Nobody),
        row("PUT", "/v1/teams/{id}", Govern, Nobody),
        row("DELETE", "/v1/teams/{id}", Govern, Nobody),
        row("GET", "/v1/tenants/{id}/cost-centers", Tenants, Govern),
        row("POST", "/v1/tenants/{id}/cost-centers", Govern, Govern),
        row("GET", "/v1/cost-centers/{id}", Tenants, Govern),
        row("PUT", "/v1/cost-centers/{id}", Govern, Govern),
        row("DELETE", "/v1/cost-centers/{id}", Govern, Govern),
        // Tokens: one's own; those of others are an Owner's, which the handlers see to.
        row("GET", "/v1/tokens", View, View),
        row("POST", "/v1/tokens", View, View),
        row("GET", "/v1/tokens/{id}", View, View),
        row("DELETE", "/v1/tokens/{id}", View, View),
        // Tenants: what is the MSP's of them, and what they see of themselves.
        row("GET", "/v1/tenants", Tenants, View),
        row("POST", "/v1/tenants", Tenants, Nobody),
        row("GET", "/v1/tenants/{id}", Tenants, View),
        row("PUT", "/v1/tenants/{id}", Tenants, Nobody),
        row("DELETE", "/v1/tenants/{id}", Tenants, Nobody),
        row("PUT", "/v1/tenants/{id}/state", Tenants, Nobody),
        row("GET", "/v1/tenants/{id}/removal", Tenants, Nobody),
        row("GET", "/v1/tenants/{id}/integrations", Tenants, View),
        row("POST", "/v1/tenants/import", Tenants, Nobody),
        row("GET", "/v1/settings/domains", View, Nobody),
        row("PUT", "/v1/settings/domains", Govern, Nobody),
        row("GET", "/v1/tenants/{id}/quota", Tenants, Nobody),
        row("PUT", "/v1/tenants/{id}/quota", Govern, Nobody),
        row("GET", "/v1/tenants/{id}/lines", Tenants, View),
        row("GET", "/v1/tenants/{id}/export", Tenants, View),
        row("GET", "/v1/charges/{key}/provenance", Tenants, View),
        // Where bills come from.
        row("GET", "/v1/integrations", View, View),
        row("POST", "/v1/integrations", Tenants, Tenants),
        row("GET", "/v1/integrations/{id}", View, View),
        row("PUT", "/v1/integrations/{id}", Tenants, Tenants),
        row("DELETE", "/v1/integrations/{id}", Tenants, Tenants),
        row("POST", "/v1/integrations/{id}/refresh", Create, Create),
        row("PUT", "/v1/integrations/{id}/credentials", Tenants, Tenants),
        row("DELETE", "/v1/integrations/{id}/credentials", Tenants, Tenants),
        row("POST", "/v1/secrets/rotate", Govern, Nobody),
        row("GET", "/v1/virtual-integrations", View, Nobody),
        row("POST", "/v1/virtual-integrations", Tenants, Nobody),
        row("GET", "/v1/virtual-integrations/{id}", View, Nobody),
        row("PUT", "/v1/virtual-integrations/{id}", Tenants, Nobody),
        row("DELETE", "/v1/virtual-integrations/{id}", Tenants, Nobody),
        row("GET", "/v1/virtual-integrations/{id}/months", View, Nobody),
        row("GET", "/v1/virtual-integrations/{id}/lines", View, Nobody),
        row("GET", "/v1/snapshots", View, Nobody),
        row("GET", "/v1/snapshots/{id}", View, Nobody),
        row("GET", "/v1/subaccounts", View, View),
        row("GET", "/v1/subaccounts/{id}", View, View),
        row("GET", "/v1/subaccounts/{id}/history", View, Nobody),
        row("PUT", "/v1/subaccounts/{id}/tenant", Tenants, Nobody),
        row("DELETE", "/v1/subaccounts/{id}/tenant", Tenants, Nobody),
        row("POST", "/v1/subaccounts/assign", Tenants, Nobody),
        row("POST", "/v1/subaccounts/review", Tenants, Nobody),
        // Rules, and whom they reach.
        row("GET", "/v1/rules", View, Nobody),
        row("POST", "/v1/rules", Create, Nobody),
        row("GET", "/v1/rules/{id}", View, Nobody),
        row("PUT", "/v1/rules/{id}", Create, Nobody),
        row("POST", "/v1/rules/{id}/review", View, Nobody),
        row("DELETE", "/v1/rules/{id}", Create, Nobody),
        row("GET", "/v1/assignments", View, Nobody),
        row("POST", "/v1/assignments", Tenants, Nobody),
        row("POST", "/v1/assignments/batch", Tenants, Nobody),
        row("POST", "/v1/assignments/review", View, Nobody),
        row("PUT", "/v1/assignments/order", Tenants, Nobody),
        row("GET", "/v1/assignments/{id}", View, Nobody),
        row("PUT", "/v1/assignments/{id}", Tenants, Nobody),
        row("DELETE", "/v1/assignments/{id}", Tenants, Nobody),
        // Plugins: code that runs, and whose is trusted.
        row("GET", "/v1/plugins", View, Nobody),
        row("POST", "/v1/plugins", Create, Nobody),
        row("GET", "/v1/plugins/{name}", View, Nobody),
        row("GET", "/v1/plugins/versions/{digest}/component", View, Nobody),
        row("GET", "/v1/plugins/{name}/versions", View, Nobody),
        row("GET", "/v1/plugins/{name}/schema", View, Nobody),
        row("POST", "/v1/plugins/{name}/activate", Create, Nobody),
        row("POST", "/v1/plugins/{name}/rollback", Create, Nobody),
        row("POST", "/v1/plugins/{name}/disable", Create, Nobody),
        row("POST", "/v1/plugins/{name}/enable", Create, Nobody),
        row("GET", "/v1/plugins/{name}/versions/{digest}/check", View, Nobody),
        row("DELETE", "/v1/plugins/{name}/versions/{digest}", Create, Nobody),
        row("GET", "/v1/deployments", View, Nobody),
        row("GET", "/v1/deployments/{id}", View, Nobody),
        row("GET", "/v1/keys", View, Nobody),
        row("POST", "/v1/keys", Govern, Nobody),
        row("GET", "/v1/keys/{id}", View, Nobody),
        row("DELETE", "/v1/keys/{id}", Govern, Nobody),
        row("GET", "/v1/signing-policy", View, Nobody),
        row("PUT", "/v1/signing-policy", Govern, Nobody),
        row("GET", "/v1/previews", View, Nobody),
        row("POST", "/v1/previews", Create, Nobody),
        row("GET", "/v1/previews/{id}", View, Nobody),
        row("DELETE", "/v1/previews/{id}", Create, Nobody),
        row("GET", "/v1/shadows", View, Nobody),
        row("POST", "/v1/shadows", Create, Nobody),
        row("GET", "/v1/shadows/{id}", View, Nobody),
        row("POST", "/v1/shadows/{id}/promote", Create, Nobody),
        row("POST", "/v1/shadows/{id}/drop", Create, Nobody),
        // What was rated.
        row("GET", "/v1/runs", View, View),
        row("GET", "/v1/runs/{id}", View, View),
        row("POST", "/v1/runs/{id}/retry", Create, Nobody),
        row("GET", "/v1/runs/{id}/explain", View, Nobody),
        row("GET", "/v1/runs/{id}/logs", View, Nobody),
        row("POST", "/v1/runs/{id}/verify", Create, Nobody),
        row("GET", "/v1/reports/margin", View, Nobody),
        row("GET", "/v1/reports/charged", View, View),
        row("GET", "/v1/reports/overlaps", View, Nobody),
        row("GET", "/v1/events", View, View),
        // The log of changes.
        row("GET", "/v1/audit", Govern, Govern),
        row("GET", "/v1/audit/verify", Govern, Nobody),
        row("GET", "/v1/audit/{id}", Govern, Govern),
    ]
};

/// The row of a route.
pub(super) fn row_of(method: &str, path: &str) -> Option<&'static Row> {
    // What answers to GET answers to HEAD.
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|row| row.method == method && row.path == path)
}

/// What a token for one virtual integration may call.
const OF_A_VIRTUAL_INTEGRATION: [&str; 6] = [
    "/v1/openapi.json",
    "/v1/whoami",
    "/v1/virtual-integrations",
    "/v1/virtual-integrations/{id}",
    "/v1/virtual-integrations/{id}/months",
    "/v1/virtual-integrations/{id}/lines",
];

/// Refuses a call that its caller's role does not allow.
pub(super) fn check(request: &Request, caller: &Caller) -> ApiResult<()> {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
    let Some(row) = row_of(request.method().as_str(), path.as_str()) else {
        // A method that the address does not have is told by the router; a route without a row is for nobody.
        let known = TABLE.iter().any(|row| row.path == path.as_str());
        return if known { Ok(()) } else { Err(ApiError::forbidden("this address has no row in the table of permissions")) };
    };
    let needs = match caller.organisation() {
        Organisation::Msp => row.msp,
        Organisation::Tenant(_) => row.tenant,
    };
    if caller.view.virtual_integration().is_some() && !OF_A_VIRTUAL_INTEGRATION.contains(&row.path) {
        return Err(ApiError::forbidden("this token shows one virtual integration and nothing else"));
    }
    if needs.allows(caller.role) { Ok(()) } else { Err(refusal(needs, caller)) }
}

fn refusal(needs: Needs, caller: &Caller) -> ApiError {
    match needs.least() {
        None if caller.acting.is_some() => ApiError::forbidden("this is the MSP's, and you act in a tenant: leave it first"),
        None => ApiError::forbidden("this is the MSP's own"),
        Some(least) => {
            let what = needs.title();
            ApiError::forbidden(format!("your role is {}; this takes {} ({what})", caller.role.title(), least.title()))
        }
    }
}
