//! Warns where a service is sold for less than it costs.
//!
//! The daemon computes the totals that `plan` asks for, over the charges as the rules before this one left them, and shows the findings
//! that `check` answers; one of `Severity::Block` keeps the invoice from being issued.

use rerate_rule::{
    About, CUSTOMER_COST, Check, ConfigError, Failure, Field, Finding, Kind, Money, Period, Plan, Rule, Severity, Total, TotalRequest,
};

pub struct {{Type}};

/// What a chain writes: `{"tolerance": "1.00"}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    tolerance: Money,
}

impl Rule for {{Type}} {
    type Config = Config;

    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        title: "{{title}}",
        summary: "Warns where a service is sold for less than it costs.",
        config: &[Field::defaulted("tolerance", Kind::Decimal, "\"0\"", "A smaller loss on a service is nobody's business.")],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.tolerance.is_negative() {
            return Err(ConfigError::at("/tolerance", "a loss that is tolerated is not negative"));
        }
        let by_service = TotalRequest {
            group_by: vec!["ServiceName".to_owned()],
            sums: vec!["BilledCost".to_owned(), CUSTOMER_COST.to_owned()],
            conditions: Vec::new(),
        };
        Ok(Plan::default().total(by_service))
    }
}

impl Check for {{Type}} {
    fn check(config: Config, period: &Period, totals: &[Total]) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        for service in &totals[0].groups {
            let (cost, price) = (service.sums[0], service.sums[1]);
            let loss = cost.minus(price)?;
            if loss > config.tolerance {
                let name = service.keys[0].as_deref().unwrap_or("no service");
                let message = format!("{name} costs {cost} and is sold for {price} {}", period.currency);
                findings.push(Finding { severity: Severity::Warning, message });
            }
        }
        Ok(findings)
    }
}

rerate_rule::export!(check {{Type}});

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::{Table, period};

    #[test]
    fn a_service_below_cost_is_found_and_a_tolerated_loss_is_not() {
        let bill = Table::new(
            &["ServiceName", "BilledCost", "x_CustomerCost"],
            &[&["AmazonEC2", "10", "8"], &["AmazonS3", "1", "0.5"], &["AWS Lambda", "1", "2"]],
        );
        let findings = bill.check::<{{Type}}>(r#"{"tolerance":"1"}"#, &period("2026-09")).expect("the rule accepts its configuration");
        let found: Vec<_> = findings.into_iter().map(|finding| (finding.severity, finding.message)).collect();
        assert_eq!(found, [(Severity::Warning, "AmazonEC2 costs 10 and is sold for 8 USD".to_owned())]);
    }
}
