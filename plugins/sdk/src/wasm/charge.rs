//! Charging and checking: one call each.

use super::charging::exports::rerate::rule::charge as wit_charge;
use super::checking::exports::rerate::rule::check as wit_check;
use super::describing::rerate::rule::types;
use super::{Component, convert};
use crate::{Charge, Check, Earlier, Failure, Severity, session};

impl<R: Charge> wit_charge::Guest for Component<R> {
    fn charge(
        config: String,
        period: types::Period,
        totals: Vec<types::Total>,
        earlier: Vec<types::Earlier>,
    ) -> Result<Vec<wit_charge::Line>, types::Failure> {
        let totals = convert::totals(totals).map_err(convert::failure)?;
        let earlier: Vec<Earlier> = earlier.into_iter().map(one_earlier).collect::<Result<_, _>>().map_err(convert::failure)?;
        let lines = session::charge::<R>(&config, &convert::period(period), &totals, &earlier).map_err(convert::failure)?;
        let line = |line: crate::Line| wit_charge::Line {
            description: line.description,
            charge_category: line.charge_category,
            service_name: line.service_name,
            sub_account_id: line.sub_account_id,
            amount: line.amount.to_string(),
            reason: line.reason,
        };
        Ok(lines.into_iter().map(line).collect())
    }
}

fn one_earlier(earlier: types::Earlier) -> Result<Earlier, Failure> {
    let amount = earlier.amount.parse().map_err(|error| Failure::invalid(format!("an earlier amount: {error}")))?;
    Ok(Earlier { period: convert::period(earlier.period), amount })
}

impl<R: Check> wit_check::Guest for Component<R> {
    fn check(config: String, period: types::Period, totals: Vec<types::Total>) -> Result<Vec<wit_check::Finding>, types::Failure> {
        let totals = convert::totals(totals).map_err(convert::failure)?;
        let findings = session::check::<R>(&config, &convert::period(period), &totals).map_err(convert::failure)?;
        let finding = |finding: crate::Finding| wit_check::Finding {
            severity: match finding.severity {
                Severity::Info => wit_check::Severity::Info,
                Severity::Warning => wit_check::Severity::Warning,
                Severity::Block => wit_check::Severity::Block,
            },
            message: finding.message,
        };
        Ok(findings.into_iter().map(finding).collect())
    }
}
