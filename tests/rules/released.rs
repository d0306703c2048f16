//! Components built against the contract's first release must work for ever. Their bytes are kept as they were and never built again:
//! tests/fixtures/released/README.md.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use rerate::domain::columns::{Batch, Column, MoneyColumn, TextColumn};
use rerate::domain::money;
use rerate::domain::progress::Progress;
use rerate::domain::rated::{GroupRef, RatedGroup};
use rerate::plugins::digest_of;
use rerate::rating::{ChainRule, Input, Owners, RunInput, rate_month};
use rerate::sandbox::{Plugin, Refusal, Sandbox, SandboxOptions};
use rerate_tests::components::root;

const RELEASED: [(&str, &str); 2] = [
    ("rule-1.0.0-markup.wasm", "39f4f02c3e71eef686ae60d35e5b1363837229ac7b7fe236c5046fba214fc304"),
    ("rule-1.0.0-charge.wasm", "d489b12b65740048fc93fb666fd9fa12b65da7e90a18bd3ce662d5175b81aa40"),
];

fn released(name: &str) -> Vec<u8> {
    std::fs::read(root().join("tests/fixtures/released").join(name)).unwrap()
}

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxOptions::default()).unwrap()
}

#[test]
fn the_released_components_are_the_bytes_that_were_released() {
    for (name, digest) in RELEASED {
        assert_eq!(digest_of(&released(name)), digest, "{name} was changed: restore it, it is never built again");
    }
}

#[test]
fn components_built_against_the_first_release_load_and_rate_as_they_did() {
    let sandbox = sandbox();
    let plugin = |name: &str| sandbox.load(&released(name)).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    let rule = |title: &str, plugin: Arc<Plugin>, config: &str| ChainRule {
        id: title.to_owned(),
        title: title.to_owned(),
        plugin,
        config: config.to_owned(),
        earlier: Vec::new(),
    };
    let rules = vec![
        rule("Markup", plugin("rule-1.0.0-markup.wasm"), r#"{"percent":"30","services":{"Amazon S3":"7.5"}}"#),
        rule("Care", plugin("rule-1.0.0-charge.wasm"), r#"{"kind":"charge","description":"Care","percent":"7.25","service":"Care"}"#),
        rule("Welcome", plugin("rule-1.0.0-charge.wasm"), r#"{"kind":"credit","description":"Welcome","amount":"5"}"#),
    ];
    // EC2 100.10 and S3 0.0000000007.
    let mut batch = Batch::new(2);
    batch.push("SubAccountId", Column::Text(TextColumn::constant(Some("account"), 2)));
    batch.push("BillingAccountId", Column::Text(TextColumn::constant(Some("payer"), 2)));
    batch.push("BillingCurrency", Column::Text(TextColumn::constant(Some("USD"), 2)));
    batch.push("ServiceName", Column::Text(TextColumn::from_rows([Some("Amazon EC2"), Some("Amazon S3")])));
    batch.push("BilledCost", Column::Money(MoneyColumn { units: vec![10_010 * money::ONE / 100, money::ONE / 10_000_000_000 * 7] }));
    let costs = Mutex::new(Vec::new());
    let month = rate_month(Input {
        period: "2026-09".parse().unwrap(),
        groups: &[(GroupRef { part: 0, group: 0 }, 2)],
        source_of_part: &[0],
        owners: &[Owners::BySubAccount(HashMap::from([("account".to_owned(), 0)]))],
        payers: &BTreeSet::from(["payer".to_owned()]),
        runs: vec![RunInput { tenant: 0, currency: "USD".to_owned(), rules, span: None }],
        workers: 1,
        batch_rows: None,
        watch: None,
        progress: &Progress::new(),
        read: &|_, _| Ok(batch.clone()),
        write: &|_, _, rated: &RatedGroup| {
            costs.lock().unwrap().extend(rated.customer_cost.iter().map(|units| money::Amount(*units).to_string()));
            Ok(())
        },
    });
    let outcome = month.unwrap().runs.remove(0).unwrap();
    // 100.10 * 1.3 and 0.0000000007 * 1.075; 7.25 % of their sum, and the credit.
    assert_eq!(costs.into_inner().unwrap(), ["130.13", "0.0000000007525"]);
    let lines: Vec<(String, String)> =
        outcome.lines.iter().map(|line| (line.line.description.clone(), line.line.amount.to_string())).collect();
    let line = |description: &str, amount: &str| (description.to_owned(), amount.to_owned());
    assert_eq!(lines, [line("Care", "9.43442500005455625"), line("Welcome", "-5")]);
    assert_eq!(outcome.charged.to_string(), "134.56442500080705625");
}

#[test]
fn a_component_of_another_version_is_told_which_was_found_and_which_are_supported() {
    let sandbox = sandbox();
    for (name, _) in RELEASED {
        for version in ["2.0.0", "1.1.0", "0.9.0"] {
            let mut bytes = released(name);
            let marker = b"rerate:rule/";
            for at in 0..bytes.len() - 40 {
                if bytes[at..].starts_with(marker)
                    && let Some(sign) = bytes[at..at + 30].iter().position(|byte| *byte == b'@')
                    && bytes[at + sign + 1..].starts_with(b"1.0.0")
                {
                    bytes[at + sign + 1..at + sign + 6].copy_from_slice(version.as_bytes());
                }
            }
            let refusal = sandbox.load(&bytes).map(|_| ()).unwrap_err();
            let Refusal::Version { found } = &refusal else { panic!("{name} {version}: {refusal}") };
            assert!(found.starts_with("rerate:rule/") && found.ends_with(&format!("@{version}")), "{found}");
            let said = refusal.to_string();
            assert!(said.contains(version) && said.contains("this daemon supports rerate:rule 1.0"), "{said}");
        }
    }
}
