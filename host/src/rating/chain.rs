//! A tenant's rules under their configurations: asked for their plans, and the plans checked, before a single charge is read.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;

use crate::domain::charge::{APPLIED_RULES, Kind, RELABELLABLE, TREATMENT, kind_of};
use crate::domain::rule::{BillPeriod, Capability, Condition, Earlier, Plan};
use crate::sandbox::Plugin;

use super::outcome::RunFailure;

/// Names in one list of a plan. Decisions address them by one byte, and a rule that needs more than this reads the whole bill.
const NAMES_MAX: usize = 64;
/// Total requests of one rule, each a grouping of every charge.
const TOTALS_MAX: usize = 16;

/// A rule as a chain holds it: pinned to one component and one configuration.
#[derive(Clone)]
pub struct ChainRule {
    pub id: String,
    pub title: String,
    pub plugin: Arc<Plugin>,
    /// JSON.
    pub config: String,
    /// What this rule charged the tenant before, oldest first; used only if its plan asks.
    pub earlier: Vec<Earlier>,
}

/// One thing that one rule does, at its place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub rule: usize,
    pub capability: Capability,
}

/// The rules in listed order with their checked plans.
pub struct Chain {
    pub rules: Vec<ChainRule>,
    /// One a rule.
    pub plans: Vec<Plan>,
    pub steps: Vec<Step>,
    /// Rows of one `apply` call at most; none sends all rows of a row group at once.
    pub batch_rows: Option<NonZero<usize>>,
}

impl Chain {
    /// Asks every rule for its plan under its configuration.
    pub fn prepare(rules: Vec<ChainRule>, period: &BillPeriod) -> Result<Self, RunFailure> {
        let mut plans = Vec::with_capacity(rules.len());
        let mut steps = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let plan = rule.plugin.configure(&rule.config, period).map_err(|error| RunFailure::of_rule(&rule.title, error))?;
            check_plan(&plan).map_err(|reason| RunFailure::of_rule(&rule.title, reason))?;
            plans.push(plan);
            let mut capabilities = rule.plugin.capabilities().to_vec();
            capabilities.sort_by_key(|capability| match capability {
                Capability::Adjust => 0,
                Capability::Charge => 1,
                Capability::Check => 2,
            });
            steps.extend(capabilities.into_iter().map(|capability| Step { rule: index, capability }));
        }
        Ok(Self { rules, plans, steps, batch_rows: None })
    }

    pub fn plan(&self, step: usize) -> &Plan {
        &self.plans[self.steps[step].rule]
    }

    pub fn title(&self, step: usize) -> &str {
        &self.rules[self.steps[step].rule].title
    }

    /// Where the stream must stop because an adjusting rule wants totals before its first row, and lastly the end: one pass over the
    /// charges for each.
    pub fn stops(&self) -> Vec<usize> {
        let waits = |step: &usize| self.steps[*step].capability == Capability::Adjust && !self.plan(*step).totals.is_empty();
        (0..self.steps.len()).filter(waits).chain([self.steps.len()]).collect()
    }

    /// Every column that a rule names.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for plan in &self.plans {
            let conditions = plan.applies_to.iter().chain(plan.totals.iter().flat_map(|t| &t.conditions));
            names.extend(conditions.map(|condition| condition.column.as_str()));
            names.extend(plan.dimensions.iter().chain(&plan.reads).chain(&plan.writes).map(String::as_str));
            names.extend(plan.totals.iter().flat_map(|t| t.group_by.iter().chain(&t.sums)).map(String::as_str));
        }
        names
    }
}

/// Checks a plan's names and sizes; the error says which name and what would do.
pub fn check_plan(plan: &Plan) -> Result<(), String> {
    for (list, name) in [(&plan.dimensions, "dimensions"), (&plan.reads, "reads"), (&plan.writes, "writes")] {
        if list.len() > NAMES_MAX {
            return Err(format!("its plan lists {} {name}; the most is {NAMES_MAX}", list.len()));
        }
    }
    if plan.totals.len() > TOTALS_MAX {
        return Err(format!("its plan asks for {} totals; the most is {TOTALS_MAX}", plan.totals.len()));
    }
    let texts = plan.dimensions.iter().chain(plan.totals.iter().flat_map(|t| &t.group_by));
    texts.try_for_each_named(Kind::Text)?;
    plan.reads.iter().chain(plan.totals.iter().flat_map(|t| &t.sums)).try_for_each_named(Kind::Money)?;
    check_conditions(&plan.applies_to)?;
    plan.totals.iter().try_for_each(|total| check_conditions(&total.conditions))?;
    for name in &plan.writes {
        if !RELABELLABLE.contains(&name.as_str()) {
            return Err(format!(
                "its plan writes the column {name:?}, which is not a rule's to change; it may relabel {}",
                RELABELLABLE.join(", ")
            ));
        }
    }
    Ok(())
}

fn check_conditions(conditions: &[Condition]) -> Result<(), String> {
    conditions.iter().map(|condition| &condition.column).try_for_each_named(Kind::Text)
}

trait Names<'a>: Iterator<Item = &'a String> + Sized {
    fn try_for_each_named(mut self, kind: Kind) -> Result<(), String> {
        self.try_for_each(|name| {
            let wanted = if kind == Kind::Text { "text" } else { "money" };
            match kind_of(name) {
                _ if name == TREATMENT || name == APPLIED_RULES => Err(format!("the column {name:?} is a result and cannot be read by a rule")),
                Some(found) if found == kind => Ok(()),
                Some(_) => Err(format!("the column {name:?} is not a {wanted} column")),
                None => Err(format!(
                    "there is no column {name:?}; FOCUS names such as ServiceName, x_ServiceCode, Tags.<key> and x_Native.<source column> are known"
                )),
            }
        })
    }
}

impl<'a, I: Iterator<Item = &'a String>> Names<'a> for I {}
