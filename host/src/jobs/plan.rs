//! What should be published, computed from what the store says: no memory of what happened, so a restart loses nothing and nothing
//! happens twice.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::identity::{ENGINE, RuleIdentity, RunIdentity, SourceIdentity};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rule::{BillPeriod, Earlier, Treatment};
use crate::rating::both;
use crate::store::{
    AccountOwner, AssignedRule, ChainLink, Holding, PeriodSplit, PublishedRun, Run, RunHead, RunInputs, RunState, Snapshot, SourceInputs,
    Store, StoreError, TenantShare,
};

/// What the store says, read in one go.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Published ones, in the order of their ids.
    pub(super) snapshots: Vec<Arc<Snapshot>>,
    pub(super) holdings: Vec<Holding>,
    /// In listed order.
    pub(super) rules: Vec<AssignedRule>,
    pub(super) published: Vec<PublishedRun>,
    pub(super) pending: Vec<RunHead>,
    /// Failed, and nothing was tried since.
    pub(super) failed: Vec<Run>,
    pub(super) splits: Vec<PeriodSplit>,
    /// Tenants that are not active: what is published for them stays, and nothing new is.
    pub(super) frozen: BTreeSet<String>,
}

impl Facts {
    pub(super) async fn read(store: &Store) -> Result<Self, StoreError> {
        let (snapshots, holdings) = store.bills().await?;
        Ok(Self {
            snapshots: snapshots.into_iter().map(Arc::new).collect(),
            holdings,
            rules: store.assigned_rules().await?,
            published: store.runs_standing(None).await?,
            pending: store.runs_pending().await?,
            failed: store.runs_failed().await?,
            splits: store.splits(None).await?,
            frozen: store.tenants_frozen().await?.into_iter().collect(),
        })
    }
}

/// A tenant's month in one currency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) period: Period,
    pub(super) currency: String,
    pub(super) tenant: String,
}

impl Key {
    pub(super) fn of(run: &RunHead) -> Self {
        Self { period: run.period, currency: run.currency.clone(), tenant: run.tenant_id.clone() }
    }
}

/// A run that should be published.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) identity: String,
    /// The identity without the components' digests.
    pub(super) basis: String,
    pub(super) chain: Vec<ChainLink>,
    /// One a rule: what it charged before, empty unless it asks.
    pub(super) earlier: Vec<Vec<Earlier>>,
    /// A rule wants to know what it charged before.
    pub(super) has_history: bool,
}

/// A published snapshot and who holds what in it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) snapshot: Arc<Snapshot>,
    /// Subaccount, or billing account where the charges name none, to tenant; by both where that is not one tenant's in this bill.
    pub(super) holders: BTreeMap<String, String>,
}

/// Everything of one period.
#[derive(Clone, Debug, Default)]
pub(super) struct Month {
    pub(super) sources: Vec<Source>,
    /// By currency; adds up by construction.
    pub(super) splits: BTreeMap<String, PeriodSplit>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) wanted: BTreeMap<Key, Wanted>,
    pub(super) months: BTreeMap<Period, Month>,
    /// Billing accounts of all bills.
    pub(super) payers: BTreeSet<String>,
}

/// Sums beyond 38 digits: the bills cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the billed amounts of a month add up to more than 20 digits before the decimal point")]
pub struct SumOutOfRange;

/// `asks_history` says whether a rule wants to know what it charged in earlier periods.
pub(super) fn plan(facts: &Facts, asks_history: &dyn Fn(&ChainLink, &BillPeriod) -> bool) -> Result<Plan, SumOutOfRange> {
    let mut plan = Plan { payers: facts.holdings.iter().map(|h| h.billing_account_id.clone()).collect(), ..Plan::default() };
    for snapshot in &facts.snapshots {
        let month = plan.months.entry(snapshot.period).or_default();
        month.sources.push(Source { snapshot: Arc::clone(snapshot), holders: BTreeMap::new() });
    }
    let divided = Divided::of(&facts.holdings);
    let mut keys = BTreeSet::new();
    for holding in &facts.holdings {
        let Some(month) = plan.months.get_mut(&holding.period) else { continue };
        month.add(holding, &divided)?;
        if let Some(tenant) = holding.tenant_id.as_ref().filter(|tenant| !facts.frozen.contains(*tenant)) {
            keys.insert(Key { period: holding.period, currency: holding.currency.clone(), tenant: tenant.clone() });
        }
    }
    let known = Known { held: held_accounts(&facts.holdings, &divided), history: History::of(&facts.published) };
    for key in keys {
        let wanted = plan.want(&key, facts, &known, asks_history);
        plan.wanted.insert(key, wanted);
    }
    Ok(plan)
}

impl Month {
    fn add(&mut self, holding: &Holding, divided: &Divided<'_>) -> Result<(), SumOutOfRange> {
        let split = self.splits.entry(holding.currency.clone()).or_insert_with(|| PeriodSplit {
            period: holding.period,
            currency: holding.currency.clone(),
            source: Amount::ZERO,
            source_charges: 0,
            unassigned: Amount::ZERO,
            unassigned_charges: 0,
            tenants: Vec::new(),
            snapshots: Vec::new(),
        });
        split.source = split.source.checked_add(holding.billed).ok_or(SumOutOfRange)?;
        split.source_charges += holding.charges;
        if split.snapshots.last() != Some(&holding.snapshot_id) {
            split.snapshots.push(holding.snapshot_id.clone());
        }
        let Some(tenant) = &holding.tenant_id else {
            split.unassigned = split.unassigned.checked_add(holding.billed).ok_or(SumOutOfRange)?;
            split.unassigned_charges += holding.charges;
            return Ok(());
        };
        let at = match split.tenants.binary_search_by(|share| share.tenant_id.cmp(tenant)) {
            Ok(at) => at,
            Err(at) => {
                split.tenants.insert(at, TenantShare { tenant_id: tenant.clone(), charges: 0, billed: Amount::ZERO });
                at
            }
        };
        let share = &mut split.tenants[at];
        share.billed = share.billed.checked_add(holding.billed).ok_or(SumOutOfRange)?;
        share.charges += holding.charges;
        let source = self.sources.iter_mut().find(|source| source.snapshot.id == holding.snapshot_id);
        if let Some(source) = source {
            source.holders.insert(divided.key_of(holding).into_owned(), tenant.clone());
        }
        Ok(())
    }
}

/// What the charges of a holding are split by, where that says enough.
fn account_of(holding: &Holding) -> &str {
    if holding.sub_account_id.is_empty() { &holding.billing_account_id } else { &holding.sub_account_id }
}

/// Accounts of a snapshot that are not one tenant's under every billing account: one that moved between two payers, or a payer's own
/// account beside what names none.
struct Divided<'a>(BTreeSet<(&'a str, &'a str)>);

impl<'a> Divided<'a> {
    fn of(holdings: &'a [Holding]) -> Self {
        let (mut holders, mut divided) = (HashMap::new(), BTreeSet::new());
        for holding in holdings {
            let (account, tenant) = ((holding.snapshot_id.as_str(), account_of(holding)), holding.tenant_id.as_deref());
            if *holders.entry(account).or_insert(tenant) != tenant {
                divided.insert(account);
            }
        }
        Self(divided)
    }

    /// As [`crate::rating::Owners`] finds it.
    fn key_of<'h>(&self, holding: &'h Holding) -> Cow<'h, str> {
        let account = account_of(holding);
        if self.0.contains(&(holding.snapshot_id.as_str(), account)) {
            Cow::Owned(both(&holding.billing_account_id, &holding.sub_account_id))
        } else {
            Cow::Borrowed(account)
        }
    }
}

impl Plan {
    /// Charges of a tenant's month.
    pub(super) fn charges(&self, key: &Key) -> u64 {
        self.share(key).map_or(0, |share| share.charges)
    }

    /// What a tenant's month was billed.
    pub(super) fn billed(&self, key: &Key) -> Amount {
        self.share(key).map_or(Amount::ZERO, |share| share.billed)
    }

    fn share(&self, key: &Key) -> Option<&TenantShare> {
        let split = self.months.get(&key.period)?.splits.get(&key.currency)?;
        split.tenants.iter().find(|share| share.tenant_id == key.tenant)
    }

    fn want(&self, key: &Key, facts: &Facts, known: &Known<'_>, asks_history: &dyn Fn(&ChainLink, &BillPeriod) -> bool) -> Wanted {
        let bill = BillPeriod { period: key.period, currency: key.currency.clone() };
        let applies = |rule: &&AssignedRule| rule.applies(&key.tenant, key.period);
        let chain: Vec<ChainLink> = facts.rules.iter().filter(applies).map(|rule| rule.link.clone()).collect();
        let asks: Vec<bool> = chain.iter().map(|link| asks_history(link, &bill)).collect();
        let earlier: Vec<Vec<Earlier>> = chain
            .iter()
            .zip(&asks)
            .map(|(link, asks)| if *asks { known.history.of_rule(key, &link.rule_id) } else { Vec::new() })
            .collect();
        let rules = chain.iter().zip(&earlier).map(|(link, earlier)| RuleIdentity {
            rule: &link.rule_id,
            title: &link.title,
            digest: &link.digest,
            disabled: link.disabled,
            config: &link.config,
            earlier,
        });
        let sources = self.source_identities(key, &known.held);
        let identity = RunIdentity::new(&key.tenant, key.period, &key.currency, sources, rules.collect());
        let (identity, basis) = (identity.digest(), identity.basis());
        Wanted { identity, basis, has_history: asks.contains(&true), chain, earlier }
    }

    fn source_identities<'a>(&'a self, key: &'a Key, held: &'a Held<'a>) -> Vec<SourceIdentity<'a>> {
        let Some(month) = self.months.get(&key.period) else { return Vec::new() };
        let mut identities = Vec::new();
        for source in &month.sources {
            let Some(accounts) = held.get(&(source.snapshot.id.as_str(), key.currency.as_str(), key.tenant.as_str())) else { continue };
            let commitment_owners = buyers(source).map(|account| (account, self.owner(month, &key.tenant, account)));
            identities.push(SourceIdentity {
                snapshot: &source.snapshot.id,
                source_digest: &source.snapshot.source_digest,
                accounts: accounts.iter().map(AsRef::as_ref).collect(),
                commitment_owners: commitment_owners.collect(),
            });
        }
        identities
    }

    /// What a replay of the run needs to know of this moment.
    pub(super) fn inputs(&self, key: &Key, wanted: &Wanted) -> RunInputs {
        let Some(month) = self.months.get(&key.period) else { return RunInputs::default() };
        let source = |source: &Source| {
            let held = source.holders.iter().filter(|(_, tenant)| **tenant == key.tenant);
            let accounts: Vec<String> = held.map(|(account, _)| account.clone()).collect();
            let bought = buyers(source).filter(|_| !accounts.is_empty());
            SourceInputs {
                snapshot: source.snapshot.id.clone(),
                source_digest: source.snapshot.source_digest.clone(),
                commitment_owners: bought.map(|account| (account.to_owned(), self.owner(month, &key.tenant, account))).collect(),
                accounts,
            }
        };
        RunInputs { engine: ENGINE, sources: month.sources.iter().map(source).collect(), earlier: wanted.earlier.clone() }
    }

    /// As rating tells it: the tenant itself, then a payer, then another tenant.
    fn owner(&self, month: &Month, tenant: &str, account: &str) -> AccountOwner {
        // A later source's holder counts where two sources know the account, as in the rating.
        match month.sources.iter().rev().find_map(|source| source.holders.get(account)) {
            Some(holder) if holder == tenant => AccountOwner::Tenant,
            _ if self.payers.contains(account) => AccountOwner::Payer,
            Some(_) => AccountOwner::OtherTenant,
            None => AccountOwner::Unknown,
        }
    }
}

/// Accounts that bought commitments.
fn buyers(source: &Source) -> impl Iterator<Item = &str> {
    let buyers = source.snapshot.report["commitment_owners"].as_array().map(Vec::as_slice).unwrap_or_default();
    buyers.iter().filter_map(|account| account.as_str())
}

/// Accounts by snapshot, currency and tenant.
type Held<'a> = BTreeMap<(&'a str, &'a str, &'a str), BTreeSet<Cow<'a, str>>>;

fn held_accounts<'a>(holdings: &'a [Holding], divided: &Divided<'_>) -> Held<'a> {
    let mut held = Held::new();
    for holding in holdings {
        if let Some(tenant) = &holding.tenant_id {
            held.entry((&holding.snapshot_id, &holding.currency, tenant)).or_default().insert(divided.key_of(holding));
        }
    }
    held
}

/// The facts, found by key.
struct Known<'a> {
    held: Held<'a>,
    history: History<'a>,
}

/// What each rule charged, by the published runs.
pub(super) struct History<'a> {
    /// By tenant and currency, in the order of periods.
    runs: BTreeMap<(&'a str, &'a str), BTreeMap<Period, &'a PublishedRun>>,
}

impl<'a> History<'a> {
    pub(super) fn of(published: &'a [PublishedRun]) -> Self {
        let mut runs: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for run in published.iter().filter(|run| run.head.state == RunState::Done) {
            let PublishedRun { head, .. } = run;
            runs.entry((head.tenant_id.as_str(), head.currency.as_str())).or_default().insert(head.period, run);
        }
        Self { runs }
    }

    /// The sums of the rule's lines before the key's period, oldest first. A line that a later rule dropped was never charged.
    pub(super) fn of_rule(&self, key: &Key, rule_id: &str) -> Vec<Earlier> {
        let Some(runs) = self.runs.get(&(key.tenant.as_str(), key.currency.as_str())) else { return Vec::new() };
        let before = runs.range(..key.period).filter_map(|(period, run)| {
            if !run.rules.iter().any(|rule| rule == rule_id) {
                return None;
            }
            let lines = run.lines.iter().filter(|line| line.rule_id == rule_id && line.treatment != Treatment::Drop);
            let amount = lines.map(|line| line.line.amount.0).fold(0_i128, i128::saturating_add);
            Some(Earlier { period: BillPeriod { period: *period, currency: key.currency.clone() }, amount: Amount(amount) })
        });
        before.collect()
    }
}
