//! The log of changes: who, as whom, from where, what, before, after. Written in the transaction of the change itself, so that neither is
//! there without the other; only ever appended to, and chained so that a change of what is written down is found.

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
    /// A person's e-mail address or the name of the caller's token; `rerate` for what the daemon does by itself, `folder` for a component
    /// dropped into its folder.
    pub actor: String,
    /// The person's or the token's id.
    pub actor_id: Option<String>,
    /// The tenant in which a person of the MSP acted as Manager User.
    pub acting_in: Option<String>,
    /// From which address the call came.
    pub address: Option<String>,
    /// `create`, `update`, `delete`, `activate`, ...
    pub action: String,
    /// What kind of thing was changed: `rule`, `plugin`, ...
    pub noun: String,
    /// Which of them: its id or name.
    pub subject: String,
    /// Whose it is, if it is a tenant's.
    pub tenant_id: Option<String>,
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
            actor_id: row.try_get("actor_id")?,
            acting_in: row.try_get("acting_in")?,
            address: row.try_get("address")?,
            action: row.try_get("action")?,
            noun: row.try_get("noun")?,
            subject: row.try_get("subject")?,
            tenant_id: row.try_get("tenant_id")?,
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
    /// By name or by id.
    pub actor: Option<String>,
    pub tenant_id: Option<String>,
    /// Not before.
    pub from: Option<Moment>,
    /// Before.
    pub until: Option<Moment>,
}

/// Nothing: what something was before it was made, or is after it was deleted.
pub(super) const NOTHING: Option<&()> = None;

impl Store {
    /// Writes a change down, in the transaction that makes it. Whose thing it is, is read from the value's `tenant_id` or `organisation`.
    pub(super) async fn audit(
        &self,
        tx: &mut Tx,
        action: &str,
        noun: &str,
        subject: &str,
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> Result<()> {
        let before = before.map(to_json).transpose()?;
        let after = after.map(to_json).transpose()?;
        let named = || after.as_deref().and_then(tenant_of).or_else(|| before.as_deref().and_then(tenant_of));
        let written = super::audit_chain::Written {
            id: self.clock.id("aud"),
            at: self.clock.now(),
            actor: self.actor.name.clone(),
            actor_id: self.actor.id.clone(),
            acting_in: self.actor.acting_in.clone(),
            address: self.actor.address.clone(),
            action: action.to_owned(),
            noun: noun.to_owned(),
            subject: subject.to_owned(),
            tenant_id: if subject.starts_with("tnt_") { Some(subject.to_owned()) } else { named() },
            before_value: before,
            after_value: after,
        };
        sqlx::query(
            "INSERT INTO audit (id, at, actor, actor_id, acting_in, address, action, noun, subject, tenant_id, before_value, after_value) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&written.id)
        .bind(written.at)
        .bind(&written.actor)
        .bind(&written.actor_id)
        .bind(&written.acting_in)
        .bind(&written.address)
        .bind(&written.action)
        .bind(&written.noun)
        .bind(&written.subject)
        .bind(&written.tenant_id)
        .bind(&written.before_value)
        .bind(&written.after_value)
        .execute(&mut **tx)
        .await?;
        super::audit_chain::link(tx, &written).await
    }

    /// Changes, the latest first.
    pub async fn audit_entries(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEntry>> {
        let items = sqlx::query_as(
            "SELECT * FROM audit WHERE ($1 = '' OR id < $1) AND ($2 IS NULL OR noun = $2) AND ($3 IS NULL OR subject = $3) \
             AND ($4 IS NULL OR actor = $4 OR actor_id = $4) AND ($5 IS NULL OR tenant_id = $5 OR acting_in = $5) \
             AND at >= $6 AND at < $7 ORDER BY id DESC LIMIT $8",
        )
        .bind(page.after())
        .bind(&filter.noun)
        .bind(&filter.subject)
        .bind(&filter.actor)
        .bind(&filter.tenant_id)
        .bind(filter.from.unwrap_or(Moment(i64::MIN)))
        .bind(filter.until.unwrap_or(Moment(i64::MAX)))
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

/// The tenant that a written value names as its own.
fn tenant_of(json: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Owned {
        tenant_id: Option<String>,
        organisation: Option<String>,
    }
    let owned: Owned = serde_json::from_str(json).ok()?;
    owned.tenant_id.or_else(|| owned.organisation.filter(|name| name.starts_with("tnt_")))
}
