//! Adds a line to the tenant's bill: a charge or a credit, of an amount or of a percentage of its spend.
//!
//! A credit never gives back more than the matching spend of its period, and neither kind passes its cap over all its periods. What it
//! gave in earlier periods comes from the published bills, not from a counter, so that rating a period again changes nothing.

use rerate_rule::{
    About, CUSTOMER_COST, Charge, ConfigError, Earlier, Failure, Field, Kind, Line, Money, Month, Percent, Period, Plan, Rounding, Rule,
    Total, TotalRequest, Where,
};

pub struct AddedCharge;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    kind: Direction,
    description: String,
    amount: Option<Money>,
    percent: Option<Percent>,
    #[serde(default)]
    of: Where,
    periods: Option<Periods>,
    cap: Option<Money>,
    #[serde(default = "managed_services")]
    service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Direction {
    Charge,
    Credit,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Periods {
    first: Month,
    last: Option<Month>,
}

impl Periods {
    fn contain(&self, month: Month) -> bool {
        self.first <= month && self.last.is_none_or(|last| month <= last)
    }
}

fn managed_services() -> String {
    "Managed services".to_owned()
}

impl Rule for AddedCharge {
    type Config = Config;

    const ABOUT: About = About {
        name: "charge",
        version: env!("CARGO_PKG_VERSION"),
        title: "Charge or credit",
        summary: "Adds a charge or a credit: an amount a period, or a percentage of the spend.",
        config: &[
            Field::required("kind", Kind::Choice(&["charge", "credit"]), "Whether the tenant pays it or gets it."),
            Field::required("description", Kind::Text, "The line's text on the bill."),
            Field::optional("amount", Kind::Decimal, "Each period, in the currency of the bill; this or percent."),
            Field::optional("percent", Kind::Percent, "Of the period's spend that of selects; this or amount."),
            Field::defaulted(
                "of",
                Kind::Where,
                "[]",
                "The spend that percent counts and that a credit cannot exceed; all conditions hold.",
            ),
            Field::optional(
                "periods",
                Kind::Object(&[
                    Field::required("first", Kind::Month, "The first period."),
                    Field::optional("last", Kind::Month, "The last period: the first for once only, absent for no end."),
                ]),
                "Periods that get the line; absent for all.",
            ),
            Field::optional("cap", Kind::Decimal, "The most over all periods together."),
            Field::defaulted("service", Kind::Text, "\"Managed services\"", "The line's ServiceName."),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        check(config)?;
        let counts_spend = config.percent.is_some() || config.kind == Direction::Credit;
        let plan = Plan::default().history(config.cap.is_some());
        Ok(if counts_spend { plan.total(TotalRequest::grand(CUSTOMER_COST, config.of.clone())) } else { plan })
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let positive = |field: &str, value: Option<Money>| match value {
        Some(value) if value.is_negative() || value.is_zero() => {
            Err(ConfigError::at(format!("/{field}"), "must be positive; kind says whether the tenant pays or gets it"))
        }
        _ => Ok(()),
    };
    match (config.amount, config.percent) {
        (Some(_), Some(_)) => return Err(ConfigError::at("/percent", "give amount or percent, not both")),
        (None, None) => return Err(ConfigError::whole("give amount or percent")),
        _ => {}
    }
    positive("amount", config.amount)?;
    positive("percent", config.percent.map(|percent| Money::from_units(percent.share().billionths().into())))?;
    positive("cap", config.cap)?;
    if config.kind == Direction::Charge && config.amount.is_some() && !config.of.is_empty() {
        return Err(ConfigError::at("/of", "an amount that is charged does not depend on the spend"));
    }
    if config.description.trim().is_empty() {
        return Err(ConfigError::at("/description", "says nothing"));
    }
    if config.service.trim().is_empty() {
        return Err(ConfigError::at("/service", "says nothing"));
    }
    match &config.periods {
        Some(Periods { first, last: Some(last) }) if last < first => Err(ConfigError::at("/periods/last", "is before the first")),
        _ => Ok(()),
    }
}

impl Charge for AddedCharge {
    fn charge(config: Config, period: &Period, totals: &[Total], earlier: &[Earlier]) -> Result<Vec<Line>, Failure> {
        let month = period.month().map_err(Failure::invalid)?;
        if config.periods.as_ref().is_some_and(|periods| !periods.contain(month)) {
            return Ok(Vec::new());
        }
        // Spend below zero gives nothing to take a percentage of, and nothing to give back.
        let spend = totals.first().map(Total::grand).unwrap_or_default().max(Money::ZERO);
        let (asked, mut reason) = match (config.amount, config.percent) {
            (Some(amount), _) => (amount, format!("{amount} a period")),
            (None, Some(percent)) => (spend.times(percent.share(), 18, Rounding::HalfEven)?, format!("{percent} % of {spend}")),
            (None, None) => (Money::ZERO, String::new()), // refused by `plan`
        };
        let mut amount = asked;
        if config.kind == Direction::Credit && amount > spend {
            amount = spend;
            reason.push_str(", limited to the spend");
        }
        if let Some(cap) = config.cap {
            let left = cap.minus(used(config.kind, period, earlier)?)?.max(Money::ZERO);
            if amount > left {
                amount = left;
                reason.push_str(", limited by the cap");
            }
        }
        if amount.is_zero() {
            return Ok(Vec::new());
        }
        let (charge_category, amount) = match config.kind {
            Direction::Charge => ("Purchase", amount),
            Direction::Credit => ("Credit", amount.negated()),
        };
        Ok(vec![Line {
            description: config.description,
            charge_category: charge_category.to_owned(),
            service_name: config.service,
            sub_account_id: None,
            amount,
            reason,
        }])
    }
}

/// What of the cap the periods before this one used, in this currency.
fn used(kind: Direction, period: &Period, earlier: &[Earlier]) -> Result<Money, Failure> {
    let before = |earlier: &&Earlier| earlier.period.start < period.start && earlier.period.currency == period.currency;
    let mut sum = Money::ZERO;
    for earlier in earlier.iter().filter(before) {
        sum = sum.plus(earlier.amount)?;
    }
    Ok(if kind == Direction::Credit { sum.negated() } else { sum })
}

rerate_rule::export!(charge AddedCharge);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::session;
    use rerate_rule::testing::{Table, period};

    /// One month's line, as text; empty when there is none.
    fn in_month(config: &str, month: &str, spend: &Table, earlier: &[Earlier]) -> String {
        let lines = spend.charge::<AddedCharge>(config, &period(month), earlier).unwrap();
        assert!(lines.len() <= 1);
        lines.first().map_or_else(String::new, |line| line.amount.to_string())
    }

    fn spend(amount: &str) -> Table {
        Table::new(&["ServiceName", "x_CustomerCost"], &[&["Amazon EC2", amount]])
    }

    /// The amounts of months from 2026-01 on, each rated twice on the same history.
    fn over_months(config: &str, spends: &[&str]) -> Vec<String> {
        let mut earlier: Vec<Earlier> = Vec::new();
        let months = spends.iter().zip(1..).map(|(amount, month)| {
            let month = format!("2026-{month:02}");
            let charged = in_month(config, &month, &spend(amount), &earlier);
            assert_eq!(in_month(config, &month, &spend(amount), &earlier), charged, "rating a period again changes it");
            if !charged.is_empty() {
                earlier.push(Earlier { period: period(&month), amount: charged.parse().unwrap() });
            }
            charged
        });
        months.collect()
    }

    #[test]
    fn a_credit_of_one_hundred_is_used_up_by_the_spend_of_each_month_and_never_twice() {
        let config = r#"{"kind":"credit","description":"Welcome","amount":"100","cap":"100"}"#;
        assert_eq!(over_months(config, &["40", "35", "20", "40", "50"]), ["-40", "-35", "-20", "-5", ""]);
    }

    #[test]
    fn history_of_the_period_itself_or_of_later_ones_does_not_count() {
        let config = r#"{"kind":"credit","description":"Welcome","amount":"100","cap":"100"}"#;
        let published = |month: &str, amount: &str| Earlier { period: period(month), amount: amount.parse().unwrap() };
        let history = [published("2026-01", "-40"), published("2026-02", "-35"), published("2026-03", "-20")];
        assert_eq!(in_month(config, "2026-02", &spend("35"), &history), "-35");
    }

    #[test]
    fn a_credit_never_exceeds_a_spend_and_a_negative_spend_gets_none() {
        let config = r#"{"kind":"credit","description":"Support","amount":"30","of":[{"column":"ServiceName","is_in":["Amazon EC2"]}]}"#;
        assert_eq!(over_months(config, &["50", "10", "-5", "0"]), ["-30", "-10", "", ""]);
        assert_eq!(in_month(config, "2026-01", &Table::new(&["ServiceName", "x_CustomerCost"], &[&["Amazon S3", "50"]]), &[]), "");
    }

    #[test]
    fn a_percentage_counts_the_spend_that_of_selects() {
        let table = Table::new(&["ServiceName", "x_CustomerCost"], &[&["Amazon EC2", "100.10"], &["Amazon S3", "1000"]]);
        let config = r#"{"kind":"charge","description":"Care","percent":"7.5","of":[{"column":"ServiceName","is_in":["Amazon EC2"]}],"service":"Care"}"#;
        let lines = table.charge::<AddedCharge>(config, &period("2026-01"), &[]).unwrap();
        assert_eq!(lines[0].amount.to_string(), "7.5075");
        assert_eq!((lines[0].charge_category.as_str(), lines[0].service_name.as_str()), ("Purchase", "Care"));
        assert_eq!(lines[0].reason, "7.5 % of 100.1");
        let whole = r#"{"kind":"credit","description":"Bonus","percent":"10"}"#;
        assert_eq!(in_month(whole, "2026-01", &table, &[]), "-110.01");
    }

    #[test]
    fn a_cap_limits_charges_over_all_periods() {
        let config = r#"{"kind":"charge","description":"Setup","amount":"40","cap":"100"}"#;
        assert_eq!(over_months(config, &["0", "0", "0", "0"]), ["40", "40", "20", ""]);
    }

    #[test]
    fn outside_its_periods_there_is_no_line() {
        let once = r#"{"kind":"charge","description":"Setup","amount":"9","periods":{"first":"2026-02","last":"2026-02"}}"#;
        assert_eq!(over_months(once, &["0", "0", "0"]), ["", "9", ""]);
        let from = r#"{"kind":"charge","description":"Setup","amount":"9","periods":{"first":"2026-02"}}"#;
        assert_eq!(over_months(from, &["0", "0", "0"]), ["", "9", "9"]);
    }

    #[test]
    fn history_is_asked_for_only_with_a_cap_and_spend_only_where_it_counts() {
        let plan = |config: &str| session::configure::<AddedCharge>(config, &period("2026-01")).unwrap();
        let plain = plan(r#"{"kind":"charge","description":"Setup","amount":"9"}"#);
        assert!(!plain.history && plain.totals.is_empty());
        let capped = plan(r#"{"kind":"credit","description":"Setup","amount":"9","cap":"10"}"#);
        assert!(capped.history && capped.totals.len() == 1);
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused_where_it_does() {
        for (config, pointer) in [
            (r#"{"kind":"charge","description":"x"}"#, ""),
            (r#"{"kind":"charge","description":"x","amount":"1","percent":"1"}"#, "/percent"),
            (r#"{"kind":"charge","description":"x","amount":1}"#, "/amount"),
            (r#"{"kind":"charge","description":"x","amount":"-1"}"#, "/amount"),
            (r#"{"kind":"charge","description":"x","percent":"0"}"#, "/percent"),
            (r#"{"kind":"charge","description":"x","amount":"1","cap":"0"}"#, "/cap"),
            (r#"{"kind":"charge","description":" ","amount":"1"}"#, "/description"),
            (r#"{"kind":"charge","description":"x","amount":"1","service":""}"#, "/service"),
            (r#"{"kind":"charge","description":"x","amount":"1","of":[{"column":"a","not_null":true}]}"#, "/of"),
            (r#"{"kind":"charge","description":"x","amount":"1","periods":{"first":"2026-02","last":"2026-01"}}"#, "/periods/last"),
            (r#"{"kind":"charge","description":"x","amount":"1","periods":{"first":"2026"}}"#, "/periods/first"),
            (r#"{"kind":"fee","description":"x","amount":"1"}"#, "/kind"),
        ] {
            assert_eq!(session::configure::<AddedCharge>(config, &period("2026-01")).unwrap_err().pointer, pointer, "{config}");
        }
    }
}
