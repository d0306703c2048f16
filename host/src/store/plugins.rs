//! Plugins: immutable versions by digest, and which of them is active under a name. The components' bytes are files, kept by `plugins`.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::Row;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::deployments::{self, Deployment};
use super::page::moment_key;
use super::values::{Flag, count, counted, json, to_json};
use super::{ABSENT, DbRow, Page, PageRequest, Result, Shadow, ShadowState, Store, StoreError, Tx, unchanged};
use crate::clock::Moment;
use crate::domain::rule::{Capability, Manifest};

/// How a version came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
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

impl FromRow<'_, DbRow> for PluginVersion {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
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
    /// The version that was active before, to roll back to.
    pub previous_digest: Option<String>,
    /// Rules of a disabled plugin fail their runs; nothing is rated without them by accident.
    #[sqlx(try_from = "Flag")]
    pub disabled: bool,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// A version to store.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a> {
    pub digest: &'a str,
    pub manifest: &'a Manifest,
    pub capabilities: &'a [Capability],
    /// Bytes of the component.
    pub size: u64,
    pub origin: Origin,
}

impl Store {
    /// Stores a version, if it is not there already, makes it the active one of its name if `activate` says so, and writes the deployment
    /// down as it is: all or nothing. A plugin that is disabled stays so.
    pub async fn plugin_deploy(&self, new: NewVersion<'_>, activate: bool, deployment: Option<&Deployment>) -> Result<()> {
        let mut tx = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO plugin_versions (digest, name, version, title, summary, config_schema, capabilities, size, origin, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (digest) DO NOTHING",
        )
        .bind(new.digest)
        .bind(&new.manifest.name)
        .bind(&new.manifest.version)
        .bind(&new.manifest.title)
        .bind(&new.manifest.summary)
        .bind(&new.manifest.config_schema)
        .bind(to_json(&new.capabilities)?)
        .bind(counted(new.size)?)
        .bind(new.origin)
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        if added.rows_affected() > 0 {
            let made = Made { name: &new.manifest.name, version: &new.manifest.version, origin: new.origin };
            self.audit(&mut tx, "create", "plugin version", new.digest, NOTHING, Some(&made)).await?;
        }
        if activate {
            self.activate(&mut tx, &new.manifest.name, new.digest, None).await?;
        }
        if let Some(deployment) = deployment {
            deployments::save(&mut tx, deployment, self.daemon()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Makes a stored version the active one of its name: rolling back.
    pub async fn plugin_activate(&self, name: &str, digest: &str, expected: Option<i64>) -> Result<Plugin> {
        let mut tx = self.begin().await?;
        let plugin = self.activate_stored(&mut tx, name, digest, expected).await?;
        tx.commit().await?;
        Ok(plugin)
    }

    /// Makes a shadow's version the active one and ends the shadow: both or neither.
    pub async fn shadow_promote(&self, id: &str, expected: Option<i64>) -> Result<(Plugin, Shadow)> {
        let mut tx = self.begin().await?;
        let shadow = self.end_shadow(&mut tx, id, ShadowState::Promoted, expected).await?;
        let plugin = self.activate_stored(&mut tx, &shadow.plugin, &shadow.digest, None).await?;
        tx.commit().await?;
        Ok((plugin, shadow))
    }

    async fn activate_stored(&self, tx: &mut Tx, name: &str, digest: &str, expected: Option<i64>) -> Result<Plugin> {
        let owner: Option<String> =
            sqlx::query_scalar("SELECT name FROM plugin_versions WHERE digest = $1").bind(digest).fetch_optional(&mut **tx).await?;
        match owner {
            None => return Err(StoreError::not_found("plugin version", digest)),
            Some(owner) if owner != name => {
                return Err(StoreError::Conflict(format!("the component {digest} calls itself {owner}, not {name}")));
            }
            Some(_) => {}
        }
        self.activate(tx, name, digest, expected).await
    }

    /// The swap itself: one row.
    async fn activate(&self, tx: &mut Tx, name: &str, digest: &str, expected: Option<i64>) -> Result<Plugin> {
        let before: Option<Plugin> = sqlx::query_as("SELECT * FROM plugins WHERE name = $1").bind(name).fetch_optional(&mut **tx).await?;
        unchanged("plugin", name, before.as_ref().map_or(ABSENT, |before| before.version), expected)?;
        if let Some(before) = before.as_ref().filter(|before| before.active_digest == digest) {
            return Ok(before.clone());
        }
        let plugin = sqlx::query_as(
            "INSERT INTO plugins (name, active_digest, disabled, version, created_at, updated_at) VALUES ($1, $2, FALSE, 1, $3, $3) \
             ON CONFLICT (name) DO UPDATE SET version = plugins.version + 1, previous_digest = plugins.active_digest, active_digest = $2, updated_at = $3 \
             RETURNING *",
        );
        let plugin: Plugin = plugin.bind(name).bind(digest).bind(self.clock.now()).fetch_one(&mut **tx).await?;
        self.audit(tx, "activate", "plugin", name, before.as_ref(), Some(&plugin)).await?;
        Ok(plugin)
    }

    pub async fn plugin_set_disabled(&self, name: &str, disabled: bool, expected: Option<i64>) -> Result<Plugin> {
        let mut tx = self.begin().await?;
        let found: Option<Plugin> = sqlx::query_as("SELECT * FROM plugins WHERE name = $1").bind(name).fetch_optional(&mut *tx).await?;
        let before = found.ok_or_else(|| StoreError::not_found("plugin", name))?;
        unchanged("plugin", name, before.version, expected)?;
        if before.disabled == disabled {
            return Ok(before);
        }
        let after: Plugin =
            sqlx::query_as("UPDATE plugins SET version = version + 1, disabled = $2, updated_at = $3 WHERE name = $1 RETURNING *")
                .bind(name)
                .bind(disabled)
                .bind(self.clock.now())
                .fetch_one(&mut *tx)
                .await?;
        let action = if disabled { "disable" } else { "enable" };
        self.audit(&mut tx, action, "plugin", name, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
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

    /// Versions of a name, oldest first.
    pub async fn plugin_versions_page(&self, name: &str, page: &PageRequest) -> Result<Page<PluginVersion>> {
        let (at, digest) = page.after_moment()?;
        let items = sqlx::query_as(
            "SELECT * FROM plugin_versions WHERE name = $1 AND (created_at > $2 OR (created_at = $2 AND digest > $3)) \
             ORDER BY created_at, digest LIMIT $4",
        );
        let items = items.bind(name).bind(at).bind(digest).bind(page.fetch()).fetch_all(&self.read).await?;
        Ok(page.page(items, |version: &PluginVersion| moment_key(version.created_at, &version.digest)))
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

    /// Every digest that the store knows.
    pub async fn plugin_digests(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT digest FROM plugin_versions ORDER BY 1").fetch_all(&self.read).await?)
    }

    /// Removes a version that nothing refers to: it is not active, no rule is pinned to it, no shadow runs it, and no run that is kept was
    /// rated by it, since such a run could not be explained or computed again without it.
    pub async fn plugin_version_delete(&self, digest: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let of: Option<Plugin> = sqlx::query_as("SELECT p.* FROM plugins p JOIN plugin_versions v ON v.name = p.name WHERE v.digest = $1")
            .bind(digest)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(of) = of {
            unchanged("plugin", &of.name, of.version, expected)?;
        }
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
        let shadow: Option<String> = sqlx::query_scalar("SELECT id FROM shadows WHERE digest = $1 AND state = 'running' LIMIT 1")
            .bind(digest)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(shadow) = shadow {
            return Err(StoreError::Conflict(format!("the shadow {shadow} runs the version {digest}: drop or promote it first")));
        }
        let rated: Option<(String, String, String, Flag)> = sqlx::query_as(
            "SELECT r.id, t.name, r.period, EXISTS (SELECT 1 FROM published p WHERE p.run_id = r.id) AS shown \
             FROM runs r JOIN tenants t ON t.id = r.tenant_id WHERE r.chain LIKE '%\"' || $1 || '\"%' ORDER BY shown DESC, r.id DESC LIMIT 1",
        )
        .bind(digest)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some((run, tenant, period, published)) = rated {
            let which = if published.into() { "the published run" } else { "the run" };
            return Err(StoreError::Conflict(format!("{which} {run} of {tenant} in {period} was rated by the version {digest}")));
        }
        let found: Option<PluginVersion> =
            sqlx::query_as("SELECT * FROM plugin_versions WHERE digest = $1").bind(digest).fetch_optional(&mut *tx).await?;
        let version = found.ok_or_else(|| StoreError::not_found("plugin version", digest))?;
        sqlx::query("UPDATE plugins SET previous_digest = NULL WHERE previous_digest = $1").bind(digest).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM plugin_versions WHERE digest = $1").bind(digest).execute(&mut *tx).await?;
        let made = Made { name: &version.manifest.name, version: &version.manifest.version, origin: version.origin };
        self.audit(&mut tx, "delete", "plugin version", digest, Some(&made), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A version as the log of changes tells it: its schema and descriptions are in the component.
#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    version: &'a str,
    origin: Origin,
}
