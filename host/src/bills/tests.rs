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

fn cur2_text() -> String {
    std::fs::read_to_string(project("tests/cases/edge/cur2_all_line_types.csv")).unwrap()
}

fn legacy_text() -> String {
    std::fs::read_to_string(project("tests/cases/edge/legacy_cur_all_line_types.csv")).unwrap()
}

/// Imports bytes under a name.
fn import_bytes(name: &str, bytes: &[u8], chunk_bytes: usize) -> Result<(ImportReport, BTreeMap<ChunkId, Batch>), BillError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_in_chunks(&discover(&path).unwrap()[0], chunk_bytes)
}

fn message(name: &str, bytes: &[u8]) -> String {
    import_bytes(name, bytes, WHOLE).map(|(report, _)| report).unwrap_err().to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn the_length_of_chunks_changes_no_charge() {
    for text in [cur2_text(), legacy_text(), cur2_text().replace('\n', "\r\n")] {
        let (whole_report, whole) = import_bytes("bill.csv", text.as_bytes(), WHOLE).unwrap();
        assert_eq!(whole.len(), 1);
        for chunk_bytes in [1, 1 << 10, 4_000, 10_000] {
            let (report, chunks) = import_bytes("bill.csv", text.as_bytes(), chunk_bytes).unwrap();
            assert!(chunks.len() > 1);
            assert_eq!(rows(&chunks), rows(&whole), "chunks of {chunk_bytes}");
            assert_eq!(report, whole_report);
            let seqs: Vec<usize> = chunks.keys().map(|id| id.seq as usize).collect();
            assert_eq!(seqs, (0..chunks.len()).collect::<Vec<_>>(), "numbered without gaps");
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_value_comes_out_as_it_went_in_wherever_chunks_are_cut(
        values in proptest::collection::vec("[ab\",\r\n é]{0,30}", 1..60),
        chunk_bytes in 1_usize..400,
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["BillingPeriodStart", "ChargeCategory", "BilledCost", "Odd"]).unwrap();
        for (cost, value) in values.iter().enumerate() {
            writer.write_record(["2026-09-01", "Usage", &cost.to_string(), value]).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let (_, chunks) = import_bytes("bill.csv", &bytes, chunk_bytes).unwrap();
        let rows = rows(&chunks);
        proptest::prop_assert_eq!(rows.len(), values.len());
        for (cost, (row, value)) in rows.iter().zip(&values).enumerate() {
            proptest::prop_assert_eq!(&row["BilledCost"], &cost.to_string());
            proptest::prop_assert_eq!(row.get("x_Native.Odd").map_or("", String::as_str), value.as_str());
        }
    }
}

#[test]
fn gzip_of_several_members_and_zip_of_several_files_are_read_whole() {
    let text = cur2_text();
    let (plain_report, plain) = import_bytes("bill.csv", text.as_bytes(), WHOLE).unwrap();
    let (head, tail) = text.split_at(text.len() / 2);
    let members = [gzip(head.as_bytes()), gzip(tail.as_bytes())].concat();
    let (_, gzipped) = import_bytes("bill.csv.gz", &members, 2_000).unwrap();
    assert_eq!(rows(&gzipped), rows(&plain));

    let archive = zip(&[("a.csv", text.as_bytes()), ("notes.txt", b"no bill"), ("b.csv", text.as_bytes())]);
    let (report, zipped) = import_bytes("bill.zip", &archive, WHOLE).unwrap();
    assert_eq!(report.rows, 2 * plain_report.rows);
    assert_eq!(report.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["bill.zip/a.csv", "bill.zip/b.csv"]);
    assert_eq!(zipped.keys().map(|id| id.file).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_gzip_cut_short_is_named_with_the_last_line_that_could_be_read() {
    let text = cur2_text();
    let line = text.lines().nth(1).unwrap();
    let long = format!("{}{}", text, format!("{line}\n").repeat(2_000));
    let mut bytes = gzip(long.as_bytes());
    bytes.truncate(bytes.len() - 20);
    let message = message("bill.csv.gz", &bytes);
    assert!(message.starts_with("bill.csv.gz: damaged or cut short after line "), "{message}");
    let after: usize = message.split_whitespace().nth(7).unwrap().parse().unwrap();
    assert!(after > 1 && after <= long.lines().count(), "{message}");
    assert!(message.ends_with("fetch the file again"), "{message}");
}

#[test]
fn a_damaged_zip_member_is_found_by_its_checksum() {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("a.csv", stored).unwrap();
    writer.write_all(cur2_text().as_bytes()).unwrap();
    let mut bytes = writer.finish().unwrap().into_inner();
    let at = memchr::memmem::find(&bytes, b"2.304,0.0960").unwrap();
    bytes[at] = b'9';
    assert!(message("bill.zip", &bytes).starts_with("bill.zip/a.csv: damaged or cut short after line "));
}

#[test]
fn errors_name_the_file_the_line_and_the_column() {
    let text = cur2_text();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        message("bill.csv", text.replacen(from, to, 1).as_bytes())
    };
    let cases = [
        (
            with(",USD,0.0960000000,2.304,", ",USD,0.0960000000,2.3o4,"),
            "bill.csv, line 2, column line_item_unblended_cost: \"2.3o4\" is not an amount",
        ),
        (
            with("2026-09-01T00:00:00.000Z,2026-10-01", "2026-09-31T00:00:00.000Z,2026-10-01"),
            "bill.csv, line 2, column bill_billing_period_start_date: \"2026-09-31T00:00:00.000Z\" is not a date or time",
        ),
        (with(",3.34E-8,USD,", ",3.34E-8,usd,"), "bill.csv, line 3, column line_item_currency_code: \"usd\" is not a currency code"),
        (
            with(",3.34E-8,USD,", ",3.34E-8,EUR,"),
            "bill.csv, line 3, column line_item_currency_code: billing account 111111111111 is billed in EUR here and in USD before",
        ),
        (with("li0003,", "li0003,extra,"), "bill.csv, line 4: 54 fields where the header has 53"),
        (with("line_item_line_item_type", "line_item_kind"), "bill.csv: looks like a AWS CUR bill but has no column lineItem/LineItemType"),
        (with("line_item_unblended_cost", "line_item_cost"), "bill.csv: no bill format fits its header. Looked for AWS CUR"),
        (with("bill_invoice_id", "bill_bill_type"), "bill.csv: the column bill_bill_type appears twice"),
    ];
    for (message, expected) in cases {
        assert!(message.starts_with(expected), "{message}\n  instead of\n{expected}");
    }
}

#[test]
fn stray_quotes_in_one_column_of_two_rows_never_swallow_a_row() {
    let text = cur2_text().replacen(",SpotUsage:m5.xlarge,", ",5\" disk,", 1).replacen(",i-0b,", ",6\" disk,", 1);
    let message = message("bill.csv", text.as_bytes());
    assert!(message.starts_with("bill.csv, line 6"), "{message}");
}

#[test]
fn a_quote_that_is_never_closed_and_bytes_that_are_no_text_are_named_with_their_line() {
    let text = cur2_text().replacen("li0033,", "\"li0033,", 1);
    assert!(message("bill.csv", text.as_bytes()).starts_with("bill.csv, line 34: a quote that is never closed"));
    let mut bytes = cur2_text().into_bytes();
    let at = memchr::memmem::find(&bytes, b"li0002").unwrap();
    bytes[at] = 0xff;
    assert!(message("bill.csv", &bytes).starts_with("bill.csv, line 3: not UTF-8 text"));
    let wide = (0..2_001).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    assert!(message("bill.csv", wide.as_bytes()).starts_with("bill.csv: 2001 columns, more than the limit of 2000"));
    let endless = format!("{}\n\"{}", cur2_text().lines().next().unwrap(), "x\n".repeat(9 << 20));
    let failed = import_bytes("bill.csv", endless.as_bytes(), 1 << 20).map(|_| ()).unwrap_err().to_string();
    assert!(failed.starts_with("bill.csv, line 2: a record longer than 16777216 bytes"), "{failed}");
}

#[test]
fn a_failing_sink_and_a_cancelled_import_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.csv");
    std::fs::write(&path, cur2_text()).unwrap();
    let bill = &discover(&path).unwrap()[0];
    let full = |_, _| Err::<(), SinkError>("the disk is full".into());
    assert_eq!(import(bill, 2, &Progress::new(), &full).unwrap_err().to_string(), "the disk is full");
    let progress = Progress::new();
    progress.cancel();
    assert!(matches!(import(bill, 2, &progress, &|_, _| Ok(())), Err(BillError::Cancelled)));
}

#[test]
fn progress_ends_at_the_bytes_on_disk_and_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.csv.gz");
    std::fs::write(&path, gzip(cur2_text().as_bytes())).unwrap();
    let progress = Progress::new();
    import(&discover(&path).unwrap()[0], 2, &progress, &|_, _| Ok(())).unwrap();
    assert_eq!((progress.done(), progress.rows()), (progress.total(), 33));
    assert_eq!(progress.total(), path.metadata().unwrap().len());
}
