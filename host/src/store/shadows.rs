//! Shadows: candidate versions that are rated beside the active one, and what they made of each run since.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::integrations::shortened;
use super::values::{count, counted, to_json};
use super::{DbRow, MAX_TEXT, Page, PageRequest, Result, Store, StoreError, Tx, unchanged};
use crate::clock::Moment;
use crate::domain::money::Amount;
use crate::domain::period::Period;

/// Candidates at the same time: each doubles the work of the runs that it looks at.
const RUNNING_MAX: i64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShadowState {
    Running,
    /// It is, or was, the active version.
    Promoted,
    Dropped,
}

impl ShadowState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Promoted => "promoted",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Shadow {
    pub id: String,
    /// The plugin's name.
    pub plugin: String,
    /// The candidate.
    pub digest: String,
    pub state: ShadowState,
    pub created_at: Moment,
    pub ended_at: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShadowOutcome {
    /// The run's chain does not follow the plugin.
    Untouched,
    /// The candidate gives the same amounts, treatments, labels and findings.
    Same,
    Diverged,
    /// The candidate fails, or takes far longer than the run did.
    Failed,
}

/// What the candidate made of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowRun {
    pub shadow_id: String,
    pub run_id: String,
    pub outcome: ShadowOutcome,
    pub tenant_id: String,
    pub period: Period,
    pub currency: String,
    pub before: Option<Amount>,
    pub after: Option<Amount>,
    /// Charges and added lines that differ.
    pub charges: u64,
    pub failure: Option<String>,
    /// JSON; only of the first divergences.
    pub difference: Option<Value>,
    pub millis: u64,
    pub at: Moment,
}

impl FromRow<'_, DbRow> for ShadowRun {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let difference: Option<&str> = row.try_get("difference")?;
        let parse = |text: &str| {
            serde_json::from_str(text).map_err(|error| sqlx::Error::ColumnDecode { index: "difference".to_owned(), source: error.into() })
        };
        Ok(Self {
            shadow_id: row.try_get("shadow_id")?,
            run_id: row.try_get("run_id")?,
            outcome: row.try_get("outcome")?,
            tenant_id: row.try_get("tenant_id")?,
            period: row.try_get("period")?,
            currency: row.try_get("currency")?,
            before: row.try_get("before")?,
            after: row.try_get("after")?,
            charges: count(row, "charges")?,
            failure: row.try_get("failure")?,
            difference: difference.map(parse).transpose()?,
            millis: count(row, "millis")?,
            at: row.try_get("at")?,
        })
    }
}

impl Store {
    /// Lets a stored version run beside the active one from now on.
    pub async fn shadow_create(&self, plugin: &str, digest: &str) -> Result<Shadow> {
        let mut tx = self.begin().await?;
        let active: Option<String> =
            sqlx::query_scalar("SELECT active_digest FROM plugins WHERE name = $1").bind(plugin).fetch_optional(&mut *tx).await?;
        let owner: Option<String> =
            sqlx::query_scalar("SELECT name FROM plugin_versions WHERE digest = $1").bind(digest).fetch_optional(&mut *tx).await?;
        let active = active.ok_or_else(|| match owner.as_deref() == Some(plugin) {
            true => StoreError::Conflict(format!("{plugin} has no active version to run beside: activate one first")),
            false => StoreError::Invalid(format!("there is no plugin {plugin}")),
        })?;
        if owner.as_deref() != Some(plugin) {
            return Err(StoreError::Invalid(format!("the plugin {plugin} has no version {digest}: push it first, without activating it")));
        }
        if active == digest {
            return Err(StoreError::Conflict(format!("the version {digest} is the active one of {plugin}: there is nothing to compare")));
        }
        let running: Vec<(String, String)> =
            sqlx::query_as("SELECT id, digest FROM shadows WHERE state = 'running'").fetch_all(&mut *tx).await?;
        if let Some((id, _)) = running.iter().find(|(_, known)| known == digest) {
            return Err(StoreError::Conflict(format!("the version {digest} runs as the shadow {id} already")));
        }
        if i64::try_from(running.len()).unwrap_or(i64::MAX) >= RUNNING_MAX {
            return Err(StoreError::Conflict(format!("{RUNNING_MAX} shadows run already: promote or drop one")));
        }
        let shadow: Shadow =
            sqlx::query_as("INSERT INTO shadows (id, plugin, digest, state, created_at) VALUES ($1, $2, $3, 'running', $4) RETURNING *")
                .bind(self.clock.id("shd"))
                .bind(plugin)
                .bind(digest)
                .bind(self.clock.now())
                .fetch_one(&mut *tx)
                .await?;
        self.audit(&mut tx, "create", "shadow", &shadow.id, NOTHING, Some(&shadow)).await?;
        tx.commit().await?;
        Ok(shadow)
    }

    pub async fn shadow(&self, id: &str) -> Result<Shadow> {
        let found = sqlx::query_as("SELECT * FROM shadows WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("shadow", id))
    }

    /// Newest last.
    pub async fn shadows(&self, page: &PageRequest) -> Result<Page<Shadow>> {
        let items = sqlx::query_as("SELECT * FROM shadows WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        Ok(page.page(items, |shadow: &Shadow| shadow.id.clone()))
    }

    /// Ends a running shadow. What it found stays.
    pub async fn shadow_end(&self, id: &str, state: ShadowState, expected: Option<i64>) -> Result<Shadow> {
        let mut tx = self.begin().await?;
        let shadow = self.end_shadow(&mut tx, id, state, expected).await?;
        tx.commit().await?;
        Ok(shadow)
    }

    pub(super) async fn end_shadow(&self, tx: &mut Tx, id: &str, state: ShadowState, expected: Option<i64>) -> Result<Shadow> {
        let found: Option<Shadow> = sqlx::query_as("SELECT * FROM shadows WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
        let before = found.ok_or_else(|| StoreError::not_found("shadow", id))?;
        unchanged("shadow", id, before.tag(), expected)?;
        if before.state != ShadowState::Running {
            return Err(StoreError::Conflict(format!("the shadow {id} has ended already")));
        }
        let shadow: Shadow = sqlx::query_as("UPDATE shadows SET state = $2, ended_at = $3 WHERE id = $1 RETURNING *")
            .bind(id)
            .bind(state)
            .bind(self.clock.now())
            .fetch_one(&mut **tx)
            .await?;
        let action = if state == ShadowState::Promoted { "promote" } else { "drop" };
        self.audit(tx, action, "shadow", id, Some(&before), Some(&shadow)).await?;
        Ok(shadow)
    }

    /// A running shadow and the oldest published run that it has not looked at since it began.
    pub async fn shadow_next(&self) -> Result<Option<(Shadow, String)>> {
        let next = sqlx::query(
            "SELECT s.*, r.id AS run_id FROM shadows s CROSS JOIN published p JOIN runs r ON r.id = p.run_id \
             WHERE s.state = 'running' AND r.state = 'done' AND r.finished_at >= s.created_at \
             AND NOT EXISTS (SELECT 1 FROM shadow_runs x WHERE x.shadow_id = s.id AND x.run_id = r.id) ORDER BY r.id, s.id LIMIT 1",
        );
        let row = next.fetch_optional(&self.read).await?;
        row.map(|row| Ok((Shadow::from_row(&row)?, row.try_get("run_id")?))).transpose()
    }

    /// Writes down what a candidate made of a run; once, whatever happens twice.
    pub async fn shadow_record(&self, run: &ShadowRun) -> Result<()> {
        let record = sqlx::query(
            "INSERT INTO shadow_runs (shadow_id, run_id, outcome, tenant_id, period, currency, before, after, charges, failure, \
             difference, millis, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
        )
        .bind(&run.shadow_id)
        .bind(&run.run_id)
        .bind(run.outcome)
        .bind(&run.tenant_id)
        .bind(run.period)
        .bind(&run.currency)
        .bind(run.before)
        .bind(run.after)
        .bind(counted(run.charges)?)
        .bind(run.failure.as_deref().map(|reason| shortened(reason, MAX_TEXT)))
        .bind(run.difference.as_ref().map(to_json).transpose()?)
        .bind(counted(run.millis)?)
        .bind(run.at);
        self.change(record).await?;
        Ok(())
    }

    /// How many of a shadow's runs keep their difference.
    pub async fn shadow_samples(&self, id: &str) -> Result<u64> {
        let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM shadow_runs WHERE shadow_id = $1 AND difference IS NOT NULL")
            .bind(id)
            .fetch_one(&self.read)
            .await?;
        Ok(u64::try_from(kept).unwrap_or(0))
    }

    /// What a shadow made of its runs, oldest first.
    pub async fn shadow_runs(&self, id: &str) -> Result<Vec<ShadowRun>> {
        let runs = sqlx::query_as("SELECT * FROM shadow_runs WHERE shadow_id = $1 ORDER BY at, run_id");
        Ok(runs.bind(id).fetch_all(&self.read).await?)
    }
}
