//! The chains in examples/ do what their first lines say, on a generated bill.

use super::run::{rerate, root};

#[test]
fn every_example_chain_rates_a_generated_bill_and_each_of_its_rules_does_something() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(rerate(&["bill", "generate", "--rows", "4000", "--period", "2026-08", "--out", &at("bills")]).code, 0);
    let mut chains: Vec<_> = root().join("examples/chains").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    chains.sort();
    assert!(chains.len() >= 5);
    for chain in chains {
        let chain = chain.display().to_string();
        let report = rerate(&["rate", &at("bills"), "--chain", &chain, "--out", &at("out"), "--format", "none", "--json"]).json();
        assert_eq!(report["unassigned"], "0", "{chain}");
        let rules = report["tenants"][0]["by_rule"].as_array().unwrap();
        assert!(!rules.is_empty());
        for rule in rules {
            assert!(rule["rows"].as_u64() > Some(0), "{chain}: {} touches nothing", rule["title"]);
        }
    }
}
