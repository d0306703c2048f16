//! Subaccounts: discovered from bills, held by one tenant or by none. Who held one before is told by `holders`.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::holders::{holders_from, is_held_from, rows_of};
use super::tenants::managed_customer;
use super::values::literally;
use super::{Page, PageRequest, Result, Store, StoreError, Tx, list_tag, unchanged};
use crate::clock::Moment;
use crate::domain::period::Period;

/// Subaccounts moved by one call: a large organisation has tens of thousands of accounts, and they are moved a screen at a time.
const MAX_MOVED: usize = 10_000;

/// How a tenant is called that the caller does not see.
pub(super) const UNSEEN: &str = "another tenant";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Subaccount {
    pub id: String,
    pub integration_id: String,
    pub billing_account_id: String,
    /// Empty for charges of the billing account that name no sub account.
    pub sub_account_id: String,
    pub name: String,
    pub provider: String,
    /// Who holds it, by the latest assignment; null for nobody.
    pub tenant_id: Option<String>,
    /// The first billing period of that; null for always. Its history tells who held it before.
    pub from_period: Option<Period>,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// Which subaccounts to list; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubaccountFilter {
    /// A part of the name or of an id.
    pub search: Option<String>,
    pub integration_id: Option<String>,
    pub provider: Option<String>,
    pub tenant_id: Option<String>,
    /// Only those that nobody holds.
    pub unassigned: bool,
}

/// Which subaccounts to give to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assign {
    pub subaccounts: Vec<String>,
    /// None releases them.
    pub tenant_id: Option<String>,
    /// The first billing period; none for always.
    pub from_period: Option<Period>,
    /// The tenant that gives them up, if one holds them: they move without being released in between.
    pub from_tenant_id: Option<String>,
    /// The tag that each of them must have.
    pub expected: Option<i64>,
    /// The tag of a review that must still hold.
    pub reviewed: Option<i64>,
}

/// A tenant as a person knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct TenantName {
    pub id: String,
    pub name: String,
}

/// A subaccount of a selection, before anything moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    pub subaccount: Subaccount,
    /// Other tenants that hold it in the periods in question.
    pub from: Vec<TenantName>,
    /// Those of them that have not given it up: it cannot move.
    pub refused: Vec<TenantName>,
    /// Whether it is not where it should be already.
    pub changes: bool,
}

/// A subaccount that changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Moved {
    pub id: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Store {
    pub async fn subaccount(&self, id: &str) -> Result<Subaccount> {
        let found: Option<Subaccount> =
            sqlx::query_as("SELECT * FROM subaccounts WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.filter(|subaccount| self.sees_subaccount(subaccount)).ok_or_else(|| StoreError::not_found("subaccount", id))
    }

    /// The MSP's people see what nobody holds, so that they can assign it; a tenant's people see their own, or what their cost centers have.
    pub(super) fn sees_subaccount(&self, subaccount: &Subaccount) -> bool {
        let Some(tenant) = self.view.tenant() else {
            return subaccount.tenant_id.as_ref().is_none_or(|holder| self.view.sees(holder));
        };
        let key = (subaccount.billing_account_id.clone(), subaccount.sub_account_id.clone());
        subaccount.tenant_id.as_deref() == Some(&*tenant.id) && tenant.accounts.as_ref().is_none_or(|accounts| accounts.contains(&key))
    }

    pub async fn subaccounts(&self, filter: &SubaccountFilter, page: &PageRequest) -> Result<Page<Subaccount>> {
        let mut filter = filter.clone();
        if let Some(tenant) = self.view.tenant() {
            if filter.tenant_id.as_deref().is_some_and(|asked| asked != &*tenant.id) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            filter.tenant_id = Some(tenant.id.to_string());
        }
        let mut items = Vec::new();
        let mut after = page.after().to_owned();
        // What is not seen is left out here, so a page may take several looks.
        loop {
            let found = self.subaccounts_after(&filter, &after, page.fetch()).await?;
            let (last, ended) = (found.last().map(|s| s.id.clone()), i64::try_from(found.len()).is_ok_and(|found| found < page.fetch()));
            items.extend(found.into_iter().filter(|subaccount| self.sees_subaccount(subaccount)));
            match last {
                Some(last) if !ended && !page.is_filled(items.len()) => after = last,
                _ => return Ok(page.page(items, |subaccount: &Subaccount| subaccount.id.clone())),
            }
        }
    }

    async fn subaccounts_after(&self, filter: &SubaccountFilter, after: &str, limit: i64) -> Result<Vec<Subaccount>> {
        let items = sqlx::query_as(
            "SELECT * FROM subaccounts WHERE id > $1 \
             AND ($2 IS NULL OR search_key LIKE '%' || $2 || '%' ESCAPE '!') \
             AND ($3 IS NULL OR integration_id = $3) \
             AND ($4 IS NULL OR provider = $4) \
             AND ($5 IS NULL OR tenant_id = $5) \
             AND (NOT $6 OR tenant_id IS NULL) \
             ORDER BY id LIMIT $7",
        )
        .bind(after)
        .bind(filter.search.as_deref().map(|text| literally(&text.trim().to_lowercase())))
        .bind(&filter.integration_id)
        .bind(&filter.provider)
        .bind(&filter.tenant_id)
        .bind(filter.unassigned)
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        Ok(items)
    }

    /// Gives subaccounts to a tenant for always, or releases them (`None`): all or none. One that another tenant holds must be released
    /// first. Those that are where they should be already are not in the answer.
    pub async fn subaccounts_move(&self, ids: &[String], tenant_id: Option<&str>) -> Result<Vec<Moved>> {
        self.subaccounts_assign(&Assign { subaccounts: ids.to_vec(), tenant_id: tenant_id.map(str::to_owned), ..Assign::default() }).await
    }

    /// As asked: all of them move, or none.
    pub async fn subaccounts_assign(&self, wanted: &Assign) -> Result<Vec<Moved>> {
        let mut tx = self.begin().await?;
        let moved = self.assign_within(&mut tx, wanted).await?;
        tx.commit().await?;
        Ok(moved)
    }

    pub(super) async fn assign_within(&self, tx: &mut Tx, wanted: &Assign) -> Result<Vec<Moved>> {
        let considered = self.consider(tx, wanted).await?;
        if wanted.reviewed.is_some() {
            unchanged("review of", "the subaccounts", review_tag(tx, wanted, &considered).await?, wanted.reviewed)?;
        }
        let mut moved = Vec::new();
        for Considered { subaccount, refused, changes, .. } in considered {
            unchanged("subaccount", &subaccount.id, subaccount.tag(), wanted.expected)?;
            let id = subaccount.id;
            if let Some(holder) = refused.first() {
                let (tenant, tenant_id) = (&holder.name, &holder.id);
                let name = subaccount.name;
                return Err(StoreError::Conflict(format!("the subaccount {name} ({id}) is held by the tenant {tenant} ({tenant_id})")));
            }
            if !changes {
                continue;
            }
            let to = wanted.tenant_id.as_deref();
            self.put_holder(tx, &id, to, wanted.from_period).await?;
            let before = Holder { tenant_id: subaccount.tenant_id.as_deref(), from_period: subaccount.from_period };
            let after = Holder { tenant_id: to, from_period: wanted.from_period };
            let action = if to.is_some() { "assign" } else { "release" };
            self.audit(tx, action, "subaccount", &id, Some(&before), Some(&after)).await?;
            moved.push(Moved { id, from: subaccount.tenant_id, to: to.map(str::to_owned) });
        }
        Ok(moved)
    }

    /// What [`Store::subaccounts_assign`] would find, without doing anything; and the tag by which it can be done only as long as this holds.
    pub async fn subaccounts_consider(&self, wanted: &Assign) -> Result<(Vec<Considered>, i64)> {
        let mut tx = self.read.begin().await?;
        let considered = self.consider(&mut tx, wanted).await?;
        let tag = review_tag(&mut tx, wanted, &considered).await?;
        Ok((considered, tag))
    }

    /// The selection as the caller sees it. What a tenant that they do not see holds in the periods in question is not theirs to take.
    async fn consider(&self, tx: &mut Tx, wanted: &Assign) -> Result<Vec<Considered>> {
        for tenant in wanted.tenant_id.iter().chain(&wanted.from_tenant_id) {
            self.see_tenant(tenant)?;
        }
        let mut considered = consider(tx, wanted).await?;
        for found in &mut considered {
            if !self.sees_subaccount(&found.subaccount) {
                return Err(StoreError::not_found("subaccount", &found.subaccount.id));
            }
            let strange: Vec<TenantName> = found.from.extract_if(.., |holder| !self.view.sees(&holder.id)).collect();
            if !strange.is_empty() {
                found.refused.retain(|holder| self.view.sees(&holder.id));
                found.refused.push(TenantName { id: String::new(), name: UNSEEN.to_owned() });
            }
        }
        Ok(considered)
    }
}

/// A holder as the log of changes tells it.
#[derive(Serialize)]
struct Holder<'a> {
    tenant_id: Option<&'a str>,
    from_period: Option<Period>,
}

/// Whether the subaccount may be given to this tenant: what a tenant's own integration brings is the tenant's.
async fn is_free(tx: &mut Tx, subaccount: &Subaccount, to: Option<&str>) -> Result<bool> {
    let owner: Option<Option<String>> = sqlx::query_scalar("SELECT tenant_id FROM integrations WHERE id = $1")
        .bind(&subaccount.integration_id)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(owner.flatten().is_none_or(|owner| Some(owner.as_str()) == to))
}

/// What moves, from whom, and which months that concerns: who holds what in the periods in question, the bills that name it, and whether
/// those tenants' months are rated.
async fn review_tag(tx: &mut Tx, wanted: &Assign, considered: &[Considered]) -> Result<i64> {
    let mut parts = vec![wanted.tenant_id.clone().unwrap_or_default(), wanted.from_period.map(|from| from.to_string()).unwrap_or_default()];
    let (mut integrations, mut tenants) = (BTreeSet::new(), BTreeSet::new());
    tenants.extend(&wanted.tenant_id);
    for Considered { subaccount, from, refused, changes } in considered {
        let what = if *changes { "moves" } else { "stays" };
        parts.extend([subaccount.id.clone(), what.to_owned(), format!("{} refuse", refused.len())]);
        for holder in from {
            parts.push(holder.id.clone());
            tenants.insert(&holder.id);
        }
        if *changes {
            integrations.insert(&subaccount.integration_id);
        }
    }
    for integration in integrations {
        let bills: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM snapshots WHERE integration_id = $1 AND state = 'published' AND ($2 IS NULL OR period >= $2) ORDER BY id",
        )
        .bind(integration)
        .bind(wanted.from_period)
        .fetch_all(&mut **tx)
        .await?;
        parts.extend(bills);
    }
    for tenant in tenants {
        let state: Option<String> =
            sqlx::query_scalar("SELECT state FROM tenants WHERE id = $1").bind(tenant).fetch_optional(&mut **tx).await?;
        parts.extend(state);
    }
    Ok(list_tag(&parts))
}

async fn consider(tx: &mut Tx, wanted: &Assign) -> Result<Vec<Considered>> {
    let ids: BTreeSet<&String> = wanted.subaccounts.iter().collect();
    if ids.is_empty() || ids.len() > MAX_MOVED {
        return Err(StoreError::Invalid(format!("select 1 to {MAX_MOVED} subaccounts")));
    }
    if let Some(tenant) = &wanted.tenant_id {
        managed_customer(tx, tenant).await?;
    }
    let mut considered = Vec::with_capacity(ids.len());
    // In the order of the selection: the first that is refused is the one that is told.
    let mut left = ids;
    for id in &wanted.subaccounts {
        if !left.remove(id) {
            continue;
        }
        let found = sqlx::query_as("SELECT * FROM subaccounts WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
        let subaccount: Subaccount = found.ok_or_else(|| StoreError::not_found("subaccount", id))?;
        if !is_free(tx, &subaccount, wanted.tenant_id.as_deref()).await? {
            let (name, integration) = (subaccount.name, subaccount.integration_id);
            let text =
                format!("the subaccount {name} ({id}) comes from a tenant's own integration ({integration}): it stays with that tenant");
            return Err(StoreError::Conflict(text));
        }
        let rows = rows_of(tx, id).await?;
        let changes = !is_held_from(&rows, wanted.from_period, wanted.tenant_id.as_deref());
        let holders = holders_from(&rows, wanted.from_period).into_iter().filter_map(|row| {
            let (id, name) = (row.tenant_id.clone()?, row.tenant.clone().unwrap_or_default());
            (Some(&id) != wanted.tenant_id.as_ref()).then_some(TenantName { id, name })
        });
        let from: Vec<TenantName> = holders.collect();
        let refused = from.iter().filter(|holder| wanted.tenant_id.is_some() && Some(&holder.id) != wanted.from_tenant_id.as_ref());
        considered.push(Considered { refused: refused.cloned().collect(), subaccount, from, changes });
    }
    Ok(considered)
}
