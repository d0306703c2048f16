//! Runs: one rating of a tenant's month in one currency, and which of them is published.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::inputs::{Recorded, record};
use super::run_heads::RunHead;
use super::run_logs::put_logs;
use super::splits::{PeriodSplit, put_split};
use super::values::{count, counted, json, to_json};
use super::{DbRow, Page, PageRequest, Result, Store, StoreError, Tx};
use crate::clock::Moment;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rated::{RatedLine, RuleEffect, RuleFinding, RunLogs};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Queued,
    Running,
    /// Rated; published unless a later run took its place.
    Done,
    Failed,
    /// Overtaken before it ended.
    Superseded,
}

impl RunState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
}

/// A rule as the run applied it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainEntry {
    pub rule_id: String,
    pub title: String,
    pub plugin: String,
    pub digest: String,
    #[schema(value_type = Object)]
    pub config: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Run {
    pub id: String,
    pub tenant_id: String,
    pub period: Period,
    pub currency: String,
    /// The hash of what goes in: snapshots, subaccounts, chain, configurations. The same identity gives the same result.
    pub identity: String,
    pub state: RunState,
    /// Charges rated of those to rate.
    pub progress_done: u64,
    pub progress_total: u64,
    pub failure: Option<String>,
    /// Failed, and no rule is at fault: it is tried again by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    pub chain: Vec<ChainEntry>,
    /// Ids of the snapshots that go in.
    pub snapshots: Vec<String>,
    pub charges: u64,
    pub dropped: u64,
    pub billed: Option<Amount>,
    pub charged: Option<Amount>,
    pub by_rule: Vec<RuleEffect>,
    pub findings: Vec<RuleFinding>,
    pub lines: Vec<RatedLine>,
    /// The overlay's file, below the lake's folder.
    pub overlay: Option<String>,
    pub rating_millis: Option<i64>,
    pub created_at: Moment,
    pub started_at: Option<Moment>,
    pub finished_at: Option<Moment>,
}

impl FromRow<'_, DbRow> for Run {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let RunHead { id, tenant_id, period, currency, identity, state } = RunHead::from_row(row)?;
        Ok(Self {
            id,
            tenant_id,
            period,
            currency,
            identity,
            state,
            progress_done: count(row, "progress_done")?,
            progress_total: count(row, "progress_total")?,
            failure: row.try_get("failure")?,
            again: row.try_get::<i64, _>("again")? != 0,
            chain: json(row, "chain")?,
            snapshots: json(row, "snapshots")?,
            charges: count(row, "charges")?,
            dropped: count(row, "dropped")?,
            billed: row.try_get("billed")?,
            charged: row.try_get("charged")?,
            by_rule: json(row, "by_rule")?,
            findings: json(row, "findings")?,
            lines: json(row, "lines")?,
            overlay: row.try_get("overlay")?,
            rating_millis: row.try_get("rating_millis")?,
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
        })
    }
}

/// A run to queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    pub tenant_id: String,
    pub period: Period,
    pub currency: String,
    pub identity: String,
    pub chain: Vec<ChainEntry>,
    pub snapshots: Vec<String>,
}

/// What rating gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunResult {
    pub charges: u64,
    pub dropped: u64,
    pub billed: Amount,
    pub charged: Amount,
    pub by_rule: Vec<RuleEffect>,
    pub findings: Vec<RuleFinding>,
    pub lines: Vec<RatedLine>,
    pub logs: RunLogs,
    pub overlay: Option<String>,
    pub rating_millis: i64,
    /// What a replay needs.
    pub recorded: Option<Recorded>,
}

/// Which runs; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub tenant_id: Option<String>,
    pub period: Option<Period>,
    pub currency: Option<String>,
    pub state: Option<RunState>,
    /// Only those that readers are shown.
    pub published: bool,
}

/// What there is already of a run that is about to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundRun {
    /// A queued or running one: wait for it.
    Pending(Run),
    /// A done one: publish it.
    Done(Run),
}

impl Store {
    /// Queues runs, and supersedes those of the same tenants, periods and currencies that have not ended. A tenant that is gone gets none.
    pub async fn runs_enqueue(&self, new: &[NewRun]) -> Result<Vec<Run>> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut runs = Vec::with_capacity(new.len());
        for new in new {
            supersede_pending(&mut tx, &new.tenant_id, new.period, &new.currency, now).await?;
            let run = sqlx::query_as(
                "INSERT INTO runs (id, tenant_id, period, currency, identity, state, progress_done, progress_total, chain, snapshots, \
                 charges, dropped, by_rule, findings, lines, created_at) \
                 SELECT $1, id, $3, $4, $5, 'queued', 0, 0, $6, $7, 0, 0, '[]', '[]', '[]', $8 FROM tenants WHERE id = $2 RETURNING *",
            )
            .bind(self.clock.id("run"))
            .bind(&new.tenant_id)
            .bind(new.period)
            .bind(&new.currency)
            .bind(&new.identity)
            .bind(to_json(&new.chain)?)
            .bind(to_json(&new.snapshots)?)
            .bind(now);
            runs.extend(run.fetch_optional(&mut *tx).await?);
        }
        tx.commit().await?;
        Ok(runs)
    }

    /// Queued runs begin. Gives those that do: what was superseded meanwhile does not.
    pub async fn runs_start(&self, ids: &[String]) -> Result<Vec<Run>> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut started = Vec::with_capacity(ids.len());
        for id in ids {
            let run = sqlx::query_as("UPDATE runs SET state = 'running', started_at = $2 WHERE id = $1 AND state = 'queued' RETURNING *");
            started.extend(run.bind(id).bind(now).fetch_optional(&mut *tx).await?);
        }
        tx.commit().await?;
        Ok(started)
    }

    /// Notes how far a running run is; a run that ended meanwhile stays as it is.
    pub async fn run_progress(&self, id: &str, done: u64, total: u64) -> Result<()> {
        let progress = sqlx::query("UPDATE runs SET progress_done = $2, progress_total = $3 WHERE id = $1 AND state = 'running'")
            .bind(id)
            .bind(counted(done)?)
            .bind(counted(total)?);
        self.change(progress).await?;
        Ok(())
    }

    /// Runs that were rated together end well: they and how their month divides are published in one transaction, so that tenants and
    /// unassigned add up to the source for every reader. Gives the runs published; one that was superseded meanwhile is left out.
    pub async fn runs_publish(&self, results: &[(String, RunResult)], splits: &[PeriodSplit]) -> Result<Vec<Run>> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut published = Vec::with_capacity(results.len());
        for (id, result) in results {
            if let Some(run) = complete(&mut tx, id, result, now).await? {
                if let Some(recorded) = &result.recorded {
                    record(&mut tx, id, recorded).await?;
                }
                put_logs(&mut tx, id, &result.logs).await?;
                publish(&mut tx, &run).await?;
                published.push(run);
            }
        }
        for split in splits {
            put_split(&mut tx, split, now).await?;
        }
        tx.commit().await?;
        Ok(published)
    }

    /// The files of rated charges that runs name.
    pub async fn overlays_named(&self) -> Result<BTreeSet<String>> {
        let named: Vec<String> = sqlx::query_scalar("SELECT overlay FROM runs WHERE overlay IS NOT NULL").fetch_all(&self.read).await?;
        Ok(named.into_iter().collect())
    }

    /// Publishes a run that is done already: the same identity came back.
    pub async fn run_publish(&self, id: &str) -> Result<Run> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let found: Option<Run> = sqlx::query_as("SELECT * FROM runs WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let run = found.ok_or_else(|| StoreError::not_found("run", id))?;
        if run.state != RunState::Done {
            return Err(StoreError::Conflict(format!("the run {id} is {}, not done", run.state.name())));
        }
        supersede_pending(&mut tx, &run.tenant_id, run.period, &run.currency, now).await?;
        // What failed since is not what is wanted any more.
        sqlx::query(
            "UPDATE runs SET state = 'superseded' \
             WHERE tenant_id = $1 AND period = $2 AND currency = $3 AND state = 'failed' AND id > $4",
        )
        .bind(&run.tenant_id)
        .bind(run.period)
        .bind(&run.currency)
        .bind(&run.id)
        .execute(&mut *tx)
        .await?;
        publish(&mut tx, &run).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// Runs that failed and after which nothing was tried for their tenant, period and currency.
    pub async fn runs_failed(&self) -> Result<Vec<Run>> {
        let failed = sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'failed' AND NOT EXISTS (SELECT 1 FROM runs n WHERE n.tenant_id = runs.tenant_id \
             AND n.period = runs.period AND n.currency = runs.currency AND n.id > runs.id)",
        );
        Ok(failed.fetch_all(&self.read).await?)
    }

    /// Gives up the runs under way of a tenant's month; what is published stays.
    pub async fn run_give_up(&self, tenant_id: &str, period: Period, currency: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        supersede_pending(&mut tx, tenant_id, period, currency, self.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Publishes nothing any more for a tenant's month, and supersedes its runs under way: it holds no charges there.
    pub async fn run_withdraw(&self, tenant_id: &str, period: Period, currency: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        supersede_pending(&mut tx, tenant_id, period, currency, self.clock.now()).await?;
        sqlx::query("DELETE FROM published WHERE tenant_id = $1 AND period = $2 AND currency = $3")
            .bind(tenant_id)
            .bind(period)
            .bind(currency)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Puts runs that a stopped process left running back into the queue.
    pub async fn runs_requeue(&self) -> Result<Vec<Run>> {
        let again =
            sqlx::query_as("UPDATE runs SET state = 'queued', started_at = NULL, progress_done = 0 WHERE state = 'running' RETURNING *");
        let mut tx = self.begin().await?;
        let again = again.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(again)
    }

    /// Gives up what a lost daemon was rating. Its months get new runs: it may be writing a file of the old ones still.
    pub async fn runs_give_up(&self) -> Result<()> {
        let given_up = sqlx::query("UPDATE runs SET state = 'superseded', finished_at = $1 WHERE state = 'running'");
        self.change(given_up.bind(self.clock.now())).await?;
        Ok(())
    }

    /// Puts a running run back into the queue; one that ended or was overtaken meanwhile stays as it is.
    pub async fn run_requeue(&self, id: &str) -> Result<Option<Run>> {
        let again = sqlx::query_as(
            "UPDATE runs SET state = 'queued', started_at = NULL, progress_done = 0 WHERE id = $1 AND state = 'running' RETURNING *",
        );
        self.change_one(again.bind(id)).await
    }

    pub async fn run(&self, id: &str) -> Result<Run> {
        let found: Option<Run> = sqlx::query_as("SELECT * FROM runs WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.filter(|run| self.view.sees(&run.tenant_id)).ok_or_else(|| StoreError::not_found("run", id))
    }

    /// Newest last.
    pub async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>> {
        let items = sqlx::query_as(
            "SELECT * FROM runs WHERE id > $1 AND ($2 IS NULL OR tenant_id = $2) AND ($3 IS NULL OR period = $3) \
             AND ($4 IS NULL OR currency = $4) AND ($5 IS NULL OR state = $5) \
             AND (NOT $6 OR id IN (SELECT run_id FROM published)) AND ($8 IS NULL OR $8 LIKE '%,' || tenant_id || ',%') \
             ORDER BY id LIMIT $7",
        )
        .bind(page.after())
        .bind(&filter.tenant_id)
        .bind(filter.period)
        .bind(&filter.currency)
        .bind(filter.state)
        .bind(filter.published)
        .bind(page.fetch())
        .bind(self.view.seen())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |run: &Run| run.id.clone()))
    }

    /// The newest run of a tenant's month, in whatever state.
    pub async fn run_latest(&self, tenant_id: &str, period: Period, currency: &str) -> Result<Option<Run>> {
        let latest = sqlx::query_as("SELECT * FROM runs WHERE tenant_id = $1 AND period = $2 AND currency = $3 ORDER BY id DESC LIMIT 1");
        Ok(latest.bind(tenant_id).bind(period).bind(currency).fetch_optional(&self.read).await?)
    }

    /// When the newest run was made.
    pub async fn run_newest(&self) -> Result<Option<Moment>> {
        Ok(sqlx::query_scalar("SELECT created_at FROM runs ORDER BY id DESC LIMIT 1").fetch_optional(&self.read).await?)
    }

    /// Whether a tenant's month with this identity is under way or done already.
    pub async fn run_find(&self, tenant_id: &str, period: Period, currency: &str, identity: &str) -> Result<Option<FoundRun>> {
        let found: Option<Run> = sqlx::query_as(
            "SELECT * FROM runs WHERE identity = $4 AND tenant_id = $1 AND period = $2 AND currency = $3 \
             AND state IN ('queued', 'running', 'done') ORDER BY (state = 'done') DESC, id DESC LIMIT 1",
        )
        .bind(tenant_id)
        .bind(period)
        .bind(currency)
        .bind(identity)
        .fetch_optional(&self.read)
        .await?;
        Ok(found.map(|run| if run.state == RunState::Done { FoundRun::Done(run) } else { FoundRun::Pending(run) }))
    }

    /// What readers are shown of a tenant's month.
    pub async fn published(&self, tenant_id: &str, period: Period, currency: &str) -> Result<Option<Run>> {
        let run = sqlx::query_as(
            "SELECT r.* FROM published p JOIN runs r ON r.id = p.run_id WHERE p.tenant_id = $1 AND p.period = $2 AND p.currency = $3",
        );
        Ok(run.bind(tenant_id).bind(period).bind(currency).fetch_optional(&self.read).await?)
    }

    /// What readers are shown, of one tenant or all, of one period or all; ordered by period, currency, tenant.
    pub async fn published_runs(&self, tenant_id: Option<&str>, period: Option<Period>) -> Result<Vec<Run>> {
        let runs = sqlx::query_as(
            "SELECT r.* FROM published p JOIN runs r ON r.id = p.run_id \
             WHERE ($1 IS NULL OR p.tenant_id = $1) AND ($2 IS NULL OR p.period = $2) \
             AND ($3 IS NULL OR $3 LIKE '%,' || p.tenant_id || ',%') ORDER BY p.period, p.currency, p.tenant_id",
        );
        Ok(runs.bind(tenant_id).bind(period).bind(self.view.seen()).fetch_all(&self.read).await?)
    }

    /// The answer of a change of state, or why it was not made.
    pub(super) async fn changed(&self, changed: Option<Run>, id: &str, verb: &str) -> Result<Run> {
        match changed {
            Some(run) => Ok(run),
            None => {
                let state = self.run(id).await?.state.name();
                Err(StoreError::Conflict(format!("the run {id} is {state}: it cannot {verb}")))
            }
        }
    }
}

async fn complete(tx: &mut Tx, id: &str, result: &RunResult, now: Moment) -> Result<Option<Run>> {
    let done = sqlx::query_as(
        "UPDATE runs SET state = 'done', failure = NULL, charges = $2, dropped = $3, billed = $4, charged = $5, by_rule = $6, \
         findings = $7, lines = $8, overlay = $9, rating_millis = $10, finished_at = $11, progress_done = $2, progress_total = $2 \
         WHERE id = $1 AND state = 'running' \
         AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.id = runs.tenant_id AND t.state <> 'active') RETURNING *",
    );
    let done = done
        .bind(id)
        .bind(counted(result.charges)?)
        .bind(counted(result.dropped)?)
        .bind(result.billed)
        .bind(result.charged)
        .bind(to_json(&result.by_rule)?)
        .bind(to_json(&result.findings)?)
        .bind(to_json(&result.lines)?)
        .bind(&result.overlay)
        .bind(result.rating_millis)
        .bind(now)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(done)
}

async fn publish(tx: &mut Tx, run: &Run) -> Result<()> {
    sqlx::query(
        "INSERT INTO published (tenant_id, period, currency, run_id) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, period, currency) DO UPDATE SET run_id = $4",
    )
    .bind(&run.tenant_id)
    .bind(run.period)
    .bind(&run.currency)
    .bind(&run.id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Gives up every run of a tenant that has not ended.
pub(super) async fn supersede_all(tx: &mut Tx, tenant_id: &str, now: Moment) -> Result<()> {
    sqlx::query("UPDATE runs SET state = 'superseded', finished_at = $2 WHERE tenant_id = $1 AND state IN ('queued', 'running')")
        .bind(tenant_id)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn supersede_pending(tx: &mut Tx, tenant_id: &str, period: Period, currency: &str, now: Moment) -> Result<()> {
    sqlx::query(
        "UPDATE runs SET state = 'superseded', finished_at = $4 \
         WHERE tenant_id = $1 AND period = $2 AND currency = $3 AND state IN ('queued', 'running')",
    )
    .bind(tenant_id)
    .bind(period)
    .bind(currency)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
