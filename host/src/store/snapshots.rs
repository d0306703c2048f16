//! Snapshots: the immutable charges of an integration's month. At most one of each month is published.
//!
//! An import that is under way has a row of its own, whose id is also the name of the folder it writes; it becomes one published snapshot
//! for each period that it found, all in one transaction. A folder that is named by neither was left by a stopped process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::accounts::{check_ids, known_accounts, put_shares};
use super::exclude::Exclude;
use super::integrations;
use super::values::{count, counted, json, to_json};
use super::{DbRow, Page, PageRequest, Result, Store, StoreError, Tx};
use crate::clock::Moment;
use crate::domain::money::Amount;
use crate::domain::period::Period;

/// What a bill may come to in one period and currency, in 10^-18: a thousand of them stay within the range of amounts.
const MOST_BILLED: i128 = 10_i128.pow(35);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotState {
    Published,
    Superseded,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    pub file_name: String,
    pub rows: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyTotal {
    pub currency: String,
    pub billed: Amount,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Snapshot {
    pub id: String,
    pub integration_id: String,
    pub period: Period,
    pub state: SnapshotState,
    /// SHA-256 over the source files.
    pub source_digest: String,
    pub manifest_id: Option<String>,
    /// The folder of its parts, below the lake's.
    pub location: String,
    pub parts: Vec<Part>,
    pub charges: u64,
    pub totals: Vec<CurrencyTotal>,
    /// The import report.
    #[schema(value_type = Object)]
    pub report: Value,
    pub created_at: Moment,
    pub superseded_at: Option<Moment>,
}

impl FromRow<'_, DbRow> for Snapshot {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            integration_id: row.try_get("integration_id")?,
            period: row.try_get("period")?,
            state: row.try_get("state")?,
            source_digest: row.try_get("source_digest")?,
            manifest_id: row.try_get("manifest_id")?,
            location: row.try_get("location")?,
            parts: json(row, "parts")?,
            charges: count(row, "charges")?,
            totals: json(row, "totals")?,
            report: json(row, "report")?,
            created_at: row.try_get("created_at")?,
            superseded_at: row.try_get("superseded_at")?,
        })
    }
}

/// An import under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Import {
    /// Also the name of the folder that it writes.
    pub id: String,
    pub integration_id: String,
    pub source_digest: String,
    pub manifest_id: Option<String>,
    pub created_at: Moment,
}

/// What an import found of one period.
#[derive(Clone, Debug, PartialEq)]
pub struct PeriodContent {
    pub period: Period,
    pub parts: Vec<Part>,
    pub charges: u64,
    pub totals: Vec<CurrencyTotal>,
    pub report: Value,
    pub subaccounts: Vec<SubaccountContent>,
}

/// The charges of one subaccount and currency in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubaccountContent {
    pub billing_account_id: String,
    /// Empty where the charges name none.
    pub sub_account_id: String,
    pub name: String,
    pub provider: String,
    pub currency: String,
    pub charges: u64,
    pub billed: Amount,
}

/// The charges of one subaccount and currency in a published snapshot, and who holds the subaccount in its period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Holding {
    pub snapshot_id: String,
    pub integration_id: String,
    pub period: Period,
    pub currency: String,
    pub subaccount_id: String,
    pub billing_account_id: String,
    pub sub_account_id: String,
    pub tenant_id: Option<String>,
    pub charges: u64,
    pub billed: Amount,
}

impl FromRow<'_, DbRow> for Holding {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            snapshot_id: row.try_get("snapshot_id")?,
            integration_id: row.try_get("integration_id")?,
            period: row.try_get("period")?,
            currency: row.try_get("currency")?,
            subaccount_id: row.try_get("subaccount_id")?,
            billing_account_id: row.try_get("billing_account_id")?,
            sub_account_id: row.try_get("sub_account_id")?,
            tenant_id: row.try_get("tenant_id")?,
            charges: count(row, "charges")?,
            billed: row.try_get("billed")?,
        })
    }
}

/// Which holdings; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldingFilter {
    pub period: Option<Period>,
    pub tenant_id: Option<String>,
    pub integration_id: Option<String>,
}

/// Who holds the subaccount `s` in the month of the snapshot `n`. The latest assignment is read from the subaccount itself: the history is
/// looked up only for the months before it.
macro_rules! holder {
    () => {
        "CASE WHEN s.from_period IS NULL OR s.from_period <= n.period THEN s.tenant_id ELSE \
         (SELECT h.tenant_id FROM subaccount_holders h WHERE h.subaccount_id = s.id \
         AND (h.from_period IS NULL OR h.from_period <= n.period) ORDER BY h.number DESC LIMIT 1) END"
    };
}

/// Snapshots with nothing in them that a tenant holds whom the caller does not see; `$1` is the view. What nobody holds hides nothing:
/// `NOT LIKE` of null is not true.
macro_rules! seen_snapshots {
    ($rest:literal) => {
        concat!(
            "SELECT n.* FROM snapshots n JOIN integrations i ON i.id = n.integration_id WHERE ($1 IS NULL OR (",
            "(i.tenant_id IS NULL OR $1 LIKE '%,' || i.tenant_id || ',%') AND NOT EXISTS (SELECT 1 FROM snapshot_subaccounts c ",
            "JOIN subaccounts s ON s.id = c.subaccount_id WHERE c.snapshot_id = n.id AND $1 NOT LIKE '%,' || (",
            holder!(),
            ") || ',%'))) AND ",
            $rest
        )
    };
}

impl Store {
    /// Notes that bytes with this digest are being imported, and names the folder for them.
    pub async fn import_begin(&self, integration_id: &str, source_digest: &str, manifest_id: Option<&str>) -> Result<Import> {
        let mut tx = self.begin().await?;
        let known: Option<i64> =
            sqlx::query_scalar("SELECT version FROM integrations WHERE id = $1").bind(integration_id).fetch_optional(&mut *tx).await?;
        known.ok_or_else(|| StoreError::not_found("integration", integration_id))?;
        let import = sqlx::query_as(
            "INSERT INTO imports (id, integration_id, source_digest, manifest_id, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING *",
        )
        .bind(self.clock.id("snp"))
        .bind(integration_id)
        .bind(source_digest)
        .bind(manifest_id)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(import)
    }

    /// Imports that have not ended: at a start, those of the process before.
    pub async fn imports(&self) -> Result<Vec<Import>> {
        Ok(sqlx::query_as("SELECT * FROM imports ORDER BY id").fetch_all(&self.read).await?)
    }

    /// Forgets an import that failed; what was published before stays so. False where it did not fail: what was asked last may have been
    /// done and the answer lost. Then its folder is that of snapshots.
    pub async fn import_discard(&self, id: &str) -> Result<bool> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM imports WHERE id = $1").bind(id).execute(&mut *tx).await?;
        let named: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM snapshots WHERE location = $1").bind(id).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(named == 0)
    }

    /// Ends an import: its periods become the published snapshots of the integration in place of those before, their subaccounts become
    /// known, all in one transaction. The snapshots' `location` is the import's id.
    pub async fn import_publish(&self, id: &str, periods: &[PeriodContent]) -> Result<Vec<Snapshot>> {
        periods.iter().flat_map(|content| &content.subaccounts).try_for_each(check_ids)?;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let import: Option<Import> =
            sqlx::query_as("DELETE FROM imports WHERE id = $1 RETURNING *").bind(id).fetch_optional(&mut *tx).await?;
        let import = import.ok_or_else(|| StoreError::not_found("import", id))?;
        let integration = integrations::find(&mut tx, &import.integration_id).await?;
        let exclude = Exclude::parse(&integration.exclude)?;
        let mut known = known_accounts(&mut tx, &integration.id).await?;
        let mut published = Vec::with_capacity(periods.len());
        for (place, content) in periods.iter().enumerate() {
            let snapshot_id = if place == 0 { import.id.clone() } else { self.clock.id("snp") };
            supersede(&mut tx, &import.integration_id, content.period, now).await?;
            published.push(insert(&mut tx, &snapshot_id, &import, content, now).await?);
            let mut shares = Vec::with_capacity(content.subaccounts.len());
            for found in &content.subaccounts {
                shares.push((self.discover(&mut tx, &integration, &exclude, &mut known, found, now).await?, found));
            }
            put_shares(&mut tx, &snapshot_id, &shares).await?;
        }
        for content in periods {
            check_sums(&mut tx, content).await?;
        }
        tx.commit().await?;
        Ok(published)
    }

    /// One that the caller sees: its sums are of all that is in it, so nothing of it may be a tenant's that they do not see.
    pub async fn snapshot(&self, id: &str) -> Result<Snapshot> {
        let found = sqlx::query_as(seen_snapshots!("n.id = $2")).bind(self.view.seen()).bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("snapshot", id))
    }

    /// Newest last; superseded ones as well.
    pub async fn snapshots(&self, integration_id: Option<&str>, period: Option<Period>, page: &PageRequest) -> Result<Page<Snapshot>> {
        let items = sqlx::query_as(seen_snapshots!(
            "n.id > $2 AND ($3 IS NULL OR n.integration_id = $3) AND ($4 IS NULL OR n.period = $4) ORDER BY n.id LIMIT $5"
        ))
        .bind(self.view.seen())
        .bind(page.after())
        .bind(integration_id)
        .bind(period)
        .bind(page.fetch())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |snapshot: &Snapshot| snapshot.id.clone()))
    }

    /// The published snapshots, of a period or of all, in the order of their ids.
    pub async fn snapshots_published(&self, period: Option<Period>) -> Result<Vec<Snapshot>> {
        published(&mut self.read.begin().await?, period).await
    }

    /// The published snapshots and what they hold, all as it is at one moment: a bill that is replaced meanwhile is in both or in neither.
    pub async fn bills(&self) -> Result<(Vec<Snapshot>, Vec<Holding>)> {
        let mut tx = self.read.begin_with(self.kind.begin_reading()).await?;
        Ok((published(&mut tx, None).await?, held(&mut tx, &HoldingFilter::default()).await?))
    }

    /// The published snapshots that came from these bytes: what need not be imported again.
    pub async fn snapshots_of_source(&self, integration_id: &str, source_digest: &str) -> Result<Vec<Snapshot>> {
        let found =
            sqlx::query_as("SELECT * FROM snapshots WHERE integration_id = $1 AND source_digest = $2 AND state = 'published' ORDER BY id");
        Ok(found.bind(integration_id).bind(source_digest).fetch_all(&self.read).await?)
    }

    /// What the published snapshots hold of each subaccount, and for whom: the plan of all runs. Ordered by period, currency, snapshot.
    pub async fn holdings(&self, filter: &HoldingFilter) -> Result<Vec<Holding>> {
        held(&mut self.read.begin().await?, filter).await
    }
}

async fn published(tx: &mut Tx, period: Option<Period>) -> Result<Vec<Snapshot>> {
    let found = sqlx::query_as("SELECT * FROM snapshots WHERE state = 'published' AND ($1 IS NULL OR period = $1) ORDER BY id");
    Ok(found.bind(period).fetch_all(&mut **tx).await?)
}

async fn held(tx: &mut Tx, filter: &HoldingFilter) -> Result<Vec<Holding>> {
    let found = sqlx::query_as(concat!(
        "SELECT * FROM (SELECT c.snapshot_id, n.integration_id, n.period, c.currency, c.subaccount_id, s.billing_account_id, ",
        "s.sub_account_id, c.charges, c.billed, ",
        holder!(),
        " AS tenant_id \
         FROM snapshots n JOIN snapshot_subaccounts c ON c.snapshot_id = n.id JOIN subaccounts s ON s.id = c.subaccount_id \
         WHERE n.state = 'published' AND ($1 IS NULL OR n.period = $1) AND ($3 IS NULL OR n.integration_id = $3)) AS held \
         WHERE $2 IS NULL OR tenant_id = $2 ORDER BY period, currency, snapshot_id, subaccount_id"
    ));
    Ok(found.bind(filter.period).bind(&filter.tenant_id).bind(&filter.integration_id).fetch_all(&mut **tx).await?)
}

async fn supersede(tx: &mut Tx, integration_id: &str, period: Period, now: Moment) -> Result<()> {
    sqlx::query(
        "UPDATE snapshots SET state = 'superseded', superseded_at = $3 WHERE integration_id = $1 AND period = $2 AND state = 'published'",
    )
    .bind(integration_id)
    .bind(period)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Refuses a bill that cannot be right, and one with which a month's amounts might add up to more than can be counted: nobody's share of
/// that month could be told any more. Signs do not count, so that no order of adding passes the range either.
async fn check_sums(tx: &mut Tx, content: &PeriodContent) -> Result<()> {
    let PeriodContent { period, subaccounts, .. } = content;
    let of_bill = subaccounts.iter().map(|found| (found.currency.clone(), found.billed));
    if let Some(currency) = beyond(of_bill, |sum| sum.0 <= MOST_BILLED) {
        let text =
            format!("what is billed in {period} in {currency} has more than 17 digits before the decimal point: that cannot be right");
        return Err(StoreError::Conflict(text));
    }
    let all: Vec<(String, Amount)> = sqlx::query_as(
        "SELECT c.currency, c.billed FROM snapshots n JOIN snapshot_subaccounts c ON c.snapshot_id = n.id \
         WHERE n.state = 'published' AND n.period = $1",
    )
    .bind(period)
    .fetch_all(&mut **tx)
    .await?;
    match beyond(all, Amount::is_storable) {
        None => Ok(()),
        Some(currency) => {
            let text = format!("all bills of {period} in {currency} together have more than 20 digits before the decimal point");
            Err(StoreError::Conflict(text))
        }
    }
}

/// The first currency whose amounts, all taken as positive, add up to more than may be.
fn beyond(amounts: impl IntoIterator<Item = (String, Amount)>, may_be: impl Fn(Amount) -> bool) -> Option<String> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (currency, amount) in amounts {
        let sum = sums.get(&currency).copied().unwrap_or_default();
        match sum.checked_add(Amount(amount.0.saturating_abs())).filter(|sum| may_be(*sum)) {
            Some(sum) => drop(sums.insert(currency, sum)),
            None => return Some(currency),
        }
    }
    None
}

async fn insert(tx: &mut Tx, id: &str, import: &Import, content: &PeriodContent, now: Moment) -> Result<Snapshot> {
    let snapshot = sqlx::query_as(
        "INSERT INTO snapshots \
         (id, integration_id, period, state, source_digest, manifest_id, location, parts, charges, totals, report, created_at) \
         VALUES ($1, $2, $3, 'published', $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *",
    );
    Ok(snapshot
        .bind(id)
        .bind(&import.integration_id)
        .bind(content.period)
        .bind(&import.source_digest)
        .bind(&import.manifest_id)
        .bind(&import.id)
        .bind(to_json(&content.parts)?)
        .bind(counted(content.charges)?)
        .bind(to_json(&content.totals)?)
        .bind(to_json(&content.report)?)
        .bind(now)
        .fetch_one(&mut **tx)
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_added_by_currency_and_whatever_their_signs() {
        let told = |amounts: &[(&str, i128)]| {
            beyond(amounts.iter().map(|(currency, units)| ((*currency).to_owned(), Amount(*units))), |sum| sum.0 <= 10)
        };
        assert_eq!(told(&[("EUR", 9), ("USD", -9), ("EUR", 1), ("USD", 1)]), None);
        assert_eq!(told(&[("EUR", 9), ("USD", -9), ("USD", 2)]).as_deref(), Some("USD"));
        assert_eq!(told(&[("EUR", i128::MIN)]).as_deref(), Some("EUR"));
    }
}
