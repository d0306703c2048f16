//! What giving subaccounts to a tenant would do, before it is done: which months are rated again for whom, and how much money moves.
//!
//! The answer comes from the plan itself, made twice: of the holdings as they are, and as they would be. Nothing is stored and nothing is
//! rated, so it tells what was billed, not what will be charged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::engine::KnownHistory;
use super::plan::{Facts, Key, Plan, SumOutOfRange, plan};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::plugins::Plugins;
use crate::store::{Assign, Considered, Holding, Store, StoreError, TenantName};

#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sum(#[from] SumOutOfRange),
    #[error("the review stopped on a defect in rerate; the log says where")]
    Panicked,
}

/// What an assignment would do. Amounts are exact; what is refused is not counted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Review {
    /// Who gets them; null where they are released.
    pub tenant: Option<TenantName>,
    /// The first billing period; null for always.
    pub from_period: Option<Period>,
    /// Whether the same body can be submitted: nothing is refused and something moves.
    pub submittable: bool,
    /// In the order of the selection.
    pub moves: Vec<ReviewedMove>,
    /// Ids of those that are where they should be already.
    pub unchanged: Vec<String>,
    /// Held by another tenant: released there first, or handed over by naming that tenant in `from_tenant_id`.
    pub refused: Vec<RefusedMove>,
    /// Months that are rated again, and for whom; ordered by period, currency and tenant.
    pub months: Vec<ReviewedMonth>,
    /// What changes hands, by period, currency and who gives it up.
    pub money: Vec<MovedMoney>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReviewedMove {
    pub id: String,
    pub name: String,
    pub sub_account_id: String,
    pub integration_id: String,
    pub provider: String,
    /// Who holds it in the periods in question; empty for nobody.
    pub from: Vec<TenantName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedMove {
    pub id: String,
    pub name: String,
    pub sub_account_id: String,
    pub held_by: Vec<TenantName>,
}

/// What happens to a tenant's month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The tenant had nothing in it before.
    New,
    /// It is rated again.
    Changed,
    /// The tenant has nothing in it any more, and no bill.
    Withdrawn,
    /// Its rules look at earlier months that change; it is rated again if they charge otherwise there.
    Follows,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReviewedMonth {
    pub tenant: TenantName,
    pub period: Period,
    pub currency: String,
    pub effect: Effect,
    /// What the tenant's subaccounts were billed, now and then.
    pub billed_before: Amount,
    pub billed_after: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MovedMoney {
    pub period: Period,
    pub currency: String,
    /// Null where nobody held it.
    pub from: Option<TenantName>,
    /// Null where nobody will.
    pub to: Option<TenantName>,
    pub charges: u64,
    pub billed: Amount,
}

/// `store` sees everything; what the caller may select was looked up by `considered`.
pub async fn review(store: &Store, plugins: &Arc<Plugins>, wanted: &Assign, considered: Vec<Considered>) -> Result<Review, ReviewError> {
    let moving: BTreeSet<String> =
        considered.iter().filter(|c| c.changes && c.refused.is_empty()).map(|c| c.subaccount.id.clone()).collect();
    let facts = Facts::read(store).await?;
    let (plugins, to, from_period) = (Arc::clone(plugins), wanted.tenant_id.clone(), wanted.from_period);
    let compared = tokio::task::spawn_blocking(move || {
        let known = KnownHistory::default();
        let asks = |link: &_, bill: &_| known.asks(&plugins, link, bill);
        let before = plan(&facts, &asks)?;
        let moved: Vec<Holding> = facts.holdings.iter().filter(|h| is_moved(h, &moving, from_period, to.as_deref())).cloned().collect();
        let mut facts = facts;
        for holding in facts.holdings.iter_mut().filter(|h| is_moved(h, &moving, from_period, to.as_deref())) {
            holding.tenant_id.clone_from(&to);
        }
        let after = plan(&facts, &asks)?;
        Ok::<_, SumOutOfRange>((changed_months(&before, &after), money(&moved)?))
    });
    let (months, money) = compared.await.map_err(|_| ReviewError::Panicked)??;
    let mut names = Names::of_store(store);
    let tenant = names.of(wanted.tenant_id.as_deref()).await?;
    let mut review = Review {
        from_period,
        submittable: false,
        moves: Vec::new(),
        unchanged: Vec::new(),
        refused: Vec::new(),
        months: Vec::with_capacity(months.len()),
        money: Vec::with_capacity(money.len()),
        tenant: tenant.clone(),
    };
    for (key, (effect, billed_before, billed_after)) in months {
        let Some(tenant) = names.of(Some(&key.tenant)).await? else { continue };
        review.months.push(ReviewedMonth { tenant, period: key.period, currency: key.currency, effect, billed_before, billed_after });
    }
    for ((period, currency, from), (charges, billed)) in money {
        let from = names.of(from.as_deref()).await?;
        review.money.push(MovedMoney { period, currency, from, to: tenant.clone(), charges, billed });
    }
    for Considered { subaccount, from, refused, changes } in considered {
        let (id, name, sub_account_id) = (subaccount.id, subaccount.name, subaccount.sub_account_id);
        if !refused.is_empty() {
            review.refused.push(RefusedMove { id, name, sub_account_id, held_by: refused });
        } else if changes {
            let (integration_id, provider) = (subaccount.integration_id, subaccount.provider);
            review.moves.push(ReviewedMove { id, name, sub_account_id, integration_id, provider, from });
        } else {
            review.unchanged.push(id);
        }
    }
    review.submittable = review.refused.is_empty() && !review.moves.is_empty();
    Ok(review)
}

fn is_moved(holding: &Holding, moving: &BTreeSet<String>, from: Option<Period>, to: Option<&str>) -> bool {
    from.is_none_or(|from| holding.period >= from) && holding.tenant_id.as_deref() != to && moving.contains(&holding.subaccount_id)
}

pub(super) type Months = BTreeMap<Key, (Effect, Amount, Amount)>;

/// What differs between two plans, month by month.
pub(super) fn changed_months(before: &Plan, after: &Plan) -> Months {
    let keys: BTreeSet<&Key> = before.wanted.keys().chain(after.wanted.keys()).collect();
    let mut months = Months::new();
    let mut changed: BTreeSet<(&str, &str)> = BTreeSet::new();
    for key in keys {
        let chained = (key.tenant.as_str(), key.currency.as_str());
        let effect = match (before.wanted.get(key), after.wanted.get(key)) {
            (None, _) => Effect::New,
            (_, None) => Effect::Withdrawn,
            (Some(was), Some(will)) if was.identity != will.identity => Effect::Changed,
            // Keys are in the order of periods.
            (_, Some(will)) if will.has_history && changed.contains(&chained) => Effect::Follows,
            _ => continue,
        };
        changed.insert(chained);
        months.insert(key.clone(), (effect, before.billed(key), after.billed(key)));
    }
    months
}

type Money = BTreeMap<(Period, String, Option<String>), (u64, Amount)>;

fn money(moved: &[Holding]) -> Result<Money, SumOutOfRange> {
    let mut money = Money::new();
    for holding in moved {
        let sum = money.entry((holding.period, holding.currency.clone(), holding.tenant_id.clone())).or_insert((0, Amount::ZERO));
        sum.0 += holding.charges;
        sum.1 = sum.1.checked_add(holding.billed).ok_or(SumOutOfRange)?;
    }
    Ok(money)
}

/// Tenants' names, each looked up once.
pub(super) struct Names<'a> {
    store: &'a Store,
    known: BTreeMap<String, Option<TenantName>>,
}

impl<'a> Names<'a> {
    pub(super) fn of_store(store: &'a Store) -> Self {
        Self { store, known: BTreeMap::new() }
    }

    pub(super) async fn of(&mut self, id: Option<&str>) -> Result<Option<TenantName>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let name = match self.store.tenant(id).await {
            Ok(tenant) => Some(TenantName { id: tenant.id, name: tenant.name }),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        self.known.insert(id.to_owned(), name.clone());
        Ok(name)
    }
}
