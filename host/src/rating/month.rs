//! A month's rating: passes over the row groups on worker threads, then the lines that rules add, then the invariants.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::Span;

use crate::domain::charge::COMMITMENT_OWNER;
use crate::domain::columns::{Batch, TextColumn};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup, RuleEffect, RuleFinding};
use crate::domain::rule::{BillPeriod, Capability, Severity, Total, Treatment};

use super::adjust::{Effect, adjust};
use super::chain::{Chain, ChainRule};
use super::commitment::Commitments;
use super::lines::{Lines, charged};
use super::logs::{Logs, Place, logged};
use super::outcome::{Month, RunFailure, RunOutcome};
use super::source::SplitTotals;
use super::split::{Owners, Split, sum, take};
use super::totals::Gathered;
use super::trace::{Trace, Watch};
use super::working::Working;

/// Columns that rating reads whatever the rules are.
const BASE_COLUMNS: [&str; 7] = [
    "SubAccountId",
    "BillingAccountId",
    "BillingCurrency",
    "BilledCost",
    "x_SourceLineType",
    "CommitmentDiscountId",
    "x_CommitmentOwnerAccountId",
];

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Reads the named columns of one row group; a column that it lacks is null.
pub type ReadGroup<'a> = dyn Fn(GroupRef, &[&str]) -> Result<Batch, BoxError> + Sync + 'a;
/// Takes one run's overlay of one row group. Every run gets every group once, in any order and from several threads.
pub type WriteGroup<'a> = dyn Fn(usize, GroupRef, &RatedGroup) -> Result<(), BoxError> + Sync + 'a;

/// One tenant's bill to rate.
pub struct RunInput {
    /// Index into the caller's tenants, as in [`Owners`].
    pub tenant: usize,
    pub currency: String,
    pub rules: Vec<ChainRule>,
    /// What a trace shows the calls of its rules under; none shows none.
    pub span: Option<Span>,
}

/// A month to split and rate.
pub struct Input<'a> {
    pub period: Period,
    /// In the order in which overlays list them, with their rows.
    pub groups: &'a [(GroupRef, u32)],
    /// The source of each part.
    pub source_of_part: &'a [usize],
    /// One a source.
    pub owners: &'a [Owners],
    pub payers: &'a BTreeSet<String>,
    pub runs: Vec<RunInput>,
    pub workers: usize,
    /// Rows of one `apply` call at most; none sends all rows of a row group at once. The outcome may not depend on it.
    pub batch_rows: Option<NonZero<usize>>,
    /// A row whose way through its chain is wanted.
    pub watch: Option<Watch>,
    pub progress: &'a Progress,
    pub read: &'a ReadGroup<'a>,
    pub write: &'a WriteGroup<'a>,
}

/// What stops the whole month, not one tenant's run.
#[derive(Debug, thiserror::Error)]
pub enum MonthError {
    #[error("cannot read stored charges: {0}")]
    Read(#[source] BoxError),
    #[error("cannot write rated charges: {0}")]
    Write(#[source] BoxError),
    #[error("billed amounts add up to more than 20 digits before the decimal point")]
    SumOutOfRange,
    #[error("tenants and unassigned add up to {parts} {currency}, the source to {source_total}: this is a defect in rerate")]
    SplitDoesNotAddUp { currency: String, parts: Amount, source_total: Amount },
    #[error("cancelled")]
    Cancelled,
}

struct Run {
    tenant: usize,
    bill: BillPeriod,
    chain: Option<Chain>,
    /// Totals that each adjusting step was opened with.
    opened: Vec<Vec<Total>>,
    watch: Option<Watch>,
    span: Option<Span>,
    state: Mutex<State>,
}

/// One tenant's rows of one row group.
struct Piece<'a> {
    group: GroupRef,
    batch: &'a Arc<Batch>,
    rows: Vec<u32>,
}

/// What a run gathers during one pass.
#[derive(Default)]
struct State {
    failure: Option<RunFailure>,
    /// Where the failure was and what was written there; none when it was in an earlier pass or not in a row group.
    failed_at: Option<(GroupRef, Logs)>,
    rows: u64,
    dropped: u64,
    held: u64,
    billed: i128,
    charged: i128,
    effects: Vec<Effect>,
    /// One a step, and one more for the step where the pass stops.
    totals: Vec<Vec<Gathered>>,
    commitments: Commitments,
    trace: Option<Trace>,
    logs: Logs,
}

impl State {
    /// Whether what a row group gives no longer matters. Only failures before it count, so that of several the first in order is told,
    /// whichever worker came upon it.
    fn is_lost_before(&self, group: GroupRef) -> bool {
        self.failure.is_some() && self.failed_at.as_ref().is_none_or(|(at, _)| *at <= group)
    }

    fn fail(&mut self, group: GroupRef, failure: RunFailure, logs: Logs) {
        if !self.is_lost_before(group) {
            self.failure = Some(failure);
            self.failed_at = Some((group, logs));
        }
    }

    /// The failure with what was written before it.
    fn take_failure(&mut self, chain: Option<&Chain>) -> Option<RunFailure> {
        let mut failure = self.failure.take()?;
        if let (Some((group, own)), Some(chain)) = (self.failed_at.take(), chain) {
            let mut logs = std::mem::take(&mut self.logs).before(group);
            logs.append(own);
            failure.logs = logs.finish(chain);
        }
        Some(failure)
    }
}

/// Splits the month to tenants and rates every run asked for.
pub fn rate_month(input: Input<'_>) -> Result<Month, MonthError> {
    let split = Split::new(input.owners, input.payers);
    let mut runs: Vec<Run> = input.runs.iter().enumerate().map(|(index, run)| Run::prepare(index, run, &input)).collect();
    let passes = runs.iter().map(|run| run.stops().len()).max().unwrap_or(1);
    input.progress.expect(input.groups.iter().map(|(_, rows)| u64::from(*rows)).sum::<u64>() * passes as u64);
    let mut totals = SplitTotals::default();
    let mut outcomes: Vec<Option<Result<RunOutcome, RunFailure>>> = Vec::new();
    outcomes.resize_with(runs.len(), || None);
    for pass in 0..passes {
        totals = Pass { input: &input, split: &split, runs: &runs, pass }.run()?;
        for (run, outcome) in runs.iter_mut().zip(&mut outcomes) {
            let stops = run.stops();
            if pass + 1 < stops.len() {
                run.open_stop(stops[pass], &split);
            } else if pass + 1 == stops.len() {
                *outcome = Some(run.finish(&split));
            }
        }
    }
    let runs = outcomes.into_iter().map(|o| o.unwrap_or_else(|| Err(RunFailure::of_invariant("it was not rated")))).collect();
    Ok(Month { runs, split: totals.finish()? })
}

/// One pass over all row groups.
struct Pass<'a> {
    input: &'a Input<'a>,
    split: &'a Split<'a>,
    runs: &'a [Run],
    pass: usize,
}

impl Pass<'_> {
    fn run(&self) -> Result<SplitTotals, MonthError> {
        for run in self.runs {
            run.begin_pass();
        }
        let columns = self.columns();
        let next = AtomicUsize::new(0);
        let result = Mutex::new(Ok(SplitTotals::default()));
        let worker = || {
            while let Some((group, rows)) = self.input.groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut outcome = Err(MonthError::Cancelled);
                if !self.input.progress.is_cancelled() && lock(&result).is_ok() {
                    outcome = self.group(*group, &columns);
                    self.input.progress.advance(u64::from(*rows), if self.pass == 0 { u64::from(*rows) } else { 0 });
                }
                if outcome.is_err() {
                    // Writers wait for every group of a run; the run's overlay is thrown away with the month.
                    self.write_rest(*group);
                }
                let mut result = lock(&result);
                let merged = match (std::mem::replace(&mut *result, Err(MonthError::Cancelled)), outcome) {
                    (Err(first), _) => Err(first),
                    (_, Err(error)) => Err(error),
                    (Ok(mut totals), Ok(more)) => totals.merge(more).map(|()| totals),
                };
                *result = merged;
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.input.workers.min(self.input.groups.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        result.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn columns(&self) -> Vec<&str> {
        let mut names: BTreeSet<&str> = BASE_COLUMNS.into();
        for chain in self.runs.iter().filter_map(|run| run.chain.as_ref()) {
            names.extend(chain.columns());
        }
        names.into_iter().filter(|name| !crate::domain::charge::RATED.iter().any(|(rated, _)| rated == name)).collect()
    }

    /// Rates one row group for every run. On an error the groups of some runs are not written yet.
    fn group(&self, group: GroupRef, columns: &[&str]) -> Result<SplitTotals, MonthError> {
        let batch = Arc::new((self.input.read)(group, columns).map_err(MonthError::Read)?);
        let source = self.input.source_of_part[group.part as usize];
        let mut shares = self.split.shares(source, &batch).map_err(|_| MonthError::SumOutOfRange)?;
        let mut totals = SplitTotals::default();
        totals.add(&batch, &shares)?;
        for (index, run) in self.runs.iter().enumerate() {
            let Some(is_last) = run.takes_part(self.pass) else { continue };
            let share = shares.iter_mut().find(|share| share.tenant == Some(run.tenant) && share.currency == run.bill.currency);
            let rated = match share {
                Some(share) => run.rate(Piece { group, batch: &batch, rows: std::mem::take(&mut share.rows) }, self.split, self.pass),
                None => RatedGroup::default(),
            };
            if is_last {
                (self.input.write)(index, group, &rated).map_err(MonthError::Write)?;
            }
        }
        Ok(totals)
    }

    /// Announces a group as empty to the runs from `first` on, so that no writer waits for it.
    fn write_rest(&self, group: GroupRef) {
        for (index, run) in self.runs.iter().enumerate() {
            if run.takes_part(self.pass) == Some(true) {
                // The month has failed already; its first error is the one to report.
                let _ = (self.input.write)(index, group, &RatedGroup::default());
            }
        }
    }
}

impl Run {
    fn prepare(index: usize, run: &RunInput, input: &Input<'_>) -> Self {
        let bill = BillPeriod { period: input.period, currency: run.currency.clone() };
        let (chain, failure) = match Chain::prepare(run.rules.clone(), &bill) {
            Ok(chain) => (Some(Chain { batch_rows: input.batch_rows, ..chain }), None),
            Err(failure) => (None, Some(failure)),
        };
        let opened = vec![Vec::new(); chain.as_ref().map_or(0, |chain| chain.steps.len())];
        let watch = input.watch.filter(|watch| watch.run == index);
        let span = run.span.clone();
        Self { tenant: run.tenant, bill, chain, opened, watch, span, state: Mutex::new(State { failure, ..State::default() }) }
    }

    /// Where its passes stop; a run without a chain takes one pass to announce its empty groups.
    fn stops(&self) -> Vec<usize> {
        self.chain.as_ref().map_or_else(|| vec![0], Chain::stops)
    }

    /// Whether the run is rated in this pass, and if so whether it is its last.
    fn takes_part(&self, pass: usize) -> Option<bool> {
        let passes = self.stops().len();
        (pass < passes).then_some(pass + 1 == passes)
    }

    fn begin_pass(&self) {
        let mut state = lock(&self.state);
        let failure = state.take_failure(self.chain.as_ref());
        *state = State { failure, ..State::default() };
        if let Some(chain) = &self.chain {
            state.effects = vec![Effect::default(); chain.rules.len()];
            state.totals = chain.steps.iter().map(|step| vec![Gathered::default(); chain.plans[step.rule].totals.len()]).collect();
        }
    }

    /// Takes one tenant's rows of one row group through the chain as far as this pass goes. A failure is kept in the state.
    fn rate(&self, piece: Piece<'_>, split: &Split<'_>, pass: usize) -> RatedGroup {
        let group = piece.group;
        let Some(chain) = self.chain.as_ref().filter(|_| !lock(&self.state).is_lost_before(group)) else { return RatedGroup::default() };
        // A span a row group, of as many charges as one call of a rule may get, not a charge.
        let shown = |run: &Span| tracing::debug_span!(parent: run, "rules", part = group.part, group = group.group, pass, charges = piece.rows.len());
        let _shown = self.span.as_ref().map(shown).map(Span::entered);
        let mut logs = Logs::default();
        let rated = self.rate_rows(chain, piece, split, self.stops()[pass], &mut logs);
        let mut state = lock(&self.state);
        match rated {
            Ok(rated) => {
                state.logs.merge(logs);
                rated
            }
            Err(failure) => {
                state.fail(group, failure, logs);
                RatedGroup::default()
            }
        }
    }

    fn rate_rows(
        &self,
        chain: &Chain,
        piece: Piece<'_>,
        split: &Split<'_>,
        stop: usize,
        logs: &mut Logs,
    ) -> Result<RatedGroup, RunFailure> {
        let Piece { group, batch, rows } = piece;
        let own = take(batch, &rows);
        let derived = || own.text("x_CommitmentOwnerAccountId").map(|column| split.commitment_owner(self.tenant, column));
        let owner = own.text(COMMITMENT_OWNER).cloned().or_else(derived).unwrap_or_else(|| TextColumn::constant(None, own.rows));
        let mut working = Working::of_charges(own, owner);
        let mut pass = State { rows: working.rows() as u64, ..State::default() };
        pass.billed = sum_of(&working.cost)?;
        let watched = self.watch.filter(|watch| watch.group == group).and_then(|watch| rows.binary_search(&watch.row).ok());
        let mut trace = watched.map(|row| Trace::begin(&working, row));
        for (index, step) in chain.steps.iter().enumerate().take(stop.saturating_add(1)) {
            let plan = &chain.plans[step.rule];
            let fail = |reason: String| RunFailure::of_rule(chain.title(index), reason);
            let mut gathered = vec![Gathered::default(); plan.totals.len()];
            if index == stop || step.capability != Capability::Adjust {
                for (total, request) in gathered.iter_mut().zip(&plan.totals) {
                    total.add(request, &working).map_err(|e| fail(e.to_string()))?;
                }
            }
            let mut effect = Effect::default();
            if index < stop && step.capability == Capability::Adjust {
                let adjusted = logged(logs, Place::Charges(group), index, &chain.rules[step.rule], |rule| {
                    adjust(rule, step.rule, plan, &self.bill, &self.opened[index], chain.batch_rows, &mut working)
                });
                effect = adjusted.map_err(fail)?;
                if let Some(trace) = &mut trace {
                    trace.step(step.rule, &plan.writes, &working);
                }
            }
            pass.totals.push(gathered);
            pass.effects.push(effect);
        }
        pass.charged = sum_of(&working.cost)?;
        pass.dropped = working.treatment.iter().filter(|t| **t == Treatment::Drop).count() as u64;
        pass.held = working.treatment.iter().filter(|t| **t == Treatment::Hold).count() as u64;
        pass.commitments.add(&working);
        pass.trace = trace;
        self.merge(chain, pass)?;
        let titles: Vec<&str> = chain.rules.iter().map(|rule| rule.title.as_str()).collect();
        Ok(working.into_rated(rows, &titles))
    }

    /// Adds one group's figures, whose effects and totals are listed by step.
    fn merge(&self, chain: &Chain, group: State) -> Result<(), RunFailure> {
        let mut state = lock(&self.state);
        state.rows += group.rows;
        state.dropped += group.dropped;
        state.held += group.held;
        state.billed = state.billed.checked_add(group.billed).ok_or_else(too_large)?;
        state.charged = state.charged.checked_add(group.charged).ok_or_else(too_large)?;
        state.commitments.merge(group.commitments);
        state.trace = group.trace.or(state.trace.take());
        for (index, (effect, totals)) in group.effects.into_iter().zip(group.totals).enumerate() {
            let fail = |reason: String| RunFailure::of_rule(chain.title(index), reason);
            state.effects[chain.steps[index].rule].add(effect).map_err(fail)?;
            for (sum, more) in state.totals[index].iter_mut().zip(totals) {
                sum.merge(more).map_err(|e| fail(e.to_string()))?;
            }
        }
        Ok(())
    }

    /// After a pass that stopped before an adjusting rule: the totals that the rule is opened with, lines of rules before it included.
    fn open_stop(&mut self, stop: usize, split: &Split<'_>) {
        let state = std::mem::take(&mut *lock(&self.state));
        let (Some(chain), None) = (&self.chain, &state.failure) else {
            *lock(&self.state) = state;
            return;
        };
        let holds = |account: &str| split.holds(self.tenant, account);
        let mut lines = Lines::new(chain, &self.bill, &holds);
        let totals = (0..stop)
            .try_for_each(|index| lines.step(index, &state.totals[index], &self.opened[index]))
            .and_then(|()| lines.totals(stop, &state.totals[stop]));
        let mut logs = state.logs;
        logs.append(lines.logs);
        match totals {
            Ok(totals) => self.opened[stop] = totals,
            Err(failure) => lock(&self.state).failure = Some(RunFailure { logs: logs.finish(chain), ..failure }),
        }
    }

    /// After the last pass: the lines, the sums, and the invariants that must hold before anything is published.
    fn finish(&self, split: &Split<'_>) -> Result<RunOutcome, RunFailure> {
        let mut state = std::mem::take(&mut *lock(&self.state));
        if let Some(failure) = state.take_failure(self.chain.as_ref()) {
            return Err(failure);
        }
        let Some(chain) = &self.chain else { return Err(RunFailure::of_invariant("its chain was not prepared")) };
        let holds = |account: &str| split.holds(self.tenant, account);
        let mut lines = Lines::new(chain, &self.bill, &holds);
        let stepped = (0..chain.steps.len()).try_for_each(|index| lines.step(index, &state.totals[index], &self.opened[index]));
        let mut logs = state.logs;
        logs.append(std::mem::take(&mut lines.logs));
        let logs = logs.finish(chain);
        if let Err(failure) = stepped {
            return Err(RunFailure { logs, ..failure });
        }
        let (rated_lines, line_effects, mut findings) = lines.finish();
        let mut effects = state.effects;
        for ((effect, more), rule) in effects.iter_mut().zip(line_effects).zip(&chain.rules) {
            effect.add(more).map_err(|reason| RunFailure::of_rule(&rule.title, reason))?;
        }
        let charged = charged(&rated_lines).and_then(|lines| lines.checked_add(Amount(state.charged))).ok_or_else(too_large)?;
        let billed = Amount(state.billed);
        let moved = effects.iter().try_fold(0_i128, |sum, effect| sum.checked_add(effect.delta)).ok_or_else(too_large)?;
        if charged.checked_sub(billed) != Some(Amount(moved)) {
            return Err(RunFailure::of_invariant(format!(
                "charged {charged} minus billed {billed} differs from what its rules moved, {}: this is a defect in rerate",
                Amount(moved)
            )));
        }
        if state.held > 0 {
            let message = format!("{} charges are held for review", state.held);
            findings.push(RuleFinding { rule: None, severity: Severity::Block, message });
        }
        findings.extend(state.commitments.findings());
        let by_rule = chain.rules.iter().zip(effects);
        Ok(RunOutcome {
            rows: state.rows,
            dropped: state.dropped,
            held: state.held,
            billed,
            charged,
            by_rule: by_rule.map(|(rule, e)| RuleEffect { title: rule.title.clone(), rows: e.rows, delta: Amount(e.delta) }).collect(),
            lines: rated_lines,
            findings,
            logs,
            trace: state.trace,
        })
    }
}

fn too_large() -> RunFailure {
    RunFailure::of_invariant("its amounts add up to more than 20 digits before the decimal point")
}

fn sum_of(units: &[i128]) -> Result<i128, RunFailure> {
    sum(units).map(|amount| amount.0).map_err(|_| too_large())
}

/// A worker that panicked has poisoned nothing that is used afterwards: the month fails with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
