//! One instance of a rule and the calls into it: a budget for each, and every way of failing told as a [`RuleFailure`].
//!
//! No call is repeated here, and nothing is kept between instances.

use std::sync::Arc;
use std::time::Duration;

use rustc_demangle::try_demangle;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};

use super::clock::{overdue, processor_time, ticks};
use super::limits::{Allowance, HANDLES, Limits, Work};
use super::lines;
use super::log::Sink;
use super::meter::{Grant, Meter, Spent, TimeBound};

/// Frames of a crash that are shown: the innermost name the place, more would not fit a table.
const FRAMES: usize = 4;

/// Longest text of a rule's own failure.
const MESSAGE_CHARS: usize = 1_000;

/// Why a rule gave no answer. The text is what an operator and the rule's author read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFailure {
    #[error("the rule crashed in `{call}`: {message}")]
    Trap { call: &'static str, message: String },
    #[error(
        "the rule was stopped in `{call}` after {limit} instructions, which is its budget for this much input: it loops, or does far too much work per row{}",
        was_in(.at)
    )]
    OutOfFuel { call: &'static str, limit: u64, at: Option<String> },
    #[error("the rule was stopped in `{call}` after {} ms of a processor, its deadline{}", .after.as_millis(), was_in(.at))]
    Deadline { call: &'static str, after: Duration, at: Option<String> },
    #[error("the rule was stopped in `{call}` because it wanted {} MiB of memory; its limit is {} MiB{}", .wanted >> 20, .limit >> 20, was_in(.at))]
    Memory { call: &'static str, wanted: usize, limit: usize, at: Option<String> },
    #[error("the rule was stopped because `{call}` handed over more than {limit} bytes at once")]
    Output { call: &'static str, limit: usize },
    /// Not final when the call was given narrow money: it can be repeated with wide.
    #[error("an amount left the range in which the rule computes")]
    Overflow,
    /// The rule's own words.
    #[error("the rule refused: {0}")]
    Invalid(String),
    /// An answer that does not fit the question.
    #[error("the rule broke the contract: {0}")]
    Shape(String),
    /// Shared by many calls: this one may be blameless.
    #[error("the tenant's quota of {limit} instructions is used up")]
    QuotaFuel { limit: u64 },
    #[error("the tenant's quota of {} ms inside rules is used up", .limit.as_millis())]
    QuotaTime { limit: Duration },
    /// Of the company that it is in.
    #[error("the rules take longer than others can be made to wait")]
    Patience,
    #[error("the component does not export `{0}`")]
    NotExported(&'static str),
    #[error("the rule failed earlier in this run and is not asked again")]
    Dead,
    #[error("the sandbox could not start the rule: {0}")]
    Start(String),
}

/// Where a rule was when it was stopped: places in its own sources if the component tells them, innermost first, else its functions.
fn was_in(at: &Option<String>) -> String {
    at.as_ref().map_or(String::new(), |at| format!("; it was in {at}"))
}

impl RuleFailure {
    pub(super) fn invalid(message: &str) -> Self {
        Self::Invalid(message.chars().take(MESSAGE_CHARS).collect())
    }
}

/// Why there is no instance.
pub(super) enum NotStarted {
    /// The pool has no free slot.
    Full,
    Failed(RuleFailure),
}

/// An instance with its store. After a crash it answers nothing more.
pub(super) struct Session {
    store: Store<Allowance>,
    instance: Instance,
    terms: Arc<Terms>,
    dead: bool,
}

/// On what terms instances run.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) meter: Option<Arc<Meter>>,
    pub(super) log: Sink,
    /// The component's section that says where its code comes from.
    pub(super) lines: Option<Arc<[u8]>>,
}

impl Session {
    /// Starts an instance; what its start function runs is on the base budget.
    pub(super) fn start(pre: &InstancePre<Allowance>, terms: &Arc<Terms>) -> Result<Self, NotStarted> {
        let mut store = Store::new(pre.engine(), Allowance::new(terms.limits.memory_bytes, terms.log.clone()));
        store.limiter(|allowance| allowance);
        store.epoch_deadline_callback(|store| Ok(overdue(store)));
        store.set_max_component_handles(HANDLES);
        let mut full = false;
        let started = metered(&mut store, terms, "start", Work::default(), |store| {
            pre.instantiate(store).inspect_err(|error| full = error.is::<PoolConcurrencyLimitError>())
        });
        match started {
            Ok(instance) => Ok(Self { store, instance, terms: Arc::clone(terms), dead: false }),
            Err(_) if full => Err(NotStarted::Full),
            Err(RuleFailure::Trap { message, .. }) => Err(NotStarted::Failed(RuleFailure::Start(message))),
            Err(failure) => Err(NotStarted::Failed(failure)),
        }
    }

    /// Calls into the instance under a fresh budget.
    pub(super) fn run<T>(
        &mut self,
        call: &'static str,
        work: Work,
        body: impl FnOnce(&mut Store<Allowance>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, RuleFailure> {
        if self.dead {
            return Err(RuleFailure::Dead);
        }
        let instance = self.instance;
        let result = metered(&mut self.store, &self.terms, call, work, |store| body(store, &instance));
        self.dead = result.is_err();
        result
    }

    /// After an answer that broke the contract: the instance's state means nothing any more.
    pub(super) fn bury(&mut self) {
        self.dead = true;
    }

    /// Looks at the instance without running it.
    pub(super) fn look<T>(&mut self, body: impl FnOnce(&mut Store<Allowance>, &Instance) -> wasmtime::Result<T>) -> wasmtime::Result<T> {
        body(&mut self.store, &self.instance)
    }
}

fn metered<T>(
    store: &mut Store<Allowance>,
    terms: &Terms,
    call: &'static str,
    work: Work,
    body: impl FnOnce(&mut Store<Allowance>) -> wasmtime::Result<T>,
) -> Result<T, RuleFailure> {
    let (limits, meter) = (&terms.limits, terms.meter.as_deref());
    let budget = limits.budget(work);
    let own = Grant { fuel: budget.fuel, time: limits.deadline, bound: TimeBound::Own };
    let granted = meter.map_or(Ok(own), |meter| meter.grant(own, work))?;
    store.set_fuel(granted.fuel).map_err(|error| RuleFailure::Start(error.to_string()))?;
    store.set_hostcall_fuel(budget.output);
    let began = processor_time();
    store.data_mut().until = began + granted.time;
    store.set_epoch_deadline(ticks(granted.time));
    let result = body(store);
    let fuel = granted.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let recorded = meter.map_or(Ok(()), |meter| {
        let time = processor_time().saturating_sub(began);
        meter.record(call, work, Spent { fuel, fuel_limit: budget.fuel, time, memory_bytes: store.data().used() })
    });
    let answer = result.map_err(|error| {
        let at = || place(&error, terms.lines.as_deref());
        if let Some(wanted) = store.data().denied {
            return RuleFailure::Memory { call, wanted, limit: limits.memory_bytes, at: at() };
        }
        let quota = |by_fuel| meter.and_then(|meter| meter.stopped_for(own, granted, by_fuel));
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => quota(true).unwrap_or_else(|| RuleFailure::OutOfFuel { call, limit: budget.fuel, at: at() }),
            Some(Trap::Interrupt) => quota(false).unwrap_or_else(|| RuleFailure::Deadline { call, after: limits.deadline, at: at() }),
            _ if error.root_cause().to_string().contains("fuel allocated for hostcalls") => {
                RuleFailure::Output { call, limit: budget.output }
            }
            _ => RuleFailure::Trap { call, message: describe(&error, at()) },
        }
    })?;
    recorded.map(|()| answer)
}

/// The kind of a crash and where it happened.
fn describe(error: &wasmtime::Error, at: Option<String>) -> String {
    let kind = match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "it panicked (`unreachable`)".to_owned(),
        Some(Trap::StackOverflow) => "it recursed too deeply".to_owned(),
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    };
    at.map_or(kind.clone(), |at| format!("{kind} in {at}"))
}

/// Where the guest was when its call ended, innermost first.
fn place(error: &wasmtime::Error, lines: Option<&[u8]>) -> Option<String> {
    let backtrace = error.downcast_ref::<WasmBacktrace>()?;
    let own = lines.map(|lines| own_places(backtrace, lines)).unwrap_or_default();
    let frames = if own.is_empty() { names(backtrace) } else { own };
    (!frames.is_empty()).then(|| frames.join(" < "))
}

/// Places in the rule's own sources. Of the modules of a component only the rule's has a memory of its own to offer; the others are
/// the encoder's.
fn own_places(backtrace: &WasmBacktrace, lines: &[u8]) -> Vec<String> {
    /// As many as the runtime records.
    const RECORDED: usize = 20;
    let frames = backtrace.frames().iter().take(RECORDED).filter(|frame| frame.module().get_export("memory").is_some());
    let mut places: Vec<String> = frames
        .filter_map(|frame| lines::find(lines, frame.func_index(), u32::try_from(frame.func_offset()?).ok()?))
        .map(|place| place.to_string())
        .collect();
    places.dedup();
    places.truncate(FRAMES);
    places
}

/// Functions of the guest without the machinery by which its language panics.
fn names(backtrace: &WasmBacktrace) -> Vec<String> {
    let machinery = ["core::", "std::", "alloc::", "rust_", "__rust", "<core::", "<alloc::", "<std::"];
    backtrace
        .frames()
        .iter()
        .map(|frame| match frame.func_name() {
            Some(name) => try_demangle(name).map_or_else(|_| name.to_owned(), |name| format!("{name:#}")),
            None => format!("function {}", frame.func_index()),
        })
        .filter(|name| !machinery.iter().any(|prefix| name.starts_with(prefix)))
        .take(FRAMES)
        .collect()
}
