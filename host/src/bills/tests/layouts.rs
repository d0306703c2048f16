//! Which files make a bill.

use super::*;

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn legacy_manifest(assembly: &str, keys: &[&str]) -> String {
    serde_json::json!({
        "assemblyId": assembly, "reportName": "cur", "reportId": "r1", "reportKeys": keys,
        "billingPeriod": {"start": "20260901T000000.000Z", "end": "20261001T000000.000Z"},
    })
    .to_string()
}

fn export_manifest(execution: &str, files: &[&str]) -> String {
    serde_json::json!({"executionId": execution, "exportArn": "arn:aws:bcm-data-exports:export/x", "dataFiles": files}).to_string()
}

fn names(bill: &Bill) -> Vec<String> {
    bill.files.iter().map(|file| bill.name_of(file)).collect()
}

#[test]
fn the_manifest_in_the_period_folder_decides_and_an_older_assembly_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let period = "cur/20260901-20261001";
    let key = |assembly: &str| format!("prefix/{period}/{assembly}/cur-1.csv");
    for assembly in ["aaaa", "bbbb"] {
        put(folder.path(), &format!("{period}/{assembly}/cur-Manifest.json"), &legacy_manifest(assembly, &[&key(assembly)]));
        put(folder.path(), &format!("{period}/{assembly}/cur-1.csv"), &legacy_text());
    }
    put(folder.path(), &format!("{period}/cur-Manifest.json"), &legacy_manifest("aaaa", &[&key("aaaa")]));
    let bills = discover(folder.path()).unwrap();
    assert_eq!(bills.len(), 1);
    assert_eq!(names(&bills[0]), [format!("{period}/aaaa/cur-1.csv")]);
    let manifest = bills[0].manifest.as_ref().unwrap();
    assert_eq!((manifest.id.as_str(), manifest.period.unwrap().to_string().as_str()), ("aaaa", "2026-09"));
    assert_eq!(bills[0].skipped, [folder.path().join(period).join("bbbb/cur-1.csv")]);
}

#[test]
fn a_listed_file_that_is_missing_is_named_and_no_file_of_another_refresh_stands_in() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = legacy_manifest("bbbb", &["p/cur/20260901-20261001/bbbb/cur-1.csv.gz"]);
    put(folder.path(), "cur/20260901-20261001/cur-Manifest.json", &manifest);
    put(folder.path(), "cur/20260901-20261001/aaaa/cur-1.csv.gz", "");
    let message = discover(folder.path()).unwrap_err().to_string();
    assert!(message.contains("lists p/cur/20260901-20261001/bbbb/cur-1.csv.gz, which is missing"), "{message}");
}

#[test]
fn a_manifest_whose_files_are_one_file_is_refused_since_it_would_count_twice() {
    for keys in [["p/cur-1.csv", "p/cur-1.csv"], ["p/a/cur-1.csv", "p/b/cur-1.csv"]] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "cur-Manifest.json", &legacy_manifest("aaaa", &keys));
        put(folder.path(), "cur-1.csv", &legacy_text());
        let message = discover(folder.path()).unwrap_err().to_string();
        assert!(message.contains("cur-1.csv, which would count twice"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_hidden_link_to_nowhere_is_passed_over_and_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "cur-1.csv", &legacy_text());
    // What an editor leaves beside a file that it has open.
    std::os::unix::fs::symlink("ann@laptop.123", folder.path().join(".#cur-1.csv")).unwrap();
    assert_eq!(names(&discover(folder.path()).unwrap()[0]), ["cur-1.csv"]);
    std::os::unix::fs::symlink("nowhere", folder.path().join("cur-2.csv")).unwrap();
    assert!(discover(folder.path()).unwrap_err().to_string().contains("cur-2.csv: "));
}

#[test]
fn a_manifest_whose_period_is_no_date_tells_no_period() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = legacy_manifest("aaaa", &["cur-1.csv"]).replace("20260901T000000.000Z", "abc\u{e9}d0101");
    put(folder.path(), "cur-Manifest.json", &manifest);
    put(folder.path(), "cur-1.csv", &legacy_text());
    assert_eq!(discover(folder.path()).unwrap()[0].manifest.as_ref().unwrap().period, None);
}

#[test]
fn the_newest_execution_of_each_period_of_a_data_export_is_a_bill() {
    let folder = tempfile::tempdir().unwrap();
    for (period, stamp, execution) in [
        ("2026-08", "2026-09-03T01:00:00.000Z", "e1"),
        ("2026-09", "2026-09-20T01:00:00.000Z", "e3"),
        ("2026-09", "2026-09-10T01:00:00.000Z", "e2"),
    ] {
        let data = format!("export/data/BILLING_PERIOD={period}/{stamp}-{execution}/export-00001.csv");
        let manifest = export_manifest(execution, &[&format!("s3://bucket/prefix/{data}")]);
        put(folder.path(), &format!("export/metadata/BILLING_PERIOD={period}/{stamp}-{execution}/export-Manifest.json"), &manifest);
        put(folder.path(), &data, &cur2_text());
    }
    let bills = discover(folder.path()).unwrap();
    let ids: Vec<_> = bills.iter().map(|bill| bill.manifest.as_ref().unwrap().id.as_str()).collect();
    assert_eq!(ids, ["e1", "e3"]);
    assert_eq!(names(&bills[1]), ["export/data/BILLING_PERIOD=2026-09/2026-09-20T01:00:00.000Z-e3/export-00001.csv"]);
}

#[test]
fn without_a_manifest_all_bill_files_are_one_bill_and_the_rest_is_said_to_be_skipped() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.csv", &cur2_text());
    put(folder.path(), "deeper/b.csv", &cur2_text());
    put(folder.path(), "readme.md", "no bill");
    let bills = discover(folder.path()).unwrap();
    assert_eq!(names(&bills[0]), ["a.csv", "deeper/b.csv"]);
    assert_eq!(bills[0].skipped, [folder.path().join("readme.md")]);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(discover(empty.path()), Err(BillError::NothingFound { .. })));
}

#[test]
fn a_digest_changes_with_content_and_with_names() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.csv", "one");
    let digest = || discover(folder.path()).unwrap()[0].digest().unwrap();
    let first = digest();
    assert_eq!(first.len(), 64);
    assert_eq!(digest(), first);
    put(folder.path(), "a.csv", "two");
    let second = digest();
    assert_ne!(second, first);
    std::fs::rename(folder.path().join("a.csv"), folder.path().join("b.csv")).unwrap();
    assert_ne!(digest(), second);
}

#[test]
fn the_sample_report_in_its_bucket_layout_is_read_by_its_manifest() {
    let folder = project("../shared/data/aws/nise_s3_layout");
    if !folder.is_dir() {
        println!("skipped: no sample bills at {}", folder.display());
        return;
    }
    let bills = discover(&folder).unwrap();
    assert_eq!((bills.len(), bills[0].files.len()), (1, 2));
    let (report, batches) = read_in_chunks(&bills[0], 4 << 20).unwrap();
    assert_eq!(report.rows, 150_480);
    assert!(batches.len() > 10);
    let (other, again) = read_in_chunks(&bills[0], WHOLE).unwrap();
    assert_eq!(other, report, "the report does not depend on chunks");
    assert_eq!(again.values().map(|batch| batch.rows).sum::<usize>(), 150_480);
    let text = report.quirks.iter().find(|quirk| quirk.what == "text in a number column, read as null").unwrap();
    assert_eq!(text.example.column.as_deref(), Some("pricing/publicOnDemandCost"));
}
