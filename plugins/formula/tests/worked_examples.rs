//! The examples of docs/formula.md do what their tables say.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use rerate_rule::testing::Table;
use rerate_rule_formula::Formula;

struct Example {
    title: String,
    config: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn examples() -> Vec<Example> {
    let text = include_str!("../../../docs/formula.md").split_once("## Worked examples").unwrap().1;
    let of = |section: &str| {
        let (title, rest) = section.split_once('\n').unwrap();
        let config = rest.split_once("```json\n").unwrap().1.split_once("```").unwrap();
        let mut table = config.1.lines().filter(|line| line.starts_with('|'));
        let header = cells(table.next().unwrap());
        Example { title: title.to_owned(), config: config.0.to_owned(), header, rows: table.skip(1).map(cells).collect() }
    };
    text.split("\n### ").skip(1).map(of).collect()
}

#[test]
fn every_worked_example_charges_what_its_table_says() {
    let examples = examples();
    assert_eq!(examples.len(), 10);
    for example in examples {
        let inputs = example.header.iter().position(|name| name == "charged").unwrap();
        let columns: Vec<&str> = example.header[..inputs].iter().map(String::as_str).collect();
        let rows: Vec<Vec<&str>> = example.rows.iter().map(|row| row[..inputs].iter().map(String::as_str).collect()).collect();
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        let rated = Table::new(&columns, &rows).rate::<Formula>(&example.config).unwrap();
        assert!(rated.len() >= 2);
        for (row, rated) in example.rows.iter().zip(rated) {
            for (name, expected) in example.header.iter().zip(row).skip(inputs) {
                let found = match name.as_str() {
                    "charged" => rated.customer_cost.to_string(),
                    "reason" => rated.reason.clone(),
                    "treatment" => format!("{:?}", rated.treatment).to_lowercase(),
                    set => rated.relabelled.get(set.strip_prefix("set ").unwrap()).cloned().flatten().unwrap_or_default(),
                };
                assert_eq!(&found, expected, "{}: {name} of {row:?}", example.title);
            }
        }
    }
}
