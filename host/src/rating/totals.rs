//! Sums that rules ask for: grouped by text columns, over the charges as the rules before left them.

use std::collections::BTreeMap;

use crate::domain::money::{self, Amount};
use crate::domain::rule::{Total, TotalGroup, TotalRequest};

use super::combine::combinations;
use super::working::Working;

/// Groups in one total. A rule that groups by resource would otherwise carry the whole bill into its memory.
const GROUPS_MAX: usize = 100_000;

/// A total that grows batch by batch; the order of batches does not matter, since sums are exact.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    groups: BTreeMap<Vec<Option<String>>, Vec<i128>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotalError {
    #[error("a total that it asks for leaves the range of amounts")]
    OutOfRange,
    #[error("a total that it asks for has more than {GROUPS_MAX} groups; group by fewer or coarser columns")]
    TooManyGroups,
}

impl Gathered {
    /// Adds the charges of one batch that are not dropped and meet the request's conditions; null counts as zero.
    pub fn add(&mut self, request: &TotalRequest, working: &Working) -> Result<(), TotalError> {
        let selection = working.select(&request.conditions);
        let columns: Vec<_> = request.group_by.iter().map(|name| working.text(name)).collect();
        let combined = combinations(&columns, &selection);
        let mut sums = vec![vec![0_i128; request.sums.len()]; combined.first.len()];
        for (index, name) in request.sums.iter().enumerate() {
            let Some(units) = working.money(name) else { continue };
            for (slot, row) in combined.slots.iter().zip(&selection) {
                let unit = units[*row as usize];
                if unit != money::NULL {
                    let sum = &mut sums[*slot as usize][index];
                    *sum = sum.checked_add(unit).ok_or(TotalError::OutOfRange)?;
                }
            }
        }
        for (first, sums) in combined.first.iter().zip(sums) {
            let row = selection[*first as usize] as usize;
            let keys = columns.iter().map(|column| column.get(row).map(str::to_owned)).collect();
            self.merge_group(keys, &sums)?;
        }
        Ok(())
    }

    pub fn merge(&mut self, other: Self) -> Result<(), TotalError> {
        other.groups.into_iter().try_for_each(|(keys, sums)| self.merge_group(keys, &sums))
    }

    fn merge_group(&mut self, keys: Vec<Option<String>>, sums: &[i128]) -> Result<(), TotalError> {
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&keys) {
            return Err(TotalError::TooManyGroups);
        }
        let totals = self.groups.entry(keys).or_insert_with(|| vec![0; sums.len()]);
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = total.checked_add(*sum).ok_or(TotalError::OutOfRange)?;
        }
        Ok(())
    }

    /// The answer, groups sorted by key. A request without grouping always has its one group, zero when nothing matched.
    pub fn finish(mut self, request: &TotalRequest) -> Total {
        if request.group_by.is_empty() && self.groups.is_empty() {
            self.groups.insert(Vec::new(), vec![0; request.sums.len()]);
        }
        let group = |(keys, sums): (_, Vec<i128>)| TotalGroup { keys, sums: sums.into_iter().map(Amount).collect() };
        Total { groups: self.groups.into_iter().map(group).collect() }
    }
}
