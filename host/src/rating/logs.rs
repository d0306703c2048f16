//! Lines that rules write while a run is rated, in an order that does not depend on which worker did what: by row group, then by rule,
//! then as written; at last what rules wrote that add lines or check.
//!
//! Only the pass that gives the result counts: in the passes before it the same rules say the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::rated::{GroupRef, RuleLog, RunLogs};
use crate::sandbox::{Log, Logged};

use super::chain::{Chain, ChainRule};

/// Lines of a run that are kept, the first ones. With 500 characters a line that is at most 2 MB, stored with the run.
const RUN_LINES: usize = 1_000;

/// When a rule wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Charges(GroupRef),
    /// Lines that rules add, and checks.
    Lines,
}

/// What was written where, and by which step of the chain.
#[derive(Debug, Default)]
pub(super) struct Logs {
    entries: BTreeMap<(Place, usize), Logged>,
    kept: usize,
}

/// Runs a rule with its lines taken down.
pub(super) fn logged<T>(logs: &mut Logs, place: Place, step: usize, rule: &ChainRule, body: impl FnOnce(&ChainRule) -> T) -> T {
    let log = Arc::new(Log::default());
    let answer = body(&ChainRule { plugin: rule.plugin.logging(&log), ..rule.clone() });
    logs.add(place, step, log.take());
    answer
}

impl Logs {
    fn add(&mut self, place: Place, step: usize, logged: Logged) {
        if logged == Logged::default() {
            return;
        }
        self.kept += logged.lines.len();
        let entry = self.entries.entry((place, step)).or_default();
        entry.lines.extend(logged.lines);
        entry.cut += logged.cut;
    }

    /// Adds what another row group wrote, and forgets what lies beyond the first lines of the run: always the last ones, so that what
    /// stays does not depend on the order of arrival.
    pub(super) fn merge(&mut self, other: Self) {
        self.append(other);
        for entry in self.entries.values_mut().rev() {
            while self.kept > RUN_LINES && entry.lines.pop().is_some() {
                entry.cut += 1;
                self.kept -= 1;
            }
            if self.kept <= RUN_LINES {
                return;
            }
        }
    }

    /// Adds all of it: what a run failed on must be told, however much was written before.
    pub(super) fn append(&mut self, other: Self) {
        for ((place, step), logged) in other.entries {
            self.add(place, step, logged);
        }
    }

    /// What was written before a row group.
    pub(super) fn before(mut self, group: GroupRef) -> Self {
        let later = self.entries.split_off(&(Place::Charges(group), 0));
        self.kept -= later.values().map(|logged| logged.lines.len()).sum::<usize>();
        self
    }

    pub(super) fn finish(self, chain: &Chain) -> RunLogs {
        let mut logs = RunLogs::default();
        for ((_, step), logged) in self.entries {
            let rule = chain.title(step);
            logs.lines.extend(logged.lines.into_iter().map(|message| RuleLog { rule: rule.to_owned(), message }));
            logs.cut += logged.cut;
        }
        logs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrote(group: u32, lines: usize, cut: u64) -> Logs {
        let mut logs = Logs::default();
        let lines = (0..lines).map(|line| format!("{group}/{line}")).collect();
        logs.add(Place::Charges(GroupRef { part: 0, group }), 0, Logged { lines, cut });
        logs
    }

    fn gathered(order: impl IntoIterator<Item = (u32, usize)>) -> Vec<(Vec<String>, u64)> {
        let mut logs = Logs::default();
        order.into_iter().for_each(|(group, lines)| logs.merge(wrote(group, lines, 1)));
        logs.entries.into_values().map(|logged| (logged.lines, logged.cut)).collect()
    }

    proptest! {
        #[test]
        fn the_first_lines_stay_in_whatever_order_row_groups_arrive(
            groups in prop::collection::vec(0_usize..400, 1..12).prop_map(|sizes| (0_u32..).zip(sizes).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut ordered = groups.clone();
            ordered.sort_unstable();
            let found = gathered(groups);
            let all: Vec<String> = ordered.iter().flat_map(|(group, lines)| (0..*lines).map(move |line| format!("{group}/{line}"))).collect();
            let kept: Vec<String> = found.iter().flat_map(|(lines, _)| lines.clone()).collect();
            prop_assert_eq!(&kept, &all[..all.len().min(RUN_LINES)]);
            let cut: u64 = found.iter().map(|(_, cut)| cut).sum();
            prop_assert_eq!(cut, (ordered.len() + all.len() - kept.len()) as u64);
            prop_assert_eq!(found, gathered(ordered));
        }
    }

    #[test]
    fn what_was_written_at_a_failure_is_told_however_much_came_before() {
        let mut logs = Logs::default();
        (0..12).for_each(|group| logs.merge(wrote(group, 100, 0)));
        let mut failed = logs.before(GroupRef { part: 0, group: 11 });
        failed.append(wrote(11, 3, 0));
        let last = failed.entries.pop_last().unwrap().1;
        assert_eq!((last.lines, failed.kept), (vec!["11/0".to_owned(), "11/1".to_owned(), "11/2".to_owned()], 1_003));
    }
}
