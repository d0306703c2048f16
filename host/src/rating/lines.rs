//! Lines that charging rules add: they enter the stream behind their rule and meet the rules after it, as charges do.

use crate::domain::columns::{Batch, Column, NULL_CODE, TextColumn};
use crate::domain::money::Amount;
use crate::domain::rated::{RatedLine, RuleFinding};
use crate::domain::rule::{BillPeriod, Capability, Line, Severity, Total};

use super::adjust::{Effect, adjust};
use super::chain::{Chain, ChainRule};
use super::logs::{Logs, Place, logged};
use super::outcome::RunFailure;
use super::totals::Gathered;
use super::working::Working;

/// Lines of one rule in one period.
const LINES_MAX: usize = 10_000;
/// Bytes of a line's texts: a description on an invoice, not a document.
const TEXT_BYTES_MAX: usize = 1_000;

const CATEGORIES: [&str; 4] = ["Purchase", "Credit", "Tax", "Adjustment"];

/// The lines of a chain so far, one batch for each rule that added any.
pub(super) struct Lines<'a> {
    chain: &'a Chain,
    period: &'a BillPeriod,
    /// Whether the tenant holds a subaccount that a rule names.
    holds: &'a dyn Fn(&str) -> bool,
    added: Vec<Added>,
    /// One a rule.
    pub(super) effects: Vec<Effect>,
    pub(super) findings: Vec<RuleFinding>,
    /// What rules wrote here.
    pub(super) logs: Logs,
}

struct Added {
    rule: usize,
    lines: Vec<Line>,
    working: Working,
}

impl<'a> Lines<'a> {
    pub(super) fn new(chain: &'a Chain, period: &'a BillPeriod, holds: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            chain,
            period,
            holds,
            added: Vec::new(),
            effects: vec![Effect::default(); chain.rules.len()],
            findings: Vec::new(),
            logs: Logs::default(),
        }
    }

    /// Takes the lines through one step. `from_charges` are the step's totals over the charges, `opened` those that an adjusting rule
    /// was opened with.
    pub(super) fn step(&mut self, index: usize, from_charges: &[Gathered], opened: &[Total]) -> Result<(), RunFailure> {
        let chain = self.chain;
        let mut logs = std::mem::take(&mut self.logs);
        let rule = &chain.rules[chain.steps[index].rule];
        let done = logged(&mut logs, Place::Lines, index, rule, |rule| self.step_of(rule, index, from_charges, opened));
        self.logs = logs;
        done
    }

    fn step_of(&mut self, rule: &ChainRule, index: usize, from_charges: &[Gathered], opened: &[Total]) -> Result<(), RunFailure> {
        let step = self.chain.steps[index];
        let fail = |reason: String| RunFailure::of_rule(&rule.title, reason);
        match step.capability {
            Capability::Adjust => {
                let plan = self.chain.plan(index);
                for added in &mut self.added {
                    let effect =
                        adjust(rule, step.rule, plan, self.period, opened, self.chain.batch_rows, &mut added.working).map_err(fail)?;
                    self.effects[step.rule].add(effect).map_err(fail)?;
                }
            }
            Capability::Charge => {
                let totals = self.totals(index, from_charges)?;
                let earlier = if self.chain.plan(index).history { rule.earlier.as_slice() } else { &[] };
                let lines = rule.plugin.charge(&rule.config, self.period, &totals, earlier).map_err(|e| fail(e.to_string()))?;
                self.add(step.rule, lines).map_err(fail)?;
            }
            Capability::Check => {
                let totals = self.totals(index, from_charges)?;
                let findings = rule.plugin.check(&rule.config, self.period, &totals).map_err(|e| fail(e.to_string()))?;
                let named = |f: crate::domain::rule::Finding| RuleFinding {
                    rule: Some(rule.title.clone()),
                    severity: f.severity,
                    message: f.message,
                };
                self.findings.extend(findings.into_iter().map(named));
            }
        }
        Ok(())
    }

    /// A step's totals over charges and lines.
    pub(super) fn totals(&self, index: usize, from_charges: &[Gathered]) -> Result<Vec<Total>, RunFailure> {
        let fail = |e: super::totals::TotalError| RunFailure::of_rule(self.chain.title(index), e);
        let requests = &self.chain.plan(index).totals;
        let mut totals = Vec::with_capacity(requests.len());
        for (position, request) in requests.iter().enumerate() {
            let mut gathered = from_charges.get(position).cloned().unwrap_or_default();
            for added in &self.added {
                gathered.add(request, &added.working).map_err(fail)?;
            }
            totals.push(gathered.finish(request));
        }
        Ok(totals)
    }

    fn add(&mut self, rule: usize, lines: Vec<Line>) -> Result<(), String> {
        if lines.is_empty() {
            return Ok(());
        }
        if lines.len() > LINES_MAX {
            return Err(format!("it adds {} lines; the most is {LINES_MAX}", lines.len()));
        }
        for line in &lines {
            check_line(line, self.holds)?;
        }
        let cost: Vec<i128> = lines.iter().map(|line| line.amount.0).collect();
        let delta = cost.iter().try_fold(0_i128, |sum, c| sum.checked_add(*c)).ok_or("its lines add up to more than amounts can hold")?;
        self.effects[rule].add(Effect { rows: lines.len() as u64, delta })?;
        let mut working = Working::of_lines(batch_of(&lines, &self.period.currency), cost);
        for (row, line) in lines.iter().enumerate() {
            working.trail_codes[row] = working.trail.push(NULL_CODE, rule, line.reason.as_str().into());
        }
        self.added.push(Added { rule, lines, working });
        Ok(())
    }

    pub(super) fn finish(self) -> (Vec<RatedLine>, Vec<Effect>, Vec<RuleFinding>) {
        let titles: Vec<&str> = self.chain.rules.iter().map(|rule| rule.title.as_str()).collect();
        let mut rated = Vec::new();
        let mut findings = self.findings;
        for added in self.added {
            for (row, line) in added.lines.into_iter().enumerate() {
                let (customer_cost, treatment) = (added.working.cost[row], added.working.treatment[row]);
                if treatment == crate::domain::rule::Treatment::Hold {
                    let message = format!("the line {:?} is held for review", line.description);
                    findings.push(RuleFinding { rule: Some(titles[added.rule].to_owned()), severity: Severity::Block, message });
                }
                let applied = added.working.trail.json_of(added.working.trail_codes[row] as usize, &titles);
                let rule_id = self.chain.rules[added.rule].id.clone();
                rated.push(RatedLine {
                    line,
                    rule_id,
                    rule: titles[added.rule].to_owned(),
                    customer_cost: Amount(customer_cost),
                    treatment,
                    applied,
                });
            }
        }
        (rated, self.effects, findings)
    }
}

fn check_line(line: &Line, holds: &dyn Fn(&str) -> bool) -> Result<(), String> {
    if !CATEGORIES.contains(&line.charge_category.as_str()) {
        return Err(format!("it adds a line of category {:?}; a rule may add {}", line.charge_category, CATEGORIES.join(", ")));
    }
    if [&line.description, &line.service_name, &line.reason].iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(format!("a text of a line that it adds is longer than {TEXT_BYTES_MAX} bytes"));
    }
    if !line.amount.is_storable() {
        return Err("the amount of a line that it adds leaves the range of amounts".to_owned());
    }
    match &line.sub_account_id {
        Some(account) if !holds(account) => Err(format!("it charges the subaccount {account:?}, which the tenant does not hold")),
        _ => Ok(()),
    }
}

fn batch_of(lines: &[Line], currency: &str) -> Batch {
    let mut batch = Batch::new(lines.len());
    let mut text = |name: &str, of: &dyn Fn(&Line) -> Option<&str>| {
        batch.push(name, Column::Text(TextColumn::from_rows(lines.iter().map(of))));
    };
    text("ChargeCategory", &|line| Some(&line.charge_category));
    text("ChargeDescription", &|line| Some(&line.description));
    text("ServiceName", &|line| Some(&line.service_name));
    text("SubAccountId", &|line| line.sub_account_id.as_deref());
    batch.push("BillingCurrency", Column::Text(TextColumn::constant(Some(currency), lines.len())));
    batch
}

/// What the lines add to the bill, in 10^-18.
pub(super) fn charged(lines: &[RatedLine]) -> Option<Amount> {
    lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.customer_cost))
}
