//! Random formulas against a second evaluator: exact fractions of big integers over the same rows, written from `docs/formula.md`.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use num_bigint::BigInt;
use proptest::prelude::*;
use rerate_rule::testing::Table;
use rerate_rule_formula::Formula;

/// A fraction; the denominator is positive.
#[derive(Clone, Debug)]
struct Fraction {
    top: BigInt,
    bottom: BigInt,
}

impl Fraction {
    fn new(top: BigInt, bottom: BigInt) -> Self {
        if bottom < BigInt::from(0) { Self { top: -top, bottom: -bottom } } else { Self { top, bottom } }
    }

    /// `units * 10^-18`.
    fn of(units: i128) -> Self {
        Self::new(units.into(), BigInt::from(10).pow(18))
    }

    fn plus(&self, other: &Self) -> Self {
        Self::new(&self.top * &other.bottom + &other.top * &self.bottom, &self.bottom * &other.bottom)
    }

    fn times(&self, other: &Self) -> Self {
        Self::new(&self.top * &other.top, &self.bottom * &other.bottom)
    }

    fn over(&self, other: &Self) -> Option<Self> {
        (other.top != BigInt::from(0)).then(|| Self::new(&self.top * &other.bottom, &self.bottom * &other.top))
    }

    fn negative(&self) -> Self {
        Self::new(-&self.top, self.bottom.clone())
    }

    fn less(&self, other: &Self) -> bool {
        &self.top * &other.bottom < &other.top * &self.bottom
    }

    fn rounded(&self, digits: u32, mode: &str) -> Self {
        let step = BigInt::from(10).pow(digits);
        let negative = self.top < BigInt::from(0);
        let scaled = if negative { -&self.top * &step } else { &self.top * &step };
        let (mut whole, rest) = (&scaled / &self.bottom, &scaled % &self.bottom);
        let twice: BigInt = &rest * 2;
        let up = match mode {
            "up" => rest != BigInt::from(0),
            "down" => false,
            "half-up" => twice >= self.bottom,
            _ => twice > self.bottom || (twice == self.bottom && &whole % 2 != BigInt::from(0)),
        };
        if up {
            whole += 1;
        }
        Self::new(if negative { -whole } else { whole }, step)
    }

    /// The count of 10^-18, where it is one that an amount can hold.
    fn units(&self) -> Option<i128> {
        let scaled = &self.top * BigInt::from(10).pow(18);
        assert_eq!(&scaled % &self.bottom, BigInt::from(0));
        i128::try_from(scaled / &self.bottom).ok()
    }
}

const MODES: [&str; 4] = ["half-even", "half-up", "down", "up"];
const MONEY: [&str; 4] = ["ListCost", "EffectiveCost", "BilledCost", "x_CustomerCost"];
const TEXTS: [&str; 2] = ["ServiceName", "Tags.env"];
const VALUES: [&str; 3] = ["Amazon EC2", "AmazonS3", "prod"];

#[derive(Clone, Debug)]
enum Money {
    Column(usize),
    Literal(i64, u32),
    Quantity(Box<Self>),
    Sum(Vec<(bool, Self)>),
    Share(Box<Self>, i64, u32),
    Halves(Box<Self>, u32),
    Over(Box<Self>, i64, u32, usize),
    Rounded(Box<Self>, u32, usize),
    Least(Box<Self>, Box<Self>),
    Greatest(Box<Self>, Box<Self>),
    Absolute(Box<Self>),
    Coalesce(Box<Self>, Box<Self>),
    If(Box<Test>, Box<Self>, Box<Self>),
    Case(usize, usize, Box<Self>, Box<Self>),
}

#[derive(Clone, Debug)]
enum Test {
    Compared(&'static str, Money, Money),
    In(usize, Vec<usize>, bool),
    Equal(usize, usize, bool),
    StartsWith(usize, usize),
    Null(Money, bool),
    NullText(usize, bool),
    Both(Box<Self>, Box<Self>),
    Either(Box<Self>, Box<Self>),
    Not(Box<Self>),
}

fn decimal(units: i64, scale: u32) -> String {
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    format!("{}{whole}{}{fraction}", if units < 0 { "-" } else { "" }, if fraction.is_empty() { "" } else { "." })
}

/// In parentheses, since a negative literal is a sign and a value.
fn literal(units: i64, scale: u32) -> String {
    if units < 0 { format!("({})", decimal(units, scale)) } else { decimal(units, scale) }
}

fn fraction(units: i64, scale: u32) -> Fraction {
    Fraction::new(units.into(), BigInt::from(10).pow(scale))
}

#[derive(Debug)]
struct Charge {
    texts: [Option<usize>; 2],
    money: [Option<i128>; 4],
    quantity: Option<i128>,
}

impl Money {
    fn text(&self) -> String {
        match self {
            Self::Column(column) => MONEY[*column].to_owned(),
            Self::Literal(units, scale) => literal(*units, *scale),
            Self::Quantity(price) => format!("PricingQuantity * ({})", price.text()),
            Self::Sum(terms) => {
                let mut text = String::new();
                for (index, (minus, term)) in terms.iter().enumerate() {
                    text += match (index, minus) {
                        (0, _) => "",
                        (_, true) => " - ",
                        (_, false) => "+",
                    };
                    text += &format!("({})", term.text());
                }
                text
            }
            Self::Share(part, units, scale) => format!("{} * ({})", literal(*units, *scale), part.text()),
            Self::Halves(part, power) => format!("({}) / {}", part.text(), 2_u32.pow(*power)),
            Self::Over(part, by, digits, mode) => format!("div({}, {by}, {digits}, '{}')", part.text(), MODES[*mode]),
            Self::Rounded(part, digits, mode) => format!("round({}, {digits}, '{}')", part.text(), MODES[*mode]),
            Self::Least(a, b) => format!("MIN({}, {})", a.text(), b.text()),
            Self::Greatest(a, b) => format!("max({}, {})", a.text(), b.text()),
            Self::Absolute(part) => format!("abs({})", part.text()),
            Self::Coalesce(a, b) => format!("coalesce({}, {})", a.text(), b.text()),
            Self::If(test, a, b) => format!("if({}, {}, {})", test.text(), a.text(), b.text()),
            Self::Case(column, key, a, b) => format!("case([{}], '{}', {}, {})", TEXTS[*column], VALUES[*key], a.text(), b.text()),
        }
    }

    fn value(&self, charge: &Charge) -> Option<Fraction> {
        match self {
            Self::Column(column) => charge.money[*column].map(Fraction::of),
            Self::Literal(units, scale) => Some(fraction(*units, *scale)),
            Self::Quantity(price) => Some(Fraction::of(charge.quantity?).times(&price.value(charge)?)),
            Self::Sum(terms) => terms.iter().try_fold(fraction(0, 0), |sum, (minus, term)| {
                let value = term.value(charge)?;
                Some(sum.plus(&if *minus { value.negative() } else { value }))
            }),
            Self::Share(part, units, scale) => Some(part.value(charge)?.times(&fraction(*units, *scale))),
            Self::Halves(part, power) => part.value(charge)?.over(&fraction(1 << power, 0)),
            Self::Over(part, by, digits, mode) => Some(part.value(charge)?.over(&fraction(*by, 0))?.rounded(*digits, MODES[*mode])),
            Self::Rounded(part, digits, mode) => Some(part.value(charge)?.rounded(*digits, MODES[*mode])),
            Self::Least(a, b) => {
                let (a, b) = (a.value(charge)?, b.value(charge)?);
                Some(if b.less(&a) { b } else { a })
            }
            Self::Greatest(a, b) => {
                let (a, b) = (a.value(charge)?, b.value(charge)?);
                Some(if a.less(&b) { b } else { a })
            }
            Self::Absolute(part) => {
                let value = part.value(charge)?;
                Some(if value.less(&fraction(0, 0)) { value.negative() } else { value })
            }
            Self::Coalesce(a, b) => a.value(charge).or_else(|| b.value(charge)),
            Self::If(test, a, b) => if test.holds(charge) { a } else { b }.value(charge),
            Self::Case(column, key, a, b) => if charge.texts[*column] == Some(*key) { a } else { b }.value(charge),
        }
    }
}

impl Test {
    fn text(&self) -> String {
        let not = |not: &bool| if *not { "not " } else { "" };
        match self {
            Self::Compared(sign, a, b) => format!("({}) {sign} ({})", a.text(), b.text()),
            Self::In(column, values, negated) => {
                let values: Vec<String> = values.iter().map(|value| format!("'{}'", VALUES[*value])).collect();
                format!("{} {}in ({})", TEXTS[*column], not(negated), values.join(", "))
            }
            Self::Equal(column, value, negated) => format!("'{}' {} {}", VALUES[*value], if *negated { "!=" } else { "=" }, TEXTS[*column]),
            Self::StartsWith(column, value) => {
                format!("starts_with({}, '{}')", TEXTS[*column], &VALUES[*value][..6.min(VALUES[*value].len())])
            }
            Self::Null(money, negated) => format!("({}) is {}null", money.text(), not(negated)),
            Self::NullText(column, negated) => format!("{} is {}null", TEXTS[*column], not(negated)),
            Self::Both(a, b) => format!("({}) and ({})", a.text(), b.text()),
            Self::Either(a, b) => format!("({}) or ({})", a.text(), b.text()),
            Self::Not(test) => format!("not ({})", test.text()),
        }
    }

    fn holds(&self, charge: &Charge) -> bool {
        match self {
            Self::Compared(sign, a, b) => match (a.value(charge), b.value(charge)) {
                (Some(a), Some(b)) => match *sign {
                    "<" => a.less(&b),
                    ">=" => !a.less(&b),
                    "=" => !a.less(&b) && !b.less(&a),
                    _ => a.less(&b) || b.less(&a),
                },
                _ => *sign == "!=",
            },
            Self::In(column, values, negated) => charge.texts[*column].is_some_and(|text| values.contains(&text)) != *negated,
            Self::Equal(column, value, negated) => (charge.texts[*column] == Some(*value)) != *negated,
            Self::StartsWith(column, value) => {
                let start = &VALUES[*value][..6.min(VALUES[*value].len())];
                charge.texts[*column].is_some_and(|text| VALUES[text].starts_with(start))
            }
            Self::Null(money, negated) => money.value(charge).is_none() != *negated,
            Self::NullText(column, negated) => charge.texts[*column].is_none() != *negated,
            Self::Both(a, b) => a.holds(charge) && b.holds(charge),
            Self::Either(a, b) => a.holds(charge) || b.holds(charge),
            Self::Not(test) => !test.holds(charge),
        }
    }
}

fn money(depth: u32) -> BoxedStrategy<Money> {
    let leaf = prop_oneof![
        4 => (0..MONEY.len()).prop_map(Money::Column),
        1 => (-5_000_i64..5_000, 0_u32..5).prop_map(|(units, scale)| Money::Literal(units, scale)),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || money(depth - 1).prop_map(Box::new);
    prop_oneof![
        2 => leaf,
        3 => prop::collection::vec((any::<bool>(), money(depth - 1)), 2..4).prop_map(|mut terms| {
            terms[0].0 = false;
            Money::Sum(terms)
        }),
        3 => (inner(), -3_000_i64..3_000, 0_u32..11).prop_map(|(part, units, scale)| Money::Share(part, units, scale)),
        1 => inner().prop_map(Money::Quantity),
        1 => (inner(), 0_u32..8).prop_map(|(part, power)| Money::Halves(part, power)),
        1 => (inner(), 1_i64..40, 0_u32..19, 0_usize..4).prop_map(|(part, by, digits, mode)| Money::Over(part, by, digits, mode)),
        1 => (inner(), 0_u32..19, 0_usize..4).prop_map(|(part, digits, mode)| Money::Rounded(part, digits, mode)),
        1 => (inner(), inner()).prop_map(|(a, b)| Money::Least(a, b)),
        1 => (inner(), inner()).prop_map(|(a, b)| Money::Greatest(a, b)),
        1 => inner().prop_map(Money::Absolute),
        1 => (inner(), inner()).prop_map(|(a, b)| Money::Coalesce(a, b)),
        1 => (test(depth - 1).prop_map(Box::new), inner(), inner()).prop_map(|(test, a, b)| Money::If(test, a, b)),
        2 => (0_usize..2, 0_usize..3, inner(), inner()).prop_map(|(column, key, a, b)| Money::Case(column, key, a, b)),
    ]
    .boxed()
}

fn test(depth: u32) -> BoxedStrategy<Test> {
    let leaf = prop_oneof![
        (prop::sample::select(&["<", ">=", "=", "!="][..]), money(depth.min(1)), money(0))
            .prop_map(|(sign, a, b)| Test::Compared(sign, a, b)),
        (0_usize..2, prop::collection::vec(0_usize..3, 1..3), any::<bool>())
            .prop_map(|(column, values, not)| Test::In(column, values, not)),
        (0_usize..2, 0_usize..3, any::<bool>()).prop_map(|(column, value, not)| Test::Equal(column, value, not)),
        (0_usize..2, 0_usize..3).prop_map(|(column, value)| Test::StartsWith(column, value)),
        (money(0), any::<bool>()).prop_map(|(money, not)| Test::Null(money, not)),
        (0_usize..2, any::<bool>()).prop_map(|(column, not)| Test::NullText(column, not)),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || test(depth - 1).prop_map(Box::new);
    prop_oneof![
        3 => leaf,
        1 => (inner(), inner()).prop_map(|(a, b)| Test::Both(a, b)),
        1 => (inner(), inner()).prop_map(|(a, b)| Test::Either(a, b)),
        1 => inner().prop_map(Test::Not),
    ]
    .boxed()
}

/// Amounts as bills have them: few decimals, all eighteen, large, and ones that meet the literals.
fn amounts() -> impl Strategy<Value = Option<i128>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(0)),
        3 => (-100_000_i128..10_000_000).prop_map(|cents| Some(cents * 10_i128.pow(16))),
        3 => (-10_i128.pow(12)..10_i128.pow(14)).prop_map(|units| Some(units * 10_i128.pow(8))),
        2 => (-10_i128.pow(24)..10_i128.pow(24)).prop_map(Some),
    ]
}

fn charges() -> impl Strategy<Value = Charge> {
    let text = || prop::option::of(0_usize..3);
    // What the tenant is charged starts as what was billed.
    ([text(), text()], [amounts(), amounts(), amounts()], amounts()).prop_map(|(texts, [list, effective, billed], quantity)| Charge {
        texts,
        money: [list, effective, billed, billed],
        quantity,
    })
}

fn written(units: Option<i128>) -> String {
    units.map(|units| rerate_rule::Money::from_units(units).to_string()).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_formula_gives_what_exact_fractions_give(
        amount in money(3), when in prop::option::of(test(2)), digits in 0_u32..19, mode in 0_usize..4,
        charges in prop::collection::vec(charges(), 1..6),
    ) {
        let mut config = serde_json::json!({"amount": amount.text(), "round": {"digits": digits, "mode": MODES[mode]}});
        if let Some(when) = &when {
            config["when"] = when.text().into();
        }
        let mut columns = TEXTS.to_vec();
        columns.extend(&MONEY[..3]);
        columns.push("PricingQuantity");
        for charge in charges {
            let mut cells: Vec<String> = charge.texts.iter().map(|text| text.map(|text| VALUES[text].to_owned()).unwrap_or_default()).collect();
            cells.extend(charge.money[..3].iter().map(|units| written(*units)));
            cells.push(written(charge.quantity));
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let rated = Table::new(&columns, &[&cells]).rate::<Formula>(&config.to_string());

            let taken = when.as_ref().is_none_or(|when| when.holds(&charge));
            let value = if taken { amount.value(&charge) } else { None };
            let expected = match value {
                Some(value) => value.rounded(digits, MODES[mode]).units(),
                None => Some(charge.money[2].unwrap_or(0)),
            };
            match (rated, expected) {
                (Ok(rated), Some(expected)) => prop_assert_eq!(rated[0].customer_cost.units(), expected, "{}", config),
                // What no amount can hold, and products that are refused for their length.
                (Err(error), None) => prop_assert!(error.to_string().contains("range") || error.to_string().contains("digits"), "{error}"),
                (Err(error), Some(_)) => prop_assert!(error.to_string().contains("digits, and the most is"), "{error}: {config}"),
                (Ok(rated), None) => prop_assert!(false, "{rated:?} out of range: {config}"),
            }
        }
    }
}
