//! Chunks, containers and damage.

use super::*;

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
    assert!(message("bill.csv", b"").contains("the file is empty"), "{}", message("bill.csv", b""));
}

#[test]
fn lines_that_end_in_carriage_returns_are_not_taken_for_one_long_header() {
    let text = "BillingPeriodStart,ChargeCategory,BilledCost\r2026-09-01,\"Usage\",1\r2026-09-01,Usage,2\r";
    assert!(message("bill.csv", text.as_bytes()).starts_with("bill.csv: its lines end in carriage returns only"));
    assert_eq!(import_bytes("bill.csv", text.replace('\r', "\r\n").as_bytes(), WHOLE).unwrap().0.rows, 2);
}

#[test]
fn a_charge_of_no_billing_period_is_named_with_its_line() {
    let text = |date: &str| format!("BillingPeriodStart,ChargeCategory,BilledCost\n2026-09-01,Usage,1\n{date},Usage,1\n");
    for date in ["", "NULL", "-000043-03-15T00:00:00Z", "9998-12-31T47:00:00Z"] {
        let message = message("bill.csv", text(date).as_bytes());
        assert!(message.starts_with("bill.csv, line 3: neither a billing period nor a date of the charge"), "{date}: {message}");
    }
    assert!(import_bytes("bill.csv", text("2026-10-01").as_bytes(), WHOLE).is_ok());
}

#[test]
fn stray_quotes_in_one_column_of_two_rows_never_swallow_a_row() {
    let text = cur2_text().replacen(",SpotUsage:m5.xlarge,", ",5\" disk,", 1).replacen(",i-0b,", ",6\" disk,", 1);
    let message = message("bill.csv", text.as_bytes());
    assert!(message.starts_with("bill.csv, line 6"), "{message}");
}

#[test]
fn stray_quotes_in_the_keys_of_two_rows_never_swallow_a_row() {
    let text = cur2_text().replacen("li0003,", "li\"3,", 1).replacen("li0004,", "li\"4,", 1);
    let found = message("bill.csv", text.as_bytes());
    assert!(found.starts_with("bill.csv, line 4"), "{found}");
    let oracle =
        "lineItem/referenceNo,lineItem/intervalUsageStart,cost/currencyCode,cost/myCost\na\"b,2026-09-01,USD,1\nc\"d,2026-09-01,USD,5\n";
    let found = message("bill.csv", oracle.as_bytes());
    assert!(found.starts_with("bill.csv, line 2, column lineItem/referenceNo: a quote in the middle in the quoting of"), "{found}");
    assert!(message("bill.csv", oracle.replace('"', "\0").as_bytes()).contains("has a NUL character"));
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

#[test]
fn a_nul_character_is_told_by_file_line_and_column() {
    let text = "BillingPeriodStart,ChargeCategory,BilledCost,SubAccountName\n2026-09-01,Usage,1,Acme\n2026-09-01,Usage,1,Ac\0me\n";
    let error = import_bytes("bill.csv", text.as_bytes(), WHOLE).unwrap_err().to_string();
    let said = "bill.csv, line 3, column SubAccountName: \"Ac\\0me\" has a NUL character, which is no text; the file is damaged or was \
                converted wrongly, export it again";
    assert_eq!(error, said);
}
