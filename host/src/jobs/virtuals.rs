//! What a virtual integration shows: its charges and their sums, read from the published snapshots each time.
//!
//! Every sum is taken of all charges of a snapshot, in and out of the view, and held against the snapshot's own total: a view cannot lose
//! or double a charge unnoticed. Nothing is stored. Blocking; what tenants are charged is not shown here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::work::part_paths;
use crate::depot::Depot;
use crate::domain::charge::NO_CURRENCY;
use crate::domain::columns::{Batch, NULL_CODE, TextColumn};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rule::Condition;
use crate::lake::{LakeError, SnapshotReader, cells};
use crate::store::Snapshot;

/// Charges that are looked at for one page: a view without a match in a large month ends its page here and goes on in the next one.
const MAX_SCANNED: usize = 2_000_000;

#[derive(Debug, thiserror::Error)]
pub enum VirtualError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the billed amounts add up to more than 38 digits")]
    SumOutOfRange,
    #[error("the charges of the snapshot {snapshot} in {currency} add up to {read}, it says {total}: this is a defect in rerate")]
    Unequal { snapshot: String, currency: String, read: Amount, total: Amount },
}

/// Which charges.
#[derive(Clone, Debug)]
pub enum Selection {
    /// By integration: (billing account, sub account); the latter is empty for charges that name none.
    Accounts(BTreeMap<String, BTreeSet<(String, String)>>),
    /// All must hold.
    Conditions(Vec<Condition>),
}

/// A view's month in one currency, beside the whole of the bills that it looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VirtualMonth {
    pub period: Period,
    pub currency: String,
    pub charges: u64,
    pub billed: Amount,
    /// What is not in the view: both together are the bills, to the last digit.
    pub outside_charges: u64,
    pub outside_billed: Amount,
}

/// A page of a view's charges.
#[derive(Debug, Default)]
pub struct VirtualPage {
    pub charges: Vec<Map<String, Value>>,
    /// The snapshot, row group and row of the next one.
    pub next: Option<(String, usize, u32)>,
}

impl Selection {
    fn columns(&self) -> Vec<&str> {
        match self {
            Self::Accounts(_) => vec!["BillingAccountId", "SubAccountId"],
            Self::Conditions(conditions) => conditions.iter().map(|condition| condition.column.as_str()).collect(),
        }
    }

    /// Whether a snapshot can have any of it.
    fn looks_at(&self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Accounts(accounts) => accounts.contains_key(&snapshot.integration_id),
            Self::Conditions(_) => true,
        }
    }

    /// Rows of the view, ascending. Each distinct value is tested once.
    fn select(&self, snapshot: &Snapshot, batch: &Batch) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..u32::try_from(batch.rows).unwrap_or(u32::MAX)).collect();
        match self {
            Self::Accounts(accounts) => {
                let Some(accounts) = accounts.get(&snapshot.integration_id) else { return Vec::new() };
                let (billing, sub) = (batch.text("BillingAccountId"), batch.text("SubAccountId"));
                let text = |column: Option<&TextColumn>, row: u32| column.and_then(|c| c.get(row as usize)).unwrap_or_default().to_owned();
                let mut known: BTreeMap<(u32, u32), bool> = BTreeMap::new();
                let code = |column: Option<&TextColumn>, row: u32| column.map_or(NULL_CODE, |c| c.codes[row as usize]);
                rows.retain(|row| {
                    let key = (code(billing, *row), code(sub, *row));
                    *known.entry(key).or_insert_with(|| accounts.contains(&(text(billing, *row), text(sub, *row))))
                });
            }
            Self::Conditions(conditions) => {
                for condition in conditions {
                    let Some(column) = batch.text(&condition.column) else { return Vec::new() };
                    let of_null = condition.test.holds(None);
                    let of_code: Vec<bool> = column.values.iter().map(|value| condition.test.holds(Some(value))).collect();
                    rows.retain(|row| match column.codes[*row as usize] {
                        NULL_CODE => of_null,
                        code => of_code[code as usize],
                    });
                }
            }
        }
        rows
    }
}

/// The names, each once, in the order in which they came.
fn once<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(*name)).collect()
}

/// (charges, billed) in and out of the view.
type Sums = [(u64, Amount); 2];

/// The view's months, ordered by period and currency. Months without a charge of it are not in the answer.
pub fn months(lake: &Depot, snapshots: &[Arc<Snapshot>], selection: &Selection) -> Result<Vec<VirtualMonth>, VirtualError> {
    let mut all: BTreeMap<(Period, String), Sums> = BTreeMap::new();
    for snapshot in snapshots.iter().filter(|snapshot| selection.looks_at(snapshot)) {
        for (currency, sums) in sums_of(lake, snapshot, selection)? {
            let known = all.entry((snapshot.period, currency)).or_default();
            for (known, found) in known.iter_mut().zip(sums) {
                add(known, found)?;
            }
        }
    }
    let month = |((period, currency), [inside, outside]): ((Period, String), Sums)| VirtualMonth {
        period,
        currency,
        charges: inside.0,
        billed: inside.1,
        outside_charges: outside.0,
        outside_billed: outside.1,
    };
    Ok(all.into_iter().filter(|(_, [inside, _])| inside.0 > 0).map(month).collect())
}

fn add(sum: &mut (u64, Amount), more: (u64, Amount)) -> Result<(), VirtualError> {
    *sum = (sum.0 + more.0, sum.1.checked_add(more.1).ok_or(VirtualError::SumOutOfRange)?);
    Ok(())
}

fn open(lake: &Depot, snapshot: &Snapshot) -> Result<SnapshotReader, LakeError> {
    let mut held = lake.hold();
    SnapshotReader::open(&part_paths(&mut held, snapshot)?)
}

/// By currency, checked against what the import counted.
fn sums_of(lake: &Depot, snapshot: &Snapshot, selection: &Selection) -> Result<BTreeMap<String, Sums>, VirtualError> {
    let reader = open(lake, snapshot)?;
    let columns = once(["BillingCurrency", "BilledCost"].into_iter().chain(selection.columns()));
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for (group, _) in reader.groups() {
        let batch = reader.read(group, &columns)?;
        let mut inside = selection.select(snapshot, &batch).into_iter().peekable();
        let (currency, billed) = (batch.text("BillingCurrency"), batch.money("BilledCost"));
        let mut of_code: BTreeMap<u32, Sums> = BTreeMap::new();
        for row in 0..batch.rows {
            let is_inside = inside.next_if(|next| *next as usize == row).is_some();
            let amount = billed.and_then(|column| column.get(row)).unwrap_or_default();
            let code = currency.map_or(NULL_CODE, |column| column.codes[row]);
            add(&mut of_code.entry(code).or_default()[usize::from(!is_inside)], (1, amount))?;
        }
        for (code, found) in of_code {
            let name = if code == NULL_CODE { NO_CURRENCY } else { currency.map_or(NO_CURRENCY, |column| column.values.get(code)) };
            let known = sums.entry(name.to_owned()).or_default();
            for (known, found) in known.iter_mut().zip(found) {
                add(known, found)?;
            }
        }
    }
    for total in &snapshot.totals {
        let [inside, outside] = sums.get(&total.currency).copied().unwrap_or_default();
        let read = inside.1.checked_add(outside.1).ok_or(VirtualError::SumOutOfRange)?;
        if read != total.billed {
            let (snapshot, currency) = (snapshot.id.clone(), total.currency.clone());
            return Err(VirtualError::Unequal { snapshot, currency, read, total: total.billed });
        }
    }
    Ok(sums)
}

/// Charges of the view in these snapshots from a place on, at most `limit`.
pub fn page(
    lake: &Depot,
    snapshots: &[Arc<Snapshot>],
    selection: &Selection,
    columns: &[String],
    from: Option<&(String, usize, u32)>,
    limit: usize,
) -> Result<VirtualPage, VirtualError> {
    let mut page = VirtualPage::default();
    let mut scanned = 0;
    let begin = from.map_or("", |(snapshot, _, _)| snapshot.as_str());
    for snapshot in snapshots.iter().filter(|snapshot| selection.looks_at(snapshot) && snapshot.id.as_str() >= begin) {
        let reader = open(lake, snapshot)?;
        for (number, (group, rows)) in reader.groups().into_iter().enumerate() {
            let first = match from {
                Some((id, at, row)) if *id == snapshot.id => match number.cmp(at) {
                    std::cmp::Ordering::Less => continue,
                    std::cmp::Ordering::Equal => *row,
                    std::cmp::Ordering::Greater => 0,
                },
                _ => 0,
            };
            if scanned >= MAX_SCANNED {
                page.next = Some((snapshot.id.clone(), number, first));
                return Ok(page);
            }
            scanned += rows as usize;
            let tested = reader.read(group, &once(selection.columns()))?;
            let mut found = selection.select(snapshot, &tested);
            found.retain(|row| *row >= first);
            let room = limit - page.charges.len();
            let next = found.get(room).copied();
            found.truncate(room);
            if !found.is_empty() {
                let names: Vec<&str> = columns.iter().map(String::as_str).collect();
                let batch = reader.read(group, &once(names))?;
                page.charges.extend(found.iter().map(|row| cells(&batch.columns, *row as usize)));
            }
            if let Some(row) = next {
                page.next = Some((snapshot.id.clone(), number, row));
                return Ok(page);
            }
        }
    }
    Ok(page)
}
