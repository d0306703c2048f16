//! One case, once: through the daemon's rating, as the bill of a tenant that holds every account and has this one rule.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use super::case::Case;
use super::outcome::{Outcome, RatedCharge};
use crate::domain::charge::LINE_TYPE;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup, RunLogs};
use crate::domain::rule::{Capability, Finding, Line, Treatment};
use crate::rating::{ChainRule, Input, MonthError, Owners, RunInput, RunOutcome, rate_month};
use crate::sandbox::{ConfigureError, Plugin};

/// What a run calls its rule; no outcome shows it.
const TITLE: &str = "case";

/// How the rows of a case are handed to the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// Which row of the input stands at each place.
    pub order: Vec<u32>,
    /// Rows of each row group, in order; each is rated by an instance of its own. They add up to the rows.
    pub groups: Vec<usize>,
    pub workers: usize,
    /// Rows of one `apply` at most.
    pub batch_rows: Option<NonZero<usize>>,
}

impl Arrangement {
    /// As written, in one row group.
    pub fn plain(rows: usize) -> Self {
        Self { order: (0_u32..).take(rows).collect(), groups: vec![rows], workers: 1, batch_rows: None }
    }

    /// In row groups of at most `size` rows, on two threads, each `apply` of at most half a group.
    pub fn split(rows: usize, size: usize) -> Self {
        let size = size.max(1);
        let groups = (0..rows).step_by(size).map(|start| size.min(rows - start)).collect();
        Self { groups, workers: 2, batch_rows: NonZero::new(size.div_ceil(2)), ..Self::plain(rows) }
    }
}

/// What a rule did to a case, and what it wrote meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub outcome: Outcome,
    /// Where the rule's run is rated at all.
    pub logs: RunLogs,
}

impl From<Outcome> for Ran {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, logs: RunLogs::default() }
    }
}

/// Rates the case.
///
/// # Errors
/// When the rating itself cannot be done, such as amounts whose sum leaves the range; a rule that fails is an outcome.
pub fn run(plugin: &Arc<Plugin>, case: &Case, arrangement: &Arrangement) -> Result<Ran, MonthError> {
    match plugin.configure(&case.files.config, &case.bill) {
        Ok(_) => {}
        Err(ConfigureError::Refused(error)) => return Ok(Outcome::Refused(error).into()),
        Err(ConfigureError::Failed(failure)) => return Ok(Outcome::Failed(failure.to_string()).into()),
    }
    let mut groups = Vec::with_capacity(arrangement.groups.len());
    let mut rows_of_group = Vec::with_capacity(arrangement.groups.len());
    let mut start = 0;
    for (group, size) in (0_u32..).zip(&arrangement.groups) {
        groups.push((GroupRef { part: 0, group }, u32::try_from(*size).unwrap_or(u32::MAX)));
        rows_of_group.push(&arrangement.order[start..start + size]);
        start += size;
    }
    let rule = ChainRule {
        id: TITLE.to_owned(),
        title: TITLE.to_owned(),
        plugin: Arc::clone(plugin),
        config: case.files.config.clone(),
        earlier: case.earlier.clone(),
    };
    let payers: BTreeSet<String> =
        case.batch.text("BillingAccountId").map_or_else(BTreeSet::new, |column| column.values.iter().map(str::to_owned).collect());
    let written: Mutex<BTreeMap<GroupRef, RatedGroup>> = Mutex::default();
    let mut month = rate_month(Input {
        period: case.bill.period,
        groups: &groups,
        source_of_part: &[0],
        owners: &[Owners::Everything(0)],
        payers: &payers,
        runs: vec![RunInput { tenant: 0, currency: case.bill.currency.clone(), rules: vec![rule], span: None }],
        workers: arrangement.workers,
        batch_rows: arrangement.batch_rows,
        watch: None,
        progress: &Progress::new(),
        read: &|group, _| Ok(case.batch.gather(rows_of_group[group.group as usize])),
        write: &|_, group, rated| {
            written.lock().unwrap_or_else(PoisonError::into_inner).insert(group, rated.clone());
            Ok(())
        },
    })?;
    match month.runs.pop() {
        Some(Ok(mut outcome)) => {
            let logs = std::mem::take(&mut outcome.logs);
            let rated = written.into_inner().unwrap_or_else(PoisonError::into_inner);
            Ok(Ran { outcome: gather(plugin, case, &rows_of_group, &rated, outcome), logs })
        }
        Some(Err(failure)) => Ok(Ran { outcome: Outcome::Failed(failure.reason), logs: failure.logs }),
        None => Ok(Outcome::Failed("it was not rated".to_owned()).into()),
    }
}

/// Puts the rows back to where the input has them.
fn gather(plugin: &Plugin, case: &Case, rows_of_group: &[&[u32]], rated: &BTreeMap<GroupRef, RatedGroup>, outcome: RunOutcome) -> Outcome {
    let rows = case.batch.rows;
    let can = |capability| plugin.capabilities().contains(&capability);
    let untouched = RatedCharge { customer_cost: Default::default(), treatment: Treatment::Keep, reason: String::new() };
    let mut charges = vec![untouched; rows];
    let mut relabelled: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (group, overlay) in rated {
        let of_group = rows_of_group[group.group as usize];
        for (place, position) in overlay.rows.iter().enumerate() {
            charges[of_group[*position as usize] as usize] = RatedCharge {
                customer_cost: crate::domain::money::Amount(overlay.customer_cost[place]),
                treatment: overlay.treatment[place],
                reason: overlay.applied.get(place).map(reason_of).unwrap_or_default(),
            };
        }
        for (name, column) in &overlay.relabelled {
            let whole = relabelled.entry(name.to_string()).or_insert_with(|| source_text(case, name));
            for (place, position) in overlay.rows.iter().enumerate() {
                whole[of_group[*position as usize] as usize] = column.get(place).map(str::to_owned);
            }
        }
    }
    let lines: Vec<Line> = outcome.lines.into_iter().map(|rated| rated.line).collect();
    // Findings of the rating itself, such as charges on hold, have no rule.
    let findings = outcome.findings.into_iter().filter(|finding| finding.rule.is_some());
    let findings: Vec<Finding> = findings.map(|f| Finding { severity: f.severity, message: f.message }).collect();
    Outcome::Rated {
        charges: can(Capability::Adjust).then_some(charges),
        relabelled,
        lines: can(Capability::Charge).then_some(lines),
        findings: can(Capability::Check).then_some(findings),
    }
}

fn source_text(case: &Case, name: &str) -> Vec<Option<String>> {
    let column = case.batch.text(name).or_else(|| if name == LINE_TYPE { case.batch.text("x_SourceLineType") } else { None });
    (0..case.batch.rows).map(|row| column.and_then(|column| column.get(row)).map(str::to_owned)).collect()
}

/// The reason in a trail of one rule.
fn reason_of(applied: &str) -> String {
    let steps: Vec<serde_json::Value> = serde_json::from_str(applied).unwrap_or_default();
    steps.first().and_then(|step| step["reason"].as_str()).unwrap_or_default().to_owned()
}
