//! A markup that is rounded down on every charge, as some distributors reconcile: row logic of an author's own.
//!
//! `markup` could do this with its closed form; this example computes each row itself, which is what a rule does that no closed form
//! describes. The arithmetic is written once for both widths of an amount.

use rerate_rule::{
    About, Adjust, CUSTOMER_COST, Combination, ConfigError, Decision, Factor, Failure, Field, Kind, Percent, Period, Plan, Rounding, Row,
    Rule, Total, Units, Where,
};

/// Position of the customer cost in the plan's `reads`.
const COST: usize = 0;

pub struct RoundingMarkup {
    factor: Factor,
    digits: u8,
    reason: String,
}

/// What a chain writes: `{"percent": "7", "digits": 2}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    percent: Percent,
    #[serde(default = "cents")]
    digits: u8,
    #[serde(default, rename = "where")]
    conditions: Where,
}

const fn cents() -> u8 {
    2
}

impl Rule for RoundingMarkup {
    type Config = Config;

    const ABOUT: About = About {
        name: "rounding-markup",
        version: env!("CARGO_PKG_VERSION"),
        title: "Rounding markup",
        summary: "Adds a percentage and rounds every charge down.",
        config: &[
            Field::required("percent", Kind::Percent, "Added to every charge: \"7\" charges 1.07 times the cost."),
            Field::defaulted("digits", Kind::UpTo(18), "2", "Decimals that are left of each charge."),
            Field::conditions(),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.digits > 18 {
            return Err(ConfigError::at("/digits", "at most 18"));
        }
        Ok(Plan::default().reads(&[CUSTOMER_COST]).applies_to(config.conditions.clone()))
    }
}

impl Adjust for RoundingMarkup {
    fn open(config: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        let reason = format!("{} % more, rounded down to {} digits", config.percent, config.digits);
        Ok(Self { factor: Factor::of(config.percent.on_top()), digits: config.digits, reason })
    }

    fn decide(&mut self, _: &Combination<'_>) -> Decision {
        Decision::custom(self.reason.clone())
    }

    fn apply<N: Units>(&self, _: u32, row: &Row<'_, N>) -> Result<Option<N>, Failure> {
        let Some(cost) = row.get(COST) else { return Ok(None) };
        Ok(Some(row.times(cost, &self.factor, self.digits, Rounding::Down)?))
    }
}

rerate_rule::export!(adjust RoundingMarkup);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::Table;

    #[test]
    fn every_charge_is_marked_up_and_rounded_towards_zero() {
        let bill = Table::new(&["BilledCost"], &[&["1"], &["0.13"], &["-0.13"], &["0.0000000007"], &["1000000000000.129"]]);
        let rated = bill.rate::<RoundingMarkup>(r#"{"percent":"7"}"#).unwrap();
        let costs: Vec<String> = rated.iter().map(|row| row.customer_cost.to_string()).collect();
        assert_eq!(costs, ["1.07", "0.13", "-0.13", "0", "1070000000000.13"]);
    }

    #[test]
    fn digits_that_no_amount_has_are_refused() {
        let bill = Table::new(&["BilledCost"], &[&["1"]]);
        assert_eq!(bill.rate::<RoundingMarkup>(r#"{"percent":"7","digits":19}"#).unwrap_err().to_string(), "/digits: at most 18");
    }
}
