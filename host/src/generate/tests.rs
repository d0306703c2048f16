//! Generated bills read back as text, with the csv crate and nothing of the generator's.

use std::collections::BTreeMap;
use std::io::Read;

use super::*;

const CUSTOMERS: [&str; 3] = ["Blue Harbor Retail", "Kestrel Robotics", "Tidewater Health"];

fn spec(format: Format, discounts: Discounts, rows: u64) -> Spec {
    let provider = if format == Format::Focus { Provider::Azure } else { Provider::Aws };
    Spec {
        rows,
        seed: 7,
        format,
        compression: Compression::CsvGz,
        period: "2026-09".parse().unwrap(),
        files: Some(3),
        organisation: Organisation::invent(provider, 7, "northgate", &CUSTOMERS, 9, discounts),
        name: "bill".to_owned(),
        purchases: true,
        closed: true,
    }
}

fn written(spec: &Spec, workers: usize) -> (tempfile::TempDir, Generated) {
    let folder = tempfile::tempdir().unwrap();
    let generated = generate(spec, folder.path(), workers, &Progress::new()).unwrap();
    (folder, generated)
}

/// Every line as column name to text.
fn rows(generated: &Generated) -> Vec<BTreeMap<String, String>> {
    let mut rows = Vec::new();
    for path in &generated.files {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        for record in reader.records() {
            let record = record.unwrap();
            rows.push(header.iter().zip(record.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        }
    }
    rows
}

fn amount(text: &str) -> i128 {
    if text.is_empty() { 0 } else { Amount::parse(text.as_bytes()).unwrap().amount.0 }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_number_of_threads() {
    for compression in [Compression::CsvGz, Compression::Parquet] {
        let spec = Spec { compression, ..spec(Format::Cur2, Discounts::Lines, 4_000) };
        let (one, a) = written(&spec, 1);
        let (three, b) = written(&spec, 3);
        assert_eq!((a.rows, a.billed), (b.rows, b.billed));
        for (left, right) in a.files.iter().chain(&a.manifest).zip(b.files.iter().chain(&b.manifest)) {
            assert_eq!(left.strip_prefix(one.path()).unwrap(), right.strip_prefix(three.path()).unwrap());
            assert!(fs::read(left).unwrap() == fs::read(right).unwrap(), "{} differs", left.display());
        }
        let (_other, c) = written(&Spec { seed: 8, ..spec }, 1);
        assert_ne!(a.billed, c.billed);
    }
}

#[test]
fn a_report_has_every_line_type_and_exactly_the_lines_asked_for() {
    for format in [Format::Cur2, Format::Cur] {
        let (_folder, generated) = written(&spec(format, Discounts::Lines, 6_000), 2);
        let column = if format == Format::Cur2 { "line_item_line_item_type" } else { "lineItem/LineItemType" };
        let rows = rows(&generated);
        assert_eq!(rows.len(), 6_000);
        for kind in LineType::ALL.iter().filter(|k| **k != LineType::UnusedCommitment) {
            assert!(rows.iter().any(|row| row[column] == kind.name()), "{} is missing", kind.name());
        }
        let has = |column: &str, part: &str| rows.iter().any(|row| row.get(column).is_some_and(|value| value.contains(part)));
        let (usage_type, operation) = if format == Format::Cur2 {
            ("line_item_usage_type", "line_item_operation")
        } else {
            ("lineItem/UsageType", "lineItem/Operation")
        };
        assert!(has(usage_type, "SpotUsage") && has(operation, "EKSPod-EC2"));
    }
}

#[test]
fn line_ids_are_unique_and_52_characters_long() {
    let (_folder, generated) = written(&spec(Format::Cur2, Discounts::Lines, 6_000), 2);
    let ids: std::collections::BTreeSet<String> =
        rows(&generated).into_iter().map(|mut row| row.remove("identity_line_item_id").unwrap()).collect();
    assert_eq!(ids.len(), 6_000);
    assert!(ids.iter().all(|id| id.len() == 52));
}

#[test]
fn the_generators_sums_are_those_of_the_text() {
    for discounts in [Discounts::Lines, Discounts::Columns] {
        let (_folder, generated) = written(&spec(Format::Cur2, discounts, 6_000), 2);
        let (mut billed, mut split, mut accounts) = (0, 0, BTreeMap::<String, i128>::new());
        for row in rows(&generated) {
            let net = &row["line_item_net_unblended_cost"];
            assert_eq!(net.is_empty(), discounts == Discounts::Lines, "discounts come one way only");
            let cost = if net.is_empty() { amount(&row["line_item_unblended_cost"]) } else { amount(net) };
            if row["line_item_operation"] == "EKSPod-EC2" {
                split += amount(&row["line_item_unblended_cost"]);
            } else {
                billed += cost;
                *accounts.entry(row["line_item_usage_account_id"].clone()).or_default() += cost;
            }
        }
        assert_eq!((generated.billed.0, generated.split_cost.billed.0), (billed, split));
        for (account, sum) in &generated.by_account {
            assert_eq!(sum.billed.0, accounts[account], "{account}");
        }
        assert!(split > 0);
    }
}

#[test]
fn discounts_in_columns_are_the_difference_between_gross_and_net() {
    let (_folder, generated) = written(&spec(Format::Cur2, Discounts::Columns, 6_000), 2);
    let rows = rows(&generated);
    assert!(rows.iter().all(|row| !["EdpDiscount", "PrivateRateDiscount"].contains(&row["line_item_line_item_type"].as_str())));
    let mut discounted = 0;
    for row in &rows {
        let map: BTreeMap<String, serde_json::Value> = serde_json::from_str(&row["discount"]).unwrap();
        let in_map: i128 = map.values().map(|value| amount(&value.to_string())).sum();
        let difference = amount(&row["line_item_net_unblended_cost"]) - amount(&row["line_item_unblended_cost"]);
        assert_eq!((difference, difference), (in_map, amount(&row["discount_total_discount"])));
        discounted += usize::from(difference != 0);
    }
    assert!(discounted > 100, "{discounted}");
}

#[test]
fn negations_net_covered_usage_to_nothing_for_each_plan_and_each_account() {
    let (_folder, generated) = written(&spec(Format::Cur2, Discounts::Lines, 6_000), 2);
    let mut sums: BTreeMap<(String, String), (i128, u32)> = BTreeMap::new();
    for row in rows(&generated) {
        if ["SavingsPlanCoveredUsage", "SavingsPlanNegation"].contains(&row["line_item_line_item_type"].as_str()) {
            let key = (row["savings_plan_savings_plan_a_r_n"].clone(), row["line_item_usage_account_id"].clone());
            let sum = sums.entry(key).or_default();
            sum.0 += amount(&row["line_item_unblended_cost"]);
            sum.1 += 1;
        }
    }
    let plans: std::collections::BTreeSet<&String> = sums.keys().map(|(plan, _)| plan).collect();
    assert_eq!(plans.len(), 4);
    assert!(sums.values().all(|(sum, lines)| *sum == 0 && *lines >= 2), "{sums:?}");
}

#[test]
fn commitments_are_bought_by_the_payer_the_tenant_itself_and_another_tenant() {
    let spec = spec(Format::Cur2, Discounts::Lines, 6_000);
    let (_folder, generated) = written(&spec, 2);
    let customer = |id: &str| spec.organisation.accounts.iter().find(|a| a.id == id).and_then(|a| a.customer);
    let mut seen = std::collections::BTreeSet::new();
    for row in rows(&generated) {
        let (column, name) = match row["line_item_line_item_type"].as_str() {
            "SavingsPlanCoveredUsage" => ("savings_plan_savings_plan_a_r_n", "plan"),
            "DiscountedUsage" => ("reservation_reservation_a_r_n", "reservation"),
            _ => continue,
        };
        let owner = row[column].split(':').nth(4).unwrap();
        let user = customer(&row["line_item_usage_account_id"]);
        let relation = match customer(owner) {
            None => "payer",
            owner if owner == user => "itself",
            Some(_) => "another",
        };
        seen.insert((name, relation));
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

#[test]
fn what_a_commitment_costs_is_what_its_usage_is_worth_and_the_unused_rest() {
    let (_folder, generated) = written(&spec(Format::Cur2, Discounts::Lines, 6_000), 2);
    let mut fees: BTreeMap<String, i128> = BTreeMap::new();
    for row in rows(&generated) {
        let (plan, reservation) = (&row["savings_plan_savings_plan_a_r_n"], &row["reservation_reservation_a_r_n"]);
        let of = |column: &str| amount(&row[column]);
        let (key, value) = match row["line_item_line_item_type"].as_str() {
            "SavingsPlanCoveredUsage" => (plan, -of("savings_plan_savings_plan_effective_cost")),
            "SavingsPlanRecurringFee" => {
                let fee = of("savings_plan_recurring_commitment_for_billing_period")
                    + of("savings_plan_amortized_upfront_commitment_for_billing_period");
                assert_eq!(fee, of("savings_plan_total_commitment_to_date"));
                (plan, fee - (of("savings_plan_total_commitment_to_date") - of("savings_plan_used_commitment")))
            }
            "DiscountedUsage" => (reservation, -of("reservation_effective_cost")),
            "RIFee" => {
                let fee = of("line_item_unblended_cost") + of("reservation_amortized_upfront_fee_for_billing_period");
                let unused = of("reservation_unused_recurring_fee") + of("reservation_unused_amortized_upfront_fee_for_billing_period");
                assert!(unused > 0);
                (reservation, fee - unused)
            }
            _ => continue,
        };
        *fees.entry(key.clone()).or_default() += value;
    }
    assert_eq!(fees.len(), 7);
    assert!(fees.values().all(|rest| *rest == 0), "{fees:?}");
}

#[test]
fn costs_are_written_as_java_writes_them() {
    let (_folder, generated) = written(&spec(Format::Cur2, Discounts::Lines, 6_000), 2);
    let rows = rows(&generated);
    let costs: Vec<&str> = rows.iter().map(|row| row["line_item_unblended_cost"].as_str()).collect();
    assert!(costs.iter().all(|cost| cost.contains('.')), "a double always has a decimal point");
    let e_notation = costs.iter().filter(|cost| cost.contains("E-")).count();
    assert!(e_notation * 4 > costs.len(), "{e_notation} of {}", costs.len());
}

#[test]
fn focus_nets_every_commitment_and_marks_what_has_no_list_price() {
    let (_folder, generated) = written(&spec(Format::Focus, Discounts::Columns, 6_000), 2);
    let rows = rows(&generated);
    assert_eq!(generated.billed.0, rows.iter().map(|row| amount(&row["BilledCost"])).sum::<i128>());
    let mut rest: BTreeMap<&str, i128> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row["CommitmentDiscountId"].is_empty()) {
        *rest.entry(row["CommitmentDiscountId"].as_str()).or_default() += match row["ChargeCategory"].as_str() {
            "Usage" => amount(&row["EffectiveCost"]),
            "Purchase" => -amount(&row["BilledCost"]),
            other => panic!("{other}"),
        };
    }
    // Paid by the month: what was paid is used or unused. Paid upfront: this month's usage is a part of it.
    let even = rest.values().filter(|value| **value == 0).count();
    assert_eq!((rest.len(), even), (7, 5), "{rest:?}");
    let missing =
        rows.iter().filter(|row| row["ChargeCategory"] == "Usage" && row["ListCost"] == "0" && amount(&row["BilledCost"]) > 0).count();
    assert!(missing > 0, "marketplace usage has no list price");
    for status in ["Used", "Unused", ""] {
        assert!(rows.iter().any(|row| row["CommitmentDiscountStatus"] == status));
    }
}

#[test]
fn parquet_holds_the_doubles_of_the_same_lines() {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use arrow_array::{Array, Float64Array, StringArray};
    let csv = spec(Format::Cur2, Discounts::Lines, 3_000);
    let (_text, text) = written(&csv, 1);
    let (_columns, generated) = written(&Spec { compression: Compression::Parquet, ..csv }, 1);
    assert_eq!(text.billed, generated.billed);
    let mut expected = rows(&text).into_iter();
    for path in &generated.files {
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let costs = batch.column_by_name("line_item_unblended_cost").unwrap();
            let costs = costs.as_any().downcast_ref::<Float64Array>().unwrap();
            let ids = batch.column_by_name("identity_line_item_id").unwrap();
            let ids = ids.as_any().downcast_ref::<StringArray>().unwrap();
            for position in 0..batch.num_rows() {
                let row = expected.next().unwrap();
                assert_eq!(ids.value(position), row["identity_line_item_id"]);
                // The double's shortest text is the decimal of the CSV.
                assert_eq!(amount(&costs.value(position).to_string()), amount(&row["line_item_unblended_cost"]));
                assert!(!costs.is_null(position));
            }
        }
    }
    assert!(expected.next().is_none());
}

#[test]
fn a_manifest_names_the_files_and_the_columns_that_are_there() {
    for format in [Format::Cur2, Format::Cur] {
        let (folder, generated) = written(&spec(format, Discounts::Lines, 4_000), 2);
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(generated.manifest.as_ref().unwrap()).unwrap()).unwrap();
        let key = if format == Format::Cur2 { "dataFiles" } else { "reportKeys" };
        let names: Vec<&str> = manifest[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        assert_eq!(names.len(), 3);
        for (name, file) in names.iter().zip(&generated.files) {
            let relative = file.strip_prefix(folder.path()).unwrap().to_str().unwrap();
            assert!(name.ends_with(relative), "{name} {relative}");
        }
        assert_eq!(manifest["columns"].as_array().unwrap().len(), rows(&generated)[0].len());
    }
}

#[test]
fn too_few_lines_a_bill_that_is_there_and_too_many_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let make = |spec: &Spec| generate(spec, folder.path(), 1, &Progress::new());
    let good = Spec { files: None, ..spec(Format::Cur2, Discounts::Lines, 1_000) };
    let Err(GenerateError::TooFewLines { least }) = make(&Spec { rows: 50, ..good.clone() }) else { panic!("50 lines are too few") };
    assert!(matches!(make(&Spec { files: Some(900), ..good.clone() }), Err(GenerateError::TooManyFiles { .. })));
    assert_eq!(make(&Spec { rows: least, ..good.clone() }).unwrap().rows, least);
    assert!(matches!(make(&good), Err(GenerateError::Exists { .. })));
}

/// The importer shares no code with the generator: they agree on every sum, or one of them is wrong.
#[test]
fn every_generated_bill_imports_with_the_generators_own_sums() {
    use crate::bills;
    for (format, discounts) in [
        (Format::Cur2, Discounts::Lines),
        (Format::Cur2, Discounts::Columns),
        (Format::Cur, Discounts::Columns),
        (Format::Focus, Discounts::Columns),
    ] {
        for compression in [Compression::CsvGz, Compression::Parquet] {
            let what = format!("{format:?} {discounts:?} {compression:?}");
            let (folder, generated) = written(&Spec { compression, ..spec(format, discounts, 3_000) }, 2);
            let found = bills::discover(folder.path()).unwrap();
            let [bill] = found.as_slice() else { panic!("{what}: {found:?}") };
            assert_eq!((bill.files.len(), bill.manifest.is_some()), (3, format != Format::Focus), "{what}");
            let report = bills::import(bill, 2, &Progress::new(), &|_, _| Ok(())).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(report.rows, 3_000, "{what}");
            let [total] = report.totals.as_slice() else { panic!("{what}: {:?}", report.totals) };
            assert_eq!((total.currency.as_str(), total.billed), ("USD", generated.billed), "{what}");
            assert_eq!(
                (report.split_cost.rows, report.split_cost.amount),
                (generated.split_cost.rows, generated.split_cost.billed),
                "{what}"
            );
            if format != Format::Focus {
                let counted: BTreeMap<String, u64> = generated.by_type.iter().map(|(kind, sum)| ((*kind).to_owned(), sum.rows)).collect();
                assert_eq!(report.line_types, counted, "{what}");
                assert!(report.unknown_line_types.is_empty(), "{what}: {:?}", report.unknown_line_types);
            }
        }
    }
}
