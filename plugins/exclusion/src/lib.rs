//! Drops charges: the tenant is not charged and does not see them.

use rerate_rule::{About, Adjust, Combination, ConfigError, Decision, Failure, Field, Period, Plan, Rule, Total, Where};

pub struct Exclusion;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(rename = "where")]
    conditions: Where,
}

impl Rule for Exclusion {
    type Config = Config;

    const ABOUT: About = About {
        name: "exclusion",
        version: env!("CARGO_PKG_VERSION"),
        title: "Exclusion",
        summary: "Drops the matching charges: the tenant is not charged and does not see them.",
        config: &[Field::required("where", rerate_rule::Kind::Where, "Charges to drop; all conditions hold.")],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        if config.conditions.is_empty() {
            return Err(ConfigError::at("/where", "no condition would drop every charge"));
        }
        Ok(Plan::default().applies_to(config.conditions.clone()))
    }
}

impl Adjust for Exclusion {
    fn open(_: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn decide(&mut self, _: &Combination<'_>) -> Decision {
        Decision::drop("excluded")
    }
}

rerate_rule::export!(adjust Exclusion);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::{Table, charged};
    use rerate_rule::{Treatment, session};

    #[test]
    fn matching_charges_are_dropped_and_the_others_are_not_touched() {
        let table = Table::new(
            &["ServiceName", "Tags.team", "BilledCost"],
            &[&["Amazon EC2", "web", "10"], &["Amazon EC2", "", "20"], &["AWS Support", "web", "40"]],
        );
        let config = r#"{"where":[{"column":"ServiceName","starts_with":["Amazon"]},{"column":"Tags.team","not_null":true}]}"#;
        let rated = table.rate::<Exclusion>(config).unwrap();
        assert_eq!(rated.iter().map(|row| row.treatment).collect::<Vec<_>>(), [Treatment::Drop, Treatment::Keep, Treatment::Keep]);
        assert_eq!(charged(&rated).to_string(), "60");
    }

    #[test]
    fn a_configuration_without_conditions_is_refused() {
        let period = rerate_rule::testing::period("2026-09");
        for (config, pointer) in [(r#"{"where":[]}"#, "/where"), ("{}", ""), (r#"{"where":[],"what":1}"#, "/what")] {
            assert_eq!(session::configure::<Exclusion>(config, &period).unwrap_err().pointer, pointer, "{config}");
        }
    }
}
