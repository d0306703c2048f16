//! Differences against a plain computation row by row.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use crate::domain::chunk::ChunkId;
use crate::domain::columns::{Batch, Column, MoneyColumn, TextColumn, TimeColumn};
use crate::domain::money::Amount;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup, RatedLine, RuleEffect, RuleFinding};
use crate::domain::rule::{Line, Severity, Treatment};
use crate::jobs::address::Parts;
use crate::jobs::compare::{CompareError, Difference, Side, compare};
use crate::lake::{OverlayReader, OverlayWriter, SnapshotReader, SnapshotWriter};

const SERVICES: [Option<&str>; 3] = [Some("EC2"), Some("S3"), None];

/// A charge: its service, and on either side its cost, treatment and label.
type Row = (usize, [(i16, usize, bool); 2]);

struct Rated {
    overlay: OverlayReader,
    billed: Amount,
    charged: Amount,
    by_rule: Vec<RuleEffect>,
    lines: Vec<RatedLine>,
    findings: Vec<RuleFinding>,
}

impl Rated {
    fn side<'a>(&'a self, rules: &'a [String]) -> Side<'a> {
        let Self { overlay, billed, charged, by_rule, lines, findings } = self;
        Side { overlay, billed: *billed, charged: *charged, rules, by_rule, lines, findings }
    }
}

fn line(amount: i128, description: &str) -> RatedLine {
    RatedLine {
        line: Line {
            description: description.to_owned(),
            charge_category: "Credit".to_owned(),
            service_name: "Credits".to_owned(),
            sub_account_id: None,
            amount: Amount(amount),
            reason: String::new(),
        },
        rule_id: "rul_1".to_owned(),
        rule: "Credit".to_owned(),
        customer_cost: Amount(amount),
        treatment: Treatment::Keep,
        applied: "[]".to_owned(),
    }
}

fn charges(dir: &std::path::Path, groups: &[Vec<Row>]) -> SnapshotReader {
    let writer = SnapshotWriter::create(dir).unwrap();
    for (seq, rows) in (0..).zip(groups) {
        let mut batch = Batch::new(rows.len());
        batch.push("BillingPeriodStart", Column::Time(TimeColumn { micros: vec![1_788_220_800_000_000; rows.len()] }));
        batch.push("BilledCost", Column::Money(MoneyColumn { units: vec![0; rows.len()] }));
        batch.push("ServiceName", Column::Text(TextColumn::from_rows(rows.iter().map(|row| SERVICES[row.0]))));
        writer.append(ChunkId { file: 0, seq }, batch).unwrap();
    }
    let written = writer.finish().unwrap();
    let parts: Vec<PathBuf> = written.iter().flat_map(|period| &period.parts).map(|part| dir.join(&part.file_name)).collect();
    SnapshotReader::open(&parts).unwrap()
}

fn rated(dir: &std::path::Path, reader: &SnapshotReader, groups: &[Vec<Row>], side: usize, lines: &[i8]) -> Rated {
    let refs: Vec<GroupRef> = reader.groups().into_iter().map(|(group, _)| group).collect();
    let path = dir.join(format!("{side}.parquet"));
    let writer = OverlayWriter::create(&path, &refs, "{}").unwrap();
    for (group, rows) in refs.iter().zip(groups) {
        let of: Vec<(i16, usize, bool)> = rows.iter().map(|row| row.1[side]).collect();
        let label = TextColumn::from_rows(of.iter().map(|of| of.2.then_some("other")));
        let group_rated = RatedGroup {
            rows: (0..u32::try_from(rows.len()).unwrap()).collect(),
            customer_cost: of.iter().map(|of| i128::from(of.0)).collect(),
            treatment: of.iter().map(|of| Treatment::ALL[of.1]).collect(),
            applied: TextColumn::constant(Some("[]"), rows.len()),
            commitment_owner: TextColumn::constant(None, rows.len()),
            relabelled: if of.iter().any(|of| of.2) { vec![("x_LineType".into(), label)] } else { Vec::new() },
        };
        writer.write(*group, &group_rated).unwrap();
    }
    writer.finish().unwrap();
    let costs: i128 = groups.iter().flatten().map(|row| i128::from(row.1[side].0)).sum();
    let lines: Vec<RatedLine> = lines.iter().map(|amount| line(i128::from(*amount), if *amount < 0 { "minus" } else { "plus" })).collect();
    let charged = Amount(costs + lines.iter().map(|line| line.customer_cost.0).sum::<i128>());
    let by_rule = vec![RuleEffect { title: "Rule".to_owned(), rows: 1, delta: charged }];
    let finding = |message: &str| RuleFinding { rule: None, severity: Severity::Warning, message: message.to_owned() };
    let findings = vec![finding("both"), finding(["before", "after"][side])];
    Rated { overlay: OverlayReader::open(&path).unwrap(), billed: Amount::ZERO, charged, by_rule, lines, findings }
}

fn difference(groups: &[Vec<Row>], lines: [&[i8]; 2], top: usize) -> Result<Difference, CompareError> {
    let dir = tempfile::tempdir().unwrap();
    let reader = charges(&dir.path().join("bill"), groups);
    let [before, after] = [0, 1].map(|side| rated(dir.path(), &reader, groups, side, lines[side]));
    let rules = ["rul_1".to_owned()];
    compare(&reader, &Parts::default(), before.side(&rules), after.side(&rules), top, &Progress::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_count_and_sum_is_what_a_look_at_each_row_gives(
        groups in prop::collection::vec(
            prop::collection::vec((0_usize..3, [(-9_i16..9, 0_usize..3, any::<bool>()), (-9_i16..9, 0_usize..3, any::<bool>())]), 1..30),
            1..4,
        ),
        before in prop::collection::vec(-3_i8..3, 0..4),
        after in prop::collection::vec(-3_i8..3, 0..4),
        top in 0_usize..6,
    ) {
        let found = difference(&groups, [&before, &after], top).unwrap();
        let rows: Vec<&Row> = groups.iter().flatten().collect();
        let count = |differs: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| differs(row)).count() as u64;
        prop_assert_eq!(found.counts.charges, rows.len() as u64);
        prop_assert_eq!(found.counts.amounts, count(&|(_, [a, b])| a.0 != b.0));
        prop_assert_eq!(found.counts.treatments, count(&|(_, [a, b])| a.1 != b.1));
        prop_assert_eq!(found.counts.labels, count(&|(_, [a, b])| a.2 != b.2));
        prop_assert_eq!(found.counts.changed, count(&|(_, [a, b])| a != b));
        prop_assert_eq!((found.counts.findings_new, found.counts.findings_gone), (1, 1));
        prop_assert_eq!(&found.findings_new[0].message, "after");

        let mut services: BTreeMap<Option<&str>, i128> = BTreeMap::new();
        rows.iter().for_each(|(service, [a, b])| *services.entry(SERVICES[*service]).or_default() += i128::from(b.0 - a.0));
        for (service, delta) in services {
            let listed = found.by_service.iter().find(|known| known.service.as_deref() == service).map_or(0, |known| known.delta.0);
            prop_assert_eq!(listed, delta, "{:?}", service);
        }
        let all: i128 = found.by_service.iter().map(|service| service.delta.0).sum();
        prop_assert_eq!(all, found.delta.0);

        let sum = |lines: &[i8], minus: bool| -> i128 { lines.iter().filter(|a| (**a < 0) == minus).map(|a| i128::from(*a)).sum() };
        let mut changes: Vec<u128> = rows.iter().filter(|(_, [a, b])| a != b).map(|(_, [a, b])| i128::from(b.0 - a.0).unsigned_abs()).collect();
        for minus in [true, false] {
            let number = |lines: &[i8]| lines.iter().filter(|a| (**a < 0) == minus).count();
            let delta = sum(&after, minus) - sum(&before, minus);
            if delta != 0 || number(&after) != number(&before) {
                changes.push(delta.unsigned_abs());
            }
        }
        changes.sort_unstable_by(|a, b| b.cmp(a));
        changes.truncate(top);
        prop_assert_eq!(found.top.iter().map(|line| line.delta.0.unsigned_abs()).collect::<Vec<_>>(), changes);
        prop_assert!(found.top.iter().all(|line| line.after.0 - line.before.0 == line.delta.0));
    }
}

#[test]
fn a_total_that_its_lines_do_not_make_is_a_defect_and_not_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    let groups = [vec![(0, [(5, 0, false), (6, 0, false)])]];
    let reader = charges(&dir.path().join("bill"), &groups);
    let [before, mut after] = [0, 1].map(|side| rated(dir.path(), &reader, &groups, side, &[]));
    let rules = ["rul_1".to_owned()];
    after.charged = Amount(7);
    let wrong = compare(&reader, &Parts::default(), before.side(&rules), after.side(&rules), 5, &Progress::new()).unwrap_err();
    assert!(matches!(wrong, CompareError::DoesNotAddUp { what: "lines", parts: Amount(1), total: Amount(2) }), "{wrong}");
    after.billed = Amount(1);
    let other = compare(&reader, &Parts::default(), before.side(&rules), after.side(&rules), 5, &Progress::new()).unwrap_err();
    assert!(matches!(other, CompareError::DifferentBills { .. }), "{other}");
}
