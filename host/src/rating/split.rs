//! Whose row is it: splitting a batch to tenants by subaccount, and telling whose commitment priced a row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::charge::NO_CURRENCY;
use crate::domain::columns::{Batch, Column, Dictionary, NULL_CODE, TextColumn};
use crate::domain::money::{self, Amount};

use super::combine::combinations;

/// Who holds the subaccounts of one source, by index of the tenant. A row without a subaccount belongs to whoever holds the billing
/// account's own id.
#[derive(Clone, Debug)]
pub enum Owners {
    /// One tenant holds everything.
    Everything(usize),
    /// By the account, or, where it is not one tenant's under every billing account, by [`both`].
    BySubAccount(HashMap<String, usize>),
}

/// Between the ids of [`both`]: no id has it, since the store takes none with control characters.
const BETWEEN: char = '\u{1f}';

/// A subaccount under one of several billing accounts that have charges of it; it is empty for charges that name none.
pub fn both(billing: &str, sub: &str) -> String {
    format!("{billing}{BETWEEN}{sub}")
}

impl Owners {
    /// Of charges of this billing account and subaccount.
    pub fn of(&self, billing: Option<&str>, sub: Option<&str>) -> Option<usize> {
        match self {
            Self::Everything(tenant) => Some(*tenant),
            Self::BySubAccount(map) => {
                let exact = map.get(&both(billing.unwrap_or_default(), sub.unwrap_or_default()));
                exact.or_else(|| map.get(sub.or(billing).unwrap_or_default())).copied()
            }
        }
    }
}

/// A tenant's, or nobody's, rows of one batch in one currency.
pub struct Share {
    pub tenant: Option<usize>,
    pub currency: String,
    /// Ascending.
    pub rows: Vec<u32>,
    pub billed: Amount,
}

/// What every split needs to know of the month.
pub struct Split<'a> {
    /// One a source.
    pub owners: &'a [Owners],
    /// Every payer account ever ingested.
    pub payers: &'a BTreeSet<String>,
    holders: HashMap<&'a str, usize>,
    /// Tenants with the accounts that they hold under some billing accounts only.
    partly: HashSet<(usize, &'a str)>,
    everything: Option<usize>,
}

/// Amounts whose sum passes Decimal128(38, 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumOutOfRange;

impl<'a> Split<'a> {
    pub fn new(owners: &'a [Owners], payers: &'a BTreeSet<String>) -> Self {
        let mut holders = HashMap::new();
        let mut everything = None;
        for owner in owners {
            match owner {
                Owners::Everything(tenant) => everything = Some(*tenant),
                Owners::BySubAccount(map) => holders.extend(map.iter().map(|(account, tenant)| (account.as_str(), *tenant))),
            }
        }
        let partly = holders.iter().filter_map(|(key, tenant)| Some((*tenant, key.split_once(BETWEEN)?.1))).collect();
        Self { owners, payers, holders, partly, everything }
    }

    /// Splits a batch of one source. The shares' rows are disjoint and cover the batch; the month checks that their sums add up to the source.
    pub fn shares(&self, source: usize, batch: &Batch) -> Result<Vec<Share>, SumOutOfRange> {
        let nulls = TextColumn::constant(None, batch.rows);
        let column = |name| batch.text(name).unwrap_or(&nulls);
        let (sub, billing, currency) = (column("SubAccountId"), column("BillingAccountId"), column("BillingCurrency"));
        let rows: Vec<u32> = (0_u32..).take(batch.rows).collect();
        let combined = combinations(&[sub, billing, currency], &rows);

        let mut targets: BTreeMap<(Option<usize>, &str), usize> = BTreeMap::new();
        let mut target_of_slot = Vec::with_capacity(combined.first.len());
        for first in &combined.first {
            let row = *first as usize;
            let tenant = self.owners[source].of(billing.get(row), sub.get(row));
            let key = (tenant, currency.get(row).unwrap_or(NO_CURRENCY));
            let next = targets.len();
            target_of_slot.push(*targets.entry(key).or_insert(next));
        }
        let mut shares: Vec<Share> = Vec::with_capacity(targets.len());
        let mut order: Vec<_> = targets.into_iter().collect();
        order.sort_by_key(|(_, index)| *index);
        for ((tenant, currency), _) in order {
            shares.push(Share { tenant, currency: currency.to_owned(), rows: Vec::new(), billed: Amount::ZERO });
        }
        if let [only] = shares.as_mut_slice() {
            only.rows = rows;
        } else {
            for (row, slot) in (0_u32..).zip(&combined.slots) {
                shares[target_of_slot[*slot as usize]].rows.push(row);
            }
        }
        let costs = batch.money("BilledCost").map(|c| c.units.as_slice()).unwrap_or_default();
        for share in &mut shares {
            share.billed = sum(share.rows.iter().filter_map(|row| costs.get(*row as usize)))?;
        }
        Ok(shares)
    }

    /// Whether a tenant holds an account.
    pub fn holds(&self, tenant: usize, account: &str) -> bool {
        self.holders.get(account) == Some(&tenant) || self.partly.contains(&(tenant, account)) || self.everything == Some(tenant)
    }

    /// Whose commitment priced each row, seen from `tenant`: BILLING rules ask for the same tenant first, then a payer, then another
    /// tenant. A tenant that holds everything holds no payer's commitments in particular, so there the payer comes first.
    pub fn commitment_owner(&self, tenant: usize, owner_accounts: &TextColumn) -> TextColumn {
        let names: Dictionary = ["tenant", "payer", "other-tenant", "unknown"].into_iter().collect();
        let codes: Vec<u32> = owner_accounts
            .values
            .iter()
            .map(|account| match self.holders.get(account) {
                Some(holder) if *holder == tenant => 0,
                _ if self.payers.contains(account) => 1,
                Some(_) => 2,
                None if self.everything == Some(tenant) => 0,
                None => 3,
            })
            .collect();
        TextColumn {
            values: Arc::new(names),
            codes: owner_accounts.codes.iter().map(|code| if *code == NULL_CODE { NULL_CODE } else { codes[*code as usize] }).collect(),
        }
    }
}

/// Sum of units, null as zero.
pub fn sum<'a>(units: impl IntoIterator<Item = &'a i128>) -> Result<Amount, SumOutOfRange> {
    let mut total = 0_i128;
    for unit in units {
        if *unit != money::NULL {
            total = total.checked_add(*unit).ok_or(SumOutOfRange)?;
        }
    }
    Ok(Amount(total))
}

/// Sums by the values of a text column; null is [`NO_CURRENCY`].
pub fn sum_by_text(column: Option<&TextColumn>, units: &[i128]) -> Result<Vec<(String, Amount)>, SumOutOfRange> {
    let Some(column) = column else { return Ok(vec![(NO_CURRENCY.to_owned(), sum(units)?)]) };
    let nulls = column.values.len();
    let mut sums: Vec<Option<i128>> = vec![None; nulls + 1];
    for (code, unit) in column.codes.iter().zip(units) {
        let place = if *code == NULL_CODE { nulls } else { *code as usize };
        let value = if *unit == money::NULL { 0 } else { *unit };
        sums[place] = Some(sums[place].unwrap_or(0).checked_add(value).ok_or(SumOutOfRange)?);
    }
    let names = column.values.iter().chain([NO_CURRENCY]);
    Ok(names.zip(sums).filter_map(|(name, sum)| Some((name.to_owned(), Amount(sum?)))).collect())
}

/// The given rows of a batch; a batch that is wholly taken is not copied.
pub fn take(batch: &Arc<Batch>, rows: &[u32]) -> Arc<Batch> {
    if rows.len() == batch.rows { Arc::clone(batch) } else { Arc::new(batch.gather(rows)) }
}

/// The money of a column, or none where the batch lacks it.
pub fn money_of<'a>(batch: &'a Batch, name: &str) -> Option<&'a [i128]> {
    match batch.column(name) {
        Some(Column::Money(column)) => Some(&column.units),
        _ => None,
    }
}
