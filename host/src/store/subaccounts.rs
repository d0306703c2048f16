//! Subaccounts: discovered from bills, held by one tenant or by none.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{Page, PageRequest, Result, Store, StoreError};
use crate::clock::Moment;

/// Subaccounts moved by one call: a large organisation has tens of thousands of accounts, and they are moved a screen at a time.
const MAX_MOVED: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Subaccount {
    pub id: String,
    pub integration_id: String,
    pub billing_account_id: String,
    /// Empty for charges of the billing account that name no sub account.
    pub sub_account_id: String,
    pub name: String,
    pub provider: String,
    /// Who holds it.
    pub tenant_id: Option<String>,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// Which subaccounts to list; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubaccountFilter {
    /// A part of the name or of an id.
    pub search: Option<String>,
    pub integration_id: Option<String>,
    pub provider: Option<String>,
    pub tenant_id: Option<String>,
    /// Only those that nobody holds.
    pub unassigned: bool,
}

/// A subaccount that changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Moved {
    pub id: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Store {
    pub async fn subaccount(&self, id: &str) -> Result<Subaccount> {
        let found = sqlx::query_as("SELECT * FROM subaccounts WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("subaccount", id))
    }

    pub async fn subaccounts(&self, filter: &SubaccountFilter, page: &PageRequest) -> Result<Page<Subaccount>> {
        let items = sqlx::query_as(
            "SELECT * FROM subaccounts WHERE id > $1 \
             AND ($2 IS NULL OR instr(search_key, $2) > 0) \
             AND ($3 IS NULL OR integration_id = $3) \
             AND ($4 IS NULL OR provider = $4) \
             AND ($5 IS NULL OR tenant_id = $5) \
             AND ($6 = 0 OR tenant_id IS NULL) \
             ORDER BY id LIMIT $7",
        )
        .bind(page.after())
        .bind(filter.search.as_deref().map(|text| text.trim().to_lowercase()))
        .bind(&filter.integration_id)
        .bind(&filter.provider)
        .bind(&filter.tenant_id)
        .bind(i64::from(filter.unassigned))
        .bind(page.fetch())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |subaccount: &Subaccount| subaccount.id.clone()))
    }

    /// Gives subaccounts to a tenant, or releases them (`None`): all or none. One that another tenant holds must be released first.
    /// Those that are where they should be already are not in the answer.
    pub async fn subaccounts_move(&self, ids: &[String], tenant_id: Option<&str>) -> Result<Vec<Moved>> {
        self.move_all(ids, tenant_id, None).await
    }

    /// As [`Store::subaccounts_move`], and those that `from` holds move as well, without being released in between.
    pub async fn subaccounts_hand_over(&self, ids: &[String], from: &str, to: &str) -> Result<Vec<Moved>> {
        self.move_all(ids, Some(to), Some(from)).await
    }

    async fn move_all(&self, ids: &[String], tenant_id: Option<&str>, given_up_by: Option<&str>) -> Result<Vec<Moved>> {
        if ids.is_empty() || ids.len() > MAX_MOVED {
            return Err(StoreError::Invalid(format!("select 1 to {MAX_MOVED} subaccounts")));
        }
        let mut tx = self.begin().await?;
        if let Some(tenant) = tenant_id {
            let known: Option<i64> =
                sqlx::query_scalar("SELECT version FROM tenants WHERE id = $1").bind(tenant).fetch_optional(&mut *tx).await?;
            known.ok_or_else(|| StoreError::not_found("tenant", tenant))?;
        }
        let mut moved = Vec::new();
        for id in ids {
            let holder: Option<(String, Option<String>, Option<String>)> = sqlx::query_as(
                "SELECT s.name, s.tenant_id, t.name FROM subaccounts s LEFT JOIN tenants t ON t.id = s.tenant_id WHERE s.id = $1",
            )
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
            let (name, from, holder) = holder.ok_or_else(|| StoreError::not_found("subaccount", id))?;
            if from.as_deref() == tenant_id {
                continue;
            }
            if let (Some(from), Some(_)) = (&from, tenant_id)
                && given_up_by != Some(from)
            {
                let holder = holder.unwrap_or_default();
                return Err(StoreError::Conflict(format!("the subaccount {name} ({id}) is held by the tenant {holder} ({from})")));
            }
            sqlx::query("UPDATE subaccounts SET tenant_id = $2, updated_at = $3 WHERE id = $1")
                .bind(id)
                .bind(tenant_id)
                .bind(self.clock.now())
                .execute(&mut *tx)
                .await?;
            moved.push(Moved { id: id.clone(), from, to: tenant_id.map(str::to_owned) });
        }
        tx.commit().await?;
        Ok(moved)
    }
}
