//! Adds a percentage to what the tenant is charged; a negative one is a discount.
//!
//! The percentage of a charge is its service's, if `services` names it, else the tier's into which the tenant's monthly total falls, else
//! `percent`; a charge with none is left alone. Tiers price by volume: one tier applies to everything, not a slice each.

use std::collections::BTreeMap;

use rerate_rule::{
    About, Adjust, CUSTOMER_COST, Combination, ConfigError, Decision, Failure, Field, Kind, Money, Percent, Period, Plan, Rule, Total,
    TotalRequest, Where,
};

const SERVICE_NAME: &str = "ServiceName";
const SERVICE_CODE: &str = "x_ServiceCode";
const DIGITS_MAX: u8 = 18;

pub struct Markup {
    services: BTreeMap<String, Percent>,
    other: Option<Percent>,
    digits: u8,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    percent: Option<Percent>,
    #[serde(default)]
    services: BTreeMap<String, Percent>,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default = "all_digits")]
    digits: u8,
    #[serde(default, rename = "where")]
    conditions: Where,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    up_to: Option<Money>,
    percent: Percent,
}

const fn all_digits() -> u8 {
    DIGITS_MAX
}

impl Rule for Markup {
    type Config = Config;

    const ABOUT: About = About {
        name: "markup",
        version: env!("CARGO_PKG_VERSION"),
        title: "Markup",
        summary: "Adds a percentage to what the tenant is charged, by service or by the size of the bill; a negative one is a discount.",
        config: &[
            Field::optional("percent", Kind::Percent, "Added to every charge: \"30\" charges 1.3 times the cost."),
            Field::defaulted("services", Kind::Map(&Kind::Percent), "{}", "Percentages by service name or code, before any other."),
            Field::defaulted(
                "tiers",
                Kind::List(&Kind::Object(&[
                    Field::optional("up_to", Kind::Decimal, "The largest monthly total of this tier; absent in the last."),
                    Field::required("percent", Kind::Percent, "Added to every charge of a month in this tier."),
                ])),
                "[]",
                "Percentages by the tenant's monthly total, ascending; instead of percent.",
            ),
            Field::defaulted("digits", Kind::UpTo(DIGITS_MAX), "18", "Decimals to which each charge is rounded, half to even."),
            Field::conditions(),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        check(config)?;
        let mut plan = Plan::default().reads(&[CUSTOMER_COST]).applies_to(config.conditions.clone());
        if !config.services.is_empty() {
            plan = plan.dimensions(&[SERVICE_NAME, SERVICE_CODE]);
        }
        if !config.tiers.is_empty() {
            plan = plan.total(TotalRequest::grand(CUSTOMER_COST, []));
        }
        Ok(plan)
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    match (config.percent, config.tiers.as_slice()) {
        (Some(_), [_, ..]) => return Err(ConfigError::at("/tiers", "give percent or tiers, not both")),
        (None, []) if config.services.is_empty() => return Err(ConfigError::whole("give percent, services or tiers")),
        _ => {}
    }
    if config.digits > DIGITS_MAX {
        return Err(ConfigError::at("/digits", "at most 18"));
    }
    let tiers = config.tiers.iter().enumerate().map(|(index, tier)| (format!("/tiers/{index}/percent"), tier.percent));
    let services =
        config.services.iter().map(|(name, percent)| (format!("/services/{}", name.replace('~', "~0").replace('/', "~1")), *percent));
    for (pointer, percent) in config.percent.map(|percent| ("/percent".to_owned(), percent)).into_iter().chain(services).chain(tiers) {
        if percent.on_top().billionths() < 0 {
            return Err(ConfigError::at(pointer, "a discount of more than 100 % would turn costs into credits"));
        }
    }
    let last = config.tiers.len().saturating_sub(1);
    let mut below: Option<Money> = None;
    for (index, tier) in config.tiers.iter().enumerate() {
        let complaint = match tier.up_to {
            Some(_) if index == last => "the last tier has no limit: leave up_to out",
            None if index < last => "only the last tier has no limit",
            Some(up_to) if below.is_some_and(|below| up_to <= below) => "limits must ascend",
            _ => {
                below = tier.up_to;
                continue;
            }
        };
        return Err(ConfigError::at(format!("/tiers/{index}/up_to"), complaint));
    }
    Ok(())
}

impl Adjust for Markup {
    fn open(config: Config, _: &Period, totals: &[Total]) -> Result<Self, Failure> {
        let total = totals.first().map(Total::grand).unwrap_or_default();
        let tier = config.tiers.iter().find(|tier| tier.up_to.is_none_or(|up_to| total <= up_to)).map(|tier| tier.percent);
        Ok(Self { services: config.services, other: config.percent.or(tier), digits: config.digits })
    }

    fn decide(&mut self, charge: &Combination<'_>) -> Decision {
        // Without services the plan has no dimensions to look at.
        let columns: &[&str] = if self.services.is_empty() { &[] } else { &[SERVICE_NAME, SERVICE_CODE] };
        let service = columns.iter().find_map(|column| self.services.get(charge.get(column)?));
        match service.copied().or(self.other) {
            Some(percent) => Decision::scaled(CUSTOMER_COST, percent.on_top(), self.digits, format!("markup of {percent} %")),
            None => Decision::keep("no markup for this service"),
        }
    }
}

rerate_rule::export!(adjust Markup);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::session;
    use rerate_rule::testing::{Table, charged, period};

    fn bill() -> Table {
        Table::new(
            &["ServiceName", "x_ServiceCode", "BilledCost"],
            &[&["Amazon CloudFront", "AmazonCloudFront", "100"], &["Amazon EC2", "AmazonEC2", "50"], &["", "", "10"]],
        )
    }

    fn costs(config: &str) -> Vec<String> {
        bill().rate::<Markup>(config).unwrap().iter().map(|row| row.customer_cost.to_string()).collect()
    }

    #[test]
    fn a_markup_of_thirty_percent_is_public_price_times_one_point_three_and_a_discount_of_twenty_times_point_eight() {
        assert_eq!(costs(r#"{"percent":"30"}"#), ["130", "65", "13"]);
        assert_eq!(costs(r#"{"percent":"-20"}"#), ["80", "40", "8"]);
    }

    #[test]
    fn a_service_is_found_by_its_name_or_by_its_code() {
        assert_eq!(costs(r#"{"percent":"10","services":{"AmazonCloudFront":"20","Amazon EC2":"0"}}"#), ["120", "50", "11"]);
        assert_eq!(costs(r#"{"services":{"Amazon EC2":"100"}}"#), ["100", "100", "10"]);
    }

    #[test]
    fn one_tier_prices_the_whole_month_except_services_of_their_own() {
        let config = |limit: &str| {
            format!(r#"{{"tiers":[{{"up_to":"{limit}","percent":"10"}},{{"percent":"5"}}],"services":{{"Amazon EC2":"0"}}}}"#)
        };
        assert_eq!(costs(&config("160")), ["110", "50", "11"]);
        assert_eq!(costs(&config("159.99")), ["105", "50", "10.5"]);
    }

    #[test]
    fn each_charge_is_rounded_to_the_digits_asked_for() {
        let table = Table::new(&["BilledCost"], &[&["0.0000000007"], &["1.115"], &["-1.115"]]);
        let rated = table.rate::<Markup>(r#"{"percent":"0","digits":2}"#).unwrap();
        assert_eq!(rated.iter().map(|row| row.customer_cost.to_string()).collect::<Vec<_>>(), ["0", "1.12", "-1.12"]);
        let exact = table.rate::<Markup>(r#"{"percent":"7"}"#).unwrap();
        assert_eq!(charged(&exact).to_string(), "0.000000000749");
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused_where_it_does() {
        for (config, pointer) in [
            ("{}", ""),
            (r#"{"percent":"1","tiers":[{"percent":"1"}]}"#, "/tiers"),
            (r#"{"percent":"-101"}"#, "/percent"),
            (r#"{"services":{"a/b":"-101"}}"#, "/services/a~1b"),
            (r#"{"services":{"EC2":1}}"#, "/services/EC2"),
            (r#"{"tiers":[{"up_to":"1","percent":"1"}]}"#, "/tiers/0/up_to"),
            (r#"{"tiers":[{"percent":"1"},{"percent":"1"}]}"#, "/tiers/0/up_to"),
            (r#"{"tiers":[{"up_to":"2","percent":"1"},{"up_to":"2","percent":"1"},{"percent":"1"}]}"#, "/tiers/1/up_to"),
            (r#"{"tiers":[{"upto":"2","percent":"1"}]}"#, "/tiers/0/upto"),
            (r#"{"percent":"1","digits":19}"#, "/digits"),
        ] {
            assert_eq!(session::configure::<Markup>(config, &period("2026-09")).unwrap_err().pointer, pointer, "{config}");
        }
    }
}
