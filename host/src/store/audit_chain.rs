//! The chain of the log of changes: each link's hash covers the link before and the change, so that what was changed, removed or slipped in
//! later is found by computing it again.
//!
//! It has no key: whoever may write to the database can compute a chain of their own. What they cannot do is keep the last hash that
//! somebody else has noted.

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::{DbRow, Result, Store, StoreError, Tx};
use crate::clock::Moment;

/// The only row of `audit_head`.
const HEAD: &str = "log";

/// Changes that are read at a time while a chain is computed.
const READ_AT_ONCE: i64 = 1_000;

/// A change as it is written down, its values as text to the byte.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Written {
    pub(super) id: String,
    pub(super) at: Moment,
    pub(super) actor: String,
    pub(super) actor_id: Option<String>,
    pub(super) acting_in: Option<String>,
    pub(super) address: Option<String>,
    pub(super) action: String,
    pub(super) noun: String,
    pub(super) subject: String,
    pub(super) tenant_id: Option<String>,
    pub(super) before_value: Option<String>,
    pub(super) after_value: Option<String>,
    /// Not in changes from before it was written down, whose hash is without it.
    pub(super) actor_organisation: Option<String>,
}

impl Written {
    /// The hash of a link: SHA-256 over the hash before and every field with its length, so that no text can run into the next.
    fn hash(&self, before: &str) -> String {
        let at = self.at.0.to_string();
        let fields = [
            Some(before),
            Some(&self.id),
            Some(&at),
            Some(&self.actor),
            self.actor_id.as_deref(),
            self.acting_in.as_deref(),
            self.address.as_deref(),
            Some(&self.action),
            Some(&self.noun),
            Some(&self.subject),
            self.tenant_id.as_deref(),
            self.before_value.as_deref(),
            self.after_value.as_deref(),
        ];
        let mut hash = Sha256::new();
        let later = self.actor_organisation.as_deref().map(Some);
        for field in fields.into_iter().chain(later) {
            match field {
                None => hash.update(b"-\n"),
                Some(text) => {
                    hash.update(format!("{}:", text.len()).as_bytes());
                    hash.update(text.as_bytes());
                    hash.update(b"\n");
                }
            }
        }
        hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            use std::fmt::Write;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A chain computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChainVerdict {
    pub intact: bool,
    /// Changes that are as they were written down, from the first.
    pub changes: i64,
    /// The hash of the last of them. Note it elsewhere, and nobody can rewrite what is before it unnoticed.
    pub hash: String,
    /// The first that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Adds a change's link. The row of the head makes writers queue, whichever process they are in.
pub(super) async fn link(tx: &mut Tx, written: &Written) -> Result<()> {
    let head = sqlx::query("UPDATE audit_head SET number = number + 1 WHERE name = $1 RETURNING number, hash")
        .bind(HEAD)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::Corrupt("the log of changes has no head".to_owned()))?;
    let (number, before): (i64, String) = (head.try_get("number")?, head.try_get("hash")?);
    let hash = written.hash(&before);
    sqlx::query("INSERT INTO audit_chain (number, audit_id, hash) VALUES ($1, $2, $3)")
        .bind(number)
        .bind(&written.id)
        .bind(&hash)
        .execute(&mut **tx)
        .await?;
    sqlx::query("UPDATE audit_head SET hash = $2 WHERE name = $1").bind(HEAD).bind(hash).execute(&mut **tx).await?;
    Ok(())
}

/// A link and the change that it names, if that is there.
struct Link {
    number: i64,
    audit_id: String,
    hash: String,
    change: Option<Written>,
}

impl FromRow<'_, DbRow> for Link {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let present: Option<String> = row.try_get("id")?;
        Ok(Self {
            number: row.try_get("number")?,
            audit_id: row.try_get("audit_id")?,
            hash: row.try_get("hash")?,
            change: if present.is_some() { Some(Written::from_row(row)?) } else { None },
        })
    }
}

impl Store {
    /// Gives the changes from before the chain their links, once.
    pub(super) async fn audit_chain_begin(&self) -> Result<()> {
        let head: Option<i64> =
            sqlx::query_scalar("SELECT number FROM audit_head WHERE name = $1").bind(HEAD).fetch_optional(&self.read).await?;
        if head.is_some() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let begun = sqlx::query("INSERT INTO audit_head (name, number, hash) VALUES ($1, 0, '') ON CONFLICT (name) DO NOTHING")
            .bind(HEAD)
            .execute(&mut *tx)
            .await?;
        if begun.rows_affected() > 0 {
            let mut after = String::new();
            loop {
                let changes: Vec<Written> = sqlx::query_as("SELECT * FROM audit WHERE id > $1 ORDER BY id LIMIT $2")
                    .bind(&after)
                    .bind(READ_AT_ONCE)
                    .fetch_all(&mut *tx)
                    .await?;
                let Some(last) = changes.last() else { break };
                after.clone_from(&last.id);
                for change in &changes {
                    link(&mut tx, change).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Computes the chain again from the first change and compares.
    pub async fn audit_verify(&self) -> Result<ChainVerdict> {
        let mut verdict = ChainVerdict { intact: false, changes: 0, hash: String::new(), broken: None, reason: None };
        // The head first: what is appended meanwhile is not looked at.
        let head = sqlx::query("SELECT number, hash FROM audit_head WHERE name = $1").bind(HEAD).fetch_optional(&self.read).await?;
        let Some(head) = head else {
            return Ok(verdict.broken_at("audit_head", "the head of the chain is missing"));
        };
        let (last, last_hash): (i64, String) = (head.try_get("number")?, head.try_get("hash")?);
        while verdict.changes < last {
            let links: Vec<Link> = sqlx::query_as(
                "SELECT c.number, c.audit_id, c.hash, a.* FROM audit_chain c LEFT JOIN audit a ON a.id = c.audit_id \
                 WHERE c.number > $1 AND c.number <= $2 ORDER BY c.number LIMIT $3",
            )
            .bind(verdict.changes)
            .bind(last)
            .bind(READ_AT_ONCE)
            .fetch_all(&self.read)
            .await?;
            if links.is_empty() {
                let text = format!("link {} of {last} is missing", verdict.changes + 1);
                return Ok(verdict.broken_at("audit_chain", &text));
            }
            for link in links {
                if link.number != verdict.changes + 1 {
                    let text = format!("link {} is missing before it", verdict.changes + 1);
                    return Ok(verdict.broken_at(&link.audit_id, &text));
                }
                match &link.change {
                    None => return Ok(verdict.broken_at(&link.audit_id, "the change was removed from the log")),
                    Some(change) if change.hash(&verdict.hash) != link.hash => {
                        return Ok(verdict.broken_at(&link.audit_id, "it is not what was written down"));
                    }
                    Some(_) => {}
                }
                verdict.changes = link.number;
                verdict.hash = link.hash;
            }
        }
        if verdict.hash != last_hash {
            return Ok(verdict.broken_at("audit_head", "the head names another last link"));
        }
        let stray: Option<String> = sqlx::query_scalar(
            "SELECT a.id FROM audit a LEFT JOIN audit_chain c ON c.audit_id = a.id WHERE c.number IS NULL ORDER BY a.id LIMIT 1",
        )
        .fetch_optional(&self.read)
        .await?;
        if let Some(id) = stray {
            return Ok(verdict.broken_at(&id, "it is in the log without a link: it was slipped in"));
        }
        Ok(ChainVerdict { intact: true, ..verdict })
    }
}

impl ChainVerdict {
    fn broken_at(mut self, id: &str, reason: &str) -> Self {
        self.broken = Some(id.to_owned());
        self.reason = Some(reason.to_owned());
        self
    }
}
