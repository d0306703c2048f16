//! The log of changes: who, what, before, after. Written in the transaction of the change itself, so that neither is there without the
//! other; only ever appended to.

use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::values::to_json;
use super::{DbRow, Page, PageRequest, Result, Store, StoreError, Tx};
use crate::clock::Moment;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    pub id: String,
    pub at: Moment,
    /// The name of the caller's token; `rerate` for what the daemon does by itself, `folder` for a component dropped into its folder.
    pub actor: String,
    /// `create`, `update`, `delete`, `activate`, ...
    pub action: String,
    /// What kind of thing was changed: `rule`, `plugin`, ...
    pub noun: String,
    /// Which of them: its id or name.
    pub subject: String,
    /// Null for what was made.
    #[schema(value_type = Value)]
    pub before: Option<Value>,
    /// Null for what was deleted.
    #[schema(value_type = Value)]
    pub after: Option<Value>,
}

impl FromRow<'_, DbRow> for AuditEntry {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let value = |column: &str| -> sqlx::Result<Option<Value>> {
            let text: Option<&str> = row.try_get(column)?;
            text.map(serde_json::from_str)
                .transpose()
                .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
        };
        Ok(Self {
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            noun: row.try_get("noun")?,
            subject: row.try_get("subject")?,
            before: value("before_value")?,
            after: value("after_value")?,
        })
    }
}

/// Which changes are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub noun: Option<String>,
    pub subject: Option<String>,
    pub actor: Option<String>,
}

/// Nothing: what something was before it was made, or is after it was deleted.
pub(super) const NOTHING: Option<&()> = None;

impl Store {
    /// Writes a change down, in the transaction that makes it.
    pub(super) async fn audit(
        &self,
        tx: &mut Tx,
        action: &str,
        noun: &str,
        subject: &str,
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO audit (id, at, actor, action, noun, subject, before_value, after_value) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.clock.id("aud"))
        .bind(self.clock.now())
        .bind(&*self.actor)
        .bind(action)
        .bind(noun)
        .bind(subject)
        .bind(before.map(to_json).transpose()?)
        .bind(after.map(to_json).transpose()?)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Changes, the latest first.
    pub async fn audit_entries(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEntry>> {
        let items = sqlx::query_as(
            "SELECT * FROM audit WHERE ($1 = '' OR id < $1) AND ($2 IS NULL OR noun = $2) AND ($3 IS NULL OR subject = $3) \
             AND ($4 IS NULL OR actor = $4) ORDER BY id DESC LIMIT $5",
        )
        .bind(page.after())
        .bind(&filter.noun)
        .bind(&filter.subject)
        .bind(&filter.actor)
        .bind(page.fetch())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |entry: &AuditEntry| entry.id.clone()))
    }

    pub async fn audit_entry(&self, id: &str) -> Result<AuditEntry> {
        let found = sqlx::query_as("SELECT * FROM audit WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("audit entry", id))
    }
}
