//! A rule is the same rule natively and in the sandbox: the same inputs through the SDK's type and through its component.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use proptest::prelude::*;
use rerate::domain::columns::Dictionary;
use rerate::domain::money::Amount;
use rerate::domain::rule as host;
use rerate::sandbox::{ConfigureError, Plugin, RuleFailure, Sandbox, SandboxOptions};
use rerate_rule::session::{self, PlacedAmount, PlacedDecision, TextColumn};
use rerate_rule::{self as sdk, Adjust, Charge, Failure, MoneyColumn, Rule};
use rerate_tests::components::{BUILTINS, FIXTURES, Set};

/// Each component is compiled once for all cases: the sandbox forgets what nobody holds.
fn load(set: &Set, name: &str) -> Arc<Plugin> {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    static LOADED: Mutex<BTreeMap<String, Arc<Plugin>>> = Mutex::new(BTreeMap::new());
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new(SandboxOptions::default()).unwrap());
    let mut loaded = LOADED.lock().unwrap();
    let load = || sandbox.load(&std::fs::read(set.component(name)).unwrap()).unwrap();
    Arc::clone(loaded.entry(name.to_owned()).or_insert_with(load))
}

fn period() -> (sdk::Period, host::BillPeriod) {
    let native = rerate_rule::testing::period("2026-09");
    let hosted = host::BillPeriod { period: "2026-09".parse().unwrap(), currency: native.currency.clone() };
    (native, hosted)
}

// The SDK's types as the host's.

fn plan(plan: sdk::Plan) -> host::Plan {
    let conditions = |conditions: Vec<sdk::Condition>| {
        let one = |condition: sdk::Condition| host::Condition {
            column: condition.column,
            test: match condition.test {
                sdk::Test::IsIn(list) => host::Test::IsIn(list),
                sdk::Test::NotIn(list) => host::Test::NotIn(list),
                sdk::Test::StartsWith(list) => host::Test::StartsWith(list),
                sdk::Test::IsNull => host::Test::IsNull,
                sdk::Test::NotNull => host::Test::NotNull,
            },
        };
        conditions.into_iter().map(one).collect::<Vec<_>>()
    };
    let total = |request: sdk::TotalRequest| host::TotalRequest {
        group_by: request.group_by,
        sums: request.sums,
        conditions: conditions(request.conditions),
    };
    host::Plan {
        dimensions: plan.dimensions,
        reads: plan.reads,
        writes: plan.writes,
        applies_to: conditions(plan.applies_to),
        totals: plan.totals.into_iter().map(total).collect(),
        history: plan.history,
    }
}

fn rounding(rounding: sdk::Rounding) -> host::Rounding {
    match rounding {
        sdk::Rounding::HalfEven => host::Rounding::HalfEven,
        sdk::Rounding::HalfUp => host::Rounding::HalfUp,
        sdk::Rounding::Down => host::Rounding::Down,
        sdk::Rounding::Up => host::Rounding::Up,
    }
}

fn decision(decision: PlacedDecision) -> host::Decision {
    host::Decision {
        change: match decision.amount {
            PlacedAmount::Keep => host::Change::Keep,
            PlacedAmount::Zero => host::Change::Zero,
            PlacedAmount::Custom => host::Change::Custom,
            PlacedAmount::Copied { column, if_missing } => host::Change::Copied {
                column,
                if_missing: match if_missing {
                    sdk::IfMissing::Keep => host::IfMissing::Keep,
                    sdk::IfMissing::Hold => host::IfMissing::Hold,
                },
            },
            PlacedAmount::Scaled { column, rate, digits, rounding: mode } => {
                host::Change::Scaled(host::Scaled { column, rate, digits, rounding: rounding(mode) })
            }
            PlacedAmount::Tiered { column, threshold, scale, below, above, digits, rounding: mode } => {
                host::Change::Tiered(host::Tiered { column, threshold, scale, below, above, digits, rounding: rounding(mode) })
            }
        },
        treatment: match decision.treatment {
            sdk::Treatment::Keep => host::Treatment::Keep,
            sdk::Treatment::Drop => host::Treatment::Drop,
            sdk::Treatment::Hold => host::Treatment::Hold,
        },
        relabel: decision.relabel,
        reason: decision.reason,
    }
}

fn text(column: &TextColumn) -> host::RuleText {
    host::RuleText { new_values: column.new_values.iter().map(String::as_str).collect::<Dictionary>(), codes: column.codes.clone() }
}

fn money(column: MoneyColumn) -> host::RuleMoney {
    match column {
        MoneyColumn::Narrow { scale, units } => host::RuleMoney::Narrow { scale, units },
        MoneyColumn::Wide { scale, limbs } => host::RuleMoney::Wide { scale, units: MoneyColumn::wide_units(&limbs).collect() },
    }
}

/// Both answers, or that both failed in the same way.
#[track_caller]
fn assert_same<T: PartialEq + std::fmt::Debug>(native: Result<T, Failure>, hosted: Result<T, RuleFailure>) {
    match (native, hosted) {
        (Ok(native), Ok(hosted)) => assert_eq!(native, hosted),
        (Err(Failure::Overflow), Err(RuleFailure::Overflow)) => {}
        (Err(Failure::Invalid(native)), Err(RuleFailure::Invalid(hosted))) => assert_eq!(native, hosted),
        (native, hosted) => panic!("natively {native:?}, in the sandbox {hosted:?}"),
    }
}

/// The configuration's plan; `None` where both refuse it with the same words.
fn same_plan<R: Rule>(plugin: &Plugin, config: &str) -> Option<host::Plan> {
    let (native, hosted) = period();
    match (session::configure::<R>(config, &native), plugin.configure(config, &hosted)) {
        (Ok(native), Ok(hosted)) => {
            let native = plan(native);
            assert_eq!(native, hosted, "{config}");
            Some(native)
        }
        (Err(native), Err(ConfigureError::Refused(hosted))) => {
            assert_eq!((native.pointer, native.message), (hosted.pointer, hosted.message), "{config}");
            None
        }
        (native, hosted) => panic!("{config}: natively {native:?}, in the sandbox {hosted:?}"),
    }
}

/// Values that rules know, some that they do not, and null.
const VOCABULARY: &[Option<&str>] = &[
    None,
    Some("cur"),
    Some("cur2"),
    Some("focus"),
    Some("azure"),
    Some("Usage"),
    Some("DiscountedUsage"),
    Some("SavingsPlanCoveredUsage"),
    Some("SavingsPlanNegation"),
    Some("SavingsPlanRecurringFee"),
    Some("RIFee"),
    Some("Fee"),
    Some("EdpDiscount"),
    Some("BundledDiscount"),
    Some("Tax"),
    Some("Credit"),
    Some("Refund"),
    Some("Purchase"),
    Some("Adjustment"),
    Some("Correction"),
    Some("Standard"),
    Some("Committed"),
    Some("Dynamic"),
    Some("Used"),
    Some("Unused"),
    Some("payer"),
    Some("tenant"),
    Some("other-tenant"),
    Some("unknown"),
    Some("AWS Marketplace"),
    Some("Amazon EC2"),
    Some("AmazonEC2"),
    Some("Ünknown ✓"),
    Some(""),
];

/// Likely values of a dimension come first, so that combinations reach beyond the first `match`.
fn values_of(dimension: &str) -> Vec<Option<&'static str>> {
    let likely: &[Option<&str>] = match dimension {
        "x_SourceFormat" => &VOCABULARY[..5],
        "x_SourceLineType" => &VOCABULARY[5..18],
        "ChargeCategory" => &[Some("Usage"), Some("Purchase"), Some("Tax"), Some("Credit"), Some("Adjustment"), None],
        "x_CommitmentOwner" => &[Some("payer"), Some("tenant"), Some("other-tenant"), Some("unknown"), None],
        _ => &[None],
    };
    [likely, likely, likely, VOCABULARY].concat()
}

/// Picks, one list a combination, as columns whose dictionary grows over two calls.
fn columns(dimensions: &[String], picks: &[Vec<usize>]) -> [Vec<TextColumn>; 2] {
    let (early, late) = picks.split_at(picks.len() / 2);
    let column = |index: usize, dimension: &String| {
        let values = values_of(dimension);
        let mut sent: Vec<&str> = Vec::new();
        [early, late].map(|picks| {
            let mut column = TextColumn::default();
            for pick in picks {
                let Some(value) = values[pick[index] % values.len()] else {
                    column.codes.push(session::NULL_CODE);
                    continue;
                };
                let known = sent.iter().position(|known| *known == value).unwrap_or_else(|| {
                    sent.push(value);
                    column.new_values.push(value.to_owned());
                    sent.len() - 1
                });
                column.codes.push(u32::try_from(known).unwrap());
            }
            column
        })
    };
    let mut calls = [Vec::new(), Vec::new()];
    for (index, dimension) in dimensions.iter().enumerate() {
        let [first, second] = column(index, dimension);
        calls[0].push(first);
        calls[1].push(second);
    }
    calls
}

fn totals(sum: i128, requests: usize) -> (Vec<sdk::Total>, Vec<host::Total>) {
    let native = sdk::Total { groups: vec![sdk::TotalGroup { keys: Vec::new(), sums: vec![sdk::Money::from_units(sum)] }] };
    let hosted = host::Total { groups: vec![host::TotalGroup { keys: Vec::new(), sums: vec![Amount(sum)] }] };
    (vec![native; requests], vec![hosted; requests])
}

fn same_decisions<R: Adjust>(plugin: &Plugin, config: &str, sum: i128, picks: &[Vec<usize>]) {
    let Some(plan) = same_plan::<R>(plugin, config) else { return };
    let (native_period, hosted_period) = period();
    let (native_totals, hosted_totals) = totals(sum, plan.totals.len());
    let mut native = session::Rater::<R>::open(config, &native_period, &native_totals).unwrap();
    let mut hosted = plugin.open(config, &hosted_period, &hosted_totals).unwrap();
    for dimensions in columns(&plan.dimensions, picks) {
        let sent: Vec<host::RuleText> = dimensions.iter().map(text).collect();
        let decided = native.decide(dimensions).map(|decisions| decisions.into_iter().map(decision).collect::<Vec<_>>());
        assert_same(decided, hosted.decide(&sent));
    }
}

fn picks() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<usize>(), 9), 2..40)
}

fn one_of(configs: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(configs)
}

const WHERE: &str = r#"{"where":[{"column":"ServiceName","starts_with":["Amazon"]},{"column":"Tags.team","not_in":["é","\u00e9x"]},{"column":"RegionId","is_null":true}]}"#;

/// Closed forms, row logic, labels, filters, and mistakes of each stage.
const FORMULAS: &[&str] = &[
    r#"{"amount":"ListCost * 95%"}"#,
    r#"{"when":"ServiceName in ('Amazon EC2','AmazonEC2') and x_SourceLineType != 'Tax' and ListCost > 3","amount":"ListCost - 1"}"#,
    r#"{"amount":"case(x_SourceLineType,'Usage',1.1,'Tax',0,null) * x_CustomerCost","round":{"digits":2,"mode":"up"}}"#,
    r#"{"cases":[{"when":"contains(lower(x_SourceFormat),'u')","treatment":"drop"},{"when":"x_CommitmentOwner is null","set":{"ServiceName":"upper(ServiceName) + '!'","ChargeClass":"null"}},{"when":"ListCost > 1 or ChargeCategory = 'Usage'","amount":"5"},{"amount":"0"}]}"#,
    r#"{"amount":"min(ListCost, coalesce(EffectiveCost, 7))","when":"not starts_with(x_SourceLineType, 'Sav', 'RI')"}"#,
    r#"{"amount":"ListCosts"}"#,
    r#"{"when":"ServiceName = 'é' and","amount":"1"}"#,
    r#"{"amount":"ListCost * BilledCost"}"#,
    r#"{"cases":[]}"#,
    r#"{"amount":1}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn exclusion_is_the_same_natively_and_in_the_sandbox(config in one_of(&[WHERE, "{}", r#"{"where":[]}"#, "[", r#"{"where":[{"column":"A","is_in":[]}]}"#]), picks in picks()) {
        same_decisions::<rerate_rule_exclusion::Exclusion>(&load(&BUILTINS, "exclusion"), config, 0, &picks);
    }

    #[test]
    fn adjustment_is_the_same_natively_and_in_the_sandbox(hundredths in -10_000_i64..50_000, picks in picks()) {
        let sign = if hundredths < 0 { "-" } else { "" };
        let config = format!(r#"{{"percent":"{sign}{}.{:02}"}}"#, hundredths.abs() / 100, hundredths.abs() % 100);
        same_decisions::<rerate_rule_adjustment::Adjustment>(&load(&BUILTINS, "adjustment"), &config, 0, &picks);
    }

    #[test]
    fn markup_is_the_same_natively_and_in_the_sandbox(
        config in one_of(&[
            r#"{"percent":"30"}"#,
            r#"{"percent":"-12.5","digits":2,"services":{"Amazon EC2":"7.0000001","AmazonEC2":"8","Ünknown ✓":"9"}}"#,
            r#"{"tiers":[{"up_to":"1000","percent":"30"},{"up_to":"2500.5","percent":"20"},{"percent":"10"}]}"#,
            r#"{"percent":30}"#,
            r#"{"percent":"1","tiers":[{"percent":"2"}]}"#,
            r#"{"percent":"1","digits":300}"#,
            r#"{"prozent":"1"}"#,
        ]),
        total in -5_000_i128..5_000, picks in picks(),
    ) {
        same_decisions::<rerate_rule_markup::Markup>(&load(&BUILTINS, "markup"), config, total * 1_000_000_000_000_000_000, &picks);
    }

    #[test]
    fn public_price_is_the_same_natively_and_in_the_sandbox(
        config in one_of(&[
            "{}",
            r#"{"spot":"public","bundled_discounts":"drop","credits":"keep","refunds":"keep","tax":"pass","missing":"hold"}"#,
            r#"{"missing":"drop"}"#,
            r#"{"tax":null}"#,
        ]),
        picks in picks(),
    ) {
        same_decisions::<rerate_rule_public_price::PublicPrice>(&load(&BUILTINS, "public-price"), config, 0, &picks);
    }

    #[test]
    fn commitments_is_the_same_natively_and_in_the_sandbox(
        config in one_of(&["{}", r#"{"owners":"both","price":"contracted"}"#, r#"{"owners":"other-tenant"}"#, r#"{"owners":"all"}"#]),
        picks in picks(),
    ) {
        same_decisions::<rerate_rule_commitments::Commitments>(&load(&BUILTINS, "commitments"), config, 0, &picks);
    }

    #[test]
    fn formula_is_the_same_natively_and_in_the_sandbox(config in one_of(FORMULAS), picks in picks()) {
        same_decisions::<rerate_rule_formula::Formula>(&load(&BUILTINS, "formula"), config, 0, &picks);
    }

    #[test]
    fn charge_is_the_same_natively_and_in_the_sandbox(
        config in one_of(&[
            r#"{"kind":"credit","description":"Welcome","amount":"100","cap":"100"}"#,
            r#"{"kind":"charge","description":"Care ✓","percent":"7.25","service":"Care","cap":"1000000"}"#,
            r#"{"kind":"credit","description":"Bonus","percent":"3","periods":{"first":"2026-09","last":"2026-09"}}"#,
            r#"{"kind":"charge","description":"Setup","amount":"0.000000000000000001","periods":{"first":"2027-01"}}"#,
            r#"{"kind":"charge","description":"","amount":"1"}"#,
        ]),
        spend in prop_oneof![-10_i128.pow(21)..10_i128.pow(21), Just(10_i128.pow(37))],
        earlier in prop::collection::vec((1_u8..=12, -10_i128.pow(20)..10_i128.pow(20)), 0..4),
    ) {
        same_lines::<rerate_rule_charge::AddedCharge>(&load(&BUILTINS, "charge"), config, spend, &earlier);
    }

    #[test]
    fn row_logic_is_the_same_natively_and_in_the_sandbox(
        config in one_of(&[r#"{"percent":"7"}"#, r#"{"percent":"-33.3333333","digits":18}"#, r#"{"percent":"900","digits":0}"#]),
        narrow in prop::collection::vec(prop_oneof![any::<i64>(), -10_000_000_000_i64..10_000_000_000], 0..50),
        scale in 0_u8..=18,
        wide in prop::collection::vec(prop_oneof![-10_i128.pow(38)..10_i128.pow(38), any::<i128>()], 0..20),
    ) {
        let plugin = load(&FIXTURES, "rounding-markup");
        same_amounts::<rounding_markup::RoundingMarkup>(&plugin, config, MoneyColumn::Narrow { scale, units: narrow });
        same_amounts::<rounding_markup::RoundingMarkup>(&plugin, config, MoneyColumn::wide(18, &wide));
    }

    #[test]
    fn a_formulas_row_logic_is_the_same_natively_and_in_the_sandbox(
        config in one_of(&[
            r#"{"amount":"max(x_CustomerCost * 1.07, 0.01)"}"#,
            r#"{"amount":"div(ListCost * PricingQuantity / 8 + ListCost, 3, 18, 'up') + 2.5 * BilledCost","round":{"digits":4,"mode":"down"}}"#,
            r#"{"amount":"if(div(EffectiveCost, ListCost, 6) < 50%, round(PricingQuantity * ListUnitPrice * 0.1234567, 9), abs(-ListCost))"}"#,
            r#"{"when":"ListCost in (1, 2) or ListCost is null","amount":"12.5"}"#,
        ]),
        narrow in prop::collection::vec(prop_oneof![any::<i64>(), -10_000_000_000_i64..10_000_000_000, 0_i64..4], 0..50),
        scale in 0_u8..=18,
        wide in prop::collection::vec(prop_oneof![-10_i128.pow(38)..10_i128.pow(38), any::<i128>(), -10_i128.pow(20)..10_i128.pow(20)], 0..20),
    ) {
        let plugin = load(&BUILTINS, "formula");
        same_amounts::<rerate_rule_formula::Formula>(&plugin, config, MoneyColumn::Narrow { scale, units: narrow });
        same_amounts::<rerate_rule_formula::Formula>(&plugin, config, MoneyColumn::wide(18, &wide));
    }
}

fn same_lines<R: Charge>(plugin: &Plugin, config: &str, spend: i128, earlier: &[(u8, i128)]) {
    let Some(plan) = same_plan::<R>(plugin, config) else { return };
    let (native_period, hosted_period) = period();
    let (native_totals, hosted_totals) = totals(spend, plan.totals.len());
    let native_earlier: Vec<sdk::Earlier> = earlier
        .iter()
        .map(|(month, units)| sdk::Earlier {
            period: rerate_rule::testing::period(&format!("2026-{month:02}")),
            amount: sdk::Money::from_units(*units),
        })
        .collect();
    let hosted_earlier: Vec<host::Earlier> = earlier
        .iter()
        .map(|(month, units)| host::Earlier {
            period: host::BillPeriod { period: format!("2026-{month:02}").parse().unwrap(), currency: "USD".to_owned() },
            amount: Amount(*units),
        })
        .collect();
    let line = |line: sdk::Line| host::Line {
        description: line.description,
        charge_category: line.charge_category,
        service_name: line.service_name,
        sub_account_id: line.sub_account_id,
        amount: Amount(line.amount.units()),
        reason: line.reason,
    };
    let native = session::charge::<R>(config, &native_period, &native_totals, &native_earlier)
        .map(|lines| lines.into_iter().map(line).collect::<Vec<_>>());
    assert_same(native, plugin.charge(config, &hosted_period, &hosted_totals, &hosted_earlier));
}

fn same_amounts<R: Adjust>(plugin: &Plugin, config: &str, column: MoneyColumn) {
    let (native_period, hosted_period) = period();
    let mut native = session::Rater::<R>::open(config, &native_period, &[]).unwrap();
    let mut hosted = plugin.open(config, &hosted_period, &[]).unwrap();
    assert_same(native.decide(Vec::new()).map(|decisions| decisions.into_iter().map(decision).collect()), hosted.decide(&[]));
    let rows = match &column {
        MoneyColumn::Narrow { units, .. } => units.len(),
        MoneyColumn::Wide { limbs, .. } => limbs.len() / 2,
    };
    let slots = vec![0; rows];
    let reads = session::configure::<R>(config, &native_period).unwrap().reads.len();
    let columns: Vec<MoneyColumn> = (0..reads).map(|by| rotated(&column, by)).collect();
    let answer = native.apply(&slots, columns.clone()).map(money);
    assert_same(answer, hosted.apply(&slots, &columns.into_iter().map(money).collect::<Vec<_>>()));
}

/// The same amounts on other rows, so that no two columns agree.
fn rotated(column: &MoneyColumn, by: usize) -> MoneyColumn {
    fn turned<N: Copy>(units: &[N], by: usize) -> Vec<N> {
        let (front, back) = units.split_at(by.min(units.len()));
        [back, front].concat()
    }
    match column {
        MoneyColumn::Narrow { scale, units } => MoneyColumn::Narrow { scale: *scale, units: turned(units, by) },
        MoneyColumn::Wide { scale, limbs } => MoneyColumn::Wide { scale: *scale, limbs: turned(limbs, 2 * by) },
    }
}

/// A component cannot ask which columns there are: what `formula` knows must be what the daemon has.
#[test]
fn a_formula_knows_the_daemons_columns() {
    use rerate::domain::charge::{Kind, RATED, RELABELLABLE, STORED, kind_of};
    use rerate_rule_formula::known::{DERIVED, NUMBERS, TEXTS, WITHHELD, WRITABLE};
    let count = NUMBERS.len() + TEXTS.len() + DERIVED.len() + WITHHELD.len();
    assert_eq!(count, STORED.len() + RATED.len());
    for (name, _) in NUMBERS {
        assert_eq!(kind_of(name), Some(Kind::Money), "{name}");
    }
    for name in TEXTS.into_iter().chain(DERIVED) {
        assert_eq!(kind_of(name), Some(Kind::Text), "{name}");
    }
    for (name, _) in WITHHELD {
        assert!(kind_of(name).is_some(), "{name}");
    }
    assert_eq!(WRITABLE, RELABELLABLE);
}
