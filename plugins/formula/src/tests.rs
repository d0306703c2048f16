//! What is refused and where, and which form a decision takes.

use proptest::prelude::*;
use rerate_rule::session::{self, NULL_CODE, PlacedAmount, Rater, TextColumn};
use rerate_rule::testing::{Table, period};
use rerate_rule::{Condition, Plan, Rounding, Test, Treatment};

use crate::Formula;

fn plan(config: &str) -> Plan {
    session::configure::<Formula>(config, &period("2026-09")).unwrap_or_else(|error| panic!("{config}: {error}"))
}

/// The complaint about an amount.
fn refused(amount: &str) -> String {
    let config = serde_json::json!({ "amount": amount }).to_string();
    let error = session::configure::<Formula>(&config, &period("2026-09")).unwrap_err();
    assert_eq!(error.pointer, "/amount", "{amount}");
    error.message
}

#[test]
fn a_mistake_is_answered_with_its_character_and_what_would_do() {
    for (amount, complaint) in [
        ("", "character 1: expected a value, found the end"),
        ("ListCosts * 2", "character 1, \"ListCosts\": there is no column ListCosts; did you mean ListCost?"),
        ("2 * listcost", "character 5, \"listcost\": there is no column listcost; did you mean ListCost?"),
        ("2 * (ListCost", "character 14: expected \")\", found the end"),
        ("ListCost ListCost", "character 10, \"ListCost\": expected an operator or the end, found ListCost"),
        ("ListCost * ", "character 12: expected a value, found the end"),
        (
            "ListCost / 3",
            "character 12, \"3\": dividing by this may never end in decimals: write div(a, b, digits) and say to how many digits, or div(a, b, digits, 'down')",
        ),
        (
            "ListCost * BilledCost",
            "character 12, \"BilledCost\": this multiplies money by money; a share is a plain number such as 0.95 or 95%",
        ),
        (
            "PricingQuantity",
            "character 1, \"PricingQuantity\": this is a quantity or a ratio, not an amount of money: multiply it by a price or a cost",
        ),
        (
            "PricingQuantity + ListCost",
            "character 19, \"ListCost\": money and a quantity do not go together here: multiply the quantity by a price",
        ),
        ("rond(ListCost, 2)", "character 1, \"rond(ListCost, 2)\": there is no function rond; did you mean round?"),
        (
            "round(ListCost)",
            "character 1, \"round(ListCost)\": expected round(number, digits) or round(number, digits, 'half-even'), found 1 arguments",
        ),
        ("round(ListCost, 19)", "character 17, \"19\": expected the number of decimals, 0 to 18"),
        ("round(ListCost, 2, 'even')", "character 20, \"'even'\": expected how to round: 'half-even', 'half-up', 'down' or 'up'"),
        ("'Übung' + ListCost", "character 11, \"ListCost\": expected text, found a number"),
        ("ServiceName", "character 1, \"ServiceName\": expected a number, found text"),
        ("ServiceName = 'a'", "character 1, \"ServiceName = 'a'\": expected a number, found a condition"),
        ("if(ListCost, 1, 2)", "character 4, \"ListCost\": expected a condition, such as ServiceName = 'Amazon EC2', found a number"),
        ("if(ListCost = null, 1, 2)", "character 4, \"ListCost = null\": nothing equals null: write is null or is not null"),
        ("if(1 < 2 < 3, 1, 2)", "character 10, \"<\": comparisons do not chain: write a < b and b < c"),
        ("if(ServiceName < 'b', 1, 2)", "character 4, \"ServiceName < 'b'\": text is compared with = and != only"),
        ("if(ServiceName = \"b\", 1, 2)", "character 18, \"\"\": text is written in single quotes: 'Compute'"),
        ("if(ServiceName = 'b, 1, 2)", "character 18, \"'\": this text does not end: a single quote is missing"),
        (
            "if(true, 1, 2, 3)",
            "character 1, \"if(true, 1, 2, 3)\": expected if(condition, value, ..., otherwise): the last value, for everything else, is missing",
        ),
        ("1e3", "character 1, \"1\": a number is plain digits, such as 12.50; no exponent and no unit follows it"),
        ("1.2.3", "character 1, \"1.2.3\": a number is written like 12.50"),
        ("ChargePeriodStart", "character 1, \"ChargePeriodStart\": ChargePeriodStart cannot be used: times are not given to rules"),
        (
            "Compute",
            "character 1, \"Compute\": there is no column Compute; a text is written in single quotes, 'Compute', a tag as Tags.key or [Tags.some-key], a bill's own column as [x_Native.name]",
        ),
        ("ListCost ; 1", "character 10, \";\": the character ';' means nothing here"),
    ] {
        assert_eq!(refused(amount), complaint, "{amount}");
    }
}

#[test]
fn a_formula_has_limits_that_it_names() {
    assert!(refused(&" ".repeat(4_001)).contains("longer than 4000 characters"));
    assert!(refused(&("(".repeat(33) + "1" + &")".repeat(33))).contains("nested more than 32 deep"));
    assert!(refused(&("-".repeat(40) + "1")).contains("nested more than 32 deep"));
    assert!(refused(&("1+".repeat(500) + "1")).contains("more than 500 parts"));
    assert!(refused("PricingQuantity * PricingQuantity * PricingQuantity * ListCost").contains("the most is 150"));
    plan(r#"{"amount":"PricingQuantity * ConsumedQuantity * ListUnitPrice"}"#);
    // Each level would double the work if a part were looked at twice.
    let nested = (0..30).fold("ServiceName".to_owned(), |inner, _| format!("case({inner}, 'a', 'b', 'c', 'd', 'e')"));
    plan(&serde_json::json!({"when": format!("{nested} = 'b'"), "amount": "1"}).to_string());
    let sums = (0..30).fold("1".to_owned(), |inner, _| format!("({inner} + 1)"));
    plan(&serde_json::json!({ "amount": sums }).to_string());
}

#[test]
fn a_configuration_is_refused_at_the_field_that_is_wrong() {
    for (config, pointer, complaint) in [
        ("{}", "", "give an amount"),
        (r#"{"when":"true"}"#, "", "give an amount"),
        (r#"{"amount":"1","cases":[{"amount":"1"}]}"#, "/cases", "not both"),
        (r#"{"cases":[{"amount":"1"},{"amount":"2"}]}"#, "/cases/0", "must be the last"),
        (r#"{"cases":[{"when":"ServiceNam = 'x'","amount":"1"}]}"#, "/cases/0/when", "character 1, \"ServiceNam\""),
        (r#"{"cases":[{"when":"true","amount":"1"},{"amount":"BiledCost"}]}"#, "/cases/1/amount", "did you mean BilledCost?"),
        (r#"{"set":{"ServiceNam":"'x'"}}"#, "/set/ServiceNam", "did you mean ServiceName?"),
        (r#"{"set":{"BilledCost":"'x'"}}"#, "/set/BilledCost", "cannot be set"),
        (r#"{"set":{"ServiceName":"ListCost"}}"#, "/set/ServiceName", "expected text, found a number"),
        (r#"{"set":{"ServiceName":"if(ListCost > 1, 'a', 'b')"}}"#, "/set/ServiceName", "text cannot depend on amounts"),
        (r#"{"when":"ListCost > 1","treatment":"drop"}"#, "/when", "a condition on amounts can only choose an amount"),
        (
            r#"{"cases":[{"when":"ListCost > 1","amount":"1"},{"when":"ServiceName = 'x'","treatment":"hold"}]}"#,
            "/cases/1",
            "put this case before /cases/0",
        ),
        (r#"{"amount":"1","round":{"digits":19}}"#, "/round/digits", "at most 18"),
        (r#"{"amount":"1","round":{"mode":"even"}}"#, "/round/mode", "half-even"),
        (r#"{"amount":"1","treatment":"delete"}"#, "/treatment", "drop"),
        (r#"{"amount":1}"#, "/amount", "expected"),
        (r#"{"ammount":"1"}"#, "/ammount", "unknown field"),
    ] {
        let error = session::configure::<Formula>(config, &period("2026-09")).unwrap_err();
        assert_eq!(error.pointer, pointer, "{config}: {error}");
        assert!(error.message.contains(complaint), "{config}: {error}");
    }
}

#[test]
fn a_condition_that_the_daemon_can_test_is_handed_to_it() {
    let filtered = plan(
        r#"{"when":"ServiceName = 'a' and ('b' != RegionId and Tags.env in ('x','y')) and starts_with([Tags.cost-center],'4') and ResourceId is not null and not x_Operation is null and contains(SkuId,'z') and ListCost > 1","amount":"ListCost * 2"}"#,
    );
    let condition = |column: &str, test| Condition { column: column.to_owned(), test };
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    assert_eq!(
        filtered.applies_to,
        [
            condition("ServiceName", Test::IsIn(list(&["a"]))),
            condition("RegionId", Test::NotIn(list(&["b"]))),
            condition("Tags.env", Test::IsIn(list(&["x", "y"]))),
            condition("Tags.cost-center", Test::StartsWith(list(&["4"]))),
            condition("ResourceId", Test::NotNull),
            condition("x_Operation", Test::NotNull),
        ]
    );
    assert_eq!(filtered.dimensions, ["SkuId"]);
    assert_eq!(filtered.reads, ["ListCost"]);

    let several = plan(r#"{"cases":[{"when":"ServiceName = 'a'","amount":"1"},{"when":"RegionId = 'b'","amount":"2"}]}"#);
    assert_eq!((several.applies_to.len(), several.dimensions), (0, vec!["ServiceName".to_owned(), "RegionId".to_owned()]));
}

/// The decision about a charge of the service `a`.
fn decided(config: &str) -> session::PlacedDecision {
    let plan = plan(config);
    let mut rater = Rater::<Formula>::open(config, &period("2026-09"), &[]).unwrap();
    let column = |name: &String| match name.as_str() {
        "ServiceName" => TextColumn { new_values: vec!["a".to_owned()], codes: vec![0] },
        _ => TextColumn { new_values: Vec::new(), codes: vec![NULL_CODE] },
    };
    rater.decide(plan.dimensions.iter().map(column).collect()).unwrap().remove(0)
}

#[test]
fn a_share_of_one_column_is_a_closed_form_and_the_rest_is_row_logic() {
    let scaled = |rate| PlacedAmount::Scaled { column: 0, rate, digits: 18, rounding: Rounding::HalfEven };
    for (amount, form) in [
        ("ListCost * 0.95", scaled(950_000_000)),
        ("ListCost", scaled(1_000_000_000)),
        ("-(ListCost / 8) + ListCost * 12.5% * 3", scaled(250_000_000)),
        ("ListCost * case(ServiceName, 'a', 1.5, 2)", scaled(1_500_000_000)),
        ("if(Tags.env = 'x', 7, ListCost + 0)", scaled(1_000_000_000)),
        ("if(ServiceName = 'a', 0, ListCost)", PlacedAmount::Zero),
        ("x_CustomerCost", PlacedAmount::Keep),
        ("case(ServiceName, 'a', null, ListCost)", PlacedAmount::Keep),
        ("ListCost * 0.0000000001", PlacedAmount::Custom),
        ("ListCost + EffectiveCost", PlacedAmount::Custom),
        ("ListCost + 1", PlacedAmount::Custom),
        ("min(ListCost, 1)", PlacedAmount::Custom),
        ("round(ListCost, 2) * 2", PlacedAmount::Custom),
        ("1", PlacedAmount::Custom),
    ] {
        assert_eq!(decided(&serde_json::json!({ "amount": amount }).to_string()).amount, form, "{amount}");
    }
}

#[test]
fn the_first_case_that_holds_is_taken_and_says_why() {
    let config = r#"{"cases":[
        {"when":"ServiceName = 'b'","treatment":"drop"},
        {"when":"ServiceName = 'a'","set":{"ServiceName":"upper(ServiceName)","ChargeClass":"null"},"treatment":"hold"},
        {"amount":"1"}]}"#;
    let decision = decided(config);
    assert_eq!((decision.amount, decision.treatment), (PlacedAmount::Keep, Treatment::Hold));
    assert_eq!(decision.relabel, [(0, None), (1, Some("A".to_owned()))]);
    assert_eq!(decision.reason, "held by formula");
    let either = decided(r#"{"cases":[{"when":"ListCost > 5","amount":"5","reason":"capped"},{"amount":"ListCost"}]}"#);
    assert_eq!(either.reason, "capped or ListCost");
    let none = decided(r#"{"when":"lower(ServiceName) = 'x'","amount":"5"}"#);
    assert_eq!((none.amount, none.reason.as_str()), (PlacedAmount::Keep, ""));
}

#[test]
fn amounts_beyond_128_bits_in_between_are_exact() {
    let table = Table::new(
        &["ListCost", "PricingQuantity", "ListUnitPrice", "BilledCost"],
        &[&[
            "99999999999999999999.999999999999999999",
            "98765432109876543210.123456789012345678",
            "12345678901234567890.987654321098765432",
            "1",
        ]],
    );
    let cost = |amount: &str| table.rate::<Formula>(&serde_json::json!({ "amount": amount }).to_string());
    // (x * y) / x is y again, and nothing was lost on the way.
    assert_eq!(
        cost("div(PricingQuantity * ListUnitPrice, PricingQuantity, 18)").unwrap()[0].customer_cost.to_string(),
        "12345678901234567890.987654321098765432"
    );
    assert_eq!(cost("PricingQuantity * ListUnitPrice").unwrap_err().to_string(), "an amount left the range");
    assert_eq!(cost("ListCost * 3 - ListCost * 2 + 0").unwrap()[0].customer_cost.to_string(), "99999999999999999999.999999999999999999");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_text_is_a_formula_or_a_complaint_within_it(text in prop_oneof![
        "\\PC{0,60}",
        "[ -~]{0,80}",
        prop::collection::vec(prop::sample::select(vec![
            "(", ")", ",", "+", "-", "*", "/", "=", "!=", "<", ">=", " and ", " or ", " not ", " in ", " is ", "null", "true", "'a'", "''", "'", "[", "]", "1", "0.5", "95%",
            "ListCost", "ServiceName", "Tags.é", "[Tags.a b]", "PricingQuantity", "if(", "case(", "coalesce(", "div(", "round(", "min(", "starts_with(", "lower(", " ",
        ]), 0..40).prop_map(|parts| parts.concat()),
    ]) {
        for field in ["amount", "when"] {
            let mut config = serde_json::json!({"amount": "1"});
            config[field] = text.clone().into();
            if let Err(error) = session::configure::<Formula>(&config.to_string(), &period("2026-09")) {
                let pointer = format!("/{field}");
                prop_assert_eq!(error.pointer, pointer);
                let at: usize = error.message.strip_prefix("character ").unwrap().split([',', ':']).next().unwrap().parse().unwrap();
                prop_assert!(at >= 1 && at <= text.chars().count() + 1, "{}", error.message);
            }
        }
    }
}
