//! Rules: a plugin with a configuration. Whether the plugin accepts the configuration is asked before a rule comes here.

use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::Row;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::values::{json, to_json};
use super::{DbRow, Page, PageRequest, Result, Store, StoreError, Tx, checked_name, unchanged, unique};
use crate::clock::Moment;

/// Bytes of a configuration: a price book of ten thousand services fits.
pub(super) const MAX_CONFIG: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rule {
    pub id: String,
    pub title: String,
    /// The plugin's name.
    pub plugin: String,
    /// The version to stay with; none follows the plugin's active one.
    pub pinned_digest: Option<String>,
    #[schema(value_type = Object)]
    pub config: Value,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

impl FromRow<'_, DbRow> for Rule {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            plugin: row.try_get("plugin")?,
            pinned_digest: row.try_get("pinned_digest")?,
            config: json(row, "config")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// What a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFields {
    pub title: String,
    pub plugin: String,
    pub pinned_digest: Option<String>,
    pub config: Value,
}

impl RuleFields {
    fn checked(&self) -> Result<(String, String, String)> {
        let (title, title_key) = checked_name("a rule's title", &self.title)?;
        let config = to_json(&self.config)?;
        if config.len() > MAX_CONFIG {
            return Err(StoreError::Invalid(format!("a rule's configuration is longer than {MAX_CONFIG} bytes")));
        }
        Ok((title, title_key, config))
    }

    fn taken(&self) -> String {
        format!("a rule with the title {} exists already", self.title.trim())
    }

    /// The plugin exists, and the pinned version is one of its own.
    async fn check_plugin(&self, tx: &mut Tx) -> Result<()> {
        let known: Option<i64> =
            sqlx::query_scalar("SELECT version FROM plugins WHERE name = $1").bind(&self.plugin).fetch_optional(&mut **tx).await?;
        known.ok_or_else(|| StoreError::Invalid(format!("there is no plugin {}", self.plugin)))?;
        let Some(digest) = &self.pinned_digest else { return Ok(()) };
        let owner: Option<String> =
            sqlx::query_scalar("SELECT name FROM plugin_versions WHERE digest = $1").bind(digest).fetch_optional(&mut **tx).await?;
        match owner {
            Some(name) if name == self.plugin => Ok(()),
            _ => Err(StoreError::Invalid(format!("the plugin {} has no version {digest}", self.plugin))),
        }
    }
}

impl Store {
    pub async fn rule_create(&self, fields: &RuleFields) -> Result<Rule> {
        let (title, title_key, config) = fields.checked()?;
        let mut tx = self.begin().await?;
        fields.check_plugin(&mut tx).await?;
        let rule: Rule = sqlx::query_as(
            "INSERT INTO rules (id, title, title_key, plugin, pinned_digest, config, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) RETURNING *",
        )
        .bind(self.clock.id("rul"))
        .bind(title)
        .bind(title_key)
        .bind(&fields.plugin)
        .bind(&fields.pinned_digest)
        .bind(config)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| fields.taken()))?;
        self.audit(&mut tx, "create", "rule", &rule.id, NOTHING, Some(&rule)).await?;
        tx.commit().await?;
        Ok(rule)
    }

    pub async fn rule(&self, id: &str) -> Result<Rule> {
        let found = sqlx::query_as("SELECT * FROM rules WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("rule", id))
    }

    pub async fn rules(&self, page: &PageRequest) -> Result<Page<Rule>> {
        let items = sqlx::query_as("SELECT * FROM rules WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        Ok(page.page(items, |rule: &Rule| rule.id.clone()))
    }

    pub async fn rule_update(&self, id: &str, fields: &RuleFields, expected: Option<i64>) -> Result<Rule> {
        let (title, title_key, config) = fields.checked()?;
        let mut tx = self.begin().await?;
        let found: Option<Rule> = sqlx::query_as("SELECT * FROM rules WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let before = found.ok_or_else(|| StoreError::not_found("rule", id))?;
        self.reach_all_of(&mut tx, id).await?;
        unchanged("rule", id, before.version, expected)?;
        fields.check_plugin(&mut tx).await?;
        let rule: Rule = sqlx::query_as(
            "UPDATE rules SET title = $2, title_key = $3, plugin = $4, pinned_digest = $5, config = $6, version = version + 1, \
             updated_at = $7 WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(title)
        .bind(title_key)
        .bind(&fields.plugin)
        .bind(&fields.pinned_digest)
        .bind(config)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| fields.taken()))?;
        self.audit(&mut tx, "update", "rule", id, Some(&before), Some(&rule)).await?;
        tx.commit().await?;
        Ok(rule)
    }

    /// Refuses a change of a rule that reaches a tenant whom the caller does not see.
    async fn reach_all_of(&self, tx: &mut Tx, id: &str) -> Result<()> {
        let reached: Vec<Option<String>> =
            sqlx::query_scalar("SELECT DISTINCT tenant_id FROM assignments WHERE rule_id = $1").bind(id).fetch_all(&mut **tx).await?;
        if reached.iter().all(|tenant| self.reach(tenant.as_deref()).is_ok()) {
            return Ok(());
        }
        Err(StoreError::Forbidden("this rule is assigned to tenants that your teams do not have, and a change would reach them".to_owned()))
    }

    /// Removes a rule that no assignment uses.
    pub async fn rule_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let found: Option<Rule> = sqlx::query_as("SELECT * FROM rules WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let before = found.ok_or_else(|| StoreError::not_found("rule", id))?;
        self.reach_all_of(&mut tx, id).await?;
        unchanged("rule", id, before.version, expected)?;
        let used: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM assignments WHERE rule_id = $1").bind(id).fetch_one(&mut *tx).await?;
        if used > 0 {
            let used = if used == 1 { "an assignment".to_owned() } else { format!("{used} assignments") };
            return Err(StoreError::Conflict(format!("the rule {} is in use by {used}: delete that first", before.title)));
        }
        sqlx::query("DELETE FROM rules WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "rule", id, Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }
}
