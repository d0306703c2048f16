//! A percentage on top of every charge, and services that are free of charge.
//!
//! The daemon asks `plan` which columns the rule looks at, then `decide` once for each combination of their values, not once for each
//! charge, and computes the amounts itself.

use rerate_rule::{
    About, Adjust, CUSTOMER_COST, Combination, ConfigError, Decision, Failure, Field, Kind, Percent, Period, Plan, Rule, Total,
};

pub struct {{Type}} {
    config: Config,
}

/// What a chain writes: `{"percent": "5", "free": ["AWS Support"]}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    percent: Percent,
    #[serde(default)]
    free: Vec<String>,
}

impl Rule for {{Type}} {
    type Config = Config;

    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        title: "{{title}}",
        summary: "Adds a percentage to every charge, except for services that are free.",
        config: &[
            Field::required("percent", Kind::Percent, "Added to every charge: \"5\" charges 1.05 times the cost."),
            Field::defaulted("free", Kind::List(&Kind::Text), "[]", "Services that the tenant does not pay for."),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.free.iter().any(String::is_empty) {
            return Err(ConfigError::at("/free", "a service has a name"));
        }
        Ok(Plan::default().dimensions(&["ServiceName"]).reads(&[CUSTOMER_COST]))
    }
}

impl Adjust for {{Type}} {
    fn open(config: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        Ok(Self { config })
    }

    fn decide(&mut self, charge: &Combination<'_>) -> Decision {
        let service = charge.get("ServiceName").unwrap_or_default();
        if self.config.free.iter().any(|free| free == service) {
            return Decision::zero(format!("{service} is free"));
        }
        let percent = self.config.percent;
        Decision::scaled(CUSTOMER_COST, percent.on_top(), 10, format!("{percent} % more"))
    }
}

rerate_rule::export!(adjust {{Type}});

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::{Table, charged};

    const CONFIG: &str = r#"{"percent":"5","free":["AWS Support"]}"#;

    #[test]
    fn every_charge_costs_five_percent_more_and_support_nothing() {
        let bill = Table::new(&["ServiceName", "BilledCost"], &[&["AmazonEC2", "10"], &["AmazonS3", "-0.2"], &["AWS Support", "100"]]);
        let rated = bill.rate::<{{Type}}>(CONFIG).expect("the rule accepts its configuration");
        let costs: Vec<String> = rated.iter().map(|charge| charge.customer_cost.to_string()).collect();
        assert_eq!(costs, ["10.5", "-0.21", "0"]);
        assert_eq!(charged(&rated).to_string(), "10.29");
        assert_eq!(rated[2].reason, "AWS Support is free");
    }

    #[test]
    fn a_percentage_is_written_as_text() {
        let bill = Table::new(&["BilledCost"], &[&["1"]]);
        let error = bill.rate::<{{Type}}>(r#"{"percent":5}"#).expect_err("a JSON number is no exact decimal");
        assert!(error.to_string().starts_with("/percent: "), "{error}");
    }
}
