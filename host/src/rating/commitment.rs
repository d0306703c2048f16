//! A commitment's negations and its fees must be treated alike: a tenant whose negation is dropped and whose fee is kept pays twice, the
//! other way round not at all. An admin may want either, so it is a finding that blocks the invoice, not a failure.

use std::collections::BTreeMap;

use crate::domain::columns::NULL_CODE;
use crate::domain::rule::{Severity, Treatment};

use super::working::Working;
use crate::domain::rated::RuleFinding;

const NEGATION: &str = "SavingsPlanNegation";
const FEES: [&str; 2] = ["SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"];

/// Findings of one kind are about the same rule most of the time; the first few name it.
const FINDINGS_MAX: usize = 20;

#[derive(Clone, Copy, Default)]
struct Seen {
    negations_dropped: u64,
    negations_kept: u64,
    fees_dropped: u64,
    fees_kept: u64,
}

/// What became of the negations and fees of each savings plan.
#[derive(Default)]
pub(super) struct Commitments {
    seen: BTreeMap<String, Seen>,
}

impl Commitments {
    pub(super) fn add(&mut self, working: &Working) {
        let batch = working.batch();
        let (Some(types), Some(ids)) = (batch.text("x_SourceLineType"), batch.text("CommitmentDiscountId")) else { return };
        let kind: Vec<Option<bool>> =
            types.values.iter().map(|t| (t == NEGATION).then_some(true).or(FEES.contains(&t).then_some(false))).collect();
        if kind.iter().all(Option::is_none) {
            return;
        }
        let rows = types.codes.iter().zip(&ids.codes).zip(&working.treatment);
        for ((line_type, id), treatment) in rows.filter(|((line_type, id), _)| **line_type != NULL_CODE && **id != NULL_CODE) {
            let Some(is_negation) = kind[*line_type as usize] else { continue };
            let id = ids.values.get(*id);
            if !self.seen.contains_key(id) {
                self.seen.insert(id.to_owned(), Seen::default());
            }
            let Some(seen) = self.seen.get_mut(id) else { continue };
            let count = match (is_negation, *treatment == Treatment::Drop) {
                (true, true) => &mut seen.negations_dropped,
                (true, false) => &mut seen.negations_kept,
                (false, true) => &mut seen.fees_dropped,
                (false, false) => &mut seen.fees_kept,
            };
            *count += 1;
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (id, more) in other.seen {
            let seen = self.seen.entry(id).or_default();
            seen.negations_dropped += more.negations_dropped;
            seen.negations_kept += more.negations_kept;
            seen.fees_dropped += more.fees_dropped;
            seen.fees_kept += more.fees_kept;
        }
    }

    pub(super) fn findings(&self) -> Vec<RuleFinding> {
        let unlike = self.seen.iter().filter(|(_, s)| s.negations_dropped + s.fees_dropped > 0 && s.negations_kept + s.fees_kept > 0);
        let finding = |(id, s): (&String, &Seen)| RuleFinding {
            rule: None,
            severity: Severity::Block,
            message: format!(
                "commitment {id}: {} of {} negations and {} of {} fees are dropped; they must be treated alike",
                s.negations_dropped,
                s.negations_dropped + s.negations_kept,
                s.fees_dropped,
                s.fees_dropped + s.fees_kept
            ),
        };
        unlike.take(FINDINGS_MAX).map(finding).collect()
    }
}
