//! The files of a golden case, read with what the SDK has: CSV with quotes, and the few forms of TOML that `case.toml` uses.
//!
//! A mistake in them ends the test with file and line; `rerate plugin test` says more.

use std::collections::BTreeSet;
use std::path::Path;

use super::golden::Case;
use super::{Table, period};
use crate::{CUSTOMER_COST, Earlier, Money};

/// Every case of a folder, by name.
///
/// # Panics
/// When a file is missing or wrong.
pub fn read_cases(folder: &Path) -> Vec<Case> {
    let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    paths.sort();
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    paths.iter().filter(|path| !hidden(path)).map(|path| read_case(path)).collect()
}

fn read_case(folder: &Path) -> Case {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let needed = |file: &str| read(file).unwrap_or_else(|| panic!("{} is missing", folder.join(file).display()));
    let place = |file: &str| folder.join(file).display().to_string();
    let (month, currency, earlier) = settings(&read("case.toml").unwrap_or_default(), &place("case.toml"));
    let bill = |month: &str| crate::Period { currency: currency.clone(), ..period(month) };
    Case {
        name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        table: charges(&needed("input.csv"), &place("input.csv"), &currency),
        config: needed("config.json"),
        period: bill(&month),
        earlier: earlier.into_iter().map(|(month, amount)| Earlier { period: bill(&month), amount }).collect(),
        expected: read("expected.csv"),
    }
}

/// A record as `expected.csv` has it; the daemon writes the same bytes.
pub(super) fn push_record(text: &mut String, fields: &[&str]) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if field.contains(['"', ',', '\n', '\r']) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push('\n');
}

/// `input.csv`, completed as the daemon completes it.
fn charges(text: &str, file: &str, currency: &str) -> Table {
    let mut records = records(text.strip_prefix('\u{feff}').unwrap_or(text)).into_iter();
    let (_, columns) = records.next().unwrap_or_else(|| panic!("{file} is empty; the first line names the columns"));
    let row = |(line, fields): (usize, Vec<String>)| {
        assert_eq!(fields.len(), columns.len(), "{file}, line {line}: as many fields as the header has");
        fields.into_iter().map(|field| (!field.is_empty()).then_some(field)).collect()
    };
    let rows = records.map(row).collect();
    let mut table = Table { columns, rows };
    let cost: Vec<Money> = (0..table.rows.len()).map(|row| table.cost(row)).collect();
    table.fill(CUSTOMER_COST, |table, row, _| Some(table.money(row, CUSTOMER_COST).unwrap_or(cost[row]).to_string()));
    table.fill("BillingCurrency", |_, _, given| given.or_else(|| Some(currency.to_owned())));
    if !table.columns.iter().any(|name| name == "x_LineType") {
        table.fill("x_LineType", |table, row, _| table.text(row, "x_SourceLineType").map(str::to_owned));
    }
    if !table.columns.iter().any(|name| name == "x_CommitmentOwner") {
        let payers: BTreeSet<String> =
            (0..table.rows.len()).filter_map(|row| table.text(row, "BillingAccountId").map(str::to_owned)).collect();
        table.fill("x_CommitmentOwner", |table, row, _| {
            let owner = table.text(row, "x_CommitmentOwnerAccountId")?;
            Some(if payers.contains(owner) { "payer" } else { "tenant" }.to_owned())
        });
    }
    table
}

impl Table {
    /// Adds a column of nulls where there is none of that name.
    pub(super) fn ensure(&mut self, name: &str) {
        if !self.columns.iter().any(|column| column == name) {
            self.columns.push(name.to_owned());
            self.rows.iter_mut().for_each(|row| row.push(None));
        }
    }

    fn fill(&mut self, name: &str, value: impl Fn(&Self, usize, Option<String>) -> Option<String>) {
        self.ensure(name);
        let position = self.columns.iter().position(|column| column == name).unwrap_or_default();
        for row in 0..self.rows.len() {
            let given = self.rows[row][position].clone();
            self.rows[row][position] = value(self, row, given);
        }
    }
}

/// Records of a CSV text with the line at which each begins; empty lines are none.
fn records(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut quoted, mut was_quoted) = (false, false);
    let (mut line, mut first) = (1, 1);
    let mut characters = text.chars().peekable();
    let mut end = |fields: &mut Vec<String>, field: &mut String, was_quoted: &mut bool, first: usize| {
        if !fields.is_empty() || !field.is_empty() || *was_quoted {
            fields.push(std::mem::take(field));
            records.push((first, std::mem::take(fields)));
        }
        *was_quoted = false;
    };
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => (quoted, was_quoted) = (true, true),
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                end(&mut fields, &mut field, &mut was_quoted, first);
                line += 1;
                first = line;
            }
            other => {
                line += usize::from(other == '\n');
                field.push(other);
            }
        }
    }
    end(&mut fields, &mut field, &mut was_quoted, first);
    records
}

/// `period`, `currency` and `[[earlier]]` tables of `period` and `amount`, all as text.
fn settings(text: &str, file: &str) -> (String, String, Vec<(String, Money)>) {
    let (mut month, mut currency) = ("2026-09".to_owned(), "USD".to_owned());
    let mut earlier: Vec<(String, Money)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let wrong = || -> ! { panic!("{file}, line {}: not a line of a case.toml: {line}", index + 1) };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[earlier]]" {
            earlier.push((String::new(), Money::ZERO));
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { wrong() };
        let value = value.trim().strip_prefix('"').and_then(|value| value.split_once('"'));
        let Some((value, rest)) = value else { wrong() };
        if !rest.trim().is_empty() && !rest.trim().starts_with('#') {
            wrong();
        }
        match (key.trim(), earlier.last_mut()) {
            ("period", None) => month = value.to_owned(),
            ("currency", None) => currency = value.to_owned(),
            ("period", Some(entry)) => entry.0 = value.to_owned(),
            ("amount", Some(entry)) => entry.1 = value.parse().unwrap_or_else(|_| wrong()),
            _ => wrong(),
        }
    }
    (month, currency, earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_keep_commas_quotes_and_line_ends() {
        let read = records("a,b\r\n\n\"x, \"\"y\"\"\n\",\n\"\"\nlast");
        let of = |line: usize, fields: &[&str]| (line, fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
        assert_eq!(read, [of(1, &["a", "b"]), of(3, &["x, \"y\"\n", ""]), of(5, &[""]), of(6, &["last"])]);
    }

    #[test]
    fn settings_are_read_and_what_they_cannot_say_is_refused() {
        let text = "# a bill\nperiod = \"2026-10\" # October\n\n[[earlier]]\nperiod = \"2026-09\"\namount = \"-1.5\"\n";
        let (month, currency, earlier) = settings(text, "case.toml");
        assert_eq!((month.as_str(), currency.as_str()), ("2026-10", "USD"));
        assert_eq!(earlier, [("2026-09".to_owned(), "-1.5".parse().unwrap())]);
        for text in ["period = 3", "colour = \"red\"", "period", "period = \"a\" b"] {
            assert!(std::panic::catch_unwind(|| settings(text, "case.toml")).is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_daemon_derives_is_derived() {
        let table = charges("BilledCost,x_SourceLineType,x_CommitmentOwnerAccountId,BillingAccountId\n1,Usage,P,P\n,Tax,A,P\n", "f", "EUR");
        let of = |name: &str| (0..2).map(|row| table.text(row, name).unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(of(CUSTOMER_COST), ["1", "0"]);
        assert_eq!(of("x_LineType"), ["Usage", "Tax"]);
        assert_eq!(of("x_CommitmentOwner"), ["payer", "tenant"]);
        assert_eq!(of("BillingCurrency"), ["EUR", "EUR"]);
    }
}
