//! The accounts that an import finds, and what each has in it.
//!
//! A bill may have a hundred thousand of them while everybody else's changes wait for the one writer: what is known is read once, and what
//! is new is written many rows at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::NOTHING;
use super::exclude::Exclude;
use super::integrations::Integration;
use super::leases::statement;
use super::snapshots::SubaccountContent;
use super::values::counted;
use super::{Result, Store, StoreError, Tx};
use crate::clock::Moment;

/// Longest id of an account: those of providers have some dozen bytes, and PostgreSQL's indexes have room for two of these.
const MAX_ACCOUNT: usize = 512;

/// Refuses ids that no provider gives: charges are split by them, also by two of them with a control character between.
pub(super) fn check_ids(found: &SubaccountContent) -> Result<()> {
    for id in [&found.billing_account_id, &found.sub_account_id] {
        if id.len() > MAX_ACCOUNT || id.chars().any(char::is_control) {
            let shown: String = id.chars().take(40).collect();
            let text = format!("the bill names an account {shown:?}: an id has at most {MAX_ACCOUNT} bytes and no control characters");
            return Err(StoreError::Conflict(text));
        }
    }
    Ok(())
}

/// By billing account and subaccount.
pub(super) type KnownAccounts = BTreeMap<(String, String), KnownAccount>;

pub(super) struct KnownAccount {
    id: String,
    name: String,
    provider: String,
}

pub(super) async fn known_accounts(tx: &mut Tx, integration_id: &str) -> Result<KnownAccounts> {
    let found: Vec<(String, String, String, String, String)> =
        sqlx::query_as("SELECT billing_account_id, sub_account_id, id, name, provider FROM subaccounts WHERE integration_id = $1")
            .bind(integration_id)
            .fetch_all(&mut **tx)
            .await?;
    Ok(found.into_iter().map(|(billing, sub, id, name, provider)| ((billing, sub), KnownAccount { id, name, provider })).collect())
}

impl Store {
    /// The id of the subaccount, which takes its newest name. One that is new is stored, and goes to the integration's tenant if it has one.
    pub(super) async fn discover(
        &self,
        tx: &mut Tx,
        integration: &Integration,
        exclude: &Exclude,
        known: &mut KnownAccounts,
        found: &SubaccountContent,
        now: Moment,
    ) -> Result<String> {
        let name = if found.name.is_empty() { &found.sub_account_id } else { &found.name };
        let key = (found.billing_account_id.clone(), found.sub_account_id.clone());
        if let Some(same) = known.get(&key).filter(|same| same.name == *name && same.provider == found.provider) {
            return Ok(same.id.clone());
        }
        let new_id = self.clock.id("sub");
        let id = sqlx::query_scalar(
            "INSERT INTO subaccounts (id, integration_id, billing_account_id, sub_account_id, name, provider, search_key, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) \
             ON CONFLICT (integration_id, billing_account_id, sub_account_id) DO UPDATE SET \
             updated_at = CASE WHEN subaccounts.name <> $5 OR subaccounts.provider <> $6 THEN $8 ELSE subaccounts.updated_at END, name = $5, provider = $6, search_key = $7 \
             RETURNING id",
        );
        let search_key = format!("{name}\n{}\n{}", found.sub_account_id, found.billing_account_id).to_lowercase();
        let id: String = id
            .bind(&new_id)
            .bind(&integration.id)
            .bind(&found.billing_account_id)
            .bind(&found.sub_account_id)
            .bind(name)
            .bind(&found.provider)
            .bind(search_key)
            .bind(now)
            .fetch_one(&mut **tx)
            .await?;
        let excluded = integration.tenant_id.is_none() && exclude.matches(&found.sub_account_id, name);
        if let Some(tenant) = integration.tenant_id.as_ref().or(integration.dedicated_to.as_ref())
            && id == new_id
            && !excluded
        {
            self.put_holder(tx, &id, Some(tenant), None).await?;
            let after = serde_json::json!({"tenant_id": tenant, "from_period": null, "integration_id": integration.id});
            self.audit(tx, "assign", "subaccount", &id, NOTHING, Some(&after)).await?;
        }
        known.insert(key, KnownAccount { id: id.clone(), name: name.clone(), provider: found.provider.clone() });
        Ok(id)
    }
}

/// Rows of one statement: far from the number of values that a database takes, and long enough that the way there does not count.
const ROWS_AT_ONCE: usize = 200;

/// What each subaccount, by its id, has in a snapshot.
pub(super) async fn put_shares(tx: &mut Tx, snapshot_id: &str, shares: &[(String, &SubaccountContent)]) -> Result<()> {
    let mut seen = BTreeSet::new();
    if let Some((_, twice)) = shares.iter().find(|(id, found)| !seen.insert((id, &found.currency))) {
        return Err(StoreError::Conflict(format!("the subaccount {} is listed twice", twice.sub_account_id)));
    }
    for rows in shares.chunks(ROWS_AT_ONCE) {
        let places: Vec<String> =
            (0..rows.len()).map(|row| row * 4 + 2).map(|n| format!("($1, ${n}, ${}, ${}, ${})", n + 1, n + 2, n + 3)).collect();
        let insert = "INSERT INTO snapshot_subaccounts (snapshot_id, subaccount_id, currency, charges, billed) VALUES ";
        let mut query = sqlx::query(statement(insert.to_owned() + &places.join(", "))).bind(snapshot_id);
        for (id, found) in rows {
            query = query.bind(id).bind(&found.currency).bind(counted(found.charges)?).bind(found.billed);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}
