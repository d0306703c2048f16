//! Golden cases, natively: every folder of `cases/` through the rule's own type, compared with its `expected.csv` byte by byte.
//!
//! `tests/golden.rs` of a rule's crate is one line, [`golden!`](crate::golden). The sandbox's verdict is `rerate plugin test`; this one
//! needs no component and stops in a debugger. What only the daemon knows, limits and the order of charges, is not tried here.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use super::files::read_cases;

use super::{Rated, Table, files};
use crate::session::{charge, check, configure};
use crate::{Adjust, CUSTOMER_COST, Charge, Check, Earlier, Failure, Finding, Line, Period, Rule, Severity, Treatment};

/// Where the harness writes what it got, one `<case>.csv` each; then whoever set it compares.
pub const OUT: &str = "RERATE_CASES_OUT";
/// Only cases whose name has this text in it.
pub const FILTER: &str = "RERATE_CASES_FILTER";

thread_local! {
    static CALL: Cell<&'static str> = const { Cell::new("configure") };
}

/// Notes which of the rule's functions is about to run, for a crash.
pub(super) fn enter(call: &'static str) {
    CALL.set(call);
}

/// One golden case's texts, read.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub table: Table,
    pub config: String,
    pub period: Period,
    pub earlier: Vec<Earlier>,
    pub expected: Option<String>,
}

type Rate = fn(&Table, &str, &Period) -> Result<Vec<(Rated, bool)>, Failure>;
type AddLines = fn(&Table, &str, &Period, &[Earlier]) -> Result<Vec<Line>, Failure>;
type Find = fn(&Table, &str, &Period) -> Result<Vec<Finding>, Failure>;

/// A rule and what it can do; made by [`golden!`](crate::golden).
pub struct Golden<R> {
    adjust: Option<Rate>,
    charge: Option<AddLines>,
    check: Option<Find>,
    rule: PhantomData<R>,
}

impl<R: Rule> Default for Golden<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Rule> Golden<R> {
    pub const fn new() -> Self {
        Self { adjust: None, charge: None, check: None, rule: PhantomData }
    }

    #[must_use]
    pub fn adjust(mut self) -> Self
    where
        R: Adjust,
    {
        self.adjust = Some(Table::rate_rows::<R>);
        self
    }

    #[must_use]
    pub fn charge(mut self) -> Self
    where
        R: Charge,
    {
        self.charge = Some(|table, config, period, earlier| {
            let totals = table.totals::<R>(config, period).map_err(|error| Failure::invalid(error.to_string()))?;
            enter("charge");
            charge::<R>(config, period, &totals, earlier)
        });
        self
    }

    #[must_use]
    pub fn check(mut self) -> Self
    where
        R: Check,
    {
        self.check = Some(|table, config, period| {
            let totals = table.totals::<R>(config, period).map_err(|error| Failure::invalid(error.to_string()))?;
            enter("check");
            check::<R>(config, period, &totals)
        });
        self
    }

    /// Runs every case below `<project>/cases`.
    ///
    /// # Panics
    /// With every case that fails, and where.
    pub fn run_folder(&self, project: &str) {
        let out = std::env::var_os(OUT);
        let filter = std::env::var(FILTER).unwrap_or_default();
        let mut failures = Vec::new();
        for case in read_cases(&Path::new(project).join("cases")).into_iter().filter(|case| case.name.contains(&filter)) {
            let got = self.outcome(&case);
            if let Some(out) = &out {
                let path = Path::new(out).join(format!("{}.csv", case.name));
                std::fs::write(&path, got).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            } else if case.expected.as_deref() != Some(got.as_str()) {
                failures.push(complaint(&case, &got));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// What the rule does to a case, as the text of `expected.csv`.
    pub fn outcome(&self, case: &Case) -> String {
        enter("configure");
        match catch_unwind(AssertUnwindSafe(|| self.rate(case))) {
            Ok(Ok(text)) => text,
            Ok(Err(Failure::Overflow)) => failed("an amount left the range in which the rule computes"),
            Ok(Err(Failure::Invalid(message))) => failed(&format!("the rule refused: {message}")),
            Err(_) => failed(&format!("the rule crashed in `{}`", CALL.get())),
        }
    }

    fn rate(&self, case: &Case) -> Result<String, Failure> {
        let plan = match configure::<R>(&case.config, &case.period) {
            Ok(plan) => plan,
            Err(error) => {
                let mut text = String::new();
                files::push_record(&mut text, &["Refused", "Pointer", "Message"]);
                files::push_record(&mut text, &["1", &error.pointer, &error.message]);
                return Ok(text);
            }
        };
        let mut text = String::new();
        let mut table = case.table.clone();
        if let Some(adjust) = self.adjust {
            let rated = adjust(&table, &case.config, &case.period)?;
            let set: BTreeSet<&String> = rated.iter().flat_map(|(row, _)| row.relabelled.keys()).collect();
            let titles = ["Charge", "x_CustomerCost", "x_Treatment", "Reason"].into_iter().chain(set.iter().map(|name| name.as_str()));
            files::push_record(&mut text, &titles.collect::<Vec<_>>());
            for (row, (charge, touched)) in rated.iter().enumerate() {
                let (number, cost) = ((row + 1).to_string(), charge.customer_cost.to_string());
                let reason = if *touched { charge.reason.as_str() } else { "" };
                let label = |name: &&String| match charge.relabelled.get(*name) {
                    Some(value) => value.as_deref().unwrap_or_default(),
                    None => table.text(row, name).unwrap_or_default(),
                };
                let first = [number.as_str(), &cost, treatment(charge.treatment), reason];
                files::push_record(&mut text, &first.into_iter().chain(set.iter().map(label)).collect::<Vec<_>>());
            }
            table = table.after(&rated);
        }
        if let Some(charge) = self.charge {
            let earlier = if plan.history { case.earlier.as_slice() } else { &[] };
            let lines = charge(&table, &case.config, &case.period, earlier)?;
            begin_block(&mut text, &LINE_TITLES);
            for (index, line) in lines.iter().enumerate() {
                let (number, amount) = ((index + 1).to_string(), line.amount.to_string());
                let account = line.sub_account_id.as_deref().unwrap_or_default();
                let texts = [&line.charge_category, &line.description, &line.service_name].map(String::as_str);
                let fields = [number.as_str()].into_iter().chain(texts).chain([account, &amount, &line.reason]);
                files::push_record(&mut text, &fields.collect::<Vec<_>>());
            }
            table.add_lines(&lines, &case.period.currency);
        }
        if let Some(check) = self.check {
            let findings = check(&table, &case.config, &case.period)?;
            begin_block(&mut text, &["Finding", "Severity", "Message"]);
            for (index, finding) in findings.iter().enumerate() {
                files::push_record(&mut text, &[&(index + 1).to_string(), severity(finding.severity), &finding.message]);
            }
        }
        Ok(text)
    }
}

const LINE_TITLES: [&str; 7] = ["Line", "ChargeCategory", "ChargeDescription", "ServiceName", "SubAccountId", CUSTOMER_COST, "Reason"];

fn begin_block(text: &mut String, titles: &[&str]) {
    if !text.is_empty() {
        text.push('\n');
    }
    files::push_record(text, titles);
}

fn failed(reason: &str) -> String {
    let mut text = String::new();
    files::push_record(&mut text, &["Failed", "Reason"]);
    files::push_record(&mut text, &["1", reason]);
    text
}

const fn treatment(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Keep => "keep",
        Treatment::Drop => "drop",
        Treatment::Hold => "hold",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Block => "block",
    }
}

/// The first line that differs; `rerate plugin test` compares field by field.
fn complaint(case: &Case, got: &str) -> String {
    let Some(expected) = &case.expected else {
        return format!("case {:?} has no expected.csv; `rerate plugin test --update` writes it; the rule answers:\n{got}", case.name);
    };
    let mut lines = expected.lines().map(Some).chain(std::iter::repeat(None)).zip(got.lines().map(Some).chain([None]));
    let differs = lines.by_ref().enumerate().find(|(_, (wanted, given))| wanted != given);
    let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
    let (line, wanted, given) = match differs {
        Some((index, (wanted, given))) => (index + 1, shown(wanted), shown(given)),
        None => (got.lines().count(), "another end of the text".to_owned(), "this one".to_owned()),
    };
    format!("case {:?}, expected.csv line {line}:\n  expected {wanted}\n  got      {given}", case.name)
}

impl Table {
    /// The charges as an adjusting rule left them; what it dropped is gone.
    fn after(&self, rated: &[(Rated, bool)]) -> Self {
        let mut table = self.clone();
        let names: BTreeSet<&str> =
            rated.iter().flat_map(|(row, _)| row.relabelled.keys().map(String::as_str)).chain([CUSTOMER_COST]).collect();
        for name in names {
            table.ensure(name);
        }
        for (row, (charge, _)) in table.rows.iter_mut().zip(rated) {
            let mut set = |name: &str, value: Option<String>| {
                if let Some(position) = table.columns.iter().position(|column| column == name) {
                    row[position] = value;
                }
            };
            set(CUSTOMER_COST, Some(charge.customer_cost.to_string()));
            for (name, value) in &charge.relabelled {
                set(name, value.clone());
            }
        }
        let mut kept = rated.iter().map(|(charge, _)| charge.treatment != Treatment::Drop);
        table.rows.retain(|_| kept.next().unwrap_or(true));
        table
    }

    fn add_lines(&mut self, lines: &[Line], currency: &str) {
        let names = ["ChargeCategory", "ChargeDescription", "ServiceName", "SubAccountId", "BillingCurrency", CUSTOMER_COST];
        for name in names {
            self.ensure(name);
        }
        for line in lines {
            let of: BTreeMap<&str, Option<String>> = BTreeMap::from([
                ("ChargeCategory", Some(line.charge_category.clone())),
                ("ChargeDescription", Some(line.description.clone())),
                ("ServiceName", Some(line.service_name.clone())),
                ("SubAccountId", line.sub_account_id.clone()),
                ("BillingCurrency", Some(currency.to_owned())),
                (CUSTOMER_COST, Some(line.amount.to_string())),
            ]);
            self.rows.push(self.columns.iter().map(|column| of.get(column.as_str()).cloned().flatten()).collect());
        }
    }
}

/// Makes `tests/golden.rs` of a rule's crate: `rerate_rule::golden!(adjust my_rule::MyRule);`, with the capabilities that the rule
/// exports, as [`export!`](crate::export) lists them.
#[macro_export]
macro_rules! golden {
    (adjust charge check $rule:ty) => { $crate::golden!(@test $rule, adjust charge check); };
    (adjust charge $rule:ty) => { $crate::golden!(@test $rule, adjust charge); };
    (adjust check $rule:ty) => { $crate::golden!(@test $rule, adjust check); };
    (charge check $rule:ty) => { $crate::golden!(@test $rule, charge check); };
    (adjust $rule:ty) => { $crate::golden!(@test $rule, adjust); };
    (charge $rule:ty) => { $crate::golden!(@test $rule, charge); };
    (check $rule:ty) => { $crate::golden!(@test $rule, check); };
    (@test $rule:ty, $($capability:ident)+) => {
        #[test]
        fn golden_cases_are_answered_as_expected() {
            $crate::testing::golden::Golden::<$rule>::new()$(.$capability())+.run_folder(env!("CARGO_MANIFEST_DIR"));
        }
    };
}
