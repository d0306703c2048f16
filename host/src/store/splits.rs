//! Period splits: how the source of a month divides into tenants and what nobody holds. Tenants + unassigned = source, to the last digit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::values::{count, counted, json, to_json};
use super::{DbRow, Result, Store, StoreError, Tx};
use crate::clock::Moment;
use crate::domain::money::Amount;
use crate::domain::period::Period;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantShare {
    pub tenant_id: String,
    pub charges: u64,
    pub billed: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodSplit {
    pub period: Period,
    pub currency: String,
    /// What the snapshots say, all charges.
    pub source: Amount,
    pub source_charges: u64,
    /// What nobody holds.
    pub unassigned: Amount,
    pub unassigned_charges: u64,
    pub tenants: Vec<TenantShare>,
    /// Ids of the snapshots that were split.
    pub snapshots: Vec<String>,
}

impl PeriodSplit {
    /// Tenants + unassigned = source, in amount and in number.
    pub fn balances(&self) -> bool {
        let amounts = self.tenants.iter().try_fold(self.unassigned, |sum, share| sum.checked_add(share.billed));
        let charges = self.tenants.iter().try_fold(self.unassigned_charges, |sum, share| sum.checked_add(share.charges));
        amounts == Some(self.source) && charges == Some(self.source_charges)
    }
}

/// What one tenant's own integrations brought to a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Brought {
    billed: Amount,
    charges: u64,
}

impl PeriodSplit {
    /// The month without a tenant: what its own integrations brought is gone, and the rest that it held is nobody's. None where the split does
    /// not have that much.
    fn without(mut self, tenant_id: &str, brought: Brought) -> Option<Self> {
        let at = self.tenants.iter().position(|share| share.tenant_id == tenant_id);
        let share = at.map(|at| self.tenants.remove(at));
        let (billed, charges) = share.map_or((Amount::ZERO, 0), |share| (share.billed, share.charges));
        self.source = self.source.checked_sub(brought.billed)?;
        self.source_charges = self.source_charges.checked_sub(brought.charges)?;
        self.unassigned = self.unassigned.checked_add(billed)?.checked_sub(brought.billed)?;
        self.unassigned_charges = (self.unassigned_charges + charges).checked_sub(brought.charges)?;
        Some(self)
    }
}

/// Divides every month anew, as it is without a tenant that is about to be deleted: in the same transaction, so that no reader finds a share
/// that is nobody's.
pub(super) async fn leave_splits(tx: &mut Tx, tenant_id: &str, now: Moment) -> Result<()> {
    let all: Vec<PeriodSplit> = sqlx::query_as("SELECT * FROM period_splits ORDER BY period, currency").fetch_all(&mut **tx).await?;
    for mut split in all {
        let mut brought = Brought::default();
        let mut kept = Vec::with_capacity(split.snapshots.len());
        for snapshot in std::mem::take(&mut split.snapshots) {
            let rows: Vec<DbRow> = sqlx::query(
                "SELECT c.charges, c.billed FROM snapshots n JOIN integrations i ON i.id = n.integration_id \
                 JOIN snapshot_subaccounts c ON c.snapshot_id = n.id WHERE n.id = $1 AND i.tenant_id = $2 AND c.currency = $3",
            )
            .bind(&snapshot)
            .bind(tenant_id)
            .bind(&split.currency)
            .fetch_all(&mut **tx)
            .await?;
            for row in &rows {
                brought.charges += count(row, "charges")?;
                brought.billed = brought.billed.checked_add(row.try_get("billed")?).ok_or_else(out_of_range)?;
            }
            if rows.is_empty() {
                kept.push(snapshot);
            }
        }
        split.snapshots = kept;
        if brought == Brought::default() && !split.tenants.iter().any(|share| share.tenant_id == tenant_id) {
            continue;
        }
        let (period, currency) = (split.period, split.currency.clone());
        let split = split.without(tenant_id, brought).ok_or_else(out_of_range)?;
        if split.snapshots.is_empty() {
            let gone = sqlx::query("DELETE FROM period_splits WHERE period = $1 AND currency = $2").bind(period).bind(currency);
            gone.execute(&mut **tx).await?;
        } else {
            put_split(tx, &split, now).await?;
        }
    }
    Ok(())
}

fn out_of_range() -> StoreError {
    StoreError::Corrupt("a month's shares do not add up".to_owned())
}

impl FromRow<'_, DbRow> for PeriodSplit {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            period: row.try_get("period")?,
            currency: row.try_get("currency")?,
            source: row.try_get("source")?,
            source_charges: count(row, "source_charges")?,
            unassigned: row.try_get("unassigned")?,
            unassigned_charges: count(row, "unassigned_charges")?,
            tenants: json(row, "tenants")?,
            snapshots: json(row, "snapshots")?,
        })
    }
}

impl Store {
    /// Stores the split of a period and currency in place of the one before. One that does not balance is refused; tenants and bills that were
    /// deleted since it was worked out are not in what is stored.
    pub async fn split_put(&self, split: &PeriodSplit) -> Result<()> {
        let mut tx = self.begin().await?;
        put_split(&mut tx, split, self.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Of one period or of all, ordered by period and currency.
    pub async fn splits(&self, period: Option<Period>) -> Result<Vec<PeriodSplit>> {
        let found = sqlx::query_as("SELECT * FROM period_splits WHERE ($1 IS NULL OR period = $1) ORDER BY period, currency");
        Ok(found.bind(period).fetch_all(&self.read).await?)
    }

    /// Forgets a period and currency that no snapshot has any more.
    pub async fn split_delete(&self, period: Period, currency: &str) -> Result<()> {
        self.change(sqlx::query("DELETE FROM period_splits WHERE period = $1 AND currency = $2").bind(period).bind(currency)).await?;
        Ok(())
    }
}

/// The split as it is without tenants that were deleted since it was worked out: what they held is nobody's. None where bills are gone as
/// well: what is stored was divided anew when they went, and the next look tells the rest.
async fn without_deleted(tx: &mut Tx, split: &PeriodSplit) -> Result<Option<PeriodSplit>> {
    for snapshot in &split.snapshots {
        let found: Option<String> =
            sqlx::query_scalar("SELECT id FROM snapshots WHERE id = $1").bind(snapshot).fetch_optional(&mut **tx).await?;
        if found.is_none() {
            return Ok(None);
        }
    }
    let present: Vec<String> = sqlx::query_scalar("SELECT id FROM tenants").fetch_all(&mut **tx).await?;
    let present: BTreeSet<String> = present.into_iter().collect();
    let mut left = split.clone();
    for share in split.tenants.iter().filter(|share| !present.contains(&share.tenant_id)) {
        left = left.without(&share.tenant_id, Brought::default()).ok_or_else(out_of_range)?;
    }
    Ok(Some(left))
}

pub(super) async fn put_split(tx: &mut Tx, split: &PeriodSplit, now: Moment) -> Result<()> {
    if !split.balances() {
        return Err(StoreError::Invalid(format!(
            "the split of {} in {} does not add up: tenants + unassigned differ from the source",
            split.period, split.currency
        )));
    }
    let Some(split) = without_deleted(tx, split).await? else { return Ok(()) };
    let put = sqlx::query(
        "INSERT INTO period_splits \
         (period, currency, source, source_charges, unassigned, unassigned_charges, tenants, snapshots, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (period, currency) DO UPDATE SET source = $3, source_charges = $4, \
         unassigned = $5, unassigned_charges = $6, tenants = $7, snapshots = $8, updated_at = $9",
    );
    put.bind(split.period)
        .bind(&split.currency)
        .bind(split.source)
        .bind(counted(split.source_charges)?)
        .bind(split.unassigned)
        .bind(counted(split.unassigned_charges)?)
        .bind(to_json(&split.tenants)?)
        .bind(to_json(&split.snapshots)?)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
