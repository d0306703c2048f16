//! Cost centers: named groups of a tenant's subaccounts, to which memberships can be limited.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::{Page, PageRequest, Result, Store, StoreError, Tx, checked_name, unchanged, unique};
use crate::clock::Moment;
use crate::domain::access::Organisation;

/// Subaccounts of one cost center: as many as are moved at once.
const MAX_SUBACCOUNTS: usize = 10_000;

/// Cost centers of a tenant: they are shown on one page.
const MAX_OF_TENANT: i64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CostCenter {
    pub id: String,
    pub tenant_id: String,
    pub name: String,
    /// Ids. One that the tenant does not hold any more counts for nothing.
    pub subaccounts: Vec<String>,
    pub created_by: String,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// What a caller sets.
#[derive(Clone, Debug)]
pub struct CostCenterFields {
    pub name: String,
    pub subaccounts: Vec<String>,
}

#[derive(FromRow)]
struct Stored {
    id: String,
    tenant_id: String,
    name: String,
    name_key: String,
    created_by: String,
    version: i64,
    created_at: Moment,
    updated_at: Moment,
}

impl Stored {
    fn with(self, subaccounts: Vec<String>) -> CostCenter {
        let Self { id, tenant_id, name, created_by, version, created_at, updated_at, .. } = self;
        CostCenter { id, tenant_id, name, subaccounts, created_by, version, created_at, updated_at }
    }
}

const SUBACCOUNTS: &str = "SELECT subaccount_id FROM cost_center_subaccounts WHERE cost_center_id = $1 ORDER BY subaccount_id";

impl Store {
    pub async fn cost_center_create(&self, tenant_id: &str, fields: &CostCenterFields) -> Result<CostCenter> {
        self.see_tenant(tenant_id)?;
        let (name, name_key) = checked_name("a cost center's name", &fields.name)?;
        let mut tx = self.begin().await?;
        let known: Option<String> =
            sqlx::query_scalar("SELECT id FROM tenants WHERE id = $1").bind(tenant_id).fetch_optional(&mut *tx).await?;
        known.ok_or_else(|| StoreError::not_found("tenant", tenant_id))?;
        let present: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM cost_centers WHERE tenant_id = $1").bind(tenant_id).fetch_one(&mut *tx).await?;
        if present >= MAX_OF_TENANT {
            return Err(StoreError::Conflict(format!("a tenant has at most {MAX_OF_TENANT} cost centers")));
        }
        let stored: Stored = sqlx::query_as(
            "INSERT INTO cost_centers (id, tenant_id, name, name_key, created_by, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $6) RETURNING *",
        )
        .bind(self.clock.id("cct"))
        .bind(tenant_id)
        .bind(&name)
        .bind(name_key)
        .bind(self.actor.creator_in(&Organisation::Tenant(tenant_id.to_owned())))
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| format!("the tenant has a cost center named {name} already")))?;
        let center = put(&mut tx, stored, &fields.subaccounts).await?;
        self.audit(&mut tx, "create", "cost-center", &center.id, NOTHING, Some(&center)).await?;
        tx.commit().await?;
        Ok(center)
    }

    pub async fn cost_center(&self, id: &str) -> Result<CostCenter> {
        let found = sqlx::query_as("SELECT * FROM cost_centers WHERE id = $1 AND ($2 IS NULL OR $2 LIKE '%,' || tenant_id || ',%')");
        let found: Option<Stored> = found.bind(id).bind(self.view.seen()).fetch_optional(&self.read).await?;
        let stored = found.ok_or_else(|| StoreError::not_found("cost center", id))?;
        let subaccounts = sqlx::query_scalar(SUBACCOUNTS).bind(id).fetch_all(&self.read).await?;
        Ok(stored.with(subaccounts))
    }

    /// A tenant's, by name.
    pub async fn cost_centers(&self, tenant_id: &str, page: &PageRequest) -> Result<Page<CostCenter>> {
        self.tenant(tenant_id).await?;
        let found = sqlx::query_as("SELECT * FROM cost_centers WHERE tenant_id = $1 AND name_key > $2 ORDER BY name_key LIMIT $3");
        let found: Vec<Stored> = found.bind(tenant_id).bind(page.after()).bind(page.fetch()).fetch_all(&self.read).await?;
        let found = page.page(found, |stored: &Stored| stored.name_key.clone());
        let mut centers = Vec::with_capacity(found.items.len());
        for stored in found.items {
            let subaccounts = sqlx::query_scalar(SUBACCOUNTS).bind(&stored.id).fetch_all(&self.read).await?;
            centers.push(stored.with(subaccounts));
        }
        Ok(Page { items: centers, next: found.next })
    }

    pub async fn cost_center_update(&self, id: &str, fields: &CostCenterFields, expected: Option<i64>) -> Result<CostCenter> {
        let (name, name_key) = checked_name("a cost center's name", &fields.name)?;
        let before = self.cost_center(id).await?;
        let mut tx = self.begin().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM cost_centers WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        unchanged("cost center", id, current.ok_or_else(|| StoreError::not_found("cost center", id))?, expected)?;
        let stored: Stored = sqlx::query_as(
            "UPDATE cost_centers SET name = $2, name_key = $3, version = version + 1, updated_at = $4 WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(&name)
        .bind(name_key)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| format!("the tenant has a cost center named {name} already")))?;
        let after = put(&mut tx, stored, &fields.subaccounts).await?;
        self.audit(&mut tx, "update", "cost-center", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes a cost center to which nobody is limited.
    pub async fn cost_center_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let before = self.cost_center(id).await?;
        let mut tx = self.begin().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM cost_centers WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        unchanged("cost center", id, current.ok_or_else(|| StoreError::not_found("cost center", id))?, expected)?;
        let limited: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM membership_cost_centers WHERE cost_center_id = $1")
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
        if limited > 0 {
            let text = format!("{limited} members are limited to the cost center {}: change what they may see first", before.name);
            return Err(StoreError::Conflict(text));
        }
        sqlx::query("DELETE FROM cost_centers WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "cost-center", id, Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Puts the subaccounts of a cost center, each held by its tenant.
async fn put(tx: &mut Tx, center: Stored, subaccounts: &[String]) -> Result<CostCenter> {
    if subaccounts.len() > MAX_SUBACCOUNTS {
        return Err(StoreError::Invalid(format!("a cost center has at most {MAX_SUBACCOUNTS} subaccounts")));
    }
    sqlx::query("DELETE FROM cost_center_subaccounts WHERE cost_center_id = $1").bind(&center.id).execute(&mut **tx).await?;
    let subaccounts: BTreeSet<&String> = subaccounts.iter().collect();
    for id in &subaccounts {
        let held: Option<String> = sqlx::query_scalar("SELECT id FROM subaccounts WHERE id = $1 AND tenant_id = $2")
            .bind(id.as_str())
            .bind(&center.tenant_id)
            .fetch_optional(&mut **tx)
            .await?;
        held.ok_or_else(|| StoreError::not_found("subaccount of this tenant", id))?;
        sqlx::query("INSERT INTO cost_center_subaccounts (cost_center_id, subaccount_id) VALUES ($1, $2)")
            .bind(&center.id)
            .bind(id.as_str())
            .execute(&mut **tx)
            .await?;
    }
    Ok(center.with(subaccounts.into_iter().cloned().collect()))
}
