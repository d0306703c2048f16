//! `rerate bill generate` as a person types it.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::run::rerate;

/// The text of all files, inflated: what a seed promises is the bill, not how a library compresses it.
fn digest(report: &serde_json::Value) -> String {
    let mut hasher = Sha256::new();
    for file in report["files"].as_array().unwrap() {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(file.as_str().unwrap()).unwrap()).read_to_end(&mut text).unwrap();
        hasher.update(&text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A change here is a change of every bill that anyone has generated: make it knowingly.
#[test]
fn a_seed_means_the_same_bill_today_and_tomorrow() {
    for (format, expected, billed) in [
        ("cur2", "ad86dd662145134bc721bd3875b68208ea8af3374209e7faaeef390ef10d65b5", "9310.1153284879"),
        ("cur", "a3afff898ee30d1cdfd12951e87778460ce8933524d22760e240edec1fce52a0", "9310.1153284879"),
        ("focus", "eeff2d3e1a6b0e483cd2b6222c79883e8f9374fec6ae8905d8ed06ebde987f59", "10632.9472824727"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        let report = rerate(&["bill", "generate", "--rows", "2000", "--seed", "42", "--format", format, "--out", &out, "--json"]).json();
        assert_eq!((digest(&report).as_str(), report["billed"].as_str()), (expected, Some(billed)), "{format}");
    }
}

#[test]
fn what_cannot_be_made_is_refused_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let few = rerate(&["bill", "generate", "--rows", "50", "--out", &out]);
    assert_eq!(few.code, 2);
    // The suggestion works as printed.
    let least = few.stderr.lines().find_map(|line| line.trim().strip_prefix("try: --rows ")).unwrap().to_owned();
    assert_eq!(rerate(&["bill", "generate", "--rows", &least, "--out", &out]).code, 0, "{}", few.stderr);
    let again = rerate(&["bill", "generate", "--rows", &least, "--out", &out]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("holds a bill for this period already"), "{}", again.stderr);
    let usage = rerate(&["bill", "generate", "--rows", "1000", "--format", "excel", "--out", &out]);
    assert_eq!(usage.code, 2);
    assert!(usage.stderr.contains("cur2"), "{}", usage.stderr);
}
