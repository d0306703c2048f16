//! Integrations: where bills come from, whose they are, and who gets what they bring. Their credentials are in `credentials`.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::exclude::Exclude;
use super::tenants::managed_customer;
use super::{DbRow, MAX_TEXT, Page, PageRequest, Result, Store, StoreError, Tx, checked_name, containing, unchanged, unique};
use crate::clock::Moment;

/// Minutes between two looks at an integration: providers refresh a bill a few times a day, and a look is cheap.
pub const DEFAULT_REFRESH_MINUTES: i64 = 15;

/// A bucket need not be listed more often; a week is the longest that anybody may forget.
const REFRESH_MINUTES: std::ops::RangeInclusive<i64> = 5..=7 * 24 * 60;

/// Bytes of a region's name: a part of a host's name has no more.
const MAX_REGION: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationKind {
    /// A folder that the daemon can read.
    Folder,
    /// An S3-compatible bucket, read with the integration's credentials, or the daemon's own where the MSP's has none.
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

/// That there are credentials, and how a person tells which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CredentialsHint {
    /// The last four characters of the access key's id.
    pub access_key_ends: String,
    pub set_at: Moment,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Integration {
    pub id: String,
    pub name: String,
    pub kind: IntegrationKind,
    /// A folder's absolute path, or `s3://bucket/prefix`.
    pub location: String,
    /// Of an S3-compatible service other than AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// The tenant that owns it, and holds all its subaccounts; null for the MSP.
    pub tenant_id: Option<String>,
    /// The tenant that gets its new subaccounts; null where it is shared.
    pub dedicated_to: Option<String>,
    /// New subaccounts that nobody gets all the same: globs over id and name, separated by commas.
    pub exclude: String,
    /// Whether the customers that a partner's bill names become tenants when it is imported.
    pub create_tenants: bool,
    /// What could not be done about them.
    pub notice: Option<String>,
    /// Minutes between two looks that nobody asks for.
    pub refresh_minutes: i64,
    /// Never the credentials themselves; null where none are set.
    pub credentials: Option<CredentialsHint>,
    pub status: IntegrationStatus,
    /// Why the last refresh failed.
    pub error: Option<String>,
    /// When the bills were last looked through to the end.
    pub last_refresh_at: Option<Moment>,
    /// When they are looked through again by themselves; null before the first time, which is at once.
    pub next_refresh_at: Option<Moment>,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

impl FromRow<'_, DbRow> for Integration {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let (ends, set_at): (Option<String>, Option<Moment>) = (row.try_get("hint")?, row.try_get("set_at")?);
        let refresh_minutes: i64 = row.try_get("refresh_minutes")?;
        let last_refresh_at: Option<Moment> = row.try_get("last_refresh_at")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            location: row.try_get("location")?,
            endpoint: row.try_get("endpoint")?,
            region: row.try_get("region")?,
            tenant_id: row.try_get("tenant_id")?,
            dedicated_to: row.try_get("dedicated_to")?,
            exclude: row.try_get("exclude")?,
            create_tenants: row.try_get::<i64, _>("create_tenants")? != 0,
            notice: row.try_get("notice")?,
            credentials: ends.zip(set_at).map(|(access_key_ends, set_at)| CredentialsHint { access_key_ends, set_at }),
            status: row.try_get("status")?,
            error: row.try_get("error")?,
            next_refresh_at: last_refresh_at.map(|at| Moment(at.0.saturating_add(refresh_minutes * 60_000))),
            refresh_minutes,
            last_refresh_at,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// What a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationFields {
    pub name: String,
    pub kind: IntegrationKind,
    pub location: String,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Chosen when it is made; none means the MSP, and later no change.
    pub tenant_id: Option<String>,
    pub dedicated_to: Option<String>,
    pub exclude: String,
    /// None means no, and later no change.
    pub create_tenants: Option<bool>,
    pub refresh_minutes: i64,
}

impl Default for IntegrationFields {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: IntegrationKind::Folder,
            location: String::new(),
            endpoint: None,
            region: None,
            tenant_id: None,
            dedicated_to: None,
            exclude: String::new(),
            create_tenants: None,
            refresh_minutes: DEFAULT_REFRESH_MINUTES,
        }
    }
}

/// Which integrations to list; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegrationFilter {
    /// A part of the name or of the location.
    pub search: Option<String>,
    /// Only those that this tenant owns.
    pub tenant_id: Option<String>,
    pub status: Option<IntegrationStatus>,
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
        // It is a part of the address that the daemon calls.
        if let Some(region) = &self.region
            && (!(1..=MAX_REGION).contains(&region.len())
                || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
        {
            return Err(StoreError::Invalid(format!("{region:?} is not a region: write it as in eu-central-1")));
        }
        if !REFRESH_MINUTES.contains(&self.refresh_minutes) {
            let (least, most) = (REFRESH_MINUTES.start(), REFRESH_MINUTES.end());
            return Err(StoreError::Invalid(format!("refresh_minutes is {}; it can be {least} to {most}", self.refresh_minutes)));
        }
        let exclude = Exclude::parse(&self.exclude)?;
        if exclude != Exclude::default() && self.dedicated_to.is_none() {
            return Err(StoreError::Invalid("exclude is for an integration that is dedicated to a tenant".to_owned()));
        }
        checked_name("an integration's name", &self.name)
    }

    /// Who owns it, and who is given its subaccounts, are tenants that may have them.
    async fn check_tenants(&self, tx: &mut Tx, owner: Option<&str>, creates: bool) -> Result<()> {
        if owner.is_some() && self.dedicated_to.is_some() {
            return Err(StoreError::Invalid("a tenant's own integration is not dedicated: all it brings is the tenant's".to_owned()));
        }
        if creates && (owner.is_some() || self.dedicated_to.is_some()) {
            let text =
                "create_tenants is for a shared integration of the MSP: what a tenant's own or a dedicated one brings is that tenant's";
            return Err(StoreError::Invalid(text.to_owned()));
        }
        for (field, id) in [("tenant_id", owner), ("dedicated_to", self.dedicated_to.as_deref())] {
            let Some(id) = id else { continue };
            match managed_customer(tx, id).await {
                Err(StoreError::NotFound { .. }) => return Err(StoreError::Invalid(format!("{field}: there is no tenant {id}"))),
                found => found?,
            };
        }
        Ok(())
    }

    fn taken(&self, message: &str) -> String {
        if message.contains("location") {
            format!("another integration reads {} already", self.location)
        } else {
            format!("an integration named {} exists already", self.name.trim())
        }
    }
}

/// An integration with what is known of its credentials.
macro_rules! integrations_where {
    ($rest:literal) => {
        concat!("SELECT i.*, c.hint, c.set_at FROM integrations i LEFT JOIN integration_credentials c ON c.integration_id = i.id ", $rest)
    };
}

pub(super) async fn find(tx: &mut Tx, id: &str) -> Result<Integration> {
    let found = sqlx::query_as(integrations_where!("WHERE i.id = $1")).bind(id).fetch_optional(&mut **tx).await?;
    found.ok_or_else(|| StoreError::not_found("integration", id))
}

impl Store {
    /// The MSP's people see the MSP's integrations but those dedicated to others, and those of the tenants that they see; a tenant's people
    /// see its own.
    fn sees_integration(&self, integration: &Integration) -> bool {
        match (&integration.tenant_id, self.view.tenant()) {
            (None, tenant) => tenant.is_none() && integration.dedicated_to.as_ref().is_none_or(|whose| self.view.sees(whose)),
            (Some(owner), _) => self.view.sees(owner),
        }
    }

    /// What is wanted, by somebody who may have it. A tenant's people read buckets with their own credentials: never the daemon's folders,
    /// and no address that only the daemon's machine can reach.
    fn permitted(&self, fields: &IntegrationFields, before: Option<&Integration>) -> Result<IntegrationFields> {
        let Some(tenant) = self.view.tenant() else {
            if let Some(id) = fields.tenant_id.iter().chain(&fields.dedicated_to).find(|id| !self.view.sees(id)) {
                return Err(StoreError::Invalid(format!("there is no tenant {id}")));
            }
            return Ok(fields.clone());
        };
        if fields.tenant_id.as_deref().is_some_and(|id| id != &*tenant.id) {
            return Err(StoreError::Invalid("tenant_id: an integration of your own is your organisation's".to_owned()));
        }
        if fields.kind != IntegrationKind::S3 {
            return Err(StoreError::Invalid("an integration of your own is a bucket of AWS: s3://bucket/prefix".to_owned()));
        }
        if fields.endpoint.as_ref().is_some_and(|endpoint| before.and_then(|before| before.endpoint.as_ref()) != Some(endpoint)) {
            return Err(StoreError::Invalid("endpoint: ask your provider to set the address of another service".to_owned()));
        }
        Ok(IntegrationFields { tenant_id: Some(tenant.id.to_string()), ..fields.clone() })
    }

    /// As [`find`], of what the caller sees.
    pub(super) async fn find_seen(&self, tx: &mut Tx, id: &str) -> Result<Integration> {
        let found = find(tx, id).await?;
        if self.sees_integration(&found) { Ok(found) } else { Err(StoreError::not_found("integration", id)) }
    }

    pub async fn integration_create(&self, fields: &IntegrationFields) -> Result<Integration> {
        let fields = &self.permitted(fields, None)?;
        let (name, name_key) = fields.checked()?;
        let mut tx = self.begin().await?;
        let creates = fields.create_tenants.unwrap_or(false);
        fields.check_tenants(&mut tx, fields.tenant_id.as_deref(), creates).await?;
        let id: String = sqlx::query_scalar(
            "INSERT INTO integrations (id, name, name_key, kind, location, endpoint, region, status, tenant_id, dedicated_to, exclude, \
             refresh_minutes, create_tenants, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $14) RETURNING id",
        )
        .bind(self.clock.id("int"))
        .bind(name)
        .bind(name_key)
        .bind(fields.kind)
        .bind(&fields.location)
        .bind(&fields.endpoint)
        .bind(&fields.region)
        .bind(IntegrationStatus::Stable)
        .bind(&fields.tenant_id)
        .bind(&fields.dedicated_to)
        .bind(fields.exclude.trim())
        .bind(fields.refresh_minutes)
        .bind(i64::from(creates))
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        let made = find(&mut tx, &id).await?;
        self.audit(&mut tx, "create", "integration", &id, NOTHING, Some(&made)).await?;
        tx.commit().await?;
        Ok(made)
    }

    pub async fn integration(&self, id: &str) -> Result<Integration> {
        self.find_seen(&mut self.read.begin().await?, id).await
    }

    /// Oldest first.
    pub async fn integrations(&self, filter: &IntegrationFilter, page: &PageRequest) -> Result<Page<Integration>> {
        let items = sqlx::query_as(integrations_where!(
            "WHERE i.id > $1 AND ($2 IS NULL OR i.name_key LIKE $2 ESCAPE '!' OR LOWER(i.location) LIKE $2 ESCAPE '!') \
             AND ($3 IS NULL OR i.tenant_id = $3) AND ($4 IS NULL OR i.status = $4) \
             AND ($6 IS NULL OR $6 LIKE '%,' || i.tenant_id || ',%' OR (i.tenant_id IS NULL AND $7 \
             AND (i.dedicated_to IS NULL OR $6 LIKE '%,' || i.dedicated_to || ',%'))) ORDER BY i.id LIMIT $5"
        ))
        .bind(page.after())
        .bind(filter.search.as_deref().map(containing))
        .bind(&filter.tenant_id)
        .bind(filter.status)
        .bind(page.fetch())
        .bind(self.view.seen())
        .bind(self.view.tenant().is_none())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |integration: &Integration| integration.id.clone()))
    }

    pub async fn integration_update(&self, id: &str, fields: &IntegrationFields, expected: Option<i64>) -> Result<Integration> {
        let mut tx = self.begin().await?;
        let before = self.find_seen(&mut tx, id).await?;
        let fields = &self.permitted(fields, Some(&before))?;
        let (name, name_key) = fields.checked()?;
        unchanged("integration", id, before.version, expected)?;
        if fields.tenant_id.is_some() && fields.tenant_id != before.tenant_id {
            return Err(StoreError::Conflict("whose an integration is, is chosen when it is made".to_owned()));
        }
        let creates = fields.create_tenants.unwrap_or(before.create_tenants);
        fields.check_tenants(&mut tx, before.tenant_id.as_deref(), creates).await?;
        if before.credentials.is_some() && (before.location != fields.location || before.endpoint != fields.endpoint) {
            // Whoever may change the address must not learn the secret by pointing it at a server of their own.
            sqlx::query("DELETE FROM integration_credentials WHERE integration_id = $1").bind(id).execute(&mut *tx).await?;
        }
        sqlx::query(
            "UPDATE integrations SET name = $2, name_key = $3, kind = $4, location = $5, endpoint = $6, region = $7, dedicated_to = $8, \
             exclude = $9, refresh_minutes = $10, create_tenants = $11, version = version + 1, updated_at = $12 WHERE id = $1",
        )
        .bind(id)
        .bind(name)
        .bind(name_key)
        .bind(fields.kind)
        .bind(&fields.location)
        .bind(&fields.endpoint)
        .bind(&fields.region)
        .bind(&fields.dedicated_to)
        .bind(fields.exclude.trim())
        .bind(fields.refresh_minutes)
        .bind(i64::from(creates))
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        let after = find(&mut tx, id).await?;
        self.audit(&mut tx, "update", "integration", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Says how an integration is doing. `Stable` and `Error` end a refresh and set its time; `error` is kept with `Error` only. The
    /// version stays: nobody's edit is in the way of a refresh.
    pub async fn integration_set_status(&self, id: &str, status: IntegrationStatus, error: Option<&str>) -> Result<Integration> {
        let refreshed = (status != IntegrationStatus::Importing).then(|| self.clock.now());
        let error = error.filter(|_| status == IntegrationStatus::Error).map(|text| shortened(text, MAX_TEXT));
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE integrations SET status = $2, error = $3, last_refresh_at = COALESCE($4, last_refresh_at) WHERE id = $1")
            .bind(id)
            .bind(status)
            .bind(error)
            .bind(refreshed)
            .execute(&mut *tx)
            .await?;
        let integration = find(&mut tx, id).await?;
        tx.commit().await?;
        Ok(integration)
    }

    /// Removes an integration with its subaccounts, snapshots and credentials. Gives the folders of its snapshots, which nothing names now.
    pub async fn integration_delete(&self, id: &str, expected: Option<i64>) -> Result<Vec<String>> {
        let mut tx = self.begin().await?;
        let before = self.find_seen(&mut tx, id).await?;
        unchanged("integration", id, before.version, expected)?;
        let folders = snapshot_folders(&mut tx, id).await?;
        sqlx::query("DELETE FROM integrations WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "integration", id, Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(folders)
    }
}

/// The folders of an integration's snapshots, below the lake.
pub(super) async fn snapshot_folders(tx: &mut Tx, id: &str) -> Result<Vec<String>> {
    let folders = sqlx::query_scalar("SELECT DISTINCT location FROM snapshots WHERE integration_id = $1 ORDER BY location");
    Ok(folders.bind(id).fetch_all(&mut **tx).await?)
}

/// At most `limit` bytes of a text, cut between characters, and without the character that not every database holds: what failed may have
/// written anything.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "?")
}
