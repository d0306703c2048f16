//! Deployments: each way of a component from its bytes to the version that runs, step by step with reasons.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::leases::statement;
use super::plugins::Origin;
use super::values::{json, to_json};
use super::{DbRow, Page, PageRequest, Result, Store, StoreError, Tx};
use crate::clock::Moment;

/// Deployments that are remembered: years of an MSP's releases; the oldest make room.
const KEPT: i64 = 2_000;

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Its bytes are here.
    Uploaded,
    /// Every byte was parsed, what it imports and exports is allowed, and its signature is as the policy wants it.
    Validated,
    /// It is native code, has said what it is, and its exports have the contract's types.
    Compiled,
    /// Its own golden cases gave what they should.
    Tested,
    /// It is kept, and takes the configuration of every rule that would run on it.
    Ready,
    /// New runs use it.
    Active,
}

impl Step {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Validated => "validated",
            Self::Compiled => "compiled",
            Self::Tested => "tested",
            Self::Ready => "ready",
            Self::Active => "active",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepOutcome {
    Done,
    /// Done, with something to look at.
    Warned,
    Refused,
    /// The daemon stopped in it.
    Interrupted,
}

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepResult {
    pub step: Step,
    pub outcome: StepOutcome,
    /// What was found, in words.
    pub reason: String,
    pub millis: u64,
}

/// How far a deployment is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentState {
    Uploaded,
    Validated,
    Compiled,
    Tested,
    /// The end of one that was not to be activated.
    Ready,
    Active,
    /// There was nothing to do.
    Unchanged,
    Refused,
    /// The daemon stopped before its end; nothing of it holds.
    Interrupted,
}

impl DeploymentState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Validated => "validated",
            Self::Compiled => "compiled",
            Self::Tested => "tested",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Step> for DeploymentState {
    fn from(step: Step) -> Self {
        match step {
            Step::Uploaded => Self::Uploaded,
            Step::Validated => Self::Validated,
            Step::Compiled => Self::Compiled,
            Step::Tested => Self::Tested,
            Step::Ready => Self::Ready,
            Step::Active => Self::Active,
        }
    }
}

/// One way of a component into the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Deployment {
    /// Empty for a dry run, of which nothing is kept.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// What the component calls itself, if it got that far.
    pub name: Option<String>,
    pub origin: Origin,
    /// The file's name, or `upload`.
    pub from: String,
    pub state: DeploymentState,
    pub steps: Vec<StepResult>,
    /// Whose token it came with.
    pub actor: String,
    pub created_at: Moment,
    /// Null while it is under way.
    pub finished_at: Option<Moment>,
}

impl Deployment {
    /// Why it was refused, in words; empty for one that was not.
    pub fn refusal(&self) -> &str {
        let refused = self.steps.iter().find(|step| step.outcome == StepOutcome::Refused);
        refused.map_or("", |step| step.reason.as_str())
    }

    /// The step that comes after those done.
    fn next_step(&self) -> Step {
        const ORDER: [Step; 6] = [Step::Uploaded, Step::Validated, Step::Compiled, Step::Tested, Step::Ready, Step::Active];
        ORDER.get(self.steps.len()).copied().unwrap_or(Step::Active)
    }
}

impl FromRow<'_, DbRow> for Deployment {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            digest: row.try_get("digest")?,
            name: row.try_get("name")?,
            origin: row.try_get("origin")?,
            from: row.try_get("source")?,
            state: row.try_get("state")?,
            steps: json(row, "steps")?,
            actor: row.try_get("actor")?,
            created_at: row.try_get("created_at")?,
            finished_at: row.try_get("finished_at")?,
        })
    }
}

/// Which deployments are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct DeploymentFilter {
    pub plugin: Option<String>,
    pub digest: Option<String>,
    pub state: Option<DeploymentState>,
}

impl Store {
    /// Writes a deployment down as it is now, new or known.
    pub async fn deployment_save(&self, deployment: &Deployment) -> Result<()> {
        let mut tx = self.begin().await?;
        save(&mut tx, deployment, self.daemon()).await?;
        if deployment.finished_at.is_some() {
            forget_oldest(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub async fn deployment(&self, id: &str) -> Result<Deployment> {
        let found = sqlx::query_as("SELECT * FROM deployments WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("deployment", id))
    }

    /// Deployments, the latest first.
    pub async fn deployments(&self, filter: &DeploymentFilter, page: &PageRequest) -> Result<Page<Deployment>> {
        let items = sqlx::query_as(
            "SELECT * FROM deployments WHERE ($1 = '' OR id < $1) AND ($2 IS NULL OR name = $2) AND ($3 IS NULL OR state = $3) \
             AND ($4 IS NULL OR digest = $4) ORDER BY id DESC LIMIT $5",
        )
        .bind(page.after())
        .bind(&filter.plugin)
        .bind(filter.state)
        .bind(&filter.digest)
        .bind(page.fetch())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |deployment: &Deployment| deployment.id.clone()))
    }

    /// Marks what a stopped process left under way. Where there is one daemon: only to be called before anything is deployed.
    pub async fn deployments_interrupt(&self) -> Result<usize> {
        let mut tx = self.begin().await?;
        let left = format!("SELECT * FROM deployments WHERE finished_at IS NULL AND {}", self.abandoned("daemon"));
        let left: Vec<Deployment> = sqlx::query_as(statement(left)).fetch_all(&mut *tx).await?;
        for mut deployment in left.iter().cloned() {
            deployment.steps.push(StepResult {
                step: deployment.next_step(),
                outcome: StepOutcome::Interrupted,
                reason: "the daemon stopped before the end of this step; deploy it again".to_owned(),
                millis: 0,
            });
            deployment.state = DeploymentState::Interrupted;
            deployment.finished_at = Some(self.clock.now());
            save(&mut tx, &deployment, self.daemon()).await?;
        }
        tx.commit().await?;
        Ok(left.len())
    }
}

/// Also for transactions that do what the deployment says.
pub(super) async fn save(tx: &mut Tx, deployment: &Deployment, daemon: Option<&str>) -> Result<()> {
    sqlx::query(
        "INSERT INTO deployments (id, digest, name, origin, source, state, steps, actor, created_at, finished_at, daemon) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (id) DO UPDATE SET name = $3, state = $6, steps = $7, finished_at = $10",
    )
    .bind(&deployment.id)
    .bind(&deployment.digest)
    .bind(&deployment.name)
    .bind(deployment.origin)
    .bind(&deployment.from)
    .bind(deployment.state)
    .bind(to_json(&deployment.steps)?)
    .bind(&deployment.actor)
    .bind(deployment.created_at)
    .bind(deployment.finished_at)
    .bind(daemon)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn forget_oldest(tx: &mut Tx) -> Result<()> {
    sqlx::query("DELETE FROM deployments WHERE id <= (SELECT id FROM deployments ORDER BY id DESC LIMIT 1 OFFSET $1)")
        .bind(KEPT)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
