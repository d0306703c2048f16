//! What `rerate rate` says: one JSON object with exact amounts, or tables for the eye.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::output;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rated::{RuleEffect, RuleFinding};

/// One tenant's bill.
#[derive(Serialize)]
pub(super) struct TenantReport {
    pub(super) name: String,
    pub(super) period: Period,
    pub(super) currency: String,
    pub(super) rows: u64,
    pub(super) billed: Amount,
    /// Absent when the run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) charged: Option<Amount>,
    pub(super) by_rule: Vec<RuleEffect>,
    pub(super) dropped: u64,
    pub(super) held: u64,
    pub(super) findings: Vec<RuleFinding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
}

/// What one period's bills add up to in one currency.
#[derive(Serialize)]
pub(super) struct PeriodReport {
    pub(super) period: Period,
    pub(super) currency: String,
    pub(super) rows: u64,
    pub(super) source: Amount,
    pub(super) unassigned: Amount,
}

/// An amount, or one for each currency where there are several.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Amount),
    More(BTreeMap<String, Amount>),
}

#[derive(Serialize)]
struct Report<'a> {
    tenants: &'a [TenantReport],
    unassigned: OneOrMore,
    source: OneOrMore,
    periods: &'a [PeriodReport],
}

fn by_currency(periods: &[PeriodReport], of: impl Fn(&PeriodReport) -> Amount) -> OneOrMore {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for period in periods {
        let sum = sums.entry(period.currency.clone()).or_default();
        // Each is a sum of stored amounts over one month; a hundred of them stay far inside the range.
        *sum = Amount(sum.0.saturating_add(of(period).0));
    }
    match sums.len() {
        0 => OneOrMore::One(Amount::ZERO),
        1 => OneOrMore::One(sums.into_values().next().unwrap_or_default()),
        _ => OneOrMore::More(sums),
    }
}

pub(super) fn print_json(tenants: &[TenantReport], periods: &[PeriodReport]) -> Result<(), serde_json::Error> {
    let unassigned = by_currency(periods, |p| p.unassigned);
    output::print_json(&Report { tenants, unassigned, source: by_currency(periods, |p| p.source), periods })
}

pub(super) fn print_tables(tenants: &[TenantReport], periods: &[PeriodReport]) {
    let mut rows = Vec::new();
    for period in periods {
        let of_period = tenants.iter().filter(|t| t.period == period.period && t.currency == period.currency);
        for tenant in of_period {
            let charged = tenant.charged.map_or("failed".to_owned(), output::money);
            let margin = tenant.charged.and_then(|c| c.checked_sub(tenant.billed));
            rows.push(vec![
                tenant.name.clone(),
                tenant.period.to_string(),
                tenant.currency.clone(),
                output::count(tenant.rows),
                output::money(tenant.billed),
                charged,
                margin.map_or("-".to_owned(), output::money),
                margin.zip(tenant.charged).map_or("-".to_owned(), |(m, c)| output::percent(m, c)),
            ]);
        }
        let plain = |name: &str, rows: String, amount: Amount| {
            let (dash, period, currency) = (String::new, period.period.to_string(), period.currency.clone());
            vec![name.to_owned(), period, currency, rows, output::money(amount), dash(), dash(), dash()]
        };
        rows.push(plain("(unassigned)", String::new(), period.unassigned));
        rows.push(plain("= source", output::count(period.rows), period.source));
    }
    output::print(&output::table(&["Tenant", "Period", "", ">Charges", ">Billed", ">Charged", ">Margin", ">%"], rows));

    let effects = tenants.iter().flat_map(|tenant| {
        tenant.by_rule.iter().map(|effect| {
            let (name, period) = (tenant.name.clone(), tenant.period.to_string());
            vec![name, period, effect.title.clone(), output::count(effect.rows), output::money(effect.delta)]
        })
    });
    output::print("");
    output::print(&output::table(&["Tenant", "Period", "Rule", ">Charges", ">Changed by"], effects));
    for tenant in tenants {
        for finding in &tenant.findings {
            let from = finding.rule.as_ref().map_or(String::new(), |rule| format!(" ({rule})"));
            output::print(&format!("{} {}: {}{from}", tenant.name, tenant.period, finding.message));
        }
        if let Some(failure) = &tenant.failure {
            output::print(&format!("{} {}: failed: {failure}", tenant.name, tenant.period));
        }
    }
}
