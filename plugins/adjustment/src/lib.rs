//! The tenant sees a percentage of the cost: `75.0` charges three quarters.

use rerate_rule::{
    About, Adjust, CUSTOMER_COST, Combination, ConfigError, Decision, Failure, Field, Kind, Percent, Period, Plan, Rate, Rule, Total, Where,
};

pub struct Adjustment {
    share: Rate,
    reason: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    percent: Percent,
    #[serde(default, rename = "where")]
    conditions: Where,
}

impl Rule for Adjustment {
    type Config = Config;

    const ABOUT: About = About {
        name: "adjustment",
        version: env!("CARGO_PKG_VERSION"),
        title: "Adjustment",
        summary: "Charges the tenant a percentage of the matching cost.",
        config: &[
            Field::required("percent", Kind::Percent, "What the tenant sees of the cost: \"75.0\" is three quarters."),
            Field::conditions(),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.percent.share().billionths() < 0 {
            return Err(ConfigError::at("/percent", "a negative percentage would turn costs into credits"));
        }
        Ok(Plan::default().reads(&[CUSTOMER_COST]).applies_to(config.conditions.clone()))
    }
}

impl Adjust for Adjustment {
    fn open(config: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        Ok(Self { share: config.percent.share(), reason: format!("{} % of the cost", config.percent) })
    }

    fn decide(&mut self, _: &Combination<'_>) -> Decision {
        Decision::scaled(CUSTOMER_COST, self.share, 18, self.reason.clone())
    }
}

rerate_rule::export!(adjust Adjustment);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::session;
    use rerate_rule::testing::{Table, period};

    #[test]
    fn seventy_five_percent_of_a_cost_is_three_quarters_of_it_exactly() {
        let table = Table::new(
            &["ServiceName", "x_CustomerCost"],
            &[&["Amazon EC2", "0.0000000007"], &["Amazon S3", "8"], &["Amazon EC2", "-4"], &["Amazon EC2", ""]],
        );
        let rated = table.rate::<Adjustment>(r#"{"percent":"75.0","where":[{"column":"ServiceName","is_in":["Amazon EC2"]}]}"#).unwrap();
        assert_eq!(rated.iter().map(|row| row.customer_cost.to_string()).collect::<Vec<_>>(), ["0.000000000525", "8", "-3", "0"]);
        assert_eq!(rated[0].reason, "75 % of the cost");
    }

    #[test]
    fn a_percentage_that_is_negative_or_not_text_is_refused() {
        for config in [r#"{"percent":"-1"}"#, r#"{"percent":75.0}"#, r#"{"percent":"75%"}"#, r#"{"percent":"0.12345678"}"#] {
            assert_eq!(session::configure::<Adjustment>(config, &period("2026-09")).unwrap_err().pointer, "/percent", "{config}");
        }
    }
}
