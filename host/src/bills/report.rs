//! What an import found: counts that tell a person whether the bill was understood.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::Place;
use crate::domain::money::Amount;

/// The outcome of importing one bill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    pub rows: u64,
    /// Per file, in the bill's order.
    pub files: Vec<FileReport>,
    /// Rows of each `x_SourceLineType`; rows without one are counted under the empty string.
    pub line_types: BTreeMap<String, u64>,
    pub quirks: Vec<Quirk>,
    pub rounded: Vec<Rounded>,
    pub split_cost: SplitCost,
    /// CUR line types that this version does not know: kept, to be looked at.
    pub unknown_line_types: BTreeMap<String, u64>,
    /// Billing accounts of the bill.
    pub payers: BTreeSet<String>,
    pub totals: Vec<CurrencyTotal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    pub name: String,
    /// As `x_SourceFormat`.
    pub format: String,
    pub rows: u64,
}

/// Something in the source that is not as its specification has it, and was read all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quirk {
    pub what: String,
    pub count: u64,
    /// The first place where it was seen.
    pub example: Place,
}

/// Values of one source column with more than 18 decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounded {
    pub column: String,
    pub values: u64,
    /// Source minus stored, summed, as decimal text with up to 36 decimals.
    pub difference: String,
}

/// Split-cost copies: rows whose amounts are excluded because the instance that they split is billed on its own row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitCost {
    pub rows: u64,
    pub amount: Amount,
}

/// Sums over the canonical columns, null as zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyTotal {
    pub currency: String,
    pub rows: u64,
    pub billed: Amount,
    pub effective: Amount,
    pub list: Amount,
}

/// What one chunk adds to the report.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) rows: u64,
    pub(super) line_types: BTreeMap<String, u64>,
    pub(super) unknown_line_types: BTreeMap<String, u64>,
    pub(super) quirks: BTreeMap<String, (u64, Place)>,
    pub(super) rounded: BTreeMap<String, (u64, i128)>,
    pub(super) split_rows: u64,
    pub(super) split_units: i128,
    pub(super) payers: BTreeSet<String>,
    pub(super) totals: BTreeMap<String, Sums>,
    /// Billing account to its currency, and the first place where that was seen.
    pub(super) currencies: BTreeMap<String, (String, Place)>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) rows: u64,
    pub(super) billed: i128,
    pub(super) effective: i128,
    pub(super) list: i128,
}

impl Notes {
    pub(super) fn quirk(&mut self, what: &str, count: u64, example: Place) {
        if count == 0 {
            return;
        }
        if let Some((sum, first)) = self.quirks.get_mut(what) {
            *sum += count;
            if example < *first {
                *first = example;
            }
        } else {
            self.quirks.insert(what.to_owned(), (count, example));
        }
    }

    pub(super) fn rounded(&mut self, column: &str, values: u64, difference: i128) {
        let entry = self.rounded.entry(column.to_owned()).or_default();
        entry.0 += values;
        entry.1 = entry.1.saturating_add(difference);
    }

    /// Adds a later chunk's notes; `Err` names the sum that left the range.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), &'static str> {
        self.rows += other.rows;
        for (name, rows) in other.line_types {
            *self.line_types.entry(name).or_default() += rows;
        }
        for (name, rows) in other.unknown_line_types {
            *self.unknown_line_types.entry(name).or_default() += rows;
        }
        for (what, (count, example)) in other.quirks {
            self.quirk(&what, count, example);
        }
        for (column, (values, difference)) in other.rounded {
            self.rounded(&column, values, difference);
        }
        self.split_rows += other.split_rows;
        self.split_units = self.split_units.checked_add(other.split_units).ok_or("split cost")?;
        self.payers.extend(other.payers);
        for (currency, sums) in other.totals {
            let total = self.totals.entry(currency).or_default();
            total.rows += sums.rows;
            total.billed = total.billed.checked_add(sums.billed).ok_or("BilledCost")?;
            total.effective = total.effective.checked_add(sums.effective).ok_or("EffectiveCost")?;
            total.list = total.list.checked_add(sums.list).ok_or("ListCost")?;
        }
        Ok(())
    }

    pub(super) fn into_report(self, files: Vec<FileReport>) -> ImportReport {
        ImportReport {
            rows: self.rows,
            files,
            line_types: self.line_types,
            quirks: self.quirks.into_iter().map(|(what, (count, example))| Quirk { what, count, example }).collect(),
            rounded: self
                .rounded
                .into_iter()
                .map(|(column, (values, difference))| Rounded { column, values, difference: text_of_difference(difference) })
                .collect(),
            split_cost: SplitCost { rows: self.split_rows, amount: Amount(self.split_units) },
            unknown_line_types: self.unknown_line_types,
            payers: self.payers,
            totals: self
                .totals
                .into_iter()
                .map(|(currency, sums)| CurrencyTotal {
                    currency,
                    rows: sums.rows,
                    billed: Amount(sums.billed),
                    effective: Amount(sums.effective),
                    list: Amount(sums.list),
                })
                .collect(),
        }
    }
}

/// Units of 10^-36 as decimal text.
fn text_of_difference(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:037}", units.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 36);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_written_with_all_its_decimals() {
        assert_eq!(text_of_difference(0), "0");
        assert_eq!(text_of_difference(-5), "-0.000000000000000000000000000000000005");
        assert_eq!(text_of_difference(3 * 10_i128.pow(36)), "3");
    }
}
