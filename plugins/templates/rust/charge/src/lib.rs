//! A support fee: a percentage of the month's usage, and at least an amount.
//!
//! The daemon computes the totals that `plan` asks for, and adds the lines that `charge` answers to the tenant's bill.

use rerate_rule::{
    About, CUSTOMER_COST, Charge, Condition, ConfigError, Earlier, Failure, Field, Kind, Line, Money, Percent, Period, Plan, Rounding,
    Rule, Test, Total, TotalRequest,
};

pub struct {{Type}};

/// What a chain writes: `{"percent": "3", "least": "50.00"}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    percent: Percent,
    #[serde(default)]
    least: Money,
}

impl Rule for {{Type}} {
    type Config = Config;

    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        title: "{{title}}",
        summary: "Charges a percentage of the month's usage, and at least an amount.",
        config: &[
            Field::required("percent", Kind::Percent, "Of what the tenant pays for usage."),
            Field::defaulted("least", Kind::Decimal, "\"0\"", "The smallest fee of a month."),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.least.is_negative() {
            return Err(ConfigError::at("/least", "a fee is not negative"));
        }
        let usage = Condition { column: "ChargeCategory".to_owned(), test: Test::IsIn(vec!["Usage".to_owned()]) };
        Ok(Plan::default().total(TotalRequest::grand(CUSTOMER_COST, vec![usage])))
    }
}

impl Charge for {{Type}} {
    fn charge(config: Config, period: &Period, totals: &[Total], _: &[Earlier]) -> Result<Vec<Line>, Failure> {
        let usage = totals[0].grand();
        let share = usage.times(config.percent.share(), 2, Rounding::HalfEven)?;
        let amount = share.max(config.least);
        let reason = if share < config.least {
            format!("at least {} {}", config.least, period.currency)
        } else {
            format!("{} % of {usage} {}", config.percent, period.currency)
        };
        Ok(vec![Line {
            description: "Support".to_owned(),
            charge_category: "Purchase".to_owned(),
            service_name: "Support".to_owned(),
            sub_account_id: None,
            amount,
            reason,
        }])
    }
}

rerate_rule::export!(charge {{Type}});

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::{Table, period};

    fn fee(usage: &str) -> Line {
        let bill = Table::new(&["ChargeCategory", "BilledCost"], &[&["Usage", usage], &["Tax", "100"]]);
        let lines = bill.charge::<{{Type}}>(r#"{"percent":"3","least":"50"}"#, &period("2026-09"), &[]);
        lines.expect("the rule accepts its configuration").remove(0)
    }

    #[test]
    fn the_fee_is_three_percent_of_usage_and_nothing_of_tax() {
        let fee = fee("2000.50");
        assert_eq!(fee.amount.to_string(), "60.02");
        assert_eq!(fee.reason, "3 % of 2000.5 USD");
    }

    #[test]
    fn a_small_month_pays_the_least_fee() {
        assert_eq!(fee("10").amount.to_string(), "50");
    }
}
