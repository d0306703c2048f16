//! An author's loop with the built-in rules as projects: golden cases, a bill rated by one rule, a bench.

use std::path::{Path, PathBuf};

use crate::kit::CARGO;
use crate::run::{python, rerate, rerate_with, root};

/// A copy of a built-in's cases: a project without sources, tested as a component.
fn project(rule: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for case in std::fs::read_dir(root().join("plugins").join(rule).join("cases")).unwrap().map(|e| e.unwrap().path()) {
        let to = dir.path().join("cases").join(case.file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(&case).unwrap().map(|e| e.unwrap().path()) {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    dir
}

fn component(rule: &str) -> PathBuf {
    root().join("plugins/dist").join(rule).with_extension("wasm")
}

fn test(dir: &Path, rule: &str, more: &[&str]) -> crate::run::Ran {
    let component = component(rule);
    let mut arguments = vec!["plugin", "test", dir.to_str().unwrap(), "--sandbox", "--component", component.to_str().unwrap()];
    arguments.extend(more);
    rerate(&arguments)
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn golden_cases_pass_in_the_sandbox_and_say_what_they_used() {
    let dir = project("markup");
    let json = test(dir.path(), "markup", &["--json", "--coverage"]).json();
    assert_eq!((json["passed"].as_u64(), json["failed"].as_u64()), (Some(4), Some(0)));
    let case = &json["sandbox"][0];
    assert_eq!((case["name"].as_str(), case["charges"].as_u64()), (Some("by-service"), Some(4)));
    assert!(case["usage"]["fuel"].as_u64() > Some(1_000) && case["usage"]["memory_bytes"].as_u64() > Some(0), "{case}");
    assert_eq!(json["coverage"]["never_given"], serde_json::json!([]));
    assert_eq!(json["coverage"]["reasons"]["markup of 30 %"], 2);
    let some = test(dir.path(), "markup", &["--json", "--filter", "tiers"]).json();
    assert_eq!(some["passed"], 1);
}

#[test]
fn a_case_that_fails_names_row_and_column_and_the_exit_code_is_one() {
    let dir = project("markup");
    let expected = dir.path().join("cases/tiers/expected.csv");
    edit(&expected, "600.3", "600.30");
    let junit = dir.path().join("junit.xml");
    let ran = test(dir.path(), "markup", &["--junit", junit.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("charge 2, x_CustomerCost: expected 600.30, got 600.3"), "{}", ran.stdout);
    let counted = "import sys,xml.etree.ElementTree as t; r=t.parse(sys.argv[1]).getroot(); \
                   print(len(r.findall('.//testcase')), [c.get('name') for c in r.iter('testcase') if c.find('failure') is not None])";
    match python(&["-c", counted, junit.to_str().unwrap()]) {
        Some(counted) => assert_eq!(counted.trim(), "4 ['tiers']"),
        None => println!("skipped: reading junit.xml, python3 is not installed"),
    }

    let updated = test(dir.path(), "markup", &["--update"]);
    assert_eq!(updated.code, 0, "{}", updated.stderr);
    assert!(updated.stdout.contains("tiers: expected.csv is written"), "{}", updated.stdout);
    assert!(std::fs::read_to_string(&expected).unwrap().contains(",600.3,"));
}

#[test]
fn a_case_that_uses_more_than_its_limits_fails_and_update_does_not_hide_it() {
    let dir = project("markup");
    std::fs::write(dir.path().join("cases/tiers/limits.toml"), "fuel = 1000\n").unwrap();
    let ran = test(dir.path(), "markup", &["--update", "--filter", "tiers"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("limits.toml allows 1000"), "{}", ran.stdout);
}

#[test]
fn a_mistake_in_a_case_names_file_line_and_column() {
    let dir = project("markup");
    edit(&dir.path().join("cases/tiers/input.csv"), "500.25", "500,25");
    let ran = test(dir.path(), "markup", &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cases/tiers/input.csv, line 3: 2 fields where the header has 1"), "{}", ran.stderr);
    std::fs::write(dir.path().join("cases/tiers/input.csv"), "BilledCost\n1\nx\n").unwrap();
    let ran = test(dir.path(), "markup", &[]);
    assert!(ran.stderr.contains("cases/tiers/input.csv, line 3, column 1: BilledCost \"x\": not a decimal number"), "{}", ran.stderr);
}

#[test]
fn a_rule_that_crashes_is_an_outcome_that_can_be_expected() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("cases/crash");
    std::fs::create_dir_all(&case).unwrap();
    std::fs::write(case.join("input.csv"), "BilledCost\n1\n").unwrap();
    std::fs::write(case.join("config.json"), "{}").unwrap();
    std::fs::write(case.join("expected.csv"), "Failed,Reason\n1,the rule crashed in `decide`\n").unwrap();
    let component = root().join("tests/fixtures/dist/traps.wasm");
    let ran = rerate(&["plugin", "test", dir.path().to_str().unwrap(), "--sandbox", "--component", component.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_rust_project_answers_the_same_natively_and_in_the_sandbox() {
    let component = component("exclusion");
    let both = ["plugin", "test", "plugins/exclusion", "--both", "--json", "--component", component.to_str().unwrap()];
    let ran = rerate_with(&both, &CARGO);
    let json = ran.json();
    if let Some(why) = json["native"]["skipped"].as_str() {
        println!("skipped: the native side, {why}");
        return;
    }
    assert_eq!(json["native"]["cases"].as_array().unwrap().len(), json["sandbox"].as_array().unwrap().len());
    assert_eq!((json["failed"].as_u64(), json["native"]["failed"].as_str()), (Some(0), None), "{json}");
}

fn bill(dir: &Path) -> String {
    let out = dir.join("bill").to_str().unwrap().to_owned();
    let ran = rerate(&["bill", "generate", "--rows", "20000", "--out", &out]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    out
}

#[test]
fn a_bill_is_rated_by_one_rule_and_what_changes_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let bill = bill(dir.path());
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"percent":"30","services":{"AmazonS3":"12.5"}}"#).unwrap();
    let arguments = ["plugin", "run", "markup", "-i", &bill, "--config", config.to_str().unwrap(), "--json", "--top", "3"];
    let json = rerate(&arguments).json();
    let month = &json[0];
    assert_eq!((month["rows"].as_u64(), month["top"].as_array().unwrap().len()), (Some(20_000), 3));
    let amount = |value: &serde_json::Value| value.as_str().unwrap().parse::<rerate::domain::money::Amount>().unwrap().0;
    let decisions = month["decisions"].as_array().unwrap();
    assert_eq!(decisions.iter().map(|d| amount(&d["delta"])).sum::<i128>(), amount(&month["delta"]));
    assert_eq!(decisions.iter().map(|d| d["rows"].as_u64().unwrap()).sum::<u64>(), 20_000);
    assert_eq!(amount(&month["charged"]) - amount(&month["billed"]), amount(&month["delta"]));
    let first = &month["top"][0];
    assert_eq!(amount(&first["before"]) * 13 / 10, amount(&first["after"]), "{first}");

    let chain = dir.path().join("chain.toml");
    std::fs::write(&chain, "[[rule]]\ntitle='m'\nplugin='markup'\nconfig={percent='30',services={AmazonS3='12.5'}}\n").unwrap();
    let out = dir.path().join("rated");
    let rated = ["rate", &bill, "--chain", chain.to_str().unwrap(), "--out", out.to_str().unwrap(), "--format", "none", "--json"];
    assert_eq!(rerate(&rated).json()["tenants"][0]["charged"], month["charged"], "`rerate rate` charges the same");

    std::fs::write(&config, r#"{"percent":30}"#).unwrap();
    let refused = rerate(&["plugin", "run", "markup", "-i", &bill, "--config", config.to_str().unwrap()]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("/percent of the configuration:"), "{}", refused.stderr);
}

#[test]
fn a_run_shows_what_the_rule_wrote_and_the_line_where_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let logs = crate::run::root().join("tests/fixtures/dist/logs.wasm").display().to_string();
    let bill = |service: &str| {
        let path = dir.path().join(format!("{service}.csv"));
        let row = format!("p,1,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,USD,Usage,{service},1\n");
        let header = "BillingAccountId,SubAccountId,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,BillingCurrency,ChargeCategory,ServiceName,BilledCost\n";
        std::fs::write(&path, header.to_owned() + &row).unwrap();
        path.display().to_string()
    };
    let config = dir.path().join("config.json");
    std::fs::write(&config, "{}").unwrap();
    let run = |bill: &str| rerate(&["plugin", "run", &logs, "-i", bill, "--config", config.to_str().unwrap()]);
    let told = run(&bill("fine"));
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("log: opened for 2026-09-01\nlog: deciding on fine\n"), "{}", told.stdout);
    let failed = run(&bill("panic"));
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("log: deciding on panic\n") && failed.stderr.contains("src/lib.rs:"), "{}", failed.stderr);
}

#[test]
fn a_bench_compares_with_another_build_in_fuel_that_no_machine_changes() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"percent":"30","services":{"AmazonS3":"12.5"}}"#).unwrap();
    let against = component("markup");
    let arguments = [
        "plugin",
        "bench",
        "markup",
        "--rows",
        "20000",
        "--config",
        config.to_str().unwrap(),
        "--against",
        against.to_str().unwrap(),
        "--json",
    ];
    let json = rerate(&arguments).json();
    assert_eq!((json["fuel_percent"].as_u64(), json["now"]["fuel"] == json["before"]["fuel"]), (Some(100), true), "{json}");
    assert!(json["now"]["rows_per_second"].as_u64() > Some(0) && json["now"]["p50_micros"].as_u64() <= json["now"]["p99_micros"].as_u64());
    assert!(json["now"]["fuel_per_combination"].as_u64() > Some(100), "{json}");
}

#[test]
fn a_crash_that_no_case_expects_is_told_with_its_line_and_what_the_rule_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("cases/stops");
    std::fs::create_dir_all(&case).unwrap();
    std::fs::write(case.join("input.csv"), "ServiceName,BilledCost\nEC2,1\npanic,2\n").unwrap();
    std::fs::write(case.join("config.json"), "{}").unwrap();
    std::fs::write(case.join("expected.csv"), "Charge,x_CustomerCost,x_Treatment,Reason\n1,1,keep,EC2\n2,2,keep,\n").unwrap();
    let component = root().join("tests/fixtures/dist/logs.wasm").display().to_string();
    let tried =
        |more: &[&str]| rerate(&[&["plugin", "test", dir.path().to_str().unwrap(), "--sandbox", "--component", &component], more].concat());
    let ran = tried(&[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for told in
        ["the rule crashed in `decide`: ", "src/lib.rs:", "log: opened for 2026-09-01", "log: deciding on panic", "log: panicked at"]
    {
        assert!(ran.stdout.contains(told), "{told:?} is not in\n{}", ran.stdout);
    }
    let json: serde_json::Value = serde_json::from_str(&tried(&["--json"]).stdout).unwrap();
    assert!(json["sandbox"][0]["problems"][0].as_str().unwrap().contains("src/lib.rs:"), "{json}");
    assert_eq!(json["sandbox"][0]["log"][0], "opened for 2026-09-01");

    // What is expected says where nothing, since that changes with every build.
    assert_eq!(tried(&["--update"]).code, 0);
    assert_eq!(std::fs::read_to_string(case.join("expected.csv")).unwrap(), "Failed,Reason\n1,the rule crashed in `decide`\n");
    assert_eq!(tried(&[]).code, 0);
}
