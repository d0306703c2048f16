//! Runs without what they were made of and gave: for looks at all of them, of which there are thousands after a few years.

use serde::Deserialize;
use sqlx::{FromRow, Row};

use super::runs::{Run, RunState};
use super::values::json;
use super::{DbRow, Result, Store};
use crate::domain::period::Period;
use crate::domain::rated::RatedLine;

/// What tells one run from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHead {
    pub id: String,
    pub tenant_id: String,
    pub period: Period,
    pub currency: String,
    /// As in [`Run`].
    pub identity: String,
    pub state: RunState,
}

impl Run {
    pub fn head(&self) -> RunHead {
        let Self { id, tenant_id, period, currency, identity, state, .. } = self;
        let (id, tenant_id, currency, identity) = (id.clone(), tenant_id.clone(), currency.clone(), identity.clone());
        RunHead { id, tenant_id, period: *period, currency, identity, state: *state }
    }
}

/// A run that readers are shown, as far as other runs depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRun {
    pub head: RunHead,
    /// Ids of the rules of its chain.
    pub rules: Vec<String>,
    /// Lines that its rules added.
    pub lines: Vec<RatedLine>,
}

impl FromRow<'_, DbRow> for RunHead {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant_id: row.try_get("tenant_id")?,
            period: row.try_get("period")?,
            currency: row.try_get("currency")?,
            identity: row.try_get("identity")?,
            state: row.try_get("state")?,
        })
    }
}

impl FromRow<'_, DbRow> for PublishedRun {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        /// Of a `ChainEntry`.
        #[derive(Deserialize)]
        struct Entry {
            rule_id: String,
        }
        let chain: Vec<Entry> = json(row, "chain")?;
        let rules = chain.into_iter().map(|entry| entry.rule_id).collect();
        Ok(Self { head: RunHead::from_row(row)?, rules, lines: json(row, "lines")? })
    }
}

impl Store {
    /// Runs that have not ended, oldest first.
    pub async fn runs_pending(&self) -> Result<Vec<RunHead>> {
        let pending = sqlx::query_as(
            "SELECT id, tenant_id, period, currency, identity, state FROM runs WHERE state IN ('queued', 'running') ORDER BY id",
        );
        Ok(pending.fetch_all(&self.read).await?)
    }

    /// What readers are shown, of one tenant or all; ordered by period, currency, tenant.
    pub async fn runs_standing(&self, tenant_id: Option<&str>) -> Result<Vec<PublishedRun>> {
        let standing = sqlx::query_as(
            "SELECT r.id, r.tenant_id, r.period, r.currency, r.identity, r.state, r.chain, r.lines \
             FROM published p JOIN runs r ON r.id = p.run_id WHERE ($1 IS NULL OR p.tenant_id = $1) \
             AND ($2 IS NULL OR $2 LIKE '%,' || p.tenant_id || ',%') ORDER BY p.period, p.currency, p.tenant_id",
        );
        Ok(standing.bind(tenant_id).bind(self.view.seen()).fetch_all(&self.read).await?)
    }
}
