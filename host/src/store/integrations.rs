//! Integrations: where bills come from.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{MAX_TEXT, Page, PageRequest, Result, Store, StoreError, checked_name, expect_version, unique};
use crate::clock::Moment;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationKind {
    /// A folder that the daemon can read.
    Folder,
    /// An S3-compatible bucket, read with the daemon's own credentials.
    S3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationStatus {
    Stable,
    Importing,
    Error,
}

impl IntegrationStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Importing => "importing",
            Self::Error => "error",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Integration {
    pub id: String,
    pub name: String,
    pub kind: IntegrationKind,
    /// A folder's absolute path, or `s3://bucket/prefix`.
    pub location: String,
    /// Of an S3-compatible service other than AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub status: IntegrationStatus,
    /// Why the last refresh failed.
    pub error: Option<String>,
    /// When the bills were last looked through to the end.
    pub last_refresh_at: Option<Moment>,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// What a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationFields {
    pub name: String,
    pub kind: IntegrationKind,
    pub location: String,
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

impl IntegrationFields {
    fn checked(&self) -> Result<(String, String)> {
        let location = self.location.as_str();
        if location.is_empty() || location.len() > MAX_TEXT || location.chars().any(char::is_control) {
            return Err(StoreError::Invalid(format!("an integration's location has 1 to {MAX_TEXT} bytes and no control characters")));
        }
        let in_place = match self.kind {
            IntegrationKind::Folder => location.starts_with('/'),
            IntegrationKind::S3 => location.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')),
        };
        if !in_place {
            return Err(StoreError::Invalid(match self.kind {
                IntegrationKind::Folder => format!("{location:?} is not a folder's absolute path"),
                IntegrationKind::S3 => format!("{location:?} is not of the form s3://bucket/prefix"),
            }));
        }
        if self.kind == IntegrationKind::Folder && (self.endpoint.is_some() || self.region.is_some()) {
            return Err(StoreError::Invalid("a folder has no endpoint and no region".to_owned()));
        }
        if let Some(endpoint) = &self.endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            return Err(StoreError::Invalid(format!("{endpoint:?} is not an http or https address")));
        }
        checked_name("an integration's name", &self.name)
    }

    fn taken(&self, message: &str) -> String {
        if message.contains("location") {
            format!("another integration reads {} already", self.location)
        } else {
            format!("an integration named {} exists already", self.name.trim())
        }
    }
}

impl Store {
    pub async fn integration_create(&self, fields: &IntegrationFields) -> Result<Integration> {
        let (name, name_key) = fields.checked()?;
        let mut tx = self.begin().await?;
        let integration = sqlx::query_as(
            "INSERT INTO integrations (id, name, name_key, kind, location, endpoint, region, status, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9) RETURNING *",
        )
        .bind(self.clock.id("int"))
        .bind(name)
        .bind(name_key)
        .bind(fields.kind)
        .bind(&fields.location)
        .bind(&fields.endpoint)
        .bind(&fields.region)
        .bind(IntegrationStatus::Stable)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        tx.commit().await?;
        Ok(integration)
    }

    pub async fn integration(&self, id: &str) -> Result<Integration> {
        let found = sqlx::query_as("SELECT * FROM integrations WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("integration", id))
    }

    pub async fn integrations(&self, page: &PageRequest) -> Result<Page<Integration>> {
        let items = sqlx::query_as("SELECT * FROM integrations WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        Ok(page.page(items, |integration: &Integration| integration.id.clone()))
    }

    pub async fn integration_update(&self, id: &str, fields: &IntegrationFields, expected: Option<i64>) -> Result<Integration> {
        let (name, name_key) = fields.checked()?;
        let mut tx = self.begin().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM integrations WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        expect_version("integration", id, current.ok_or_else(|| StoreError::not_found("integration", id))?, expected)?;
        let updated = sqlx::query_as(
            "UPDATE integrations SET name = $2, name_key = $3, kind = $4, location = $5, endpoint = $6, region = $7, \
             version = version + 1, updated_at = $8 WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(name)
        .bind(name_key)
        .bind(fields.kind)
        .bind(&fields.location)
        .bind(&fields.endpoint)
        .bind(&fields.region)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        tx.commit().await?;
        Ok(updated)
    }

    /// Says how an integration is doing. `Stable` and `Error` end a refresh and set its time; `error` is kept with `Error` only. The
    /// version stays: nobody's edit is in the way of a refresh.
    pub async fn integration_set_status(&self, id: &str, status: IntegrationStatus, error: Option<&str>) -> Result<Integration> {
        let refreshed = (status != IntegrationStatus::Importing).then(|| self.clock.now());
        let error = error.filter(|_| status == IntegrationStatus::Error).map(|text| shortened(text, MAX_TEXT));
        let found = sqlx::query_as(
            "UPDATE integrations SET status = $2, error = $3, last_refresh_at = COALESCE($4, last_refresh_at) WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(status)
        .bind(error)
        .bind(refreshed);
        self.change_one(found).await?.ok_or_else(|| StoreError::not_found("integration", id))
    }

    /// Removes an integration with its subaccounts and snapshots.
    pub async fn integration_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM integrations WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        expect_version("integration", id, current.ok_or_else(|| StoreError::not_found("integration", id))?, expected)?;
        sqlx::query("DELETE FROM integrations WHERE id = $1").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// At most `limit` bytes of a text, cut between characters.
pub(super) fn shortened(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
