//! Rules of a chain that changed the same charges, as a published run says. A rule that is assigned to a tenant twice overlaps itself.
//!
//! It reads what rating wrote down, so it tells what happened, not what the rules' conditions might let happen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::depot::Depot;
use crate::domain::columns::NULL_CODE;
use crate::domain::money::Amount;
use crate::lake::{LakeError, OverlayReader};
use crate::store::Run;

/// Two rules and what both of them changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Overlap {
    /// The title of the rule that came first in the chain.
    pub first: String,
    /// The title of the one that came after it.
    pub second: String,
    /// Charges and added lines that both changed.
    pub charges: u64,
    /// What the customer is charged for them.
    pub charged: Amount,
}

#[derive(Debug, thiserror::Error)]
pub enum OverlapError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the rules applied to a charge of the run {0} cannot be read")]
    Applied(String),
    #[error("the charges that two rules changed add up to more than 20 digits before the decimal point")]
    Sum,
}

/// A step of `x_AppliedRules`.
#[derive(Deserialize)]
struct Applied {
    rule: String,
}

/// Most charges first. Blocking: reads the run's file, a row group at a time.
pub fn overlaps(lake: &Depot, run: &Run) -> Result<Vec<Overlap>, OverlapError> {
    let mut found = Found { run: &run.id, pairs: BTreeMap::new() };
    if let Some(overlay) = &run.overlay {
        let overlay = OverlayReader::open(&lake.hold().file(overlay).map_err(LakeError::from)?)?;
        for (group, _) in overlay.groups() {
            let rated = overlay.read(group)?;
            let mut sums: BTreeMap<u32, (u64, i128)> = BTreeMap::new();
            for (code, cost) in rated.applied.codes.iter().zip(&rated.customer_cost).filter(|(code, _)| **code != NULL_CODE) {
                let sum = sums.entry(*code).or_default();
                sum.0 += 1;
                sum.1 = sum.1.checked_add(*cost).ok_or(OverlapError::Sum)?;
            }
            for (code, (charges, charged)) in sums {
                found.add(rated.applied.values.get(code), charges, Amount(charged))?;
            }
        }
    }
    for line in &run.lines {
        found.add(&line.applied, 1, line.customer_cost)?;
    }
    let overlap = |((first, second), (charges, charged))| Overlap { first, second, charges, charged };
    let mut overlaps: Vec<Overlap> = found.pairs.into_iter().map(overlap).collect();
    overlaps.sort_by_key(|overlap| std::cmp::Reverse(overlap.charges));
    Ok(overlaps)
}

struct Found<'a> {
    run: &'a str,
    pairs: BTreeMap<(String, String), (u64, Amount)>,
}

impl Found<'_> {
    /// Charges that the same rules changed.
    fn add(&mut self, applied: &str, charges: u64, charged: Amount) -> Result<(), OverlapError> {
        let steps: Vec<Applied> = serde_json::from_str(applied).map_err(|_| OverlapError::Applied(self.run.to_owned()))?;
        for (at, second) in steps.iter().enumerate() {
            for first in &steps[..at] {
                let pair = self.pairs.entry((first.rule.clone(), second.rule.clone())).or_insert((0, Amount::ZERO));
                pair.0 += charges;
                pair.1 = pair.1.checked_add(charged).ok_or(OverlapError::Sum)?;
            }
        }
        Ok(())
    }
}
