//! Tenants from a list: made or changed, and given their subaccounts, all in one transaction or not at all.
//!
//! A trial does the same work and takes it back, so what it tells is what happens. Reading the list is not done here.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::tenants::{find, managed_customer};
use super::{Assign, Result, Store, StoreError, Subaccount, Tenant, TenantFields, TenantName, Tx};
use crate::domain::period::Period;

/// Faults that are told: whoever mends a hundred looks again.
pub const MAX_FAULTS: usize = 100;

/// One tenant of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterTenant {
    /// Where it is named first.
    pub line: u64,
    pub name: String,
    /// How the provider names it; found by this first, then by its name.
    pub external_id: Option<String>,
    /// None keeps what there is.
    pub contact_email: Option<String>,
    /// As the bill names them, or by our ids, each with its line.
    pub subaccounts: Vec<(String, u64)>,
}

/// A list of tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    pub tenants: Vec<RosterTenant>,
    /// Names of the columns, for faults.
    pub name_column: String,
    pub contact_column: String,
    pub subaccount_column: String,
    /// Whether a tenant found by its external id takes the list's name.
    pub renames: bool,
    /// The first billing period of the assignments; none for always.
    pub from_period: Option<Period>,
}

/// What is wrong at a place of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RosterFault {
    pub line: u64,
    pub column: String,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RosterAction {
    Create,
    Update,
    /// It is as the list says already.
    Keep,
}

/// What the list does to one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RosterChange {
    pub action: RosterAction,
    /// After it; in a trial the id of a tenant that is to be made is not its later one.
    pub tenant: TenantName,
    pub contact_email: Option<String>,
    pub external_id: Option<String>,
    /// Subaccounts that it is given, as the bill names them.
    pub assigned: Vec<String>,
    /// Subaccounts of the list that it holds already.
    pub held: u64,
}

/// All or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RosterOutcome {
    Done(Vec<RosterChange>),
    Refused(Vec<RosterFault>),
}

impl Store {
    /// Makes the tenants what the list says; with `trial` everything is taken back.
    pub async fn tenants_import(&self, roster: &Roster, trial: bool) -> Result<RosterOutcome> {
        let mut tx = self.begin().await?;
        let known = known_subaccounts(&mut tx).await?;
        let (mut changes, mut faults) = (Vec::new(), Vec::new());
        for listed in &roster.tenants {
            match self.import_one(&mut tx, roster, listed, &known).await? {
                Ok(change) => changes.push(change),
                Err(found) => faults.extend(found),
            }
            if faults.len() >= MAX_FAULTS {
                break;
            }
        }
        if !faults.is_empty() {
            faults.truncate(MAX_FAULTS);
            return Ok(RosterOutcome::Refused(faults));
        }
        if !trial {
            tx.commit().await?;
        }
        Ok(RosterOutcome::Done(changes))
    }

    async fn import_one(
        &self,
        tx: &mut Tx,
        roster: &Roster,
        listed: &RosterTenant,
        known: &Known,
    ) -> Result<std::result::Result<RosterChange, Vec<RosterFault>>> {
        let fault = |line: u64, column: &str, detail: String| RosterFault { line, column: column.to_owned(), detail };
        let (action, tenant) = match self.put_tenant(tx, roster, listed).await {
            Ok(done) => done,
            Err(PutError::At(column, detail)) => return Ok(Err(vec![fault(listed.line, &column, detail)])),
            Err(PutError::Store(error)) => return Err(error),
        };
        let (mut ids, mut faults) = (Vec::new(), Vec::new());
        for (text, line) in &listed.subaccounts {
            match known.get(text) {
                Some(found) if found.len() == 1 => ids.push((&found[0], *line)),
                Some(found) => {
                    let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
                    let detail = format!("{text} is an account of {} integrations: say which by its id: {}", found.len(), ids.join(", "));
                    faults.push(fault(*line, &roster.subaccount_column, detail));
                }
                None => {
                    let detail = format!("no bill has named the subaccount {text}: refresh its integration first");
                    faults.push(fault(*line, &roster.subaccount_column, detail));
                }
            }
        }
        let (mut assigned, mut held) = (Vec::new(), 0);
        for ((id, name), line) in ids {
            let wanted = Assign {
                subaccounts: vec![id.clone()],
                tenant_id: Some(tenant.id.clone()),
                from_period: roster.from_period,
                from_tenant_id: None,
                ..Assign::default()
            };
            match self.assign_within(tx, &wanted).await {
                Ok(moved) if moved.is_empty() => held += 1,
                Ok(_) => assigned.push(name.clone()),
                Err(StoreError::Conflict(detail)) => faults.push(fault(line, &roster.subaccount_column, detail)),
                Err(error) => return Err(error),
            }
        }
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        let (contact_email, external_id) = (tenant.contact_email, tenant.external_id);
        let tenant = TenantName { id: tenant.id, name: tenant.name };
        Ok(Ok(RosterChange { action, tenant, contact_email, external_id, assigned, held }))
    }

    async fn put_tenant(
        &self,
        tx: &mut Tx,
        roster: &Roster,
        listed: &RosterTenant,
    ) -> std::result::Result<(RosterAction, Tenant), PutError> {
        let name = &roster.name_column;
        let found = match &listed.external_id {
            Some(external) => tenant_where(tx, Column::ExternalId, external).await?,
            None => None,
        };
        let by_name = tenant_where(tx, Column::Name, &listed.name.trim().to_lowercase()).await?;
        if let (Some(known), Some(other)) = (&found, &by_name)
            && known.id != other.id
            && roster.renames
        {
            let (known, external) = (&known.name, listed.external_id.as_deref().unwrap_or_default());
            return Err(PutError::at(name, format!("{external} is {known}, and another tenant is named {} already", other.name)));
        }
        let before = found.or(by_name);
        if let (Some(known), Some(external)) = (&before, &listed.external_id)
            && known.external_id.as_ref().is_some_and(|its| its != external)
        {
            let its = known.external_id.as_deref().unwrap_or_default();
            return Err(PutError::at(name, format!("the tenant {} is known as {its}, not as {external}", known.name)));
        }
        let contact = listed.contact_email.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if let Some(contact) = contact
            && let Some(other) = tenant_where(tx, Column::Contact, &contact.to_lowercase()).await?
            && before.as_ref().is_none_or(|known| known.id != other.id)
        {
            return Err(PutError::at(&roster.contact_column, format!("the tenant {} has the contact {contact} already", other.name)));
        }
        let Some(before) = before else {
            let contact_email = contact.map(str::to_owned);
            let fields = TenantFields {
                name: listed.name.clone(),
                contact_email,
                external_id: listed.external_id.clone(),
                ..TenantFields::default()
            };
            let made = self.create_tenant(tx, &fields).await.map_err(|error| PutError::of(error, roster))?;
            return Ok((RosterAction::Create, made));
        };
        let before = managed_customer(tx, &before.id).await.map_err(|error| PutError::of(error, roster))?;
        let fields = TenantFields {
            name: if roster.renames { listed.name.trim().to_owned() } else { before.name.clone() },
            contact_email: contact.map(str::to_owned).or_else(|| before.contact_email.clone()),
            external_id: listed.external_id.clone().or_else(|| before.external_id.clone()),
            ..TenantFields::default()
        };
        if (&fields.name, &fields.contact_email, &fields.external_id) == (&before.name, &before.contact_email, &before.external_id) {
            return Ok((RosterAction::Keep, before));
        }
        let after = self.update_tenant(tx, &before.id, &fields, None).await.map_err(|error| PutError::of(error, roster))?;
        Ok((RosterAction::Update, after))
    }
}

/// Why a tenant of the list could not be made.
enum PutError {
    /// The list is wrong in this column.
    At(String, String),
    Store(StoreError),
}

impl PutError {
    fn at(column: &str, detail: String) -> Self {
        Self::At(column.to_owned(), detail)
    }

    fn of(error: StoreError, roster: &Roster) -> Self {
        match error {
            StoreError::Invalid(detail) | StoreError::Conflict(detail) => {
                let of_contact = detail.contains("contact") || detail.contains("e-mail");
                Self::At(if of_contact { &roster.contact_column } else { &roster.name_column }.clone(), detail)
            }
            error => Self::Store(error),
        }
    }
}

impl From<StoreError> for PutError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a tenant is found by.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Name,
    Contact,
    ExternalId,
}

pub(super) async fn tenant_where(tx: &mut Tx, column: Column, value: &str) -> Result<Option<Tenant>> {
    let statement = match column {
        Column::Name => "SELECT id FROM tenants WHERE name_key = $1",
        Column::Contact => "SELECT id FROM tenants WHERE contact_key = $1",
        Column::ExternalId => "SELECT id FROM tenants WHERE external_id = $1",
    };
    let id: Option<String> = sqlx::query_scalar(statement).bind(value).fetch_optional(&mut **tx).await?;
    match id {
        Some(id) => Ok(Some(find(tx, &id).await?)),
        None => Ok(None),
    }
}

/// Subaccounts by what a list may call them: (id, as the bill names it).
type Known = BTreeMap<String, Vec<(String, String)>>;

async fn known_subaccounts(tx: &mut Tx) -> Result<Known> {
    let all: Vec<Subaccount> = sqlx::query_as("SELECT * FROM subaccounts ORDER BY id").fetch_all(&mut **tx).await?;
    let mut known = Known::new();
    for subaccount in all {
        let name = if subaccount.sub_account_id.is_empty() { subaccount.billing_account_id } else { subaccount.sub_account_id };
        known.entry(name.clone()).or_default().push((subaccount.id.clone(), name.clone()));
        known.entry(subaccount.id.clone()).or_default().push((subaccount.id, name));
    }
    Ok(known)
}
