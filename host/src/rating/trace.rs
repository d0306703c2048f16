//! One row's way through its chain: what each adjusting rule found, and what it left.
//!
//! Only the row that a caller watches is traced; every other row has its reasons in the trail and no amounts in between, which would
//! cost a column a rule.

use std::collections::BTreeMap;

use crate::domain::charge::LINE_TYPE;
use crate::domain::columns::NULL_CODE;
use crate::domain::money::Amount;
use crate::domain::rated::GroupRef;
use crate::domain::rule::Treatment;

use super::working::Working;

/// A row to trace: of which run, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Index into the runs asked for.
    pub run: usize,
    pub group: GroupRef,
    /// Position in the snapshot's row group.
    pub row: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Before the first rule: what was billed, zero where the source has nothing.
    pub begin: Amount,
    /// One an adjusting rule, in the order of the chain.
    pub steps: Vec<TraceStep>,
    pub end: Amount,
    pub treatment: Treatment,
    row: usize,
    trail: u32,
    labels: BTreeMap<String, Option<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStep {
    /// Index into the chain.
    pub rule: usize,
    /// None where the rule left the row alone.
    pub reason: Option<String>,
    pub before: Amount,
    pub after: Amount,
    pub treatment_before: Treatment,
    pub treatment: Treatment,
    pub labels: Vec<LabelChange>,
}

/// A text column that a rule gave another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChange {
    pub column: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Trace {
    pub(super) fn begin(working: &Working, row: usize) -> Self {
        let cost = Amount(working.cost[row]);
        let treatment = working.treatment[row];
        Self { begin: cost, steps: Vec::new(), end: cost, treatment, row, trail: NULL_CODE, labels: BTreeMap::new() }
    }

    /// After an adjusting rule that may write the columns `writes`.
    pub(super) fn step(&mut self, rule: usize, writes: &[String], working: &Working) {
        let (cost, treatment, trail) = (Amount(working.cost[self.row]), working.treatment[self.row], working.trail_codes[self.row]);
        let mut labels = Vec::new();
        for column in writes {
            let source = if column == LINE_TYPE { "x_SourceLineType" } else { column };
            let source = || working.batch().text(source).and_then(|text| text.get(self.row).map(str::to_owned));
            let before = self.labels.get(column).cloned().unwrap_or_else(source);
            let after = working.text(column).get(self.row).map(str::to_owned);
            if before != after {
                self.labels.insert(column.clone(), after.clone());
                labels.push(LabelChange { column: column.clone(), before, after });
            }
        }
        self.steps.push(TraceStep {
            rule,
            reason: (trail != self.trail).then(|| working.trail.reason(trail).unwrap_or_default().to_owned()),
            before: self.end,
            after: cost,
            treatment_before: self.treatment,
            treatment,
            labels,
        });
        (self.end, self.treatment, self.trail) = (cost, treatment, trail);
    }
}
