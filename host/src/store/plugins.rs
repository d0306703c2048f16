//! Plugins: immutable versions by digest, and which of them is active under a name. The components' bytes are files, kept by `plugins`.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use utoipa::ToSchema;

use super::values::{count, counted, json, to_json};
use super::{Page, PageRequest, Result, Store, StoreError};
use crate::clock::Moment;
use crate::domain::rule::{Capability, Manifest};

/// How a version came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum Origin {
    /// Part of the program.
    Builtin,
    Upload,
    Folder,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PluginVersion {
    /// SHA-256 of the component, in hex.
    pub digest: String,
    #[serde(flatten)]
    pub manifest: Manifest,
    pub capabilities: Vec<Capability>,
    /// Bytes of the component.
    pub size: u64,
    pub origin: Origin,
    pub created_at: Moment,
}

impl FromRow<'_, SqliteRow> for PluginVersion {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            digest: row.try_get("digest")?,
            manifest: Manifest {
                name: row.try_get("name")?,
                version: row.try_get("version")?,
                title: row.try_get("title")?,
                summary: row.try_get("summary")?,
                config_schema: row.try_get("config_schema")?,
            },
            capabilities: json(row, "capabilities")?,
            size: count(row, "size")?,
            origin: row.try_get("origin")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

/// A name under which rules find a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Plugin {
    pub name: String,
    pub active_digest: String,
    /// Rules of a disabled plugin fail their runs; nothing is rated without them by accident.
    pub disabled: bool,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

impl Store {
    /// Stores a version, if it is not there already, and makes it the active one of its name. A plugin that is disabled stays so.
    pub async fn plugin_deploy(
        &self,
        digest: &str,
        manifest: &Manifest,
        capabilities: &[Capability],
        size: u64,
        origin: Origin,
    ) -> Result<Plugin> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO plugin_versions (digest, name, version, title, summary, config_schema, capabilities, size, origin, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (digest) DO NOTHING",
        )
        .bind(digest)
        .bind(&manifest.name)
        .bind(&manifest.version)
        .bind(&manifest.title)
        .bind(&manifest.summary)
        .bind(&manifest.config_schema)
        .bind(to_json(&capabilities)?)
        .bind(counted(size)?)
        .bind(origin)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        let plugin = activate(&mut tx, &manifest.name, digest, now).await?;
        tx.commit().await?;
        Ok(plugin)
    }

    /// Makes a stored version the active one of its name: rolling back.
    pub async fn plugin_activate(&self, name: &str, digest: &str) -> Result<Plugin> {
        let mut tx = self.begin().await?;
        let owner: Option<String> =
            sqlx::query_scalar("SELECT name FROM plugin_versions WHERE digest = $1").bind(digest).fetch_optional(&mut *tx).await?;
        match owner {
            None => return Err(StoreError::not_found("plugin version", digest)),
            Some(owner) if owner != name => {
                return Err(StoreError::Conflict(format!("the component {digest} calls itself {owner}, not {name}")));
            }
            Some(_) => {}
        }
        let plugin = activate(&mut tx, name, digest, self.clock.now()).await?;
        tx.commit().await?;
        Ok(plugin)
    }

    pub async fn plugin_set_disabled(&self, name: &str, disabled: bool) -> Result<Plugin> {
        let found = sqlx::query_as(
            "UPDATE plugins SET version = version + (disabled <> $2), disabled = $2, updated_at = $3 WHERE name = $1 RETURNING *",
        )
        .bind(name)
        .bind(disabled)
        .bind(self.clock.now())
        .fetch_optional(&self.write)
        .await?;
        found.ok_or_else(|| StoreError::not_found("plugin", name))
    }

    pub async fn plugin(&self, name: &str) -> Result<Plugin> {
        let found = sqlx::query_as("SELECT * FROM plugins WHERE name = $1").bind(name).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("plugin", name))
    }

    pub async fn plugins(&self, page: &PageRequest) -> Result<Page<Plugin>> {
        let items = sqlx::query_as("SELECT * FROM plugins WHERE name > $1 ORDER BY name LIMIT $2")
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        Ok(page.page(items, |plugin: &Plugin| plugin.name.clone()))
    }

    pub async fn plugin_version(&self, digest: &str) -> Result<PluginVersion> {
        let found = sqlx::query_as("SELECT * FROM plugin_versions WHERE digest = $1").bind(digest).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("plugin version", digest))
    }

    /// All versions of a name, oldest first.
    pub async fn plugin_versions(&self, name: &str) -> Result<Vec<PluginVersion>> {
        Ok(sqlx::query_as("SELECT * FROM plugin_versions WHERE name = $1 ORDER BY created_at, digest")
            .bind(name)
            .fetch_all(&self.read)
            .await?)
    }

    /// The digests that must be at hand: the active ones and those that rules pin.
    pub async fn plugin_digests_in_use(&self) -> Result<Vec<String>> {
        let digests = sqlx::query_scalar(
            "SELECT active_digest FROM plugins UNION SELECT pinned_digest FROM rules WHERE pinned_digest IS NOT NULL ORDER BY 1",
        );
        Ok(digests.fetch_all(&self.read).await?)
    }

    /// Removes a version that is neither active nor pinned by a rule.
    pub async fn plugin_version_delete(&self, digest: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let active: Option<String> =
            sqlx::query_scalar("SELECT name FROM plugins WHERE active_digest = $1").bind(digest).fetch_optional(&mut *tx).await?;
        if let Some(name) = active {
            return Err(StoreError::Conflict(format!("the version {digest} is the active one of {name}")));
        }
        let pinned: Option<String> =
            sqlx::query_scalar("SELECT title FROM rules WHERE pinned_digest = $1 LIMIT 1").bind(digest).fetch_optional(&mut *tx).await?;
        if let Some(title) = pinned {
            return Err(StoreError::Conflict(format!("the rule {title} is pinned to the version {digest}")));
        }
        let gone = sqlx::query("DELETE FROM plugin_versions WHERE digest = $1").bind(digest).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::not_found("plugin version", digest));
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn activate(tx: &mut Transaction<'static, Sqlite>, name: &str, digest: &str, now: Moment) -> Result<Plugin> {
    let plugin = sqlx::query_as(
        "INSERT INTO plugins (name, active_digest, disabled, version, created_at, updated_at) VALUES ($1, $2, FALSE, 1, $3, $3) \
         ON CONFLICT (name) DO UPDATE SET version = version + (active_digest <> $2), active_digest = $2, updated_at = $3 RETURNING *",
    );
    Ok(plugin.bind(name).bind(digest).bind(now).fetch_one(&mut **tx).await?)
}
