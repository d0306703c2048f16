//! The work of a preview: published months, rated again under the change, a few tenants at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::asked::Asked;
use super::{CurrencyDifference, MonthDifference, PreviewResult};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rule::{BillPeriod, Earlier, Treatment};
use crate::jobs::compare::{CompareError, Difference, OTHER_SERVICES, RuleDifference, ServiceDifference, Side, compare};
use crate::jobs::lanes::{Lane, Metered};
use crate::jobs::plan::{History, Key};
use crate::jobs::replay::{Again, Recording, ReplayError, Replayer, rate_again, rule_of};
use crate::lake::OverlayReader;
use crate::rating::{ChainRule, RunOutcome};
use crate::store::{ChainEntry, PublishedRun, Run, TenantQuota};

/// Tenants that are rated in one pass over a month's charges: their overlays are on disk at the same time.
const TOGETHER: usize = 64;

/// Months that keep their lines and services; a result must stay one page of JSON.
const DETAILED_MAX: usize = 200;

/// Services of the totals; the others are one sum.
const SERVICES_MAX: usize = 100;

/// A recorded month and the chain to rate it under.
pub(in crate::jobs) struct Other<'a> {
    pub(in crate::jobs) recording: &'a Recording,
    pub(in crate::jobs) before: Vec<ChainEntry>,
    pub(in crate::jobs) after: Vec<ChainEntry>,
    /// As `after`: what each rule charged before.
    pub(in crate::jobs) earlier: Vec<Vec<Earlier>>,
    /// Of the tenant, as it is now: what would end the run ends this too.
    pub(in crate::jobs) quota: TenantQuota,
}

/// What became of it: the difference, or why the change makes it fail; and the outcome under the change.
type Compared = Result<(Difference, RunOutcome), String>;

/// Rates recorded months under other chains and compares. Blocking; leaves nothing behind.
pub(in crate::jobs) fn rate_other(
    replayer: &Replayer,
    others: &[Other<'_>],
    top: usize,
    workers: usize,
    progress: &Progress,
) -> Result<Vec<Compared>, ReplayError> {
    let scratch = replayer.data.scratch_folder().map_err(ReplayError::io(&replayer.data.scratch()))?;
    let after =
        rate_chains(replayer, others, scratch.path(), "after", workers, progress, |other| rules(replayer, &other.after, &other.earlier))?;
    let before = rate_chains(replayer, others, scratch.path(), "before", workers, progress, |other| {
        if other.before == other.recording.run.chain {
            Ok(Vec::new())
        } else {
            rules(replayer, &other.before, &other.recording.recorded.inputs.earlier)
        }
    });
    let before = before?;
    let mut compared = Vec::with_capacity(others.len());
    for (number, ((other, after), before)) in others.iter().zip(after).zip(before).enumerate() {
        compared.push(match after {
            Err(reason) => Err(reason),
            Ok(outcome) => {
                let of = Both { other, number, scratch: scratch.path(), outcome: &outcome, before: before.as_ref() };
                of.compare(replayer, top, progress)?.map(|difference| (difference, outcome))
            }
        });
    }
    Ok(compared)
}

/// Rates every month under one of its chains. A month whose rules cannot be loaded or fail has a reason instead.
fn rate_chains(
    replayer: &Replayer,
    others: &[Other<'_>],
    scratch: &Path,
    side: &str,
    workers: usize,
    progress: &Progress,
    rules: impl Fn(&Other<'_>) -> Result<Vec<ChainRule>, ReplayError>,
) -> Result<Vec<Result<RunOutcome, String>>, ReplayError> {
    let mut outcomes: Vec<Result<RunOutcome, String>> = Vec::new();
    outcomes.resize_with(others.len(), || Err("it was not rated".to_owned()));
    let (mut numbers, mut again) = (Vec::new(), Vec::new());
    for (number, other) in others.iter().enumerate() {
        if side == "before" && other.before == other.recording.run.chain {
            continue; // its result is stored
        }
        match rules(other) {
            Ok(mut rules) => {
                let metered = Metered::new(other.quota.clone(), Lane::Aside, other.recording.run.charges);
                rules.iter_mut().for_each(|rule| rule.plugin = metered.bound(&rule.plugin));
                numbers.push((number, metered));
                let overlay = overlay(scratch, side, number);
                again.push(Again { recording: other.recording, rules, overlay, note: "{}".to_owned() });
            }
            Err(error @ ReplayError::Component { .. }) => outcomes[number] = Err(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    for ((number, metered), outcome) in numbers.into_iter().zip(rate_again(again, replayer.data.charges(), workers, None, progress)?) {
        outcomes[number] = outcome.map_err(|failure| metered.told(&failure));
    }
    Ok(outcomes)
}

fn overlay(scratch: &Path, side: &str, number: usize) -> std::path::PathBuf {
    scratch.join(format!("{side}-{number}.parquet"))
}

fn rules(replayer: &Replayer, chain: &[ChainEntry], earlier: &[Vec<Earlier>]) -> Result<Vec<ChainRule>, ReplayError> {
    let none = Vec::new();
    let earlier = earlier.iter().chain(std::iter::repeat(&none));
    chain.iter().zip(earlier).map(|(entry, earlier)| rule_of(&replayer.plugins, entry, earlier.clone())).collect()
}

/// Two results of one month.
struct Both<'a> {
    other: &'a Other<'a>,
    number: usize,
    scratch: &'a Path,
    outcome: &'a RunOutcome,
    /// The outcome under the chain of before, where that is not the stored one.
    before: Result<&'a RunOutcome, &'a String>,
}

impl Both<'_> {
    fn compare(&self, replayer: &Replayer, top: usize, progress: &Progress) -> Result<Result<Difference, String>, ReplayError> {
        let lake = replayer.data.charges();
        let Other { recording, before: chain, after, .. } = self.other;
        let run = &recording.run;
        let ids = |chain: &[ChainEntry]| chain.iter().map(|entry| entry.rule_id.clone()).collect::<Vec<_>>();
        let (rules_before, rules_after) = (ids(chain), ids(after));
        let overlay_after = OverlayReader::open(&overlay(self.scratch, "after", self.number))?;
        let side = |overlay, outcome: &'_ RunOutcome| (overlay, outcome.billed, outcome.charged);
        let stored = *chain == run.chain;
        let overlay_before = if stored {
            match recording.overlay(&mut lake.hold())? {
                Some(path) => OverlayReader::open(&path)?,
                None => return Ok(Err(format!("the rated charges of the run {} are gone", run.id))),
            }
        } else {
            match self.before {
                Ok(_) => OverlayReader::open(&overlay(self.scratch, "before", self.number))?,
                Err(reason) => return Ok(Err(format!("the version that it is compared with fails: {reason}"))),
            }
        };
        let before = match self.before {
            Ok(outcome) if !stored => Side {
                overlay: &overlay_before,
                billed: outcome.billed,
                charged: outcome.charged,
                rules: &rules_before,
                by_rule: &outcome.by_rule,
                lines: &outcome.lines,
                findings: &outcome.findings,
            },
            _ => Side {
                overlay: &overlay_before,
                billed: run.billed.unwrap_or_default(),
                charged: run.charged.unwrap_or_default(),
                rules: &rules_before,
                by_rule: &run.by_rule,
                lines: &run.lines,
                findings: &run.findings,
            },
        };
        let (overlay, billed, charged) = side(&overlay_after, self.outcome);
        let RunOutcome { by_rule, lines, findings, .. } = self.outcome;
        let after = Side { overlay, billed, charged, rules: &rules_after, by_rule, lines, findings };
        let parts = recording.parts();
        match compare(&recording.charges(lake)?, &parts, before, after, top, progress) {
            Ok(difference) => Ok(Ok(difference)),
            Err(CompareError::Lake(error)) => Err(error.into()),
            Err(CompareError::Cancelled) => Err(ReplayError::Cancelled),
            Err(error) => Err(ReplayError::Defect(error.to_string())),
        }
    }
}

/// What rules would have charged under the change in the months before, by tenant, currency and rule.
type Simulated = BTreeMap<(String, String, String), BTreeMap<Period, Amount>>;

/// Computes a preview. Blocking.
pub(in crate::jobs) fn compute(
    replayer: &Replayer,
    asked: &Asked,
    workers: usize,
    progress: &Progress,
) -> Result<PreviewResult, ReplayError> {
    let begun = Instant::now();
    let history = History::of(&asked.published);
    let mut simulated = Simulated::new();
    let mut result = PreviewResult { skipped: asked.skipped.clone(), ..PreviewResult::default() };
    let mut at = 0;
    while at < asked.recordings.len() {
        // Months of one period, since a later one may ask what an earlier one charged.
        let period = asked.recordings[at].run.period;
        let count = asked.recordings[at..].iter().take_while(|recording| recording.run.period == period).count().min(TOGETHER);
        let mut others = Vec::new();
        for recording in &asked.recordings[at..at + count] {
            let (before, after) = (asked.candidate.before(&recording.run.chain), asked.candidate.after(&recording.run.chain));
            if before == after {
                let unchanged = if asked.candidate.concerns(&recording.run.chain) { &mut result.already } else { &mut result.untouched };
                *unchanged += 1;
                continue;
            }
            let earlier = after.iter().map(|entry| earlier_of_rule(recording, entry, &history, &simulated)).collect();
            others.push(Other { recording, before, after, earlier, quota: asked.quota(&recording.run.tenant_id) });
        }
        let compared = rate_other(replayer, &others, asked.request.top(), workers, progress)?;
        for (other, compared) in others.iter().zip(compared) {
            if let Ok((_, outcome)) = &compared {
                remember(other, outcome, &mut simulated);
            }
            add(&mut result, &asked.names, &other.recording.run, compared);
        }
        at += count;
    }
    for total in &mut result.totals {
        total.by_service.sort_by_key(|service| std::cmp::Reverse(service.delta.0.unsigned_abs()));
        let rest = total.by_service.split_off(total.by_service.len().min(SERVICES_MAX));
        sum_services(
            &mut total.by_service,
            rest.into_iter().map(|service| ServiceDifference { service: Some(OTHER_SERVICES.to_owned()), ..service }),
        );
    }
    result.millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(result)
}

/// What the rules of a chain charged before, one a rule.
pub(in crate::jobs) fn earlier_of(recording: &Recording, chain: &[ChainEntry], published: &[PublishedRun]) -> Vec<Vec<Earlier>> {
    let (history, simulated) = (History::of(published), Simulated::new());
    chain.iter().map(|entry| earlier_of_rule(recording, entry, &history, &simulated)).collect()
}

/// What a rule charged before: as its run was told, else as published, and under the change where that has been computed.
fn earlier_of_rule(recording: &Recording, entry: &ChainEntry, history: &History<'_>, simulated: &Simulated) -> Vec<Earlier> {
    let run = &recording.run;
    let told = run.chain.iter().position(|known| known.rule_id == entry.rule_id);
    let told = told.and_then(|at| recording.recorded.inputs.earlier.get(at)).filter(|earlier| !earlier.is_empty());
    let earlier = told.cloned().unwrap_or_else(|| history.of_rule(&Key::of(&run.head()), &entry.rule_id));
    let mut by_period: BTreeMap<Period, Amount> = earlier.into_iter().map(|earlier| (earlier.period.period, earlier.amount)).collect();
    let key = (run.tenant_id.clone(), run.currency.clone(), entry.rule_id.clone());
    by_period.extend(simulated.get(&key).into_iter().flatten().filter(|(period, _)| **period < run.period));
    let of = |(period, amount)| Earlier { period: BillPeriod { period, currency: run.currency.clone() }, amount };
    by_period.into_iter().map(of).collect()
}

fn remember(other: &Other<'_>, outcome: &RunOutcome, simulated: &mut Simulated) {
    let run = &other.recording.run;
    for entry in &other.after {
        let lines = outcome.lines.iter().filter(|line| line.rule_id == entry.rule_id && line.treatment != Treatment::Drop);
        let amount = Amount(lines.map(|line| line.line.amount.0).fold(0_i128, i128::saturating_add));
        let key = (run.tenant_id.clone(), run.currency.clone(), entry.rule_id.clone());
        simulated.entry(key).or_default().insert(run.period, amount);
    }
}

fn add(result: &mut PreviewResult, names: &BTreeMap<String, String>, run: &Run, compared: Compared) {
    let mut month = MonthDifference {
        tenant_id: run.tenant_id.clone(),
        tenant: names.get(&run.tenant_id).cloned().unwrap_or_default(),
        period: run.period,
        currency: run.currency.clone(),
        run_id: run.id.clone(),
        before: run.charged,
        after: None,
        delta: None,
        failure: None,
        difference: None,
    };
    match compared {
        Err(reason) => {
            result.failed += 1;
            month.failure = Some(reason);
        }
        Ok((difference, _)) => {
            result.same += u64::from(difference.counts.is_same());
            (month.before, month.after, month.delta) = (Some(difference.before), Some(difference.after), Some(difference.delta));
            sum(result, &run.currency, &difference);
            if result.months.iter().filter(|month| month.difference.is_some()).count() < DETAILED_MAX {
                month.difference = Some(difference);
            } else {
                result.without_details += 1;
            }
        }
    }
    result.months.push(month);
}

/// Adds a month to the sums of its currency. They are sums of stored amounts and stay far inside the range.
fn sum(result: &mut PreviewResult, currency: &str, difference: &Difference) {
    let at = result.totals.iter().position(|total| total.currency == currency).unwrap_or_else(|| {
        let (zero, currency) = (Amount::ZERO, currency.to_owned());
        let empty = CurrencyDifference { currency, before: zero, after: zero, delta: zero, by_rule: Vec::new(), by_service: Vec::new() };
        result.totals.push(empty);
        result.totals.len() - 1
    });
    let total = &mut result.totals[at];
    total.before = plus(total.before, difference.before);
    total.after = plus(total.after, difference.after);
    total.delta = plus(total.delta, difference.delta);
    sum_rules(&mut total.by_rule, &difference.by_rule);
    sum_services(&mut total.by_service, difference.by_service.iter().chain(&difference.other_services).cloned());
}

fn sum_services(sums: &mut Vec<ServiceDifference>, more: impl Iterator<Item = ServiceDifference>) {
    for service in more {
        match sums.iter_mut().find(|known| known.service == service.service) {
            Some(known) => {
                known.before = plus(known.before, service.before);
                known.after = plus(known.after, service.after);
                known.delta = plus(known.delta, service.delta);
                known.changed += service.changed;
            }
            None => sums.push(service),
        }
    }
}

/// Adds what rules move in one month to what they move in others.
pub(in crate::jobs) fn sum_rules(sums: &mut Vec<RuleDifference>, more: &[RuleDifference]) {
    let both = |a: Option<Amount>, b: Option<Amount>| a.zip(b).map(|(a, b)| plus(a, b)).or(a).or(b);
    let rows = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b).or(a).or(b);
    for rule in more {
        match sums.iter_mut().find(|known| known.rule_id == rule.rule_id) {
            Some(known) => {
                (known.before, known.after) = (both(known.before, rule.before), both(known.after, rule.after));
                known.delta = plus(known.delta, rule.delta);
                known.rows_before = rows(known.rows_before, rule.rows_before);
                known.rows_after = rows(known.rows_after, rule.rows_after);
            }
            None => sums.push(rule.clone()),
        }
    }
}

fn plus(a: Amount, b: Amount) -> Amount {
    Amount(a.0.saturating_add(b.0))
}
