//! What goes with a tenant that is deleted: told before it is done, and done for good in one transaction.
//!
//! The rows go here; the files that only they named are given to the caller, who removes them. The log of changes stays: it is only ever
//! appended to.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::integrations::snapshot_folders;
use super::tenants::find;
use super::values::count;
use super::{DbRow, Result, Store, StoreError, TenantName, Tx, unchanged};
use crate::domain::period::Period;

/// Something that is named in a list of what goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Named {
    pub id: String,
    pub name: String,
}

/// What deleting a tenant removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TenantRemoval {
    pub tenant: TenantName,
    /// Why it cannot be deleted now; null where it can.
    pub refused: Option<String>,
    /// Its own integrations, with everything that they brought.
    pub integrations: Vec<Named>,
    /// Subaccounts that it holds now: nobody holds them then, and what it held before is nobody's in those months either.
    pub released: Vec<Named>,
    /// Rules assigned to it alone; the rules stay.
    pub assignments: u64,
    /// Runs with their charges, in any state.
    pub runs: u64,
    /// Periods of which it has a published result.
    pub published: Vec<Period>,
    /// Previews that show something of it.
    pub previews: u64,
    /// Its people; those who belong to nothing else are removed.
    pub people: u64,
}

/// What was removed, and the files that nothing names any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRemoved {
    /// Subaccounts that nobody holds now.
    pub released: Vec<String>,
    /// Files of rated charges and folders of snapshots, below the lake.
    pub files: Vec<String>,
    /// Integrations that went with it.
    pub integrations: Vec<String>,
}

/// How many rows a statement with one parameter counts.
async fn counted_rows(tx: &mut Tx, statement: &'static str, value: &str) -> Result<u64> {
    let row: DbRow = sqlx::query(statement).bind(value).fetch_one(&mut **tx).await?;
    Ok(count(&row, "found")?)
}

/// A preview's texts name its tenants by their ids.
fn naming(id: &str) -> String {
    format!("%\"{id}\"%")
}

impl Store {
    /// What [`Store::tenant_delete`] would remove.
    pub async fn tenant_removal(&self, id: &str) -> Result<TenantRemoval> {
        self.see_tenant(id)?;
        let mut tx = self.read.begin().await?;
        self.removal_of(&mut tx, id).await
    }

    async fn removal_of(&self, tx: &mut Tx, id: &str) -> Result<TenantRemoval> {
        let tenant = find(tx, id).await?;
        let children: Vec<String> =
            sqlx::query_scalar("SELECT name FROM tenants WHERE parent_id = $1 ORDER BY name").bind(id).fetch_all(&mut **tx).await?;
        let refused = (!children.is_empty()).then(|| {
            let (name, children) = (&tenant.name, children.join(", "));
            format!("{name} is the parent organisation of {children}: delete those first")
        });
        let integrations = sqlx::query_as("SELECT id, name FROM integrations WHERE tenant_id = $1 ORDER BY id").bind(id);
        let integrations = integrations.fetch_all(&mut **tx).await?;
        let released = sqlx::query_as(
            "SELECT s.id, s.name FROM subaccounts s JOIN integrations i ON i.id = s.integration_id \
             WHERE s.tenant_id = $1 AND i.tenant_id IS NULL ORDER BY s.id",
        );
        let released = released.bind(id);
        let released = released.fetch_all(&mut **tx).await?;
        let published = sqlx::query_scalar("SELECT DISTINCT period FROM published WHERE tenant_id = $1 ORDER BY period").bind(id);
        let published = published.fetch_all(&mut **tx).await?;
        Ok(TenantRemoval {
            refused,
            integrations,
            released,
            published,
            assignments: counted_rows(tx, "SELECT COUNT(*) AS found FROM assignments WHERE tenant_id = $1", id).await?,
            runs: counted_rows(tx, "SELECT COUNT(*) AS found FROM runs WHERE tenant_id = $1", id).await?,
            previews: counted_rows(tx, "SELECT COUNT(*) AS found FROM previews WHERE request LIKE $1 OR result LIKE $1", &naming(id))
                .await?,
            people: counted_rows(tx, "SELECT COUNT(*) AS found FROM memberships WHERE tenant_id = $1", id).await?,
            tenant: TenantName { id: tenant.id, name: tenant.name },
        })
    }

    /// Removes a tenant and what [`Store::tenant_removal`] tells, for good. `name` is the tenant's name, said again.
    pub async fn tenant_delete(&self, id: &str, name: &str, expected: Option<i64>) -> Result<TenantRemoved> {
        self.see_tenant(id)?;
        let mut tx = self.begin().await?;
        let before = find(&mut tx, id).await?;
        unchanged("tenant", id, before.version, expected)?;
        if before.name != name.trim() {
            let text = format!("deleting a tenant is for good: give its name again, name={}, as it is written", before.name);
            return Err(StoreError::Invalid(text));
        }
        let removal = self.removal_of(&mut tx, id).await?;
        if let Some(reason) = removal.refused {
            return Err(StoreError::Conflict(reason));
        }
        let overlays = sqlx::query_scalar("SELECT overlay FROM runs WHERE tenant_id = $1 AND overlay IS NOT NULL").bind(id);
        let mut files: Vec<String> = overlays.fetch_all(&mut *tx).await?;
        let mut integrations = Vec::with_capacity(removal.integrations.len());
        for integration in removal.integrations {
            files.extend(snapshot_folders(&mut tx, &integration.id).await?);
            integrations.push(integration.id);
        }
        sqlx::query("DELETE FROM previews WHERE request LIKE $1 OR result LIKE $1").bind(naming(id)).execute(&mut *tx).await?;
        super::splits::leave_splits(&mut tx, id, self.clock.now()).await?;
        sqlx::query("DELETE FROM tenants WHERE id = $1").bind(id).execute(&mut *tx).await?;
        super::users::end_without_organisation(self, &mut tx).await?;
        super::assignments::close_gaps(&mut tx).await?;
        self.audit(&mut tx, "delete", "tenant", id, Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(TenantRemoved { released: removal.released.into_iter().map(|subaccount| subaccount.id).collect(), files, integrations })
    }
}
