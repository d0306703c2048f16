//! On whose behalf the store works, and what they see of the tenants.
//!
//! The filter is inside the store's functions: whoever holds a store with a view cannot forget it. Daemon and jobs have a store that sees
//! everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Result, Store, StoreError};
use crate::domain::access::{MANAGER_USER, Organisation};

/// Whom the log of changes names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A person's e-mail address or a token's name.
    pub name: String,
    /// The person's or the token's id.
    pub id: Option<String>,
    /// Where they belong.
    pub organisation: Organisation,
    /// The tenant in which a person of the MSP acts as Manager User.
    pub acting_in: Option<String>,
    /// From where the call came.
    pub address: Option<String>,
}

impl Actor {
    /// Somebody of whom only the name is known: the daemon itself, a watched folder.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), id: None, organisation: Organisation::Msp, acting_in: None, address: None }
    }

    /// Who is shown to have made what belongs to an organisation: a tenant's people do not learn who works for the MSP.
    pub fn creator_in(&self, organisation: &Organisation) -> &str {
        match (organisation, &self.organisation) {
            (Organisation::Tenant(_), Organisation::Msp) => MANAGER_USER,
            _ => &self.name,
        }
    }
}

/// A subaccount as charges name it: billing account and sub account; the latter is empty for what the bill names none for.
pub type AccountKey = (String, String);

/// What is seen of the tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Everything,
    /// The MSP's side of these tenants: a person in teams.
    Tenants(Arc<str>),
    /// A tenant's own side of itself: what it is charged, never what it cost.
    Tenant(TenantView),
    /// One virtual integration, and of tenants nothing.
    Virtual(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantView {
    pub id: Arc<str>,
    /// As [`View::seen`] gives it.
    listed: Arc<str>,
    /// Only these subaccounts, for who is limited to cost centers.
    pub accounts: Option<Arc<BTreeSet<AccountKey>>>,
}

impl TenantView {
    /// All of a tenant's side.
    pub fn whole(id: &str) -> Self {
        Self { id: id.into(), listed: listed([id]), accounts: None }
    }
}

impl View {
    pub fn of_tenants<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Tenants(listed(ids))
    }

    pub fn of_tenant(id: &str, accounts: Option<BTreeSet<AccountKey>>) -> Self {
        Self::Tenant(TenantView { accounts: accounts.map(Arc::new), ..TenantView::whole(id) })
    }

    /// The tenants as `,tnt_a,tnt_b,`; none for all. Statements bind it and ask
    /// `($n IS NULL OR $n LIKE '%,' || tenant_id || ',%')`.
    pub fn seen(&self) -> Option<&str> {
        match self {
            Self::Everything => None,
            Self::Tenants(listed) => Some(listed),
            Self::Tenant(tenant) => Some(&tenant.listed),
            Self::Virtual(_) => Some(","),
        }
    }

    pub fn sees(&self, tenant_id: &str) -> bool {
        self.seen().is_none_or(|listed| listed.split(',').any(|id| !id.is_empty() && id == tenant_id))
    }

    /// Whether nothing is hidden.
    pub const fn is_everything(&self) -> bool {
        matches!(self, Self::Everything)
    }

    /// The tenant whose own side it is.
    pub const fn tenant(&self) -> Option<&TenantView> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            _ => None,
        }
    }
}

impl View {
    /// The only virtual integration that is seen, where that is all.
    pub const fn virtual_integration(&self) -> Option<&Arc<str>> {
        match self {
            Self::Virtual(id) => Some(id),
            _ => None,
        }
    }
}

fn listed<'a>(ids: impl IntoIterator<Item = &'a str>) -> Arc<str> {
    let mut text = String::from(",");
    for id in ids {
        text.push_str(id);
        text.push(',');
    }
    text.into()
}

impl Store {
    /// The same store, on behalf of somebody: the log of changes names them, and they see what they may.
    #[must_use]
    pub fn on_behalf(&self, actor: Actor, view: View) -> Self {
        Self { actor: Arc::new(actor), view, ..self.clone() }
    }

    /// The same store, on behalf of somebody of whom only the name is known.
    #[must_use]
    pub fn by(&self, actor: &str) -> Self {
        Self { actor: Arc::new(Actor::named(actor)), ..self.clone() }
    }

    /// The same store, on behalf of somebody who sees what they saw.
    #[must_use]
    pub fn by_actor(&self, actor: &Actor) -> Self {
        Self { actor: Arc::new(actor.clone()), ..self.clone() }
    }

    /// On whose behalf it works.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Refuses a change that reaches every tenant to a caller who sees some of them.
    pub(super) fn reach(&self, tenant_id: Option<&str>) -> Result<()> {
        match tenant_id {
            Some(tenant) => self.see_tenant(tenant),
            None if self.view.is_everything() => Ok(()),
            None => Err(StoreError::Forbidden("this reaches every tenant, and your teams limit you to some".to_owned())),
        }
    }

    /// Refuses what belongs to a tenant that the caller does not see, in the words of one that is not there.
    pub(super) fn see_tenant(&self, tenant_id: &str) -> Result<()> {
        if self.view.sees(tenant_id) { Ok(()) } else { Err(StoreError::not_found("tenant", tenant_id)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_sees_the_tenants_that_it_names_and_no_others() {
        let view = View::of_tenants(["tnt_a", "tnt_b"]);
        assert_eq!(view.seen(), Some(",tnt_a,tnt_b,"));
        assert!(view.sees("tnt_a") && view.sees("tnt_b") && !view.sees("tnt_") && !view.sees("") && !view.sees("tnt_a,tnt_b"));
        assert!(!View::of_tenants([]).sees("") && !View::of_tenants([]).sees("tnt_a"));
        assert!(View::Everything.sees("tnt_a"));
        assert!(View::of_tenant("tnt_a", None).sees("tnt_a") && !View::of_tenant("tnt_a", None).sees("tnt_b"));
    }

    #[test]
    fn a_tenants_people_see_the_manager_user_and_not_who_it_was() {
        let msp = Actor::named("ann@msp.example");
        let own = Actor { organisation: Organisation::Tenant("tnt_a".to_owned()), ..Actor::named("bob@acme.example") };
        let acme = Organisation::Tenant("tnt_a".to_owned());
        assert_eq!((msp.creator_in(&acme), msp.creator_in(&Organisation::Msp)), ("Manager User", "ann@msp.example"));
        assert_eq!(own.creator_in(&acme), "bob@acme.example");
    }
}
