//! Exact totals, against the hand-made bill and against an independent reader.

use super::*;

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

/// The edge bill as Data Exports writes it in Parquet: doubles, timestamps, and maps for tags and product.
fn edge_bill_in_parquet(path: &Path) {
    use arrow_array::builder::{MapBuilder, StringBuilder};
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
    let mut reader = csv::Reader::from_path(project("tests/cases/edge/cur2_all_line_types.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let columns = headers.iter().enumerate().map(|(at, header)| {
        let cells = || records.iter().map(move |record| Some(&record[at]).filter(|text| !text.is_empty()));
        let array: ArrayRef = if header == "resource_tags" || header == "product" {
            let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
            for cell in cells() {
                let object: BTreeMap<String, String> = serde_json::from_str(cell.unwrap()).unwrap();
                for (key, value) in object {
                    maps.keys().append_value(key);
                    maps.values().append_value(value);
                }
                maps.append(true).unwrap();
            }
            std::sync::Arc::new(maps.finish())
        } else if header.ends_with("_start_date") || header.ends_with("_end_date") {
            let millis = cells().map(|text| Some(text?.parse::<jiff::Timestamp>().unwrap().as_millisecond()));
            std::sync::Arc::new(millis.collect::<TimestampMillisecondArray>())
        } else if header.contains("cost") && header != "cost_category" || header == "line_item_usage_amount" {
            std::sync::Arc::new(cells().map(|text| text?.parse::<f64>().ok()).collect::<Float64Array>())
        } else {
            std::sync::Arc::new(cells().collect::<StringArray>())
        };
        (header.to_owned(), array)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A FOCUS bill of one row in Parquet, with these columns besides the month and the category.
fn focus_in_parquet(columns: Vec<(&str, arrow_array::ArrayRef)>) -> Vec<u8> {
    let text = |value: &str| -> arrow_array::ArrayRef { std::sync::Arc::new(arrow_array::StringArray::from(vec![value])) };
    let usual = [("BillingPeriodStart", text("2026-09-01")), ("ChargeCategory", text("Usage"))];
    let batch = arrow_array::RecordBatch::try_from_iter(usual.into_iter().chain(columns)).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn a_decimal_of_any_width_is_read_as_it_is() {
    use arrow_array::*;
    let costs: Vec<(ArrayRef, &str)> = vec![
        (std::sync::Arc::new(Decimal32Array::from(vec![-150]).with_precision_and_scale(9, 2).unwrap()), "-1.5"),
        (std::sync::Arc::new(Decimal64Array::from(vec![7]).with_precision_and_scale(18, 10).unwrap()), "0.0000000007"),
        (std::sync::Arc::new(Decimal128Array::from(vec![12]).with_precision_and_scale(38, 0).unwrap()), "12"),
        (
            std::sync::Arc::new(
                Decimal256Array::from(vec![arrow_buffer::i256::from_i128(-125 * 10_i128.pow(36))])
                    .with_precision_and_scale(76, 38)
                    .unwrap(),
            ),
            "-1.25",
        ),
    ];
    for (cost, expected) in costs {
        let bytes = focus_in_parquet(vec![("BilledCost", cost)]);
        let (_, batches) = import_bytes("bill.parquet", &bytes, WHOLE).unwrap();
        assert_eq!(rows(&batches)[0]["BilledCost"], expected);
    }
}

#[test]
fn a_column_of_a_type_that_would_be_read_as_nothing_is_named() {
    use arrow_array::*;
    let cost: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["1"]));
    let odd: ArrayRef = std::sync::Arc::new(FixedSizeBinaryArray::try_from_iter([[7_u8; 16]].into_iter()).unwrap());
    let nested: ArrayRef = std::sync::Arc::new(StructArray::from(vec![(
        std::sync::Arc::new(arrow_schema::Field::new("a", odd.data_type().clone(), false)),
        odd.clone(),
    )]));
    for column in [odd, nested] {
        let message = message("bill.parquet", &focus_in_parquet(vec![("BilledCost", cost.clone()), ("SubAccountId", column)]));
        assert!(message.starts_with("bill.parquet: not a readable Parquet file: its column SubAccountId is of the type"), "{message}");
    }
}

/// Among what turns over is the sign of every length and offset.
#[test]
fn a_footer_with_any_byte_turned_over_is_read_or_refused_and_nobody_waits_for_ever() {
    let cost: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::StringArray::from(vec!["1"]));
    let bytes = focus_in_parquet(vec![("BilledCost", cost)]);
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut refused = 0;
    for at in bytes.len() - 8 - footer..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        refused += usize::from(import_bytes("bill.parquet", &damaged, WHOLE).is_err());
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_parquet_bill_gives_the_same_charges_as_its_csv() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.snappy.parquet");
    edge_bill_in_parquet(&path);
    let (report, batches) = read(&path);
    let (from_csv_report, from_csv) = read(&project("tests/cases/edge/cur2_all_line_types.csv"));
    assert_eq!(batches.len(), 4, "one chunk a row group");
    assert_eq!(report.totals, from_csv_report.totals);
    assert_eq!(report.line_types, from_csv_report.line_types);
    for (parquet, csv) in rows(&batches).iter().zip(rows(&from_csv)) {
        for (name, value) in csv.iter().filter(|(name, _)| !name.starts_with("x_Native.")) {
            let found = parquet.get(name).map(String::as_str);
            if name == "Tags" {
                let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                assert_eq!(found.map(json), Some(json(value)));
            } else {
                assert_eq!(found, Some(value.as_str()), "{name}");
            }
        }
    }
}
