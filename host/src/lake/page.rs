//! A tenant's charges a page at a time, as JSON: what the HTTP interface lists.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::accounts::{ACCOUNT_COLUMNS, Accounts, rows_of};
use super::csv_text::time_text;
use super::error::LakeError;
use super::overlay::OverlayReader;
use super::reader::SnapshotReader;
use super::zip::read_rated;
use crate::domain::columns::{Column, NULL_CODE};
use crate::domain::rated::GroupRef;

/// Charges of one page.
pub const MAX_PAGE: usize = 1_000;

/// Charges that are looked at for one page: a filter that finds little gives a short page and a cursor rather than a long wait.
const MAX_SCANNED: usize = 2_000_000;

/// What a charge's column must be to be listed. Amounts and times are compared as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// `None` is null.
    Equals(Option<String>),
    Contains(String),
    /// Anything but this.
    Differs(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub column: String,
    pub test: Test,
}

/// The place of a charge in a run; as text `source.part.group.row`, the row counted among the tenant's in its row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub source: u32,
    pub group: Option<GroupRef>,
    pub row: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Column to value; null where a charge has none. Amounts are text, so that no reader turns them into floats.
    pub charges: Vec<Map<String, Value>>,
    /// As `charges`: where each is in the snapshot.
    pub places: Vec<(GroupRef, u32)>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cursor of this list")]
pub struct NotACursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.group.unwrap_or(GroupRef { part: 0, group: 0 });
        write!(f, "{}.{}.{}.{}", self.source, group.part, group.group, self.row)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([source, part, group, row]) => Ok(Self { source: *source, group: Some(GroupRef { part: *part, group: *group }), row: *row }),
            _ => Err(NotACursor(text.to_owned())),
        }
    }
}

/// Lists charges from `from` on that pass all `filters`, at most `limit` of them and never more than [`MAX_PAGE`].
pub fn read_page(
    sources: &[(&SnapshotReader, &OverlayReader)],
    columns: &[&str],
    filters: &[Filter],
    from: Cursor,
    limit: usize,
) -> Result<Page, LakeError> {
    read_page_of(sources, columns, filters, None, from, limit)
}

/// As [`read_page`], of these accounts only.
pub fn read_page_of(
    sources: &[(&SnapshotReader, &OverlayReader)],
    columns: &[&str],
    filters: &[Filter],
    accounts: Option<&Accounts>,
    from: Cursor,
    limit: usize,
) -> Result<Page, LakeError> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut page = Page { charges: Vec::new(), places: Vec::new(), next: None };
    let mut scanned = 0;
    for (source, (snapshot, overlay)) in (0..).zip(sources) {
        for (group, rows) in overlay.groups() {
            let here = Cursor { source, group: Some(group), row: 0 };
            let first = match (source, Some(group)).cmp(&(from.source, from.group)) {
                std::cmp::Ordering::Less => continue,
                std::cmp::Ordering::Equal => from.row,
                std::cmp::Ordering::Greater => 0,
            };
            if scanned >= MAX_SCANNED {
                page.next = Some(here);
                return Ok(page);
            }
            scanned += rows as usize;
            let mut found = matching(snapshot, overlay, group, filters, rows)?;
            found.retain(|row| *row >= first);
            if let Some(accounts) = accounts {
                let theirs = rows_of(&read_rated(snapshot, overlay, group, &ACCOUNT_COLUMNS)?, accounts);
                found.retain(|row| theirs.binary_search(row).is_ok());
            }
            let room = limit - page.charges.len();
            let next = found.get(room).copied();
            found.truncate(room);
            if !found.is_empty() {
                let batch = read_rated(snapshot, overlay, group, columns)?;
                page.charges.extend(found.iter().map(|row| cells(&batch.columns, *row as usize)));
                let positions = overlay.number(group).map(|number| overlay.rows(number)).transpose()?.unwrap_or_default();
                page.places.extend(found.iter().map(|row| (group, positions[*row as usize])));
            }
            if let Some(row) = next {
                page.next = Some(Cursor { row, ..here });
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// One row, column to value: amounts as exact decimal text, times as text.
pub fn cells(columns: &[(std::sync::Arc<str>, Column)], row: usize) -> Map<String, Value> {
    columns.iter().map(|(name, column)| (name.to_string(), text(column, row).map_or(Value::Null, Value::String))).collect()
}

fn text(column: &Column, row: usize) -> Option<String> {
    match column {
        Column::Text(column) => column.get(row).map(str::to_owned),
        Column::Money(column) => column.get(row).map(|amount| amount.to_string()),
        Column::Time(column) => time_text(column.micros[row]),
    }
}

/// The rows that pass, counted among the tenant's.
fn matching(
    snapshot: &SnapshotReader,
    overlay: &OverlayReader,
    group: GroupRef,
    filters: &[Filter],
    rows: u32,
) -> Result<Vec<u32>, LakeError> {
    let mut found: Vec<u32> = (0..rows).collect();
    if filters.is_empty() {
        return Ok(found);
    }
    let names: Vec<&str> = filters.iter().map(|filter| filter.column.as_str()).collect();
    let batch = read_rated(snapshot, overlay, group, &names)?;
    for (filter, (_, column)) in filters.iter().zip(&batch.columns) {
        match column {
            Column::Text(column) => {
                let null = filter.test.passes(None);
                let passes: Vec<bool> = column.values.iter().map(|value| filter.test.passes(Some(value))).collect();
                found.retain(|row| match column.codes[*row as usize] {
                    NULL_CODE => null,
                    code => passes[code as usize],
                });
            }
            other => found.retain(|row| filter.test.passes(text(other, *row as usize).as_deref())),
        }
    }
    Ok(found)
}

impl Test {
    fn passes(&self, value: Option<&str>) -> bool {
        match self {
            Self::Equals(wanted) => wanted.as_deref() == value,
            Self::Differs(unwanted) => value != Some(unwanted.as_str()),
            Self::Contains(part) => value.is_some_and(|value| value.contains(part.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OverlayWriter, SnapshotWriter, tests::charges};
    use super::*;
    use crate::domain::chunk::ChunkId;
    use crate::domain::columns::TextColumn;
    use crate::domain::rated::RatedGroup;
    use crate::domain::rule::Treatment;

    fn rated(dir: &std::path::Path) -> (SnapshotReader, OverlayReader) {
        let writer = SnapshotWriter::create(dir).unwrap();
        let start = 1_788_220_800_000_000;
        for seq in 0..3 {
            let rows = [("a", "USD", 1, start), ("b", "USD", 2, start), ("a", "USD", 3, start), ("c", "USD", 4, start)];
            writer.append(ChunkId { file: 0, seq }, charges(&rows)).unwrap();
        }
        let written = writer.finish().unwrap();
        let snapshot = SnapshotReader::open(&[dir.join(&written[0].parts[0].file_name)]).unwrap();
        let refs: Vec<GroupRef> = snapshot.groups().iter().map(|(group, _)| *group).collect();
        let writer = OverlayWriter::create(&dir.join("run.parquet"), &refs, "{}").unwrap();
        for group in refs {
            // The middle row group is another tenant's.
            let rows = if group.group == 1 { vec![] } else { vec![0, 1, 2] };
            let n = rows.len();
            let rated = RatedGroup {
                rows,
                customer_cost: vec![5; n],
                treatment: vec![Treatment::Keep; n],
                applied: TextColumn::constant(None, n),
                commitment_owner: TextColumn::constant(None, n),
                relabelled: Vec::new(),
            };
            writer.write(group, &rated).unwrap();
        }
        writer.finish().unwrap();
        (snapshot, OverlayReader::open(&dir.join("run.parquet")).unwrap())
    }

    fn all(sources: &[(&SnapshotReader, &OverlayReader)], filters: &[Filter], limit: usize) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut from = Cursor::default();
        loop {
            let page = read_page(sources, &["SubAccountId", "x_CustomerCost"], filters, from, limit).unwrap();
            pages.push(page.charges.iter().map(|charge| charge["SubAccountId"].as_str().unwrap().to_owned()).collect());
            match page.next {
                // Through its text, as a client gives it back.
                Some(next) => from = next.to_string().parse().unwrap(),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_follow_one_another_without_a_gap_and_skip_what_is_not_the_tenants() {
        let dir = tempfile::tempdir().unwrap();
        let (snapshot, overlay) = rated(dir.path());
        let twice = [(&snapshot, &overlay), (&snapshot, &overlay)];
        assert_eq!(all(&twice[..1], &[], 4), [vec!["a", "b", "a", "a"], vec!["b", "a"]]);
        assert_eq!(all(&twice, &[], 100).concat().len(), 12);
        for limit in 1..13 {
            assert_eq!(all(&twice, &[], limit).concat(), ["a", "b", "a"].repeat(4), "limit {limit}");
        }
    }

    #[test]
    fn filters_compare_text_amounts_and_null() {
        let dir = tempfile::tempdir().unwrap();
        let (snapshot, overlay) = rated(dir.path());
        let sources = [(&snapshot, &overlay)];
        let filter = |column: &str, test| Filter { column: column.to_owned(), test };
        let equals = |text: &str| Test::Equals(Some(text.to_owned()));
        assert_eq!(all(&sources, &[filter("SubAccountId", equals("a"))], 3).concat(), ["a"; 4]);
        assert_eq!(all(&sources, &[filter("SubAccountName", Test::Contains("of b".to_owned()))], 3).concat(), ["b"; 2]);
        assert_eq!(all(&sources, &[filter("BilledCost", equals("0.000000000000000003"))], 3).concat(), ["a"; 2]);
        assert_eq!(all(&sources, &[filter("ServiceName", Test::Equals(None)), filter("SubAccountId", equals("b"))], 9).concat(), ["b"; 2]);
        assert!(all(&sources, &[filter("ServiceName", Test::Contains(String::new()))], 9).concat().is_empty());
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "1.2.3", "1.2.3.x", "1.2.3.4.5", "-1.0.0.0"] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }
}
