//! A case's verdict: does the rule answer what is expected, twice the same, and whatever the order and the grouping of the charges?

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::case::Case;
use super::difference::{Differences, differences};
use super::folder::unbundle;
use super::outcome::{Outcome, stable};
use super::run::{Arrangement, Ran, run};
use crate::domain::rated::RunLogs;
use crate::sandbox::{Meter, Plugin, Usage, sections};

/// Seeds of the orders that are tried: fixed, so that a failure is there again tomorrow.
const SEEDS: [u64; 2] = [1, 2];

/// Why a case fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    NothingExpected,
    /// Against `expected.csv`.
    Mismatch(Differences),
    /// It failed, which nobody expected, or not so: in the daemon's words, with the place in the rule's sources.
    Failed(String),
    /// A second run of the same gave something else.
    NotRepeatable(Differences),
    /// Another order of the charges gave something else.
    OrderMatters {
        seed: u64,
        differences: Differences,
    },
    /// The same charges in several row groups gave something else.
    GroupsMatter {
        size: usize,
        differences: Differences,
    },
    /// It used more than its `limits.toml` allows.
    OverLimit {
        what: &'static str,
        used: u64,
        limit: u64,
    },
    /// The case could not be rated at all.
    Rating(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingExpected => f.write_str("there is no expected.csv; `rerate plugin test --update` writes what the rule answers"),
            Self::Mismatch(differences) => differences.fmt(f),
            Self::NotRepeatable(differences) => write!(f, "a second run gave something else:\n{differences}"),
            Self::OrderMatters { seed, differences } => {
                write!(f, "the outcome depends on the order of the charges (shuffled with seed {seed}):\n{differences}")
            }
            Self::GroupsMatter { size, differences } => {
                write!(
                    f,
                    "the outcome depends on how the charges are grouped (row groups of {size}, each with its own instance):\n{differences}"
                )
            }
            Self::OverLimit { what, used, limit } => write!(f, "{what}: {used} used, limits.toml allows {limit}"),
            Self::Failed(reason) | Self::Rating(reason) => f.write_str(reason),
        }
    }
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Report {
    pub case: String,
    /// What the rule answered, as `expected.csv` has it; none when the case could not be rated.
    pub text: Option<String>,
    /// None: the case passes.
    pub problems: Vec<Problem>,
    /// What the rule wrote in the first run.
    pub logs: RunLogs,
    /// What one run used.
    pub usage: Usage,
    pub elapsed: Duration,
}

impl Report {
    pub fn passes(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Runs a case as written, again, in other orders and in other row groups.
pub fn check(plugin: &Arc<Plugin>, case: &Case) -> Report {
    let rows = case.batch.rows;
    let plain = Arrangement::plain(rows);
    let mut report = compare(plugin, case);
    let limit = case.limits.millis.map(|millis| (millis, Duration::from_millis(millis)));
    if let Some((limit, _)) = limit.filter(|(_, limit)| report.elapsed > *limit) {
        let used = u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX);
        report.problems.push(Problem::OverLimit { what: "milliseconds", used, limit });
    }
    let Some(text) = report.text.clone() else { return report };
    let again = |arrangement: &Arrangement| match run(plugin, case, arrangement) {
        Ok(ran) => differences(&text, &ran.outcome.to_text()),
        Err(error) => differences(&text, &error.to_string()),
    };
    report.problems.extend(again(&plain).map(Problem::NotRepeatable));
    if !report.problems.iter().any(|problem| matches!(problem, Problem::NotRepeatable(_))) {
        let shuffled = SEEDS.iter().find_map(|seed| {
            let differences = again(&Arrangement { order: shuffled(rows, *seed), ..plain.clone() })?;
            Some(Problem::OrderMatters { seed: *seed, differences })
        });
        let grouped = group_sizes(rows).into_iter().find_map(|size| {
            let differences = again(&Arrangement::split(rows, size))?;
            Some(Problem::GroupsMatter { size, differences })
        });
        report.problems.extend(shuffled.into_iter().chain(grouped));
    }
    report
}

/// Runs a case once and compares with what is expected, and with the limits that do not depend on the machine.
fn compare(plugin: &Arc<Plugin>, case: &Case) -> Report {
    let meter = Arc::new(Meter::default());
    let metered = plugin.with(plugin.limits().clone(), Some(Arc::clone(&meter)));
    let started = Instant::now();
    let ran = run(&metered, case, &Arrangement::plain(case.batch.rows));
    let elapsed = started.elapsed();
    let (text, mut problems, logs) = match ran {
        Err(error) => (None, vec![Problem::Rating(error.to_string())], RunLogs::default()),
        Ok(Ran { outcome, logs }) => {
            let text = outcome.to_text();
            let mut problems: Vec<Problem> = match &case.files.expected {
                None => vec![Problem::NothingExpected],
                Some(expected) => differences(expected, &text).map(Problem::Mismatch).into_iter().collect(),
            };
            // The text is the same in every build, so the place in the code is not in it.
            if let Outcome::Failed(reason) = outcome
                && !problems.is_empty()
                && stable(&reason) != reason
            {
                problems.insert(0, Problem::Failed(reason));
            }
            (Some(text), problems, logs)
        }
    };
    let usage = meter.usage();
    let memory_mib = usage.memory_bytes.div_ceil(1 << 20);
    for (what, used, limit) in [("fuel", usage.fuel, case.limits.fuel), ("MiB of memory", memory_mib, case.limits.memory_mib)] {
        if let Some(limit) = limit.filter(|limit| used > *limit) {
            problems.push(Problem::OverLimit { what, used, limit });
        }
    }
    Report { case: case.name().to_owned(), text, problems, logs, usage, elapsed }
}

/// Halves, thirds, and single rows where that is not many instances.
fn group_sizes(rows: usize) -> Vec<usize> {
    const SINGLE_ROWS_MAX: usize = 16;
    let mut sizes = vec![rows.div_ceil(2), rows.div_ceil(3)];
    if rows <= SINGLE_ROWS_MAX {
        sizes.push(1);
    }
    sizes.retain(|size| *size > 0 && *size < rows);
    sizes.dedup();
    sizes
}

/// Fisher and Yates with splitmix64: the same order for the same seed, for ever.
fn shuffled(rows: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0_u32..).take(rows).collect();
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for place in (1..rows).rev() {
        let other = usize::try_from(next() % (place as u64 + 1)).unwrap_or(0);
        order.swap(place, other);
    }
    order
}

/// What a component's own cases say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// How many there are; a component without cases passes, and it is said.
    pub cases: usize,
    pub failed: Vec<FailedCase>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCase {
    pub case: String,
    pub reason: String,
}

impl SelfTest {
    pub fn passes(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases = |count: usize| if count == 1 { "1 case".to_owned() } else { format!("{count} cases") };
        match (self.cases, self.failed.first()) {
            (_, Some(first)) => {
                write!(f, "{} of {} failed, first {:?}: {}", self.failed.len(), cases(self.cases), first.case, first.reason)
            }
            (0, None) => f.write_str("no cases"),
            (count, None) => write!(f, "{} passed", cases(count)),
        }
    }
}

/// Runs the cases that a component carries, once each: what the author's checks proved in many arrangements is only recognised here, so
/// that a deployment does not wait.
pub fn self_test(plugin: &Arc<Plugin>, component: &[u8]) -> SelfTest {
    let Some(section) = sections::section(component, sections::CASES) else { return SelfTest::default() };
    match unbundle(section.data) {
        Err(error) => SelfTest { cases: 1, failed: vec![FailedCase { case: "(cases)".to_owned(), reason: error.to_string() }] },
        Ok(cases) => {
            let reports = cases.iter().map(|case| compare(plugin, case)).filter(|report| !report.passes());
            let reason = |report: &Report| report.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let failed = reports.map(|report| FailedCase { reason: reason(&report), case: report.case }).collect();
            SelfTest { cases: cases.len(), failed }
        }
    }
}
