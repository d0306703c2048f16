//! The log of changes: who, as whom, from where, what, before, after. Written in the transaction of the change itself, so that neither is
//! there without the other; only ever appended to, and chained so that a change of what is written down is found.

use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::values::to_json;
use super::{DbRow, OURSELVES, Page, PageRequest, Result, Store, StoreError, Tx};
use crate::clock::Moment;
use crate::domain::access::MANAGER_USER;

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
    /// Where they belong: `msp` or a tenant's id; null in changes from before it was written down.
    pub actor_organisation: Option<String>,
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
            actor_organisation: row.try_get("actor_organisation")?,
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

/// What a tenant's people are told changes of, between commas: things that they can see in the same shape elsewhere. Assignments of rules,
/// quotas and runs are the MSP's.
const THEIR_NOUNS: &str = ",tenant,cost-center,membership,invitation,token,session,sign-in,integration,subaccount,";

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
            actor_organisation: Some(self.actor.organisation.name().to_owned()),
            action: action.to_owned(),
            noun: noun.to_owned(),
            subject: subject.to_owned(),
            tenant_id: if subject.starts_with("tnt_") { Some(subject.to_owned()) } else { named() },
            before_value: before,
            after_value: after,
        };
        sqlx::query(
            "INSERT INTO audit (id, at, actor, actor_id, acting_in, address, action, noun, subject, tenant_id, before_value, after_value, \
             actor_organisation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
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
        .bind(&written.actor_organisation)
        .execute(&mut **tx)
        .await?;
        super::audit_chain::link(tx, &written).await
    }

    /// Changes, the latest first. A tenant's people have what happened in their organisation.
    pub async fn audit_entries(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEntry>> {
        let items: Vec<AuditEntry> = sqlx::query_as(
            "SELECT * FROM audit WHERE ($1 = '' OR id < $1) AND ($2 IS NULL OR noun = $2) AND ($3 IS NULL OR subject = $3) \
             AND ($4 IS NULL OR actor = $4 OR actor_id = $4) AND ($5 IS NULL OR tenant_id = $5 OR acting_in = $5) \
             AND at >= $6 AND at < $7 AND ($9 IS NULL OR ((tenant_id = $9 OR acting_in = $9) AND $10 LIKE '%,' || noun || ',%')) \
             ORDER BY id DESC LIMIT $8",
        )
        .bind(page.after())
        .bind(&filter.noun)
        .bind(&filter.subject)
        .bind(&filter.actor)
        .bind(&filter.tenant_id)
        .bind(filter.from.unwrap_or(Moment(i64::MIN)))
        .bind(filter.until.unwrap_or(Moment(i64::MAX)))
        .bind(page.fetch())
        .bind(self.view.tenant().map(|tenant| tenant.id.to_string()))
        .bind(THEIR_NOUNS)
        .fetch_all(&self.read)
        .await?;
        let items = items.into_iter().map(|entry| self.shown(entry)).collect();
        Ok(page.page(items, |entry: &AuditEntry| entry.id.clone()))
    }

    pub async fn audit_entry(&self, id: &str) -> Result<AuditEntry> {
        let found = sqlx::query_as(
            "SELECT * FROM audit WHERE id = $1 AND ($2 IS NULL OR ((tenant_id = $2 OR acting_in = $2) AND $3 LIKE '%,' || noun || ',%'))",
        );
        let found = found.bind(id).bind(self.view.tenant().map(|tenant| tenant.id.to_string())).bind(THEIR_NOUNS);
        let found = found.fetch_optional(&self.read).await?;
        found.map(|entry| self.shown(entry)).ok_or_else(|| StoreError::not_found("audit entry", id))
    }

    /// A change as the caller may see it. A tenant's people do not learn who works for the MSP or from where, nor who else held something.
    fn shown(&self, entry: AuditEntry) -> AuditEntry {
        let Some(tenant) = self.view.tenant() else { return entry };
        let mut entry = entry;
        if entry.noun == "subaccount" {
            (entry.before, entry.after) = (None, None);
        }
        if entry.actor_organisation.as_deref() != Some(&*tenant.id) {
            (entry.actor_id, entry.address, entry.actor_organisation) = (None, None, None);
            if entry.actor != OURSELVES {
                MANAGER_USER.clone_into(&mut entry.actor);
            }
        }
        entry
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
