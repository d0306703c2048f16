//! Golden bills: every folder in `tests/cases` with a `case.toml` is a test of `rerate rate`.
//!
//! `case.toml` names the bills; `chain.toml` and, if there is one, `tenants.toml` are given as they are; `expected.json` is what `--json`
//! must print and `expected.csv` every rated line: key, line type, billed, charged, treatment, and why. `UPDATE_CASES=1` writes both.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::run::{python, rerate, root};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    bills: Vec<String>,
    /// Arguments of `independent.py` behind the bill: the lines must agree with it.
    independent: Option<Vec<String>>,
}

#[test]
fn golden_bills_are_rated_as_expected() {
    let mut folders: Vec<_> = std::fs::read_dir(root().join("tests/cases")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.retain(|folder| folder.join("case.toml").exists());
    folders.sort();
    assert!(folders.len() >= 4, "the golden bills are missing");
    for folder in folders {
        check(&folder);
    }
}

fn check(folder: &Path) {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let case: Case = toml::from_str(&std::fs::read_to_string(folder.join("case.toml")).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let out = tempfile::tempdir().unwrap();
    let bills: Vec<String> = case.bills.iter().map(|bill| folder.join(bill).to_str().unwrap().to_owned()).collect();
    let (chain, tenants) = (folder.join("chain.toml"), folder.join("tenants.toml"));
    let mut arguments =
        vec!["rate", "--json", "--format", "csv", "--out", out.path().to_str().unwrap(), "--chain", chain.to_str().unwrap()];
    if tenants.exists() {
        arguments.extend(["--tenants", tenants.to_str().unwrap()]);
    }
    arguments.extend(bills.iter().map(String::as_str));
    let ran = rerate(&arguments);
    let json = serde_json::to_string_pretty(&ran.json()).unwrap() + "\n";
    let lines = rated_lines(out.path());
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(folder.join("expected.json"), &json).unwrap();
        std::fs::write(folder.join("expected.csv"), &lines).unwrap();
    }
    assert_same(&name, "expected.json", &json, folder);
    assert_same(&name, "expected.csv", &lines, folder);
    if let Some(extra) = &case.independent {
        let mut arguments = vec!["tests/independent.py", extra[0].as_str(), bills[0].as_str()];
        arguments.extend(extra[1..].iter().map(String::as_str));
        match python(&arguments) {
            Some(second) => assert_eq!(of_lines(&lines), second, "{name}: an independent computation disagrees"),
            None => println!("skipped: {name} has no second opinion without python3"),
        }
    }
}

#[track_caller]
fn assert_same(name: &str, file: &str, got: &str, folder: &Path) {
    let expected = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    assert!(got == expected, "{name}: {file} differs; look at it with UPDATE_CASES=1 and git diff. Got:\n{got}");
}

/// The columns that decide money, of every tenant's file, in file order.
fn rated_lines(out: &Path) -> String {
    let mut files = BTreeMap::new();
    for tenant in std::fs::read_dir(out).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        for file in std::fs::read_dir(&tenant).unwrap().map(|e| e.unwrap().path()) {
            let name = format!("{}/{}", tenant.file_name().unwrap().to_string_lossy(), file.file_name().unwrap().to_string_lossy());
            files.insert(name, file);
        }
    }
    let mut text = String::new();
    for (name, file) in files {
        writeln!(text, "# {name}").unwrap();
        let mut reader = csv::Reader::from_path(file).unwrap();
        let headers = reader.headers().unwrap().clone();
        let columns = [
            "x_SourceRowKey",
            "x_SourceLineType",
            "x_LineType",
            "ChargeDescription",
            "BilledCost",
            "x_CustomerCost",
            "x_Treatment",
            "x_AppliedRules",
        ];
        let place = |column: &str| headers.iter().position(|h| h == column).unwrap_or_else(|| panic!("no column {column}"));
        let places = columns.map(place);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for record in reader.records() {
            let record = record.unwrap();
            writer.write_record(places.map(|p| &record[p])).unwrap();
        }
        text.push_str(&String::from_utf8(writer.into_inner().unwrap()).unwrap());
    }
    text
}

/// As the independent computation prints it: line item, line type, customer cost, treatment.
fn of_lines(lines: &str) -> String {
    let body: String = lines.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body.as_bytes());
    let line = |record: csv::StringRecord| {
        let item = record[0].split('|').next().unwrap_or_default().to_owned();
        format!("{item},{},{},{}\n", &record[1], &record[5], &record[6])
    };
    reader.records().map(|r| line(r.unwrap())).collect()
}
