//! No service is sold below cost: a check that keeps an invoice from being issued when a margin is negative, and warns of a thin one.
//!
//! It belongs at the end of a chain, where `x_CustomerCost` is what the tenant will pay.

use rerate_rule::{
    About, CUSTOMER_COST, Check, Condition, ConfigError, Failure, Field, Finding, Kind, Money, Percent, Period, Plan, Rounding, Rule,
    Severity, Total, TotalRequest, Where,
};

const COST: &str = "BilledCost";

pub struct MarginGuard;

/// What a chain writes: `{"least_percent": "3", "tolerance": "1.00"}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    least_percent: Option<Percent>,
    #[serde(default)]
    tolerance: Money,
    #[serde(default, rename = "where")]
    conditions: Where,
}

impl Rule for MarginGuard {
    type Config = Config;

    const ABOUT: About = About {
        name: "margin-guard",
        version: env!("CARGO_PKG_VERSION"),
        title: "Margin guard",
        summary: "Blocks the invoice where a service is sold below cost, and warns of a thin margin.",
        config: &[
            Field::optional("least_percent", Kind::Percent, "Warn where less than this part of the price is margin."),
            Field::defaulted("tolerance", Kind::Decimal, "\"0\"", "A smaller loss on a service is let pass."),
            Field::conditions(),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.tolerance.is_negative() {
            return Err(ConfigError::at("/tolerance", "a loss that is let pass is not negative"));
        }
        let conditions: Vec<Condition> = config.conditions.clone().into();
        let by_service =
            TotalRequest { group_by: vec!["ServiceName".to_owned()], sums: vec![COST.to_owned(), CUSTOMER_COST.to_owned()], conditions };
        Ok(Plan::default().total(by_service))
    }
}

impl Check for MarginGuard {
    fn check(config: Config, period: &Period, totals: &[Total]) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        for service in &totals[0].groups {
            let (cost, price) = (service.sums[0], service.sums[1]);
            let name = service.keys[0].as_deref().unwrap_or("what has no service");
            let margin = price.minus(cost)?;
            if margin < config.tolerance.negated() {
                let message = format!("{name} is sold for {price} {} and costs {cost}: a loss of {}", period.currency, margin.negated());
                findings.push(Finding { severity: Severity::Block, message });
            } else if let Some(least) = config.least_percent
                && margin < price.times(least.share(), 18, Rounding::HalfEven)?
            {
                let message = format!("{name} is sold for {price} {} and costs {cost}: less than {least} % margin", period.currency);
                findings.push(Finding { severity: Severity::Warning, message });
            }
        }
        Ok(findings)
    }
}

rerate_rule::export!(check MarginGuard);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::{Table, period};

    fn findings(config: &str) -> Vec<(Severity, String)> {
        let bill = Table::new(
            &["ServiceName", "BilledCost", "x_CustomerCost"],
            &[&["AmazonEC2", "100", "99"], &["AmazonS3", "100", "101"], &["AWS Lambda", "1", "2"]],
        );
        let findings = bill.check::<MarginGuard>(config, &period("2026-09")).unwrap();
        findings.into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    #[test]
    fn a_loss_blocks_and_a_thin_margin_warns() {
        let found = findings(r#"{"least_percent":"3"}"#);
        let expected = [
            (Severity::Block, "AmazonEC2 is sold for 99 USD and costs 100: a loss of 1".to_owned()),
            (Severity::Warning, "AmazonS3 is sold for 101 USD and costs 100: less than 3 % margin".to_owned()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_loss_within_the_tolerance_passes() {
        assert_eq!(findings(r#"{"tolerance":"1"}"#), []);
    }
}
