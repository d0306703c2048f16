//! `input.csv` to charges. The header names canonical columns; an empty field is null.

use std::collections::BTreeSet;

use super::case::CaseError;
use crate::domain::charge::{APPLIED_RULES, COMMITMENT_OWNER, CUSTOMER_COST, Kind, LINE_TYPE, STORED, TREATMENT, kind_of};
use crate::domain::columns::{Batch, Column, MoneyColumn, TextColumn};
use crate::domain::money::{self, Amount};

/// A case is read by people; a rule that needs more rows is benchmarked on a bill.
const ROWS_MAX: usize = 10_000;
const CURRENCY: &str = "BillingCurrency";

/// The charges of a case, completed as the daemon would: the bill's currency, the customer cost where no earlier rule set it, the
/// type of the line, and whose commitment priced it.
pub(super) fn read(text: &str, file: &str, currency: &str) -> Result<Batch, CaseError> {
    let table = Table::read(text, file)?;
    let mut batch = Batch::new(table.rows.len());
    for (index, name) in table.header.iter().enumerate() {
        match kind_of(name) {
            Some(Kind::Text) => batch.push(name.as_str(), Column::Text(TextColumn::from_rows(table.column(index)))),
            Some(Kind::Money) => batch.push(name.as_str(), Column::Money(table.money(index, file)?)),
            // No rule can read a time; the column may stand in a bill that a case was cut from.
            Some(Kind::Time) | None => {}
        }
    }
    complete(&mut batch, &table, file, currency)?;
    Ok(batch)
}

fn complete(batch: &mut Batch, table: &Table, file: &str, currency: &str) -> Result<(), CaseError> {
    match table.header.iter().position(|name| name == CURRENCY) {
        None => batch.push(CURRENCY, Column::Text(TextColumn::constant(Some(currency), batch.rows))),
        Some(index) => {
            for (value, (line, _)) in table.column(index).zip(&table.rows) {
                if value != Some(currency) {
                    let message = format!("BillingCurrency is {:?}; the case's bill is in {currency}", value.unwrap_or_default());
                    return Err(CaseError::at(file, *line, Some(index as u64 + 1), message).or_see("case.toml may set `currency`"));
                }
            }
        }
    }
    let billed = batch.money("BilledCost").map(|column| column.units.clone()).unwrap_or_else(|| vec![money::NULL; batch.rows]);
    let given = batch.money(CUSTOMER_COST).map_or_else(|| vec![money::NULL; batch.rows], |column| column.units.clone());
    let or = |first: i128, second: i128| if first == money::NULL { second } else { first };
    let cost = given.iter().zip(&billed).map(|(given, billed)| or(or(*given, *billed), 0)).collect();
    batch.columns.retain(|(name, _)| &**name != CUSTOMER_COST);
    batch.push(CUSTOMER_COST, Column::Money(MoneyColumn { units: cost }));
    if batch.column(LINE_TYPE).is_none()
        && let Some(source) = batch.column("x_SourceLineType").cloned()
    {
        batch.push(LINE_TYPE, source);
    }
    if batch.column(COMMITMENT_OWNER).is_none()
        && let Some(owner) = batch.text("x_CommitmentOwnerAccountId")
    {
        let payers: BTreeSet<&str> = batch.text("BillingAccountId").map_or_else(BTreeSet::new, |column| column.values.iter().collect());
        let seen = |account: &str| if payers.contains(account) { "payer" } else { "tenant" };
        let owners: Vec<_> = (0..batch.rows).map(|row| owner.get(row).map(seen)).collect();
        batch.push(COMMITMENT_OWNER, Column::Text(TextColumn::from_rows(owners)));
    }
    Ok(())
}

/// The text of the file with the line of each row.
struct Table {
    header: Vec<String>,
    rows: Vec<(u64, csv::StringRecord)>,
}

impl Table {
    fn read(text: &str, file: &str) -> Result<Self, CaseError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
        let mut records = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| CaseError::of_file(file, error))?;
            records.push((record.position().map_or(0, csv::Position::line), record));
            if records.len() > ROWS_MAX + 1 {
                return Err(CaseError::of_file(
                    file,
                    format!("more than {ROWS_MAX} charges; rate a bill with `rerate plugin run` instead"),
                ));
            }
        }
        if records.is_empty() {
            return Err(CaseError::of_file(file, "it is empty; the first line names the columns"));
        }
        let (line, first) = records.remove(0);
        let header: Vec<String> = first.iter().map(str::to_owned).collect();
        for (index, name) in header.iter().enumerate() {
            let refuse = |message: String| Err(CaseError::at(file, line, Some(index as u64 + 1), message));
            if header[..index].contains(name) {
                return refuse(format!("the column {name:?} is there twice"));
            }
            if name == TREATMENT || name == APPLIED_RULES {
                return refuse(format!("{name} is a result; what earlier rules left is said by {CUSTOMER_COST} and {LINE_TYPE}"));
            }
            if name == "Tags" {
                return refuse("give each tag a column of its own, such as Tags.team".to_owned());
            }
            if kind_of(name).is_none() {
                return refuse(unknown(name));
            }
        }
        for (line, record) in &records {
            if record.len() != header.len() {
                let message = format!("{} fields where the header has {}", record.len(), header.len());
                return Err(CaseError::at(file, *line, None, message));
            }
        }
        Ok(Self { header, rows: records })
    }

    fn column(&self, index: usize) -> impl Iterator<Item = Option<&str>> {
        self.rows.iter().map(move |(_, record)| record.get(index).filter(|text| !text.is_empty()))
    }

    fn money(&self, index: usize, file: &str) -> Result<MoneyColumn, CaseError> {
        let mut units = Vec::with_capacity(self.rows.len());
        for (value, (line, _)) in self.column(index).zip(&self.rows) {
            units.push(match value {
                None => money::NULL,
                Some(text) => {
                    let wrong =
                        |error| CaseError::at(file, *line, Some(index as u64 + 1), format!("{} {text:?}: {error}", self.header[index]));
                    Amount::parse_exact(text).map_err(wrong)?.0
                }
            });
        }
        Ok(MoneyColumn { units })
    }
}

/// Says what an unknown name may have meant.
fn unknown(name: &str) -> String {
    let folded = |text: &str| text.to_lowercase().replace(['_', '-', ' ', '/'], "");
    let close = |known: &&(&str, Kind)| {
        let (known, name) = (folded(known.0), folded(name));
        known == name || known.trim_start_matches('x') == name || (name.len() > 3 && (known.starts_with(&name) || name.starts_with(&known)))
    };
    match STORED.iter().find(close) {
        Some((known, _)) => format!("there is no column {name:?}; {known} is one"),
        None => format!("there is no column {name:?}; FOCUS names, x_ServiceCode, Tags.<key> and x_Native.<source column> are known"),
    }
}

impl CaseError {
    fn or_see(mut self, hint: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(hint);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text, "cases/a/input.csv", "USD").unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_named_with_its_file_line_and_column() {
        assert_eq!(
            refused("ServiceName,BilledCost\nEC2,1\nS3,\"1,5\"\n"),
            "cases/a/input.csv, line 3, column 2: BilledCost \"1,5\": not a decimal number"
        );
        assert_eq!(refused("servicename\n"), "cases/a/input.csv, line 1, column 1: there is no column \"servicename\"; ServiceName is one");
        assert!(refused("BilledCost,BilledCost\n").contains("column 2: the column \"BilledCost\" is there twice"));
        assert!(refused("BilledCost\n1,2\n").contains("line 2: 2 fields where the header has 1"));
        assert!(refused("BilledCost,Tags\n").contains("Tags.team"));
        assert!(refused("x_Treatment\n").contains("is a result"));
        assert!(
            refused("BilledCost,BillingCurrency\n1,EUR\n")
                .contains("line 2, column 2: BillingCurrency is \"EUR\"; the case's bill is in USD")
        );
        assert!(refused("").contains("it is empty"));
    }

    #[test]
    fn what_the_daemon_derives_is_derived() {
        let text =
            "BilledCost,x_CustomerCost,x_SourceLineType,x_CommitmentOwnerAccountId,BillingAccountId\n1,2,Usage,P,P\n3,,Tax,A,P\n,,,,P\n";
        let batch = read(text, "input.csv", "EUR").unwrap();
        assert_eq!(batch.money(CUSTOMER_COST).unwrap().units, [2 * money::ONE, 3 * money::ONE, 0]);
        let of = |name: &str| (0..3).map(|row| batch.text(name).unwrap().get(row)).collect::<Vec<_>>();
        assert_eq!(of(COMMITMENT_OWNER), [Some("payer"), Some("tenant"), None]);
        assert_eq!(of(LINE_TYPE), [Some("Usage"), Some("Tax"), None]);
        assert_eq!(of("BillingCurrency"), [Some("EUR"); 3]);
    }
}
