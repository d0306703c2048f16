//! Bill formats: found by looking at the header only, one file each.

mod azure;
mod cur;
mod focus;
mod gcp;
mod oci;

use std::collections::HashMap;
use std::sync::Arc;

use super::cells::{MoneyRole, Role, Seen};
use super::charges::Charges;
use super::derive::{json_object, per_combination};
use super::error::BillError;
use super::raw::Raw;
use super::report::Notes;
use super::time::month_of;
use crate::domain::charge::NATIVE_PREFIX;
use crate::domain::columns::{Batch, NULL_TIME, TextColumn};

/// Columns of a bill at most: the widest real one has under 400, and each costs memory in every chunk.
const MAX_COLUMNS: usize = 2_000;

/// The columns by which each format is known, for the message when none fits.
const LOOKED_FOR: &str = "AWS CUR (lineItem/UnblendedCost or line_item_unblended_cost), FOCUS (BilledCost and ChargeCategory), \
    Azure (MeterId, MeterCategory or MeterName, and Cost, CostInBillingCurrency or PreTaxCost), \
    Google Cloud (billing_account_id, cost, and sku.id or service.description), Oracle Cloud (cost/myCost)";

/// How one format fills the canonical columns.
pub(super) trait Mapping: Send + Sync {
    fn charges(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Result<Charges, BillError>;
}

/// What a header asks for: how to read each column and what to make of them.
pub(super) struct Layout {
    /// As `x_SourceFormat`.
    pub(super) format: &'static str,
    pub(super) headers: Vec<String>,
    pub(super) roles: Vec<Role>,
    mapping: Box<dyn Mapping>,
    native: Vec<Arc<str>>,
    currency: Option<usize>,
}

impl Layout {
    /// Finds the format by the header.
    pub(super) fn detect(file: &str, headers: Vec<String>) -> Result<Self, BillError> {
        if headers.len() > MAX_COLUMNS {
            return Err(BillError::TooManyColumns { file: file.to_owned(), found: headers.len(), limit: MAX_COLUMNS });
        }
        let mut finder = Finder::new(file, &headers)?;
        let mut found = None;
        for detect in [cur::detect, focus::detect, oci::detect, azure::detect, gcp::detect] {
            found = detect(&mut finder)?;
            if found.is_some() {
                break;
            }
        }
        let Some(found) = found else {
            let shown: Vec<&str> = headers.iter().take(8).map(String::as_str).collect();
            if shown.iter().all(|header| header.trim().is_empty()) {
                return Err(BillError::Empty { file: file.to_owned() });
            }
            return Err(BillError::UnknownFormat {
                file: file.to_owned(),
                looked_for: LOOKED_FOR.to_owned(),
                header: super::cells::shortened(&shown.join(", ")),
            });
        };
        let native = headers.iter().map(|header| Arc::from(format!("{NATIVE_PREFIX}{header}"))).collect();
        let roles = finder.roles;
        Ok(Self { format: found.format, headers, roles, mapping: found.mapping, native, currency: found.currency })
    }

    /// The canonical batch of a chunk.
    pub(super) fn batch(&self, mut raw: Raw<'_>, notes: &mut Notes) -> Result<Batch, BillError> {
        raw.note(notes);
        let mut charges = self.mapping.charges(&mut raw, notes)?;
        charges.constant("x_SourceFormat", self.format);
        charges.finish(raw, &self.native, self.currency.map(|c| self.headers[c].as_str()), notes)
    }
}

/// A format that fits.
pub(super) struct Found {
    pub(super) format: &'static str,
    pub(super) mapping: Box<dyn Mapping>,
    pub(super) currency: Option<usize>,
}

/// Finds columns by name and notes how each is to be read; whatever is not asked for stays text.
pub(super) struct Finder<'h> {
    file: &'h str,
    pub(super) headers: &'h [String],
    /// Letters and digits of each header in lower case, so that `lineItem/UnblendedCost`, `line_item_unblended_cost` and
    /// `Line Item Unblended Cost` are one name.
    keys: HashMap<String, usize>,
    roles: Vec<Role>,
    format: &'static str,
}

impl<'h> Finder<'h> {
    fn new(file: &'h str, headers: &'h [String]) -> Result<Self, BillError> {
        let mut exact = std::collections::HashSet::new();
        let mut keys = HashMap::new();
        for (column, header) in headers.iter().enumerate() {
            if !exact.insert(header) {
                return Err(BillError::DuplicateColumn { file: file.to_owned(), column: header.clone() });
            }
            // Of two headers that differ only in writing the first is meant; the other stays a native column.
            keys.entry(key(header)).or_insert(column);
        }
        Ok(Self { file, headers, keys, roles: vec![Role::Text; headers.len()], format: "" })
    }

    /// Names the format for the messages that follow.
    pub(super) const fn is(&mut self, format: &'static str) {
        self.format = format;
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.contains_key(name)
    }

    /// The first of the names that the header has.
    pub(super) fn text(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.keys.get(*name).copied())
    }

    pub(super) fn key(&mut self, names: &[&str]) -> Option<usize> {
        self.with(names, Role::Key)
    }

    pub(super) fn time(&mut self, names: &[&str]) -> Option<usize> {
        self.with(names, Role::Time)
    }

    pub(super) fn money(&mut self, names: &[&str], role: MoneyRole) -> Option<usize> {
        self.with(names, Role::Money(role))
    }

    fn with(&mut self, names: &[&str], role: Role) -> Option<usize> {
        let column = self.text(names)?;
        self.roles[column] = role;
        Some(column)
    }

    /// Columns that begin with a prefix, and what is behind it.
    pub(super) fn prefixed(&self, prefix: &str) -> Vec<(usize, String)> {
        let named = self.headers.iter().enumerate();
        named.filter_map(|(column, header)| Some((column, header.strip_prefix(prefix)?.to_owned()))).collect()
    }

    /// Refuses a bill without a column that no row can do without.
    pub(super) fn need(&self, column: Option<usize>, name: &str) -> Result<(), BillError> {
        if column.is_some() {
            return Ok(());
        }
        Err(BillError::MissingColumn { file: self.file.to_owned(), format: self.format, column: name.to_owned() })
    }
}

/// The account in the ARN of a Savings Plan or reservation: the fifth part of both shapes.
fn owner_of_arn(ids: &TextColumn, rows: usize) -> TextColumn {
    per_combination(&[ids], rows, |texts| {
        let arn = texts[0]?.strip_prefix("arn:")?;
        let account = arn.split(':').nth(3)?;
        (!account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit())).then(|| account.to_owned())
    })
}

/// What Azure writes into an id where there is none.
fn is_placeholder(text: &str) -> bool {
    matches!(text, "-2" | "Unassigned")
}

fn quirk(raw: &Raw<'_>, notes: &mut Notes, what: &str, seen: Seen, column: Option<usize>) {
    if seen.count > 0 {
        let header = column.map(|column| raw.headers[column].as_str());
        notes.quirk(what, seen.count, raw.place(seen.first, header));
    }
}

/// A text column with some values read as null, each such row counted.
fn without(raw: &Raw<'_>, text: TextColumn, column: Option<usize>, what: &str, is_null: fn(&str) -> bool, notes: &mut Notes) -> TextColumn {
    let nulls: Vec<bool> = text.values.iter().map(is_null).collect();
    if !nulls.contains(&true) {
        return text;
    }
    let mut seen = Seen::default();
    for (row, code) in text.codes.iter().enumerate() {
        if nulls.get(*code as usize) == Some(&true) {
            seen.add(row);
        }
    }
    quirk(raw, notes, what, seen, column);
    per_combination(&[&text], raw.rows, |texts| texts[0].filter(|text| !is_null(text)).map(str::to_owned))
}

/// A JSON object of the columns that are not empty on a row. The columns are used up.
fn object_of_columns(raw: &mut Raw<'_>, columns: &[(usize, String)]) -> Option<TextColumn> {
    if columns.is_empty() {
        return None;
    }
    let rows = raw.rows;
    let taken: Vec<TextColumn> =
        columns.iter().map(|(column, _)| raw.take_text(Some(*column)).unwrap_or_else(|| TextColumn::constant(None, rows))).collect();
    let inputs: Vec<&TextColumn> = taken.iter().collect();
    Some(per_combination(&inputs, rows, |texts| {
        json_object(columns.iter().zip(texts).filter_map(|((_, name), text)| Some((name.as_str(), (*text)?))))
    }))
}

/// Billing periods, taken from the month of the charge where the bill has none.
fn with_period(start: Option<Vec<i64>>, end: Option<Vec<i64>>, charged: Option<&[i64]>) -> (Option<Vec<i64>>, Option<Vec<i64>>) {
    let mut last = (NULL_TIME, None);
    let mut month = |micros: i64| {
        if micros == NULL_TIME {
            return None;
        }
        if last.0 != micros {
            last = (micros, month_of(micros));
        }
        last.1
    };
    let start = start.or_else(|| Some(charged?.iter().map(|micros| month(*micros).map_or(NULL_TIME, |m| m.0)).collect::<Vec<_>>()));
    let end = end.or_else(|| Some(start.as_ref()?.iter().map(|micros| month(*micros).map_or(NULL_TIME, |m| m.1)).collect()));
    (start, end)
}

/// A header's letters and digits in lower case. Of a localised header, `Ressourcengruppe (ResourceGroup)`, those in brackets.
fn key(header: &str) -> String {
    let header = header.trim();
    let inner = header.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')).map_or(header, |(_, inner)| inner);
    inner.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
