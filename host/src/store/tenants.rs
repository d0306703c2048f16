//! Tenants: the managed customers.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{MAX_NAME, Page, PageRequest, Result, Store, StoreError, checked_name, expect_version, unique};
use crate::clock::Moment;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Tenant {
    pub id: String,
    pub name: String,
    pub contact_email: Option<String>,
    /// Counts changes; the caller of a change may name the one it read.
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// What a caller sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantFields {
    pub name: String,
    pub contact_email: Option<String>,
}

/// What went with a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRemoved {
    /// Subaccounts that nobody holds now.
    pub released: Vec<String>,
}

impl TenantFields {
    fn checked(&self) -> Result<Checked> {
        let (name, name_key) = checked_name("a tenant's name", &self.name)?;
        let contact = match self.contact_email.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(checked_email(text)?),
            None => None,
        };
        let contact_key = contact.as_ref().map(|text| text.to_lowercase());
        Ok(Checked { name, name_key, contact, contact_key })
    }

    fn taken(&self, message: &str) -> String {
        if message.contains("contact_key") {
            format!("another tenant has the contact {} already", self.contact_email.as_deref().unwrap_or_default().trim())
        } else {
            format!("a tenant named {} exists already", self.name.trim())
        }
    }
}

struct Checked {
    name: String,
    name_key: String,
    contact: Option<String>,
    contact_key: Option<String>,
}

fn checked_email(text: &str) -> Result<String> {
    let well_formed = text.len() <= MAX_NAME
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if well_formed { Ok(text.to_owned()) } else { Err(StoreError::Invalid(format!("{text:?} is not an e-mail address"))) }
}

impl Store {
    pub async fn tenant_create(&self, fields: &TenantFields) -> Result<Tenant> {
        let checked = fields.checked()?;
        let mut tx = self.begin().await?;
        let tenant = sqlx::query_as(
            "INSERT INTO tenants (id, name, name_key, contact_email, contact_key, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $6) RETURNING *",
        )
        .bind(self.clock.id("tnt"))
        .bind(checked.name)
        .bind(checked.name_key)
        .bind(checked.contact)
        .bind(checked.contact_key)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        tx.commit().await?;
        Ok(tenant)
    }

    pub async fn tenant(&self, id: &str) -> Result<Tenant> {
        let found = sqlx::query_as("SELECT * FROM tenants WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("tenant", id))
    }

    pub async fn tenant_by_name(&self, name: &str) -> Result<Tenant> {
        let found =
            sqlx::query_as("SELECT * FROM tenants WHERE name_key = $1").bind(name.trim().to_lowercase()).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("tenant named", name))
    }

    pub async fn tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        let items = sqlx::query_as("SELECT * FROM tenants WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        Ok(page.page(items, |tenant: &Tenant| tenant.id.clone()))
    }

    pub async fn tenant_update(&self, id: &str, fields: &TenantFields, expected: Option<i64>) -> Result<Tenant> {
        let checked = fields.checked()?;
        let mut tx = self.begin().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM tenants WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        expect_version("tenant", id, current.ok_or_else(|| StoreError::not_found("tenant", id))?, expected)?;
        let updated = sqlx::query_as(
            "UPDATE tenants SET name = $2, name_key = $3, contact_email = $4, contact_key = $5, version = version + 1, updated_at = $6 \
             WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(checked.name)
        .bind(checked.name_key)
        .bind(checked.contact)
        .bind(checked.contact_key)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        tx.commit().await?;
        Ok(updated)
    }

    /// Removes a tenant with its assignments and runs; its subaccounts become unassigned.
    pub async fn tenant_delete(&self, id: &str, expected: Option<i64>) -> Result<TenantRemoved> {
        let mut tx = self.begin().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM tenants WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        expect_version("tenant", id, current.ok_or_else(|| StoreError::not_found("tenant", id))?, expected)?;
        let released =
            sqlx::query_scalar("SELECT id FROM subaccounts WHERE tenant_id = $1 ORDER BY id").bind(id).fetch_all(&mut *tx).await?;
        sqlx::query("DELETE FROM tenants WHERE id = $1").bind(id).execute(&mut *tx).await?;
        super::assignments::close_gaps(&mut tx).await?;
        tx.commit().await?;
        Ok(TenantRemoved { released })
    }
}
