//! The committed components of the built-in rules, under the sandbox's bounds.

use super::*;
use crate::domain::rule::{Rounding, Scaled};

fn built_in() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let components = paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    components.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

fn component(name: &str) -> Vec<u8> {
    built_in().into_iter().find(|(found, _)| found == name).unwrap().1
}

#[test]
fn every_built_in_rule_is_called_what_its_file_is_and_refuses_what_is_no_configuration() {
    let sandbox = sandbox();
    let components = built_in();
    assert!(components.len() >= 6);
    for (name, bytes) in components {
        let plugin = sandbox.load(&bytes).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(plugin.manifest().name, name);
        for config in ["", "[]", r#"{"no such field":1}"#] {
            assert!(matches!(plugin.configure(config, &september()), Err(ConfigureError::Refused(_))), "{name} {config}");
        }
    }
}

#[test]
fn a_markup_is_a_closed_form_that_the_daemon_applies_itself() {
    let plugin = sandbox().load(&component("markup")).unwrap();
    let config = r#"{"percent":"30"}"#;
    let plan = plugin.configure(config, &september()).unwrap();
    assert_eq!((plan.dimensions.len(), plan.reads.as_slice()), (0, &["x_CustomerCost".to_owned()][..]));
    let decisions = plugin.open(config, &september(), &[]).unwrap().decide(&[]).unwrap();
    let form = Scaled { column: 0, rate: 1_300_000_000, digits: 18, rounding: Rounding::HalfEven };
    assert_eq!(decisions[0].change, Change::Scaled(form));
}

#[test]
fn a_built_in_rule_lives_within_a_tenth_of_its_budget() {
    let full = Limits::default();
    let tenth = Limits { fuel_base: full.fuel_base / 10, fuel_per_combination: full.fuel_per_combination / 10, ..full };
    let sandbox = with_limits(tenth);
    let combinations = 5_000_u32;
    let values: Vec<String> = (0..combinations).map(|number| format!("service {number}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let codes: Vec<u32> = (0..combinations).collect();
    for (name, config) in [("public-price", "{}"), ("commitments", "{}"), ("markup", r#"{"services":{"service 7":"1"}}"#)] {
        let plugin = sandbox.load(&component(name)).unwrap();
        let plan = plugin.configure(config, &september()).unwrap();
        let dimensions: Vec<RuleText> = plan.dimensions.iter().map(|_| text(&values, &codes)).collect();
        let decisions = plugin.open(config, &september(), &[]).unwrap().decide(&dimensions).unwrap();
        assert_eq!(decisions.len(), 5_000, "{name}");
    }
}

#[test]
fn many_threads_use_one_component_at_once() {
    let plugin = sandbox().load(&component("markup")).unwrap();
    let config = r#"{"percent":"30"}"#;
    let expected = plugin.open(config, &september(), &[]).unwrap().decide(&[]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(plugin.open(config, &september(), &[]).unwrap().decide(&[]).unwrap(), expected);
                }
            });
        }
    });
}
