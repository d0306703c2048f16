//! Tenants: the managed customers, and the organisations that some of them belong to. What goes with one is in `removal`.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::domains::{checked_email, on_our_domains};
use super::{Page, PageRequest, Result, Store, StoreError, Tx, checked_name, containing, unchanged, unique};
use crate::clock::Moment;
use crate::domain::access::Organisation;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantKind {
    /// Holds subaccounts and is charged for them.
    #[default]
    Customer,
    /// An anchor for customers: it holds no subaccounts, has no integrations and no runs.
    Organisation,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantState {
    #[default]
    Active,
    /// Its people cannot sign in and nothing new is published for it; its data stays.
    Suspended,
    /// It keeps its data and its people their access; the MSP manages it no more: nothing new is published and nothing of it changes.
    Unlinked,
}

impl TenantState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Unlinked => "unlinked",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Tenant {
    pub id: String,
    pub name: String,
    pub contact_email: Option<String>,
    pub kind: TenantKind,
    pub state: TenantState,
    /// The organisation that it belongs to.
    pub parent_id: Option<String>,
    /// Its name.
    pub parent: Option<String>,
    /// How the provider names the customer.
    pub external_id: Option<String>,
    /// The customer's domain, as a partner's bill named it.
    pub domain: Option<String>,
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
    /// Chosen when it is made; none means a customer, and later no change.
    pub kind: Option<TenantKind>,
    /// Chosen once; none means no change.
    pub parent_id: Option<String>,
    /// None means no change.
    pub external_id: Option<String>,
    /// Of a customer that a bill named, when it is made.
    pub domain: Option<String>,
}

/// Which tenants to list; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantFilter {
    /// A part of the name or of the contact.
    pub search: Option<String>,
    pub state: Option<TenantState>,
    pub kind: Option<TenantKind>,
    pub parent_id: Option<String>,
}

impl TenantFields {
    fn checked(&self) -> Result<Checked> {
        let (name, name_key) = checked_name("a tenant's name", &self.name)?;
        let contact = match self.contact_email.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(checked_email(text)?),
            None => None,
        };
        let contact_key = contact.as_ref().map(|text| text.to_lowercase());
        if let Some(external) = &self.external_id {
            checked_name("an external id", external)?;
        }
        Ok(Checked { name, name_key, contact, contact_key })
    }

    fn taken(&self, message: &str) -> String {
        if message.contains("external_id") {
            format!("another tenant is known as {} already", self.external_id.as_deref().unwrap_or_default())
        } else if message.contains("contact_key") {
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

/// What the people of a suspended tenant are told.
pub const SUSPENDED: &str = "your organisation is suspended: ask who manages it";

/// A tenant with its parent's name.
macro_rules! tenants_where {
    ($rest:literal) => {
        concat!("SELECT t.*, p.name AS parent FROM tenants t LEFT JOIN tenants p ON p.id = t.parent_id ", $rest)
    };
}

/// Within a transaction.
pub(super) async fn find(tx: &mut Tx, id: &str) -> Result<Tenant> {
    let found = sqlx::query_as(tenants_where!("WHERE t.id = $1")).bind(id).fetch_optional(&mut **tx).await?;
    found.ok_or_else(|| StoreError::not_found("tenant", id))
}

/// The tenant, if the MSP may change something of it.
pub(super) async fn managed(tx: &mut Tx, id: &str) -> Result<Tenant> {
    let tenant = find(tx, id).await?;
    if tenant.state == TenantState::Unlinked {
        let name = &tenant.name;
        return Err(StoreError::Conflict(format!("the tenant {name} ({id}) is unlinked: link it again before you change anything of it")));
    }
    Ok(tenant)
}

/// Keeps the people of a suspended tenant out.
pub(super) async fn admitted(tx: &mut Tx, organisation: &Organisation) -> Result<()> {
    let Some(id) = organisation.tenant() else { return Ok(()) };
    match find(tx, id).await?.state {
        TenantState::Suspended => Err(StoreError::Forbidden(SUSPENDED.to_owned())),
        TenantState::Active | TenantState::Unlinked => Ok(()),
    }
}

/// The tenant, if it may hold subaccounts and have integrations.
pub(super) async fn managed_customer(tx: &mut Tx, id: &str) -> Result<Tenant> {
    let tenant = managed(tx, id).await?;
    if tenant.kind == TenantKind::Organisation {
        let name = &tenant.name;
        let text = format!("{name} ({id}) is an organisation: it has no subaccounts, integrations or runs of its own");
        return Err(StoreError::Conflict(text));
    }
    Ok(tenant)
}

async fn check_parent(tx: &mut Tx, kind: TenantKind, parent_id: &str) -> Result<()> {
    if kind == TenantKind::Organisation {
        return Err(StoreError::Invalid("an organisation has no parent organisation".to_owned()));
    }
    let parent = match find(tx, parent_id).await {
        Err(StoreError::NotFound { id, .. }) => return Err(StoreError::Invalid(format!("there is no organisation {id}"))),
        found => found?,
    };
    if parent.kind != TenantKind::Organisation {
        return Err(StoreError::Invalid(format!("{} ({parent_id}) is a customer; a parent is an organisation", parent.name)));
    }
    if parent.state != TenantState::Active {
        let (name, state) = (&parent.name, parent.state.name());
        return Err(StoreError::Conflict(format!("the organisation {name} is {state}: it must be active to be chosen")));
    }
    Ok(())
}

impl Store {
    /// Whether an organisation can be chosen as parent.
    async fn check_parent(&self, tx: &mut Tx, kind: TenantKind, parent_id: &str) -> Result<()> {
        if !self.view.sees(parent_id) {
            return Err(StoreError::Invalid(format!("there is no organisation {parent_id}")));
        }
        check_parent(tx, kind, parent_id).await
    }

    pub async fn tenant_create(&self, fields: &TenantFields) -> Result<Tenant> {
        let mut tx = self.begin().await?;
        let tenant = self.create_tenant(&mut tx, fields).await?;
        tx.commit().await?;
        Ok(tenant)
    }

    pub(super) async fn create_tenant(&self, tx: &mut Tx, fields: &TenantFields) -> Result<Tenant> {
        let checked = fields.checked()?;
        let kind = fields.kind.unwrap_or_default();
        on_our_domains(tx, checked.contact.as_deref()).await?;
        if let Some(parent) = &fields.parent_id {
            self.check_parent(tx, kind, parent).await?;
        }
        let id: String = sqlx::query_scalar(
            "INSERT INTO tenants (id, name, name_key, contact_email, contact_key, kind, parent_id, external_id, domain, version, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $10) RETURNING id",
        )
        .bind(self.clock.id("tnt"))
        .bind(checked.name)
        .bind(checked.name_key)
        .bind(checked.contact)
        .bind(checked.contact_key)
        .bind(kind)
        .bind(&fields.parent_id)
        .bind(&fields.external_id)
        .bind(&fields.domain)
        .bind(self.clock.now())
        .fetch_one(&mut **tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        let tenant = find(tx, &id).await?;
        self.audit(tx, "create", "tenant", &id, NOTHING, Some(&tenant)).await?;
        Ok(tenant)
    }

    pub async fn tenant(&self, id: &str) -> Result<Tenant> {
        self.see_tenant(id)?;
        let found = sqlx::query_as(tenants_where!("WHERE t.id = $1")).bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("tenant", id))
    }

    pub async fn tenant_by_name(&self, name: &str) -> Result<Tenant> {
        let key = name.trim().to_lowercase();
        let found = sqlx::query_as(tenants_where!("WHERE t.name_key = $1")).bind(key).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("tenant named", name))
    }

    /// Oldest first.
    pub async fn tenants(&self, filter: &TenantFilter, page: &PageRequest) -> Result<Page<Tenant>> {
        let items = sqlx::query_as(tenants_where!(
            "WHERE t.id > $1 AND ($2 IS NULL OR t.name_key LIKE $2 ESCAPE '!' OR t.contact_key LIKE $2 ESCAPE '!') \
             AND ($3 IS NULL OR t.state = $3) AND ($4 IS NULL OR t.kind = $4) AND ($5 IS NULL OR t.parent_id = $5) \
             AND ($7 IS NULL OR $7 LIKE '%,' || t.id || ',%') ORDER BY t.id LIMIT $6"
        ))
        .bind(page.after())
        .bind(filter.search.as_deref().map(containing))
        .bind(filter.state)
        .bind(filter.kind)
        .bind(&filter.parent_id)
        .bind(page.fetch())
        .bind(self.view.seen())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |tenant: &Tenant| tenant.id.clone()))
    }

    /// Ids of the tenants for which nothing new is published.
    pub async fn tenants_frozen(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT id FROM tenants WHERE state <> 'active' ORDER BY id").fetch_all(&self.read).await?)
    }

    pub async fn tenant_update(&self, id: &str, fields: &TenantFields, expected: Option<i64>) -> Result<Tenant> {
        self.see_tenant(id)?;
        let mut tx = self.begin().await?;
        let tenant = self.update_tenant(&mut tx, id, fields, expected).await?;
        tx.commit().await?;
        Ok(tenant)
    }

    pub(super) async fn update_tenant(&self, tx: &mut Tx, id: &str, fields: &TenantFields, expected: Option<i64>) -> Result<Tenant> {
        let checked = fields.checked()?;
        let before = managed(tx, id).await?;
        unchanged("tenant", id, before.version, expected)?;
        if before.contact_email != checked.contact {
            on_our_domains(tx, checked.contact.as_deref()).await?;
        }
        if fields.kind.is_some_and(|kind| kind != before.kind) {
            return Err(StoreError::Conflict("whether a tenant is a customer or an organisation is chosen when it is made".to_owned()));
        }
        match (&before.parent_id, &fields.parent_id) {
            (Some(old), Some(new)) if old != new => {
                let parent = before.parent.as_deref().unwrap_or(old);
                return Err(StoreError::Conflict(format!("the parent organisation is permanent: {} belongs to {parent}", before.name)));
            }
            (None, Some(new)) => self.check_parent(tx, before.kind, new).await?,
            _ => {}
        }
        sqlx::query(
            "UPDATE tenants SET name = $2, name_key = $3, contact_email = $4, contact_key = $5, parent_id = COALESCE($6, parent_id), \
             external_id = COALESCE($7, external_id), version = version + 1, updated_at = $8 WHERE id = $1",
        )
        .bind(id)
        .bind(checked.name)
        .bind(checked.name_key)
        .bind(checked.contact)
        .bind(checked.contact_key)
        .bind(&fields.parent_id)
        .bind(&fields.external_id)
        .bind(self.clock.now())
        .execute(&mut **tx)
        .await
        .map_err(|error| unique(error, |message| fields.taken(message)))?;
        let after = find(tx, id).await?;
        self.audit(tx, "update", "tenant", id, Some(&before), Some(&after)).await?;
        Ok(after)
    }

    /// Suspends, unlinks or, for who may, links a tenant again. Runs of it that have not ended are given up unless it is active.
    pub async fn tenant_set_state(&self, id: &str, state: TenantState, may_link: bool, expected: Option<i64>) -> Result<Tenant> {
        self.see_tenant(id)?;
        let mut tx = self.begin().await?;
        let before = find(&mut tx, id).await?;
        unchanged("tenant", id, before.version, expected)?;
        if before.state == state {
            return Ok(before);
        }
        if before.state == TenantState::Unlinked && !may_link {
            let name = before.name;
            return Err(StoreError::Forbidden(format!("the tenant {name} is unlinked: linking it again takes an Owner of the MSP")));
        }
        sqlx::query("UPDATE tenants SET state = $2, version = version + 1, updated_at = $3 WHERE id = $1")
            .bind(id)
            .bind(state)
            .bind(self.clock.now())
            .execute(&mut *tx)
            .await?;
        if state != TenantState::Active {
            super::runs::supersede_all(&mut tx, id, self.clock.now()).await?;
        }
        let after = find(&mut tx, id).await?;
        let action = match state {
            TenantState::Active => "activate",
            TenantState::Suspended => "suspend",
            TenantState::Unlinked => "unlink",
        };
        self.audit(&mut tx, action, "tenant", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }
}
