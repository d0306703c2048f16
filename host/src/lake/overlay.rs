//! A rated file: for each row group of the snapshot, which rows are the tenant's and what rating made of them.
//!
//! One row group for each of the snapshot's that has rows of the tenant. The position of a row is kept as the number of rows passed over
//! since the one before, which is mostly the same number and so costs next to nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::encode::{EncodedGroup, GroupEncoder};
use super::error::LakeError;
use super::file::{PartFile, PartInfo, ROW_GAP, sync_dir};
use super::order::{Disorder, InOrder};
use super::reader::OpenFile;
use crate::domain::charge::{APPLIED_RULES, COMMITMENT_OWNER, CUSTOMER_COST, Kind, TREATMENT};
use crate::domain::columns::{Column, Dictionary, MoneyColumn, TextColumn};
use crate::domain::money;
use crate::domain::rated::{GroupRef, RatedGroup};
use crate::domain::rule::Treatment;

/// Footer notes: the caller's own, and which row group of the snapshot each row group belongs to.
const NOTE: &str = "rerate.overlay";
const GROUPS: &str = "rerate.groups";

/// The columns that every rated row has, besides its position.
const COLUMNS: [(&str, Kind); 4] =
    [(CUSTOMER_COST, Kind::Money), (TREATMENT, Kind::Text), (COMMITMENT_OWNER, Kind::Text), (APPLIED_RULES, Kind::Text)];

#[derive(Debug, Serialize, Deserialize)]
struct StoredGroup {
    part: u32,
    group: u32,
    relabelled: Vec<String>,
}

/// Writes the overlay of one run.
#[derive(Debug)]
pub struct OverlayWriter {
    numbers: HashMap<GroupRef, u32>,
    order: InOrder<Sink, (StoredGroup, EncodedGroup)>,
    note: String,
}

#[derive(Debug)]
struct Sink {
    file: PartFile,
    groups: Vec<StoredGroup>,
}

impl OverlayWriter {
    /// `groups` are the snapshot's row groups in the order in which they are to be stored; `note` is the caller's JSON.
    pub fn create(path: &Path, groups: &[GroupRef], note: &str) -> Result<Self, LakeError> {
        let numbers: HashMap<GroupRef, u32> = groups.iter().copied().zip(0..).collect();
        if numbers.len() != groups.len() {
            return Err(LakeError::batch("groups", "a row group is announced twice"));
        }
        let mut file = PartFile::create(path)?;
        file.declare([(ROW_GAP, Kind::Time)].iter().chain(&COLUMNS));
        let sink = Sink { file, groups: Vec::new() };
        Ok(Self { numbers, order: InOrder::new(sink), note: note.to_owned() })
    }

    /// Stores what became of a row group; to be called once for each, also where the tenant has no rows in it. After an error every
    /// other call fails too.
    pub fn write(&self, group: GroupRef, rated: &RatedGroup) -> Result<(), LakeError> {
        let outcome = self.try_write(group, rated);
        if outcome.is_err() {
            self.abort();
        }
        outcome
    }

    /// Makes calls that wait, and later ones, fail.
    pub fn abort(&self) {
        self.order.abort();
    }

    fn try_write(&self, group: GroupRef, rated: &RatedGroup) -> Result<(), LakeError> {
        let number = *self.numbers.get(&group).ok_or(LakeError::UnexpectedGroup(group))?;
        let encoded = encode(rated)?;
        let relabelled = rated.relabelled.iter().map(|(name, _)| name.to_string()).collect();
        let stored = StoredGroup { part: group.part, group: group.group, relabelled };
        let taken = self.order.put(number, encoded.bytes.len(), (stored, encoded), |sink, (stored, encoded)| {
            if encoded.rows > 0 {
                sink.file.append(encoded)?;
                sink.groups.push(stored);
            }
            Ok(())
        });
        taken.map_err(|disorder| self.disordered(disorder, Some(group)))
    }

    fn disordered(&self, disorder: Disorder, group: Option<GroupRef>) -> LakeError {
        match (disorder, group) {
            (Disorder::Failed(error), _) => error,
            (Disorder::Repeated, Some(group)) => LakeError::UnexpectedGroup(group),
            (Disorder::Missing(next), _) => LakeError::MissingGroups { missing: self.numbers.len().saturating_sub(next as usize) },
            (Disorder::Aborted | Disorder::Repeated, _) => LakeError::Aborted,
        }
    }

    /// Ends the file and gives it its name.
    pub fn finish(self) -> Result<PartInfo, LakeError> {
        let expected = self.numbers.len();
        let (sink, taken) = self.order.finish().map_err(|disorder| match disorder {
            Disorder::Missing(next) => LakeError::MissingGroups { missing: expected.saturating_sub(next as usize) },
            _ => LakeError::Aborted,
        })?;
        if taken as usize != expected {
            return Err(LakeError::MissingGroups { missing: expected - taken as usize });
        }
        let groups = serde_json::to_string(&sink.groups).map_err(|_| LakeError::batch("groups", "cannot be written as JSON"))?;
        let (unfinished, info) = sink.file.seal(vec![(NOTE, self.note), (GROUPS, groups)])?;
        let dir = unfinished.path().parent().map(Path::to_owned);
        unfinished.publish()?;
        dir.map_or(Ok(()), |dir| sync_dir(&dir))?;
        Ok(info)
    }
}

fn encode(rated: &RatedGroup) -> Result<EncodedGroup, LakeError> {
    let mut encoder = GroupEncoder::new(rated.rows.len())?;
    let mut next = 0;
    let gaps = rated.rows.iter().map(|row| {
        let gap = i64::from(*row) - next;
        next = i64::from(*row) + 1;
        gap
    });
    let gaps: Vec<i64> = gaps.collect();
    if gaps.iter().any(|gap| *gap < 0) {
        return Err(LakeError::batch("rows", "positions do not ascend"));
    }
    encoder.push(ROW_GAP.into(), &Column::Time(crate::domain::columns::TimeColumn { micros: gaps }))?;
    encoder.push(CUSTOMER_COST.into(), &Column::Money(MoneyColumn { units: rated.customer_cost.clone() }))?;
    encoder.push(TREATMENT.into(), &Column::Text(treatments(&rated.treatment)))?;
    encoder.push(COMMITMENT_OWNER.into(), &Column::Text(rated.commitment_owner.clone()))?;
    encoder.push(APPLIED_RULES.into(), &Column::Text(rated.applied.clone()))?;
    for (name, column) in &rated.relabelled {
        encoder.push(Arc::clone(name), &Column::Text(column.clone()))?;
    }
    encoder.finish()
}

/// Treatments by their names.
pub(super) fn treatments(rows: &[Treatment]) -> TextColumn {
    let values: Dictionary = Treatment::ALL.iter().map(|treatment| treatment.name()).collect();
    TextColumn { values: Arc::new(values), codes: rows.iter().map(|treatment| *treatment as u32).collect() }
}

/// Reads the overlay of a run.
#[derive(Debug)]
pub struct OverlayReader {
    file: OpenFile,
    groups: Vec<(GroupRef, Vec<Arc<str>>)>,
    numbers: HashMap<GroupRef, usize>,
}

impl OverlayReader {
    pub fn open(path: &Path) -> Result<Self, LakeError> {
        let file = OpenFile::open(path)?;
        let stored: Option<Vec<StoredGroup>> = file.note(GROUPS).and_then(|note| serde_json::from_str(note).ok());
        let stored = stored.filter(|groups| groups.len() == file.groups());
        let stored = stored.ok_or_else(|| LakeError::Corrupt { path: path.to_owned(), what: "no overlay".to_owned() })?;
        let groups: Vec<(GroupRef, Vec<Arc<str>>)> = stored
            .into_iter()
            .map(|group| (GroupRef { part: group.part, group: group.group }, group.relabelled.into_iter().map(Arc::from).collect()))
            .collect();
        let numbers = groups.iter().enumerate().map(|(number, (group, _))| (*group, number)).collect();
        Ok(Self { file, groups, numbers })
    }

    /// What the writer was given.
    pub fn note(&self) -> &str {
        self.file.note(NOTE).unwrap_or_default()
    }

    /// The snapshot's row groups in which the tenant has rows, and how many, in the order of the file.
    pub fn groups(&self) -> Vec<(GroupRef, u32)> {
        let rows = |number| u32::try_from(self.file.rows(number)).unwrap_or(u32::MAX);
        self.groups.iter().enumerate().map(|(number, (group, _))| (*group, rows(number))).collect()
    }

    /// What became of a row group; empty where the tenant has no rows in it.
    pub fn read(&self, group: GroupRef) -> Result<RatedGroup, LakeError> {
        let Some(number) = self.number(group) else { return Ok(RatedGroup::default()) };
        let mut relabelled = Vec::new();
        for name in &self.groups[number].1 {
            relabelled.push((Arc::clone(name), self.text(number, name)?));
        }
        Ok(RatedGroup {
            rows: self.rows(number)?,
            customer_cost: self.customer_cost(number)?,
            treatment: self.treatment(number)?,
            applied: self.text(number, APPLIED_RULES)?,
            commitment_owner: self.text(number, COMMITMENT_OWNER)?,
            relabelled,
        })
    }

    /// The row group of this file that belongs to a row group of the snapshot.
    pub(super) fn number(&self, group: GroupRef) -> Option<usize> {
        self.numbers.get(&group).copied()
    }

    /// Whether the overlay has the column for this row group, rather than the snapshot.
    pub(super) fn has(&self, number: usize, name: &str) -> bool {
        COLUMNS.iter().any(|(column, _)| *column == name) || self.groups[number].1.iter().any(|relabelled| &**relabelled == name)
    }

    /// A column that [`OverlayReader::has`].
    pub(super) fn column(&self, number: usize, name: &str) -> Result<Column, LakeError> {
        self.file.read(number, name)?.ok_or_else(|| self.corrupt(format!("no column {name}")))
    }

    pub(super) fn copy(&self, number: usize, name: &str, encoder: &mut GroupEncoder) -> Result<(), LakeError> {
        if self.file.copy(number, name, name, encoder)? { Ok(()) } else { Err(self.corrupt(format!("no column {name}"))) }
    }

    fn corrupt(&self, what: impl Into<String>) -> LakeError {
        LakeError::Corrupt { path: self.file.path.clone(), what: what.into() }
    }

    fn text(&self, number: usize, name: &str) -> Result<TextColumn, LakeError> {
        match self.file.read(number, name)? {
            Some(Column::Text(column)) => Ok(column),
            _ => Err(self.corrupt(format!("no text column {name}"))),
        }
    }

    pub(super) fn rows(&self, number: usize) -> Result<Vec<u32>, LakeError> {
        let Some(Column::Time(gaps)) = self.file.read(number, ROW_GAP)? else { return Err(self.corrupt("no positions")) };
        let mut next = 0_i64;
        let row = |gap: i64| {
            let row = next.checked_add(gap).filter(|row| gap >= 0 && *row < super::MAX_ROWS_PER_GROUP as i64)?;
            next = row + 1;
            u32::try_from(row).ok()
        };
        let rows: Option<Vec<u32>> = gaps.micros.into_iter().map(row).collect();
        rows.ok_or_else(|| self.corrupt("positions outside of a row group"))
    }

    fn customer_cost(&self, number: usize) -> Result<Vec<i128>, LakeError> {
        match self.file.read(number, CUSTOMER_COST)? {
            Some(Column::Money(column)) if !column.units.contains(&money::NULL) => Ok(column.units),
            _ => Err(self.corrupt("a charge without a customer cost")),
        }
    }

    fn treatment(&self, number: usize) -> Result<Vec<Treatment>, LakeError> {
        let column = self.text(number, TREATMENT)?;
        let named = |value: &str| Treatment::ALL.into_iter().find(|treatment| treatment.name() == value);
        let values: Vec<Option<Treatment>> = column.values.iter().map(named).collect();
        let rows: Option<Vec<Treatment>> = column.codes.iter().map(|code| *values.get(*code as usize)?).collect();
        rows.ok_or_else(|| self.corrupt("an unknown treatment"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{text_column, values};
    use super::*;

    fn rated(relabel: bool) -> impl Strategy<Value = RatedGroup> {
        prop::collection::btree_set(0_u32..500, 0..40).prop_flat_map(move |rows| {
            let n = rows.len();
            let rows: Vec<u32> = rows.into_iter().collect();
            let costs = prop::collection::vec(-1_000_i128..1_000, n);
            let treatment = prop::collection::vec(prop::sample::select(&Treatment::ALL[..]), n);
            (costs, treatment, text_column(n), text_column(n), text_column(n)).prop_map(
                move |(customer_cost, treatment, applied, commitment_owner, name)| RatedGroup {
                    rows: rows.clone(),
                    customer_cost,
                    treatment,
                    applied,
                    commitment_owner,
                    relabelled: if relabel { vec![("ServiceName".into(), name)] } else { Vec::new() },
                },
            )
        })
    }

    fn same(one: &RatedGroup, other: &RatedGroup) -> bool {
        let text = |column: &TextColumn| values(&Column::Text(column.clone()));
        let relabelled = |group: &RatedGroup| group.relabelled.iter().map(|(n, c)| (Arc::clone(n), text(c))).collect::<Vec<_>>();
        (&one.rows, &one.customer_cost, &one.treatment) == (&other.rows, &other.customer_cost, &other.treatment)
            && (text(&one.applied), text(&one.commitment_owner)) == (text(&other.applied), text(&other.commitment_owner))
            && (one.rows.is_empty() || relabelled(one) == relabelled(other))
    }

    fn refs(count: u32) -> Vec<GroupRef> {
        (0..count).map(|n| GroupRef { part: n / 2, group: n % 2 }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rated_groups_come_back_in_the_announced_order_whatever_order_they_came_in(
            groups in (any::<bool>(), any::<bool>()).prop_flat_map(|(a, b)| (rated(a), rated(b), rated(a), rated(false))),
            order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle(),
        ) {
            let groups = [groups.0, groups.1, groups.2, groups.3];
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("run.parquet");
            let refs = refs(4);
            let writer = OverlayWriter::create(&path, &refs, r#"{"run":1}"#).unwrap();
            for index in order {
                writer.write(refs[index], &groups[index]).unwrap();
            }
            writer.finish().unwrap();
            let reader = OverlayReader::open(&path).unwrap();
            prop_assert_eq!(reader.note(), r#"{"run":1}"#);
            let expected: Vec<_> = refs.iter().zip(&groups).filter(|(_, g)| !g.rows.is_empty()).map(|(r, g)| (*r, u32::try_from(g.rows.len()).unwrap())).collect();
            prop_assert_eq!(reader.groups(), expected);
            for (group, rated) in refs.iter().zip(&groups) {
                let read = reader.read(*group).unwrap();
                prop_assert!(same(&read, rated), "{:?} != {:?}", read, rated);
            }
        }
    }

    #[test]
    fn a_group_that_did_not_come_or_came_twice_fails_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let refs = refs(2);
        let create = || OverlayWriter::create(&dir.path().join("run.parquet"), &refs, "{}").unwrap();
        let writer = create();
        writer.write(refs[1], &RatedGroup::default()).unwrap();
        assert!(matches!(writer.finish(), Err(LakeError::MissingGroups { missing: 2 })));
        let writer = create();
        writer.write(refs[0], &RatedGroup::default()).unwrap();
        assert!(matches!(writer.write(refs[0], &RatedGroup::default()), Err(LakeError::UnexpectedGroup(_))));
        assert!(matches!(writer.finish(), Err(LakeError::Aborted)));
        let writer = create();
        assert!(matches!(writer.write(GroupRef { part: 9, group: 0 }, &RatedGroup::default()), Err(LakeError::UnexpectedGroup(_))));
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn positions_of_a_whole_group_cost_a_few_bytes() {
        let encoded = |rows: Vec<u32>| {
            let n = rows.len();
            let group = RatedGroup {
                rows,
                customer_cost: vec![0; n],
                treatment: vec![Treatment::Keep; n],
                applied: TextColumn::constant(None, n),
                commitment_owner: TextColumn::constant(None, n),
                relabelled: Vec::new(),
            };
            encode(&group).unwrap().bytes.len()
        };
        assert!(encoded((0..100_000).collect()) < 300);
        assert!(encoded((0..100_000).map(|row| row * 3 + row % 2).collect()) < 15_000);
    }
}
