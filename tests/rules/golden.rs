//! The golden cases of the built-in rules: the sandbox and the native rule answer with the same bytes, which are the expected ones.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use std::path::Path;

use rerate::plugins::cases;
use rerate::sandbox::{Sandbox, SandboxOptions};
use rerate_rule::testing::golden::{Golden, read_cases};
use rerate_tests::components::{BUILTINS, FIXTURES, Set, root};

/// Every case of a rule, in the sandbox in many arrangements and natively.
#[track_caller]
fn is_the_same<R: rerate_rule::Rule>(rule: &str, native: &Golden<R>, at_least: usize) {
    is_the_same_below(&root().join("plugins").join(rule), &BUILTINS, rule, native, at_least);
}

#[track_caller]
fn is_the_same_below<R: rerate_rule::Rule>(project: &Path, set: &Set, rule: &str, native: &Golden<R>, at_least: usize) {
    let folder = project.join("cases");
    let (hosted, natives) = (cases::read_folder(&folder).unwrap(), read_cases(&folder));
    assert!(hosted.len() >= at_least, "the cases of {rule} are missing");
    assert_eq!(hosted.len(), natives.len());
    let component = std::fs::read(set.component(rule)).unwrap();
    let plugin = Sandbox::new(SandboxOptions::default()).unwrap().load(&component).unwrap();
    for (case, own) in hosted.iter().zip(&natives) {
        let report = cases::check(&plugin, case);
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{rule}, {}: {}\n{}", case.name(), problems.join("\n"), report.text.unwrap_or_default());
        assert_eq!(report.text.unwrap(), native.outcome(own), "{rule}, {}: natively it is different", case.name());
    }
    assert!(cases::self_test(&plugin, &component).passes(), "{rule}: the cases travel in the component");
}

#[test]
fn markup_answers_its_cases() {
    is_the_same("markup", &Golden::<rerate_rule_markup::Markup>::new().adjust(), 4);
}

#[test]
fn public_price_answers_its_cases() {
    is_the_same("public-price", &Golden::<rerate_rule_public_price::PublicPrice>::new().adjust(), 2);
}

#[test]
fn commitments_answers_its_cases() {
    is_the_same("commitments", &Golden::<rerate_rule_commitments::Commitments>::new().adjust(), 1);
}

#[test]
fn exclusion_answers_its_cases() {
    is_the_same("exclusion", &Golden::<rerate_rule_exclusion::Exclusion>::new().adjust(), 1);
}

#[test]
fn charge_answers_its_cases() {
    is_the_same("charge", &Golden::<rerate_rule_charge::AddedCharge>::new().charge(), 3);
}

#[test]
fn formula_answers_its_cases() {
    is_the_same("formula", &Golden::<rerate_rule_formula::Formula>::new().adjust(), 1);
}

#[test]
fn the_example_of_an_authors_own_rule_answers_its_cases() {
    let native = Golden::<rounding_markup::RoundingMarkup>::new().adjust();
    is_the_same_below(&root().join("examples/rounding-markup"), &FIXTURES, "rounding-markup", &native, 4);
}
