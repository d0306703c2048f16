//! Two results of one tenant's month over the same charges: what differs, by rule, by service and by line.
//!
//! Streams both overlays a row group at a time and keeps only sums and the lines that change most, so a month of any size fits. Sums are
//! exact, and what the lines differ by must be what the totals differ by: that is checked here, every time.

mod difference;
mod pairs;

use std::collections::{BTreeMap, BTreeSet};

pub use difference::{Counts, Difference, LineDifference, RuleDifference, ServiceDifference};

use self::pairs::{Label, Pair, SameTexts, cut, pairs};
use super::address::Parts;
use crate::domain::columns::{Batch, NULL_CODE, TextColumn};
use crate::domain::money::Amount;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup, RatedLine, RuleEffect, RuleFinding};
use crate::lake::{LakeError, OverlayReader, SnapshotReader};

/// Services that are listed; the others are one sum.
const SERVICES_MAX: usize = 100;

/// What they are called.
pub const OTHER_SERVICES: &str = "(other services)";

/// Findings that are listed of each side; the others are a number.
const FINDINGS_MAX: usize = 50;

/// What is told of a line, beside its amounts.
const DETAILS: [&str; 4] = ["x_SourceRowKey", "SubAccountId", "ServiceName", "ChargeDescription"];

#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the two results are of different charges: {before} and {after} were billed")]
    DifferentBills { before: Amount, after: Amount },
    #[error("the {what} differ by {parts}, the totals by {total}: this is a defect in rerate")]
    DoesNotAddUp { what: &'static str, parts: Amount, total: Amount },
    #[error("the amounts add up to more than 20 digits before the decimal point")]
    OutOfRange,
    #[error("it was cancelled")]
    Cancelled,
}

/// One result.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub overlay: &'a OverlayReader,
    pub billed: Amount,
    pub charged: Amount,
    /// Ids of the chain's rules, as `by_rule`.
    pub rules: &'a [String],
    pub by_rule: &'a [RuleEffect],
    pub lines: &'a [RatedLine],
    pub findings: &'a [RuleFinding],
}

/// Compares two results over the same charges, keeping the `top` lines that change most.
pub fn compare(
    charges: &SnapshotReader,
    parts: &Parts,
    before: Side<'_>,
    after: Side<'_>,
    top: usize,
    progress: &Progress,
) -> Result<Difference, CompareError> {
    if before.billed != after.billed {
        return Err(CompareError::DifferentBills { before: before.billed, after: after.billed });
    }
    let mut work = Work { charges, parts, counts: Counts::default(), delta: 0, services: BTreeMap::new(), top: Top::new(top) };
    let groups: BTreeSet<GroupRef> = before.overlay.groups().into_iter().chain(after.overlay.groups()).map(|(group, _)| group).collect();
    for group in groups {
        if progress.is_cancelled() {
            return Err(CompareError::Cancelled);
        }
        work.group(group, &before.overlay.read(group)?, &after.overlay.read(group)?)?;
    }
    work.added(before.lines, after.lines)?;
    let delta = after.charged.checked_sub(before.charged).ok_or(CompareError::OutOfRange)?;
    let adds_up = |what, parts: Amount| if parts == delta { Ok(()) } else { Err(CompareError::DoesNotAddUp { what, parts, total: delta }) };
    adds_up("lines", Amount(work.delta))?;
    let by_rule = rules(before, after)?;
    adds_up("rules", total(by_rule.iter().map(|rule| rule.delta))?)?;
    adds_up("services", total(work.services.values().map(|sums| Amount(sums.after - sums.before)))?)?;
    let (by_service, other_services) = work.list_services();
    let (new, gone) = (missing(after.findings, before.findings), missing(before.findings, after.findings));
    let mut counts = work.counts;
    (counts.findings_new, counts.findings_gone) = (new.len() as u64, gone.len() as u64);
    let listed = |findings: Vec<RuleFinding>| findings.into_iter().take(FINDINGS_MAX).collect();
    Ok(Difference {
        before: before.charged,
        after: after.charged,
        delta,
        counts,
        by_rule,
        by_service,
        other_services,
        top: work.top.into_list(),
        findings_new: listed(new),
        findings_gone: listed(gone),
    })
}

fn total(amounts: impl Iterator<Item = Amount>) -> Result<Amount, CompareError> {
    let mut amounts = amounts;
    amounts.try_fold(Amount::ZERO, Amount::checked_add).ok_or(CompareError::OutOfRange)
}

#[derive(Clone, Copy, Default)]
struct Sums {
    before: i128,
    after: i128,
    changed: u64,
}

impl Sums {
    fn add(&mut self, before: i128, after: i128, changed: bool) -> Result<(), CompareError> {
        self.before = self.before.checked_add(before).ok_or(CompareError::OutOfRange)?;
        self.after = self.after.checked_add(after).ok_or(CompareError::OutOfRange)?;
        self.changed += u64::from(changed);
        Ok(())
    }

    fn difference(&self, service: Option<String>) -> ServiceDifference {
        let (before, after) = (Amount(self.before), Amount(self.after));
        ServiceDifference { service, before, after, delta: Amount(self.after.saturating_sub(self.before)), changed: self.changed }
    }
}

struct Work<'a> {
    charges: &'a SnapshotReader,
    parts: &'a Parts,
    counts: Counts,
    delta: i128,
    services: BTreeMap<Option<String>, Sums>,
    top: Top,
}

impl Work<'_> {
    fn group(&mut self, group: GroupRef, before: &RatedGroup, after: &RatedGroup) -> Result<(), CompareError> {
        let labels: BTreeSet<&str> = before.relabelled.iter().chain(&after.relabelled).map(|(name, _)| &**name).collect();
        let mut columns = vec!["ServiceName"];
        columns.extend(labels.iter().map(|name| if *name == "x_LineType" { "x_SourceLineType" } else { name }));
        let source = self.charges.read(group, &columns)?;
        let labels: Vec<Label<'_>> =
            labels.iter().zip(source.columns.iter().skip(1)).map(|(name, (_, column))| Label::of(name, column, before, after)).collect();
        let nulls = TextColumn::constant(None, source.rows);
        let services = source.text("ServiceName").unwrap_or(&nulls);
        let mut sums = vec![Sums::default(); services.values.len() + 1];
        let mut candidates: Vec<(i128, Pair)> = Vec::new();
        let mut reasons = SameTexts::new(&before.applied, &after.applied);
        for pair in pairs(before, after) {
            let (old, new) = (pair.before.map_or(0, |at| before.customer_cost[at]), pair.after.map_or(0, |at| after.customer_cost[at]));
            let delta = new.checked_sub(old).ok_or(CompareError::OutOfRange)?;
            let treated = pair.before.map(|at| before.treatment[at]) != pair.after.map(|at| after.treatment[at]);
            let labelled = labels.iter().any(|label| label.differs(pair));
            let changed = delta != 0 || treated || labelled;
            self.delta = self.delta.checked_add(delta).ok_or(CompareError::OutOfRange)?;
            self.counts.charges += 1;
            self.counts.changed += u64::from(changed);
            self.counts.amounts += u64::from(delta != 0);
            self.counts.treatments += u64::from(treated);
            self.counts.labels += u64::from(labelled);
            self.counts.reasons += u64::from(!reasons.same(pair));
            let code = services.codes[pair.row as usize];
            let slot = if code == NULL_CODE { services.values.len() } else { code as usize };
            sums[slot].add(old, new, changed)?;
            if changed && self.top.takes(delta) {
                candidates.push((delta, pair));
                // Cut now and then, so that a group that changes as a whole costs no more than a few lines.
                if candidates.len() >= self.top.limit.saturating_mul(4).max(64) {
                    cut(&mut candidates, self.top.limit);
                }
            }
        }
        let names = services.values.iter().map(|name| Some(name.to_owned())).chain([None]);
        for (name, more) in names.zip(sums).filter(|(_, sums)| (sums.before, sums.after, sums.changed) != (0, 0, 0)) {
            let known = self.services.entry(name).or_default();
            known.add(more.before, more.after, false)?;
            known.changed += more.changed;
        }
        cut(&mut candidates, self.top.limit);
        if !candidates.is_empty() {
            let details = self.charges.read(group, &DETAILS)?;
            for (delta, pair) in candidates {
                self.top.put(delta, (group, pair.row), self.line(group, pair, &details, before, after));
            }
        }
        Ok(())
    }

    fn line(&self, group: GroupRef, pair: Pair, details: &Batch, before: &RatedGroup, after: &RatedGroup) -> LineDifference {
        let text = |name: &str| details.text(name).and_then(|column| column.get(pair.row as usize)).map(str::to_owned);
        let address = || self.parts.address(group, pair.row).map(|address| address.to_string()).unwrap_or_default();
        let cost = |at: Option<usize>, group: &RatedGroup| Amount(at.map_or(0, |at| group.customer_cost[at]));
        let applied = |at: Option<usize>, group: &RatedGroup| at.and_then(|at| group.applied.get(at)).map(str::to_owned);
        let (old, new) = (cost(pair.before, before), cost(pair.after, after));
        LineDifference {
            key: text("x_SourceRowKey").unwrap_or_else(address),
            sub_account: text("SubAccountId"),
            service: text("ServiceName"),
            description: text("ChargeDescription"),
            before: old,
            after: new,
            delta: Amount(new.0.saturating_sub(old.0)),
            treatment_before: pair.before.map(|at| before.treatment[at]),
            treatment_after: pair.after.map(|at| after.treatment[at]),
            applied_before: applied(pair.before, before),
            applied_after: applied(pair.after, after),
        }
    }

    /// Lines that rules added: those with the same rule, account and texts are one.
    fn added(&mut self, before: &[RatedLine], after: &[RatedLine]) -> Result<(), CompareError> {
        type Key<'a> = (&'a str, Option<&'a str>, &'a str, &'a str, &'a str);
        fn key(line: &RatedLine) -> Key<'_> {
            let of = &line.line;
            (&line.rule_id, of.sub_account_id.as_deref(), &of.service_name, &of.charge_category, &of.description)
        }
        #[derive(Default)]
        struct Both<'a> {
            before: Vec<&'a RatedLine>,
            after: Vec<&'a RatedLine>,
        }
        let mut both: BTreeMap<Key<'_>, Both<'_>> = BTreeMap::new();
        before.iter().for_each(|line| both.entry(key(line)).or_default().before.push(line));
        after.iter().for_each(|line| both.entry(key(line)).or_default().after.push(line));
        (self.counts.added_before, self.counts.added_after) = (before.len() as u64, after.len() as u64);
        for (number, ((rule, account, service, _, description), sides)) in (0_u32..).zip(both) {
            let sum = |lines: &[&RatedLine]| total(lines.iter().map(|line| line.customer_cost));
            let (old, new) = (sum(&sides.before)?, sum(&sides.after)?);
            let delta = new.checked_sub(old).ok_or(CompareError::OutOfRange)?;
            let treatment = |lines: &[&RatedLine]| lines.first().map(|line| line.treatment);
            let changed =
                delta != Amount::ZERO || sides.before.len() != sides.after.len() || treatment(&sides.before) != treatment(&sides.after);
            self.delta = self.delta.checked_add(delta.0).ok_or(CompareError::OutOfRange)?;
            self.counts.added_changed += u64::from(changed);
            self.services.entry(Some(service.to_owned())).or_default().add(old.0, new.0, changed)?;
            if changed && self.top.takes(delta.0) {
                let applied = |lines: &[&RatedLine]| lines.first().map(|line| line.applied.clone());
                let line = LineDifference {
                    key: format!("added:{rule}"),
                    sub_account: account.map(str::to_owned),
                    service: Some(service.to_owned()),
                    description: Some(description.to_owned()),
                    before: old,
                    after: new,
                    delta,
                    treatment_before: treatment(&sides.before),
                    treatment_after: treatment(&sides.after),
                    applied_before: applied(&sides.before),
                    applied_after: applied(&sides.after),
                };
                self.top.put(delta.0, (GroupRef { part: u32::MAX, group: u32::MAX }, number), line);
            }
        }
        Ok(())
    }

    fn list_services(&mut self) -> (Vec<ServiceDifference>, Option<ServiceDifference>) {
        let mut services: Vec<(Option<String>, Sums)> = std::mem::take(&mut self.services).into_iter().collect();
        services.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.after.abs_diff(sums.before)));
        let rest = services.split_off(services.len().min(SERVICES_MAX));
        let other = rest.iter().fold(Sums::default(), |sum, (_, more)| Sums {
            before: sum.before.saturating_add(more.before),
            after: sum.after.saturating_add(more.after),
            changed: sum.changed + more.changed,
        });
        let listed = services.into_iter().map(|(service, sums)| sums.difference(service)).collect();
        (listed, (!rest.is_empty()).then(|| other.difference(Some(OTHER_SERVICES.to_owned()))))
    }
}

/// The place of a line, for an order that does not depend on chance.
type Place = (GroupRef, u32);

/// The lines that change most.
struct Top {
    limit: usize,
    lines: BTreeMap<(u128, std::cmp::Reverse<Place>), LineDifference>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit, lines: BTreeMap::new() }
    }

    /// Whether a change of this size may be among them.
    fn takes(&self, delta: i128) -> bool {
        self.lines.len() < self.limit || self.lines.first_key_value().is_some_and(|((least, _), _)| delta.unsigned_abs() > *least)
    }

    fn put(&mut self, delta: i128, place: Place, line: LineDifference) {
        self.lines.insert((delta.unsigned_abs(), std::cmp::Reverse(place)), line);
        if self.lines.len() > self.limit {
            self.lines.pop_first();
        }
    }

    fn into_list(self) -> Vec<LineDifference> {
        self.lines.into_values().rev().collect()
    }
}

/// The rules of both sides in the order of the newer chain; those that it does not have behind the one that they followed.
fn rules(before: Side<'_>, after: Side<'_>) -> Result<Vec<RuleDifference>, CompareError> {
    let id = |side: Side<'_>, at: usize| side.rules.get(at).cloned().unwrap_or_default();
    let mut rows: Vec<RuleDifference> = Vec::new();
    for (at, effect) in after.by_rule.iter().enumerate() {
        let (rule_id, title) = (id(after, at), effect.title.clone());
        let row = RuleDifference {
            rule_id,
            title,
            before: None,
            after: Some(effect.delta),
            delta: effect.delta,
            rows_before: None,
            rows_after: Some(effect.rows),
        };
        rows.push(row);
    }
    let mut place = 0;
    for (at, effect) in before.by_rule.iter().enumerate() {
        let rule_id = id(before, at);
        if let Some(found) = rows.iter().position(|row| row.rule_id == rule_id && row.before.is_none() && row.after.is_some()) {
            let row = &mut rows[found];
            row.before = Some(effect.delta);
            row.rows_before = Some(effect.rows);
            row.delta = row.delta.checked_sub(effect.delta).ok_or(CompareError::OutOfRange)?;
            place = found + 1;
        } else {
            let delta = Amount::ZERO.checked_sub(effect.delta).ok_or(CompareError::OutOfRange)?;
            let row = RuleDifference {
                rule_id,
                title: effect.title.clone(),
                before: Some(effect.delta),
                after: None,
                delta,
                rows_before: Some(effect.rows),
                rows_after: None,
            };
            rows.insert(place, row);
            place += 1;
        }
    }
    Ok(rows)
}

/// Findings that the other side does not have, each as often as it does not.
fn missing(of: &[RuleFinding], other: &[RuleFinding]) -> Vec<RuleFinding> {
    let mut left: Vec<&RuleFinding> = other.iter().collect();
    let mut missing = Vec::new();
    for finding in of {
        match left.iter().position(|known| *known == finding) {
            Some(at) => drop(left.swap_remove(at)),
            None => missing.push(finding.clone()),
        }
    }
    missing
}
