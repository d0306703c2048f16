//! Cases of the built-in rules, through the sandbox.

use std::sync::Arc;

use super::*;
use crate::plugins::builtin::builtin;
use crate::sandbox::{Plugin, Sandbox, SandboxOptions, sections};

fn rule(name: &str) -> Arc<Plugin> {
    Sandbox::new(SandboxOptions::default()).unwrap().load(builtin(name).unwrap().component).unwrap()
}

fn case(input: &str, config: &str, expected: Option<&str>) -> Case {
    let text = |text: &str| text.to_owned();
    let files =
        CaseFiles { name: text("a"), input: text(input), config: text(config), expected: expected.map(text), ..CaseFiles::default() };
    Case::parse(files, "cases/a").unwrap()
}

const BILL: &str = "ServiceName,BilledCost,x_CustomerCost\nEC2,1,100\nS3,50,\n,10,\n";
const MARKUP: &str = r#"{"percent":"30","services":{"S3":"0"}}"#;
const MARKED_UP: &str =
    "Charge,x_CustomerCost,x_Treatment,Reason\n1,130,keep,markup of 30 %\n2,50,keep,markup of 0 %\n3,13,keep,markup of 30 %\n";

#[test]
fn an_adjusting_rule_is_held_against_what_is_expected_in_many_arrangements() {
    let markup = rule("markup");
    let report = check(&markup, &case(BILL, MARKUP, Some(MARKED_UP)));
    assert_eq!((report.problems.as_slice(), report.text.as_deref()), ([].as_slice(), Some(MARKED_UP)));
    let wrong = check(&markup, &case(BILL, MARKUP, Some(&MARKED_UP.replace("130", "131"))));
    assert_eq!(wrong.problems[0].to_string(), "charge 1, x_CustomerCost: expected 131, got 130");
    assert!(check(&markup, &case(BILL, MARKUP, None)).problems[0].to_string().contains("--update"));
}

#[test]
fn a_case_says_what_it_may_use() {
    let limited = |limits: &str| {
        let files = CaseFiles { limits: Some(limits.to_owned()), ..case(BILL, MARKUP, Some(MARKED_UP)).files };
        check(&rule("markup"), &Case::parse(files, "cases/a").unwrap())
    };
    let report = limited("fuel = 10_000_000\nmemory_mib = 64\nmillis = 60_000\n");
    assert!(report.passes() && report.usage.fuel > 100 && report.usage.call("decide").unwrap().calls == 1, "{report:?}");
    let (used, problems) = (report.usage.fuel, limited("fuel = 100\nmemory_mib = 0\n").problems);
    assert_eq!(problems[0], Problem::OverLimit { what: "fuel", used, limit: 100 });
    assert!(problems[1].to_string().ends_with("limits.toml allows 0"), "{problems:?}");
}

#[test]
fn a_refused_configuration_is_an_outcome() {
    let report = check(&rule("markup"), &case(BILL, r#"{"percent":"-101"}"#, None));
    let text = report.text.unwrap();
    assert_eq!(text, "Refused,Pointer,Message\n1,/percent,a discount of more than 100 % would turn costs into credits\n");
}

#[test]
fn a_charging_rule_is_told_what_it_charged_before() {
    let settings = "period = \"2026-10\"\ncurrency = \"EUR\"\n\n[[earlier]]\nperiod = \"2026-09\"\namount = \"-60\"\n";
    let config = r#"{"kind":"credit","description":"Welcome","amount":"100","cap":"100"}"#;
    let files = CaseFiles {
        name: "cap".to_owned(),
        input: "BilledCost\n500\n".to_owned(),
        config: config.to_owned(),
        settings: Some(settings.to_owned()),
        ..CaseFiles::default()
    };
    let capped = Case::parse(files, "cases/cap").unwrap();
    let text = run(&rule("charge"), &capped, &Arrangement::plain(1)).unwrap().outcome.to_text();
    assert!(text.starts_with("Line,ChargeCategory,"), "{text}");
    assert!(text.contains(",-40,"), "{text}");
    assert!(!text.contains("Charge,"), "it cannot change charges: {text}");
}

#[test]
fn cases_travel_inside_a_component_and_are_its_self_test() {
    let mut component = builtin("markup").unwrap().component.to_vec();
    // Without the cases that it comes with.
    if let Some(at) = sections::section(&component, sections::CASES).map(|section| section.at) {
        component.truncate(at);
    }
    let bytes = component.clone();
    let plugin = Sandbox::new(SandboxOptions::default()).unwrap().load(&bytes).unwrap();
    assert_eq!(self_test(&plugin, &component), SelfTest::default());
    assert_eq!(self_test(&plugin, &component).to_string(), "no cases");

    let cases = [case(BILL, MARKUP, Some(MARKED_UP)), case(BILL, "{}", None)];
    sections::append(&mut component, sections::CASES, &bundle(&cases).unwrap());
    assert_eq!(self_test(&plugin, &component), SelfTest { cases: 1, failed: Vec::new() });

    let wrong = [case(BILL, MARKUP, Some(&MARKED_UP.replace("130", "131")))];
    sections::append(&mut component, sections::CASES, &bundle(&wrong).unwrap());
    let outcome = self_test(&plugin, &component);
    assert_eq!(outcome.to_string(), "1 of 1 case failed, first \"a\": charge 1, x_CustomerCost: expected 131, got 130");

    sections::append(&mut component, sections::CASES, b"{\"cases\":[{}]}");
    assert!(!self_test(&plugin, &component).passes());
}

#[test]
fn a_folder_of_cases_is_read_by_name_and_a_mistake_in_it_says_where() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read_folder(&dir.path().join("cases")).unwrap().len(), 0);
    for (name, limits) in [("b", ""), ("a", "fuel = 5\n")] {
        let folder = dir.path().join("cases").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("input.csv"), BILL).unwrap();
        std::fs::write(folder.join("config.json"), MARKUP).unwrap();
        std::fs::write(folder.join("limits.toml"), limits).unwrap();
    }
    let cases = read_folder(&dir.path().join("cases")).unwrap();
    assert_eq!(cases.iter().map(Case::name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(cases[0].limits.fuel, Some(5));

    std::fs::write(dir.path().join("cases/b/limits.toml"), "fuel = 5\nmemory = 3\n").unwrap();
    let error = read_folder(&dir.path().join("cases")).unwrap_err();
    assert_eq!((error.line, error.column), (Some(2), Some(1)), "{error}");
    assert!(error.file.ends_with("cases/b/limits.toml"), "{error}");
    std::fs::write(dir.path().join("cases/b/config.json"), "{\"percent\":\n}").unwrap();
    let error = read_folder(&dir.path().join("cases")).unwrap_err().to_string();
    assert!(error.contains("cases/b/config.json, line 2, column 1: not JSON"), "{error}");
    std::fs::remove_file(dir.path().join("cases/b/input.csv")).unwrap();
    let error = read_folder(&dir.path().join("cases")).unwrap_err().to_string();
    assert!(error.contains("cases/b/input.csv: it is missing"), "{error}");
}
