//! What a snapshot holds, gathered while it is written: rows and billed cost by account and currency.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::error::LakeError;
use crate::domain::chunk::ChunkId;
use crate::domain::columns::{Batch, NULL_CODE, TextColumn};
use crate::domain::money::{self, Amount};

/// The billed cost of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyTotal {
    pub currency: String,
    /// Sum of `BilledCost`, null as zero.
    pub billed: Amount,
}

/// An account that a bill charges, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubAccount {
    pub billing_account_id: Option<String>,
    /// `None` for charges that name no subaccount.
    pub sub_account_id: Option<String>,
    /// The first name found for it.
    pub name: Option<String>,
    /// `ServiceProviderName`.
    pub provider: Option<String>,
    pub currency: Option<String>,
    pub rows: u64,
    pub billed: Amount,
}

/// Billing account, subaccount, provider, currency.
type Key = [Option<String>; 4];

const KEY_COLUMNS: [&str; 4] = ["BillingAccountId", "SubAccountId", "ServiceProviderName", "BillingCurrency"];

#[derive(Clone, Debug, Default)]
struct Entry {
    /// With the chunk it was found in: the least chunk's name counts, whatever the order in which threads arrive.
    name: Option<(ChunkId, String)>,
    rows: u64,
    billed: i128,
}

/// Of any number of chunks. Merging is commutative, so the outcome does not depend on the order of threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    accounts: BTreeMap<Key, Entry>,
}

impl Contents {
    pub(super) fn of(chunk: ChunkId, batch: &Batch) -> Result<Self, LakeError> {
        let keys = KEY_COLUMNS.map(|name| batch.text(name));
        let names = batch.text("SubAccountName");
        let billed = batch.money("BilledCost");
        let code = |column: &Option<&TextColumn>, row: usize| column.map_or(NULL_CODE, |column| column.codes[row]);
        let mut sums: HashMap<[u32; 4], (u32, u64, i128)> = HashMap::new();
        for row in 0..batch.rows {
            let (name, rows, sum) = sums.entry(keys.each_ref().map(|key| code(key, row))).or_insert((NULL_CODE, 0, 0));
            if *name == NULL_CODE {
                *name = code(&names, row);
            }
            *rows += 1;
            let units = billed.map_or(money::NULL, |billed| billed.units[row]);
            if units != money::NULL {
                *sum = sum.checked_add(units).ok_or(LakeError::Overflow)?;
            }
        }
        let text = |column: &Option<&TextColumn>, code: u32| match column {
            Some(column) if code != NULL_CODE => Some(column.values.get(code).to_owned()),
            _ => None,
        };
        let mut contents = Self::default();
        #[allow(clippy::iter_over_hash_type)] // into a sorted map
        for (codes, (name, rows, billed)) in sums {
            let key = std::array::from_fn(|index| text(&keys[index], codes[index]));
            contents.add(key, Entry { name: text(&names, name).map(|name| (chunk, name)), rows, billed })?;
        }
        Ok(contents)
    }

    fn add(&mut self, key: Key, more: Entry) -> Result<(), LakeError> {
        let entry = self.accounts.entry(key).or_default();
        entry.rows += more.rows;
        entry.billed = entry.billed.checked_add(more.billed).filter(|sum| Amount(*sum).is_storable()).ok_or(LakeError::Overflow)?;
        entry.name = match (entry.name.take(), more.name) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<(), LakeError> {
        other.accounts.into_iter().try_for_each(|(key, entry)| self.add(key, entry))
    }

    pub(super) fn totals(&self) -> Result<Vec<CurrencyTotal>, LakeError> {
        let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
        for ([.., currency], entry) in &self.accounts {
            let total = totals.entry(currency.as_deref().unwrap_or_default()).or_default();
            *total = total.checked_add(entry.billed).filter(|sum| Amount(*sum).is_storable()).ok_or(LakeError::Overflow)?;
        }
        Ok(totals.into_iter().map(|(currency, billed)| CurrencyTotal { currency: currency.to_owned(), billed: Amount(billed) }).collect())
    }

    pub(super) fn payers(&self) -> Vec<String> {
        self.accounts.keys().filter_map(|[payer, ..]| payer.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn subaccounts(self) -> Vec<SubAccount> {
        self.accounts
            .into_iter()
            .map(|([billing_account_id, sub_account_id, provider, currency], entry)| SubAccount {
                billing_account_id,
                sub_account_id,
                name: entry.name.map(|(_, name)| name),
                provider,
                currency,
                rows: entry.rows,
                billed: Amount(entry.billed),
            })
            .collect()
    }
}
