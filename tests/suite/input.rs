//! Bad input: exit code 2, one clear line that names the file, the line and the column, and nothing written.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::run::{Ran, rerate, rerate_in, root};

const CHAIN: &str = "[[rule]]\ntitle = 'Public prices'\nplugin = 'public-price'\n";

struct Bench {
    dir: tempfile::TempDir,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Bench {
    /// The hand-made CUR 2.0 bill with every line type, to be spoilt.
    fn new() -> Self {
        let mut reader = csv::Reader::from_path(root().join("tests/cases/edge/cur2_all_line_types.csv")).unwrap();
        let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows = reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
        Self { dir: tempfile::tempdir().unwrap(), header, rows }
    }

    fn place(&self, column: &str) -> usize {
        self.header.iter().position(|h| h == column).unwrap()
    }

    /// Sets a cell; `line` counts as an editor does, the header being line 1.
    fn set(&mut self, line: usize, column: &str, value: &str) {
        let place = self.place(column);
        self.rows[line - 2][place] = value.to_owned();
    }

    fn text(&self) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        writer.write_record(&self.header).unwrap();
        for row in &self.rows {
            writer.write_record(row).unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn rate(&self, bill: &Path) -> Ran {
        std::fs::write(self.path("chain.toml"), CHAIN).unwrap();
        let (chain, out) = (self.path("chain.toml"), self.path("out"));
        rerate(&["rate", bill.to_str().unwrap(), "--chain", chain.to_str().unwrap(), "--out", out.to_str().unwrap()])
    }

    fn rate_text(&self) -> Ran {
        let bill = self.path("bill.csv");
        std::fs::write(&bill, self.text()).unwrap();
        self.rate(&bill)
    }

    #[track_caller]
    fn assert_refused(&self, ran: &Ran, parts: &[&str]) {
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part:?} is not in: {}", ran.stderr);
        }
        assert!(ran.stdout.is_empty());
        let left: Vec<_> = walk(&self.path("out"));
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.map(|e| e.unwrap().path()).collect()
}

#[test]
fn the_bill_that_is_spoilt_below_is_good() {
    let bench = Bench::new();
    let ran = bench.rate_text();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("= source"), "{}", ran.stdout);
}

#[test]
fn a_ragged_row_is_named_by_file_and_line() {
    let mut bench = Bench::new();
    bench.rows[3].pop();
    let ran = bench.rate_text();
    bench.assert_refused(&ran, &["bill.csv", "line 5", "52", "53"]);
}

#[test]
fn a_number_that_is_none_is_named_by_column() {
    let mut bench = Bench::new();
    bench.set(7, "line_item_unblended_cost", "12,5");
    let ran = bench.rate_text();
    bench.assert_refused(&ran, &["bill.csv", "line 7", "line_item_unblended_cost", "12,5"]);
}

#[test]
fn a_date_that_is_none_is_named_by_column() {
    let mut bench = Bench::new();
    bench.set(9, "bill_billing_period_start_date", "soon");
    let ran = bench.rate_text();
    bench.assert_refused(&ran, &["bill.csv", "line 9", "bill_billing_period_start_date", "soon"]);
}

#[test]
fn two_currencies_of_one_account_are_refused() {
    let mut bench = Bench::new();
    bench.set(6, "line_item_currency_code", "EUR");
    let ran = bench.rate_text();
    bench.assert_refused(&ran, &["bill.csv", "line 6", "EUR", "USD"]);
    let mut bench = Bench::new();
    bench.set(6, "line_item_currency_code", "Dollars");
    let ran = bench.rate_text();
    bench.assert_refused(&ran, &["bill.csv", "line 6", "line_item_currency_code", "Dollars"]);
}

#[test]
fn a_missing_column_is_named() {
    let mut bench = Bench::new();
    let place = bench.place("line_item_unblended_cost");
    bench.header.remove(place);
    for row in &mut bench.rows {
        row.remove(place);
    }
    let ran = bench.rate_text();
    bench.assert_refused(&ran, &["bill.csv", "line_item_unblended_cost"]);
}

#[test]
fn a_file_that_ends_early_is_refused() {
    let bench = Bench::new();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&bench.text()).unwrap();
    let bytes = gz.finish().unwrap();
    let bill = bench.path("bill.csv.gz");
    std::fs::write(&bill, &bytes[..bytes.len() / 2]).unwrap();
    let ran = bench.rate(&bill);
    bench.assert_refused(&ran, &["bill.csv.gz", "line"]);
}

#[test]
fn a_file_of_no_known_format_says_what_was_looked_for() {
    let bench = Bench::new();
    let bill = bench.path("bill.csv");
    std::fs::write(&bill, "name,age\nAda,36\n").unwrap();
    let ran = bench.rate(&bill);
    bench.assert_refused(&ran, &["bill.csv", "BilledCost"]);
    let ran = bench.rate(&bench.path("absent.csv"));
    bench.assert_refused(&ran, &["absent.csv"]);
}

#[test]
fn a_chain_that_cannot_work_is_refused_before_the_bill_is_read() {
    let bench = Bench::new();
    let bill = bench.path("bill.csv");
    std::fs::write(&bill, bench.text()).unwrap();
    let chain = bench.path("own.toml");
    let out = bench.path("out");
    for (text, part) in [
        ("[[rule]]\ntitle='x'\nplugin='no-such'\n", "no-such"),
        ("[[rule]]\ntitle='x'\nplugin='./absent.wasm'\n", "absent.wasm"),
        ("[[rule]]\ntitle='x'\nplugin='markup'\nsurprise=1\n", "surprise"),
        ("[[rule]]\ntitle='x'\nplugin='markup'\ntenants=['Nobody']\n", "Nobody"),
        ("", "no [[rule]]"),
    ] {
        std::fs::write(&chain, text).unwrap();
        let ran = rerate(&["rate", bill.to_str().unwrap(), "--chain", chain.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        assert_eq!(ran.code, 2, "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{part:?} is not in: {}", ran.stderr);
    }
}

#[test]
fn a_configuration_that_its_rule_refuses_is_bad_input_and_names_the_place() {
    let bench = Bench::new();
    let bill = bench.path("bill.csv");
    std::fs::write(&bill, bench.text()).unwrap();
    let (chain, out) = (bench.path("own.toml"), bench.path("out"));
    for (config, parts) in [
        ("percent = 75.0", ["percent", "quotes"]),
        ("percent = '75.0'\nfactor = '2'", ["factor", "unknown"]),
        ("percent = '75.0'\nwhere = [{ column = 'NoSuch', is_null = true }]", ["NoSuch", "column"]),
    ] {
        std::fs::write(&chain, format!("[[rule]]\ntitle='Three quarters'\nplugin='adjustment'\n[rule.config]\n{config}\n")).unwrap();
        let ran = rerate(&["rate", bill.to_str().unwrap(), "--chain", chain.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        for part in parts.iter().chain(&["Three quarters"]) {
            bench.assert_refused(&ran, &[part]);
        }
    }
}

#[test]
fn kept_bills_are_read_from_any_folder_and_after_a_move() {
    let bench = Bench::new();
    std::fs::write(bench.path("bill.csv"), bench.text()).unwrap();
    std::fs::write(bench.path("chain.toml"), CHAIN).unwrap();
    let here = |arguments: &[&str]| rerate_in(bench.dir.path(), &[&["rate", "--chain", "chain.toml", "--json"], arguments].concat(), &[]);
    let kept = here(&["bill.csv", "--out", "out", "--keep-snapshot", "kept"]).json();
    std::fs::rename(bench.path("kept"), bench.path("moved")).unwrap();
    let again = here(&["--from-snapshot", "moved", "--out", "again"]).json();
    assert_eq!(again["tenants"][0]["charged"], kept["tenants"][0]["charged"]);
    let (chain, moved, out) = (bench.path("chain.toml"), bench.path("moved"), bench.path("elsewhere"));
    let [chain, moved, out] = [&chain, &moved, &out].map(|path| path.to_str().unwrap());
    let elsewhere = rerate(&["rate", "--chain", chain, "--json", "--from-snapshot", moved, "--out", out]).json();
    assert_eq!(elsewhere["tenants"][0]["charged"], kept["tenants"][0]["charged"]);
}

#[test]
fn a_bill_that_is_given_twice_is_refused() {
    let bench = Bench::new();
    std::fs::write(bench.path("chain.toml"), CHAIN).unwrap();
    std::fs::create_dir(bench.path("bills")).unwrap();
    std::fs::write(bench.path("bills/bill.csv"), bench.text()).unwrap();
    let ran = rerate_in(bench.dir.path(), &["rate", "bills", "bills/bill.csv", "--chain", "chain.toml", "--out", "out"], &[]);
    bench.assert_refused(&ran, &["bills/bill.csv is given twice, and would count twice"]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_to_the_standard_output_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rerate"));
    let output = command.args(["roles", "--json"]).stdout(full).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("not all could be written to the standard output"), "{told}");
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let bench = Bench::new();
    std::fs::write(bench.path("part"), b"PK\x03\x04 and no more").unwrap();
    for (file, told) in [("missing", "missing: "), ("part", "part is not a backup that this program can read: ")] {
        let ran = rerate_in(bench.dir.path(), &["restore", file, "--data", "out"], &[]);
        bench.assert_refused(&ran, &[told]);
        assert!(!bench.path("out").exists());
    }
}
