//! The integrations that bring something for a tenant, as its own people may see them.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::values::Flag;
use super::{IntegrationStatus, Page, PageRequest, Result, Store};
use crate::clock::Moment;

/// An integration of a tenant. Of one that the MSP manages nothing is told but its name and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct TenantIntegration {
    pub id: String,
    pub name: String,
    /// Whether it is the tenant's own; otherwise the MSP manages it.
    #[sqlx(try_from = "Flag")]
    pub own: bool,
    pub status: IntegrationStatus,
    /// Why the last refresh failed, of the tenant's own.
    pub error: Option<String>,
    pub last_refresh_at: Option<Moment>,
    /// Subaccounts of it that the tenant holds now.
    pub subaccounts: i64,
}

impl Store {
    /// The tenant's own, and those of the MSP of which it holds a subaccount, or has held one; oldest first.
    pub async fn integrations_of_tenant(&self, tenant_id: &str, page: &PageRequest) -> Result<Page<TenantIntegration>> {
        self.tenant(tenant_id).await?;
        let items = sqlx::query_as(
            "SELECT i.id, i.name, CASE WHEN i.tenant_id = $1 THEN TRUE ELSE FALSE END AS own, i.status, \
             CASE WHEN i.tenant_id = $1 THEN i.error END AS error, i.last_refresh_at, \
             (SELECT COUNT(*) FROM subaccounts s WHERE s.integration_id = i.id AND s.tenant_id = $1) AS subaccounts \
             FROM integrations i WHERE i.id > $2 AND (i.tenant_id = $1 OR (i.tenant_id IS NULL AND i.id IN (SELECT s.integration_id FROM subaccounts s \
             JOIN subaccount_holders h ON h.subaccount_id = s.id WHERE h.tenant_id = $1))) ORDER BY i.id LIMIT $3",
        );
        let items = items.bind(tenant_id).bind(page.after()).bind(page.fetch()).fetch_all(&self.read).await?;
        Ok(page.page(items, |integration: &TenantIntegration| integration.id.clone()))
    }
}
