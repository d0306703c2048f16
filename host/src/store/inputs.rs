//! What a run was made of, beside its chain and its snapshots: everything that its result depends on and that changes afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use utoipa::ToSchema;

use super::values::to_json;
use super::{Result, Store, StoreError, Tx};
use crate::domain::rule::Earlier;

/// Whose an account is, seen from the tenant. Written as `x_CommitmentOwner` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountOwner {
    Tenant,
    Payer,
    OtherTenant,
    Unknown,
}

impl AccountOwner {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Payer => "payer",
            Self::OtherTenant => "other-tenant",
            Self::Unknown => "unknown",
        }
    }
}

/// One snapshot as the tenant's rules saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInputs {
    pub snapshot: String,
    pub source_digest: String,
    /// What the tenant held in it, in any currency; sorted.
    pub accounts: Vec<String>,
    /// Accounts that bought commitments in it; none where the tenant held nothing.
    pub commitment_owners: BTreeMap<String, AccountOwner>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInputs {
    /// The number of the rating's rules: another number may give another result from the same inputs.
    pub engine: u32,
    /// In the order in which the overlay numbers their parts.
    pub sources: Vec<SourceInputs>,
    /// One a rule of the chain: what it charged before, empty unless it asked.
    pub earlier: Vec<Vec<Earlier>>,
}

/// What is kept of a run for a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub inputs: RunInputs,
    /// Of the overlay's file, in hex.
    pub overlay_sha256: String,
}

impl Store {
    /// What a done run was made of; none where that was not recorded.
    pub async fn run_recorded(&self, id: &str) -> Result<Option<Recorded>> {
        let found = sqlx::query("SELECT inputs, overlay_sha256 FROM runs WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        let row = found.ok_or_else(|| StoreError::not_found("run", id))?;
        let (inputs, overlay_sha256): (Option<String>, Option<String>) = (row.try_get("inputs")?, row.try_get("overlay_sha256")?);
        let Some((inputs, overlay_sha256)) = inputs.zip(overlay_sha256) else { return Ok(None) };
        let inputs = serde_json::from_str(&inputs).map_err(|error| StoreError::Corrupt(format!("inputs of the run {id}: {error}")))?;
        Ok(Some(Recorded { inputs, overlay_sha256 }))
    }
}

pub(super) async fn record(tx: &mut Tx, id: &str, recorded: &Recorded) -> Result<()> {
    sqlx::query("UPDATE runs SET inputs = $2, overlay_sha256 = $3 WHERE id = $1")
        .bind(id)
        .bind(to_json(&recorded.inputs)?)
        .bind(&recorded.overlay_sha256)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
