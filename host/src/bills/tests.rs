//! Bills in, charges out: exact totals, the same whatever the chunks, and messages that say where to look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::import::import_in_chunks;
use super::*;
use crate::domain::chunk::ChunkId;
use crate::domain::columns::{Batch, Column};
use crate::domain::money::{self, Amount};
use crate::domain::progress::Progress;

const WHOLE: usize = 64 << 20;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read_in_chunks(bill: &Bill, chunk_bytes: usize) -> Result<(ImportReport, BTreeMap<ChunkId, Batch>), BillError> {
    let batches = Mutex::new(BTreeMap::new());
    let sink = |id, batch| {
        assert!(batches.lock().unwrap().insert(id, batch).is_none(), "a chunk comes once");
        Ok(())
    };
    let report = import_in_chunks(bill, 3, chunk_bytes, &Progress::new(), &sink)?;
    Ok((report, batches.into_inner().unwrap()))
}

fn read(path: &Path) -> (ImportReport, BTreeMap<ChunkId, Batch>) {
    let bill = discover(path).unwrap().remove(0);
    read_in_chunks(&bill, WHOLE).unwrap()
}

/// All rows as maps of what is not null, in file order.
fn rows(batches: &BTreeMap<ChunkId, Batch>) -> Vec<BTreeMap<String, String>> {
    let mut all = Vec::new();
    for batch in batches.values() {
        for row in 0..batch.rows {
            let cells = batch.columns.iter().filter_map(|(name, column)| {
                let text = match column {
                    Column::Text(column) => column.get(row)?.to_owned(),
                    Column::Money(column) => column.get(row)?.to_string(),
                    Column::Time(column) if column.micros[row] == crate::domain::columns::NULL_TIME => return None,
                    Column::Time(column) => jiff::Timestamp::from_microsecond(column.micros[row]).unwrap().to_string(),
                };
                Some((name.to_string(), text))
            });
            all.push(cells.collect());
        }
    }
    all
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a BTreeMap<String, String>>, column: &str) -> Amount {
    let units = rows.into_iter().filter_map(|row| row.get(column)).map(|text| Amount::parse_exact(text).unwrap().0);
    Amount(units.sum::<i128>())
}

fn amount(value: &serde_json::Value) -> Amount {
    Amount::parse_exact(value.as_str().unwrap()).unwrap()
}

#[test]
fn both_cur_dialects_of_the_edge_bill_give_the_documented_totals() {
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project("tests/cases/edge/expected.json")).unwrap()).unwrap();
    for name in ["cur2_all_line_types.csv", "legacy_cur_all_line_types.csv"] {
        let (report, batches) = read(&project("tests/cases/edge").join(name));
        let rows = rows(&batches);
        assert_eq!(report.rows, expected["rows"].as_u64().unwrap());
        assert_eq!(sum(&rows, "BilledCost"), amount(&expected["unblended_total"]), "{name}");
        assert_eq!(sum(&rows, "EffectiveCost"), amount(&expected["amortized_total"]), "{name}");
        assert_eq!(sum(&rows, "ListCost"), amount(&expected["public_total_excl_negation"]), "{name}");
        assert_eq!(report.totals[0].billed, amount(&expected["unblended_total"]));
        assert_eq!(report.totals[0].effective, amount(&expected["amortized_total"]));
        for (account, total) in expected["unblended_by_account"].as_object().unwrap() {
            assert_eq!(sum(rows.iter().filter(|row| row["SubAccountId"] == *account), "BilledCost"), amount(total), "{name} {account}");
        }
        for (kind, total) in expected["unblended_by_type"].as_object().unwrap() {
            let of_type = rows.iter().filter(|row| row["x_SourceLineType"] == *kind);
            assert_eq!(sum(of_type, "BilledCost"), amount(total), "{name} {kind}");
        }
        assert_eq!(report.unknown_line_types, BTreeMap::from([("SomeFutureType".to_owned(), 1)]));
        assert_eq!(report.split_cost.rows, 1);
        assert!(report.payers.contains("111111111111"));
    }
}

#[test]
fn a_tag_keeps_its_key_and_value_in_both_dialects() {
    let first = |name: &str| rows(&read(&project("tests/cases/edge").join(name)).1).swap_remove(0);
    let (cur2, legacy) = (first("cur2_all_line_types.csv"), first("legacy_cur_all_line_types.csv"));
    let tags = |row: &BTreeMap<String, String>| serde_json::from_str::<serde_json::Value>(&row["Tags"]).unwrap();
    assert_eq!(tags(&cur2), serde_json::json!({"user_env": "prod", "user_team": "pay, ments \"x\""}));
    assert_eq!(tags(&legacy), serde_json::json!({"user:env": "prod", "user:team": "pay, ments \"x\""}));
    assert_eq!(cur2["x_SourceFormat"], "cur2");
    assert_eq!(legacy["x_SourceFormat"], "cur");
    assert_eq!(cur2["ServiceName"], "Amazon Elastic Compute Cloud");
    assert_eq!(cur2["x_ServiceCode"], "AmazonEC2");
    assert_eq!(cur2["x_SourceRowKey"], "li0001|2026-09-01T00:00:00Z/2026-09-02T00:00:00Z");
    assert_eq!(cur2["BillingPeriodStart"], "2026-09-01T00:00:00Z");
}

#[test]
fn the_owner_of_a_commitment_is_read_from_both_shapes_of_arn() {
    let rows = rows(&read(&project("tests/cases/edge/cur2_all_line_types.csv")).1);
    let of_type = |kind: &str| rows.iter().find(|row| row["x_SourceLineType"] == kind).unwrap();
    let covered = of_type("SavingsPlanCoveredUsage");
    assert_eq!(covered["x_CommitmentOwnerAccountId"], "111111111111");
    assert_eq!(covered["CommitmentDiscountStatus"], "Used");
    assert_eq!(covered["PricingCategory"], "Committed");
    assert_eq!(of_type("DiscountedUsage")["x_CommitmentOwnerAccountId"], "111111111111");
    assert_eq!(rows[0].get("x_CommitmentOwnerAccountId"), None);
    assert_eq!(rows[4]["PricingCategory"], "Dynamic");
}

/// Every bill file under the folder of sample bills; none, with a word about it, in a clone that has no such folder.
fn sample_bills() -> Vec<PathBuf> {
    let folder = project("../shared/data");
    if !folder.is_dir() {
        println!("skipped: no sample bills at {}", folder.display());
        return Vec::new();
    }
    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !name.contains("/reference/") && (name.ends_with(".csv") || name.ends_with(".csv.gz")) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn every_sample_bill_sums_to_what_an_independent_reader_finds() {
    let files = sample_bills();
    if files.is_empty() {
        return;
    }
    let Ok(output) = std::process::Command::new("python3").arg(project("tests/source_totals.py")).args(&files).output() else {
        println!("skipped: no python3 to compare with");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for file in files {
        let name = file.display().to_string();
        let (report, batches) = read(&file);
        let expected = &expected[&name];
        assert_eq!(report.rows, expected["rows"].as_u64().unwrap(), "{name}");
        assert_eq!(batches.values().map(|batch| batch.rows as u64).sum::<u64>(), report.rows, "{name}");
        let total = |column: &str| {
            let units = batches.values().flat_map(|batch| &batch.money(column).unwrap().units);
            Amount(units.filter(|units| **units != money::NULL).sum())
        };
        assert_eq!(total("BilledCost"), amount(&expected["billed"]), "{name}");
        assert_eq!(total("EffectiveCost"), amount(&expected["effective"]), "{name}");
        let reported: i128 = report.totals.iter().map(|total| total.billed.0).sum();
        assert_eq!(Amount(reported), amount(&expected["billed"]), "{name}");
    }
}
