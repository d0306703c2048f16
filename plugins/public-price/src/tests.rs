use super::*;
use rerate_rule::testing::{Rated, Table, charged};
use rerate_rule::{Treatment, session};

const CUR: [&str; 6] = ["x_SourceFormat", "x_SourceLineType", "PricingCategory", "CommitmentDiscountId", "ListCost", "BilledCost"];

/// Rates AWS lines given as line type, pricing category, commitment, list cost and billed cost.
fn cur(config: &str, lines: &[[&str; 5]]) -> Vec<Rated> {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| [&["cur2"], line.as_slice()].concat()).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    Table::new(&CUR, &rows).rate::<PublicPrice>(config).unwrap()
}

/// Treatment and customer cost of one AWS line of billed cost 7 and list cost 10.
fn line(config: &str, line_type: &str, commitment: &str) -> (Treatment, String) {
    let rated = cur(config, &[[line_type, "", commitment, "10", "7"]]);
    (rated[0].treatment, rated[0].customer_cost.to_string())
}

fn kept() -> (Treatment, String) {
    (Treatment::Keep, "7".to_owned())
}

fn dropped() -> (Treatment, String) {
    (Treatment::Drop, "0".to_owned())
}

fn public() -> (Treatment, String) {
    (Treatment::Keep, "10".to_owned())
}

#[test]
fn usage_and_covered_usage_add_up_to_the_public_price_and_only_usage_and_tax_remain() {
    let rated = cur(
        r#"{"tax":"pass"}"#,
        &[
            ["Usage", "Standard", "", "173.14", "173.14"],
            ["SavingsPlanCoveredUsage", "Committed", "arn:sp", "215.47", "215.47"],
            ["SavingsPlanNegation", "", "arn:sp", "", "-215.47"],
            ["SavingsPlanRecurringFee", "", "arn:sp", "", "150"],
            ["EdpDiscount", "", "", "", "-17.31"],
            ["Tax", "", "", "", "30"],
        ],
    );
    let line_type = |row: usize| rated[row].relabelled.get("x_LineType").cloned().flatten();
    assert_eq!(line_type(1).as_deref(), Some("Usage"));
    assert_eq!(charged(&rated[..2]).to_string(), "388.61");
    let seen: Vec<usize> = (0..rated.len()).filter(|row| rated[*row].treatment == Treatment::Keep).collect();
    assert_eq!(seen, [0, 1, 5]);
    assert_eq!(charged(&rated).to_string(), "418.61");
}

#[test]
fn aws_line_types_are_treated_as_the_table_says() {
    for (line_type, commitment, expected) in [
        ("Usage", "", public()),
        ("DiscountedUsage", "arn:ri", public()),
        ("SavingsPlanCoveredUsage", "arn:sp", public()),
        ("SavingsPlanNegation", "arn:sp", dropped()),
        ("SavingsPlanRecurringFee", "arn:sp", dropped()),
        ("SavingsPlanUpfrontFee", "arn:sp", dropped()),
        ("RIFee", "arn:ri", dropped()),
        ("Fee", "arn:ri", dropped()),
        ("Fee", "", kept()),
        ("FlatRateSubscription", "", kept()),
        ("EdpDiscount", "", dropped()),
        ("PrivateRateDiscount", "", dropped()),
        ("SppDiscount", "", dropped()),
        ("DistributorDiscount", "", dropped()),
        ("RiVolumeDiscount", "", dropped()),
        ("BundledDiscount", "", kept()),
        ("Tax", "", dropped()),
        ("Credit", "", kept()),
        ("Refund", "", kept()),
        ("Discount", "", (Treatment::Hold, "7".to_owned())),
        ("SomethingNew", "", (Treatment::Hold, "7".to_owned())),
        ("", "", (Treatment::Hold, "7".to_owned())),
    ] {
        assert_eq!(line("{}", line_type, commitment), expected, "{line_type} {commitment}");
    }
}

#[test]
fn parameters_change_what_the_table_leaves_open() {
    assert_eq!(line(r#"{"tax":"pass"}"#, "Tax", ""), kept());
    assert_eq!(line(r#"{"credits":"keep"}"#, "Credit", ""), dropped());
    assert_eq!(line(r#"{"refunds":"keep"}"#, "Refund", ""), dropped());
    assert_eq!(line(r#"{"bundled_discounts":"drop"}"#, "BundledDiscount", ""), dropped());
    let spot = |config| cur(config, &[["Usage", "Dynamic", "", "10", "3"]])[0].customer_cost.to_string();
    assert_eq!(spot("{}"), "3");
    assert_eq!(spot(r#"{"spot":"public"}"#), "10");
}

#[test]
fn marketplace_usage_keeps_its_price() {
    let table = Table::new(
        &["x_SourceFormat", "x_SourceLineType", "x_BillingEntity", "ListCost", "BilledCost"],
        &[&["cur", "Usage", "AWS Marketplace", "10", "7"], &["cur", "Usage", "AWS", "10", "7"]],
    );
    let rated = table.rate::<PublicPrice>("{}").unwrap();
    assert_eq!([rated[0].customer_cost.to_string(), rated[1].customer_cost.to_string()], ["7", "10"]);
}

#[test]
fn a_missing_list_price_never_bills_zero() {
    for list in ["", "0"] {
        let rated = cur(
            "{}",
            &[
                ["Usage", "", "", list, "7"],
                ["DiscountedUsage", "", "arn:ri", list, "0"],
                ["SavingsPlanCoveredUsage", "", "arn:sp", list, "7"],
            ],
        );
        assert_eq!(rated.iter().map(|row| row.treatment).collect::<Vec<_>>(), [Treatment::Keep, Treatment::Hold, Treatment::Keep]);
        assert_eq!(rated[0].customer_cost.to_string(), "7");
        assert_eq!(rated[0].reason, "list price: the amount is missing");
        let held = cur(r#"{"missing":"hold"}"#, &[["Usage", "", "", list, "7"]]);
        assert_eq!(held[0].treatment, Treatment::Hold);
    }
}

#[test]
fn focus_rows_are_treated_as_the_table_says() {
    let columns = [
        "x_SourceFormat",
        "ChargeCategory",
        "ChargeClass",
        "PricingCategory",
        "CommitmentDiscountId",
        "CommitmentDiscountStatus",
        "ListCost",
        "BilledCost",
    ];
    for (row, treatment, cost) in [
        (["Usage", "", "Standard", "", "", "10", "7"], Treatment::Keep, "10"),
        (["Usage", "", "Standard", "", "", "0", "7"], Treatment::Keep, "7"),
        (["Usage", "", "Committed", "c-1", "Used", "10", "0"], Treatment::Keep, "10"),
        (["Usage", "", "Committed", "c-1", "Used", "0", "0"], Treatment::Hold, "0"),
        (["Usage", "", "Committed", "c-1", "Unused", "0", "5"], Treatment::Drop, "0"),
        (["Usage", "", "Dynamic", "", "", "10", "3"], Treatment::Keep, "3"),
        (["Purchase", "", "Committed", "c-1", "", "", "100"], Treatment::Drop, "0"),
        (["Purchase", "", "Standard", "", "", "120", "100"], Treatment::Keep, "120"),
        (["Purchase", "", "Standard", "", "", "", "100"], Treatment::Keep, "100"),
        (["Tax", "", "", "", "", "", "9"], Treatment::Drop, "0"),
        (["Tax", "Correction", "", "", "", "", "9"], Treatment::Drop, "0"),
        (["Credit", "", "", "", "", "", "-9"], Treatment::Keep, "-9"),
        (["Adjustment", "", "", "", "", "", "-9"], Treatment::Keep, "-9"),
        (["Usage", "Correction", "Standard", "", "", "10", "-2"], Treatment::Keep, "-2"),
        (["Nonsense", "", "", "", "", "10", "7"], Treatment::Hold, "7"),
        (["", "", "", "", "", "10", "7"], Treatment::Hold, "7"),
    ] {
        for format in ["focus", "azure", "gcp", "oci"] {
            let row = [&[format], row.as_slice()].concat();
            let rated = Table::new(&columns, &[&row]).rate::<PublicPrice>("{}").unwrap();
            assert_eq!((rated[0].treatment, rated[0].customer_cost.to_string().as_str()), (treatment, cost), "{row:?}");
        }
    }
}

#[test]
fn covered_usage_forgets_its_commitment() {
    let rated = cur("{}", &[["DiscountedUsage", "Committed", "arn:ri", "10", "0"]]);
    let relabelled = &rated[0].relabelled;
    assert_eq!(relabelled["PricingCategory"].as_deref(), Some("Standard"));
    assert!(relabelled.iter().filter(|(column, _)| column.starts_with("CommitmentDiscount")).all(|(_, value)| value.is_none()));
    assert_eq!(relabelled.len(), WRITES.len());
}

#[test]
fn a_line_that_a_rule_added_is_left_alone() {
    let table = Table::new(&["ChargeCategory", "BilledCost"], &[&["Credit", "-5"]]);
    assert_eq!(charged(&table.rate::<PublicPrice>(r#"{"credits":"keep","missing":"hold"}"#).unwrap()).to_string(), "-5");
}

#[test]
fn a_policy_that_does_not_exist_is_refused_by_its_field() {
    let period = rerate_rule::testing::period("2026-09");
    for (config, pointer) in [(r#"{"tax":"keep"}"#, "/tax"), (r#"{"spot":true}"#, "/spot"), (r#"{"where":[]}"#, "/where")] {
        assert_eq!(session::configure::<PublicPrice>(config, &period).unwrap_err().pointer, pointer, "{config}");
    }
}
