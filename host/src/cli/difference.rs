//! Differences for the eye: what a preview, a comparison of two versions or a replay against another one prints.

use std::cmp::Reverse;

use super::output;
use crate::domain::money::Amount;
use crate::jobs::compare::{Counts, Difference, LineDifference, RuleDifference, ServiceDifference};
use crate::jobs::preview::{MonthDifference, PreviewResult};

/// Services that are shown; `--json` has all.
const SERVICES: usize = 12;

/// Characters of a description in a table.
const TEXT: usize = 48;

/// An amount with its sign, so that a table of changes reads as one.
fn signed(amount: Amount) -> String {
    let text = output::money(amount);
    if amount.0 > 0 { format!("+{text}") } else { text }
}

/// As many decimals as it takes to see that it is not zero.
pub(super) fn change(amount: Amount) -> String {
    let shown = signed(amount);
    if amount.0 != 0 && shown.trim_start_matches(['+', '-']) == "0.00" {
        format!("{}{amount}", if amount.0 > 0 { "+" } else { "" })
    } else {
        shown
    }
}

fn optional(amount: Option<Amount>) -> String {
    amount.map_or_else(|| "-".to_owned(), output::money)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TEXT { text.to_owned() } else { text.chars().take(TEXT - 1).chain(['…']).collect() }
}

pub(super) fn print_preview(result: &PreviewResult, lines: usize) {
    if result.months.is_empty() {
        output::print(&nothing_changes(result));
        return;
    }
    let mut months: Vec<&MonthDifference> = result.months.iter().collect();
    months.sort_by_key(|month| Reverse(month.delta.map_or(u128::MAX, |delta| delta.0.unsigned_abs())));
    let rows = months.iter().map(|month| {
        let counts = month.difference.as_ref().map(|difference| difference.counts);
        let delta = month.delta.map_or_else(|| "fails".to_owned(), change);
        let share = month.delta.zip(month.before).map_or_else(|| "-".to_owned(), |(delta, before)| output::percent(delta, before));
        vec![
            month.tenant.clone(),
            month.period.to_string(),
            month.currency.clone(),
            optional(month.before),
            optional(month.after),
            delta,
            share,
            counts.map_or_else(|| "-".to_owned(), |counts| output::count(counts.changed + counts.added_changed)),
        ]
    });
    output::print(&output::table(&["Tenant", "Period", "", ">Now", ">Then", ">Change", ">%", ">Lines"], rows));
    for month in &months {
        if let Some(failure) = &month.failure {
            output::print(&format!("{} {} fails: {failure}", month.tenant, month.period));
        }
    }
    for total in &result.totals {
        let (before, after) = (output::money(total.before), output::money(total.after));
        output::print(&format!("\nall together: {before} -> {after} {}, {}", total.currency, change(total.delta)));
        print_rules(&total.by_rule);
        print_services(&total.by_service);
    }
    let mut top: Vec<&LineDifference> = months.iter().filter_map(|month| month.difference.as_ref()).flat_map(|d| &d.top).collect();
    top.sort_by_key(|line| Reverse(line.delta.0.unsigned_abs()));
    top.truncate(lines);
    print_lines(&top);
    for month in &months {
        if let Some(difference) = &month.difference {
            print_findings(&format!("{} {}: ", month.tenant, month.period), difference);
        }
    }
    let unsaid = [
        (result.untouched, "months do not have it in their chain"),
        (result.already, "months have it just so already"),
        (result.same, "months come out the same"),
        (result.skipped.len() as u64, "months or tenants cannot be previewed"),
    ];
    for (count, what) in unsaid.into_iter().filter(|(count, _)| *count > 0) {
        output::complain(&format!("{} {what}", output::count(count)));
    }
    for skipped in result.skipped.iter().take(5) {
        let period = skipped.period.map_or_else(String::new, |period| format!(" {period}"));
        output::complain(&format!("  {}{period}: {}", skipped.tenant, skipped.reason));
    }
}

fn nothing_changes(result: &PreviewResult) -> String {
    match (result.already, result.untouched) {
        (0, _) => "nothing changes: no chain of these months has it".to_owned(),
        (_, 0) => "nothing changes: these months were rated just so already".to_owned(),
        (already, untouched) => {
            let [already, untouched] = [already, untouched].map(output::count);
            format!("nothing changes: {already} months were rated just so already, {untouched} do not have it in their chain")
        }
    }
}

/// One month's difference by itself.
pub(super) fn print_one(title: &str, difference: &Difference) {
    let (before, after) = (output::money(difference.before), output::money(difference.after));
    output::print(&format!("{title}: {before} -> {after}, {}", change(difference.delta)));
    output::print(&counted(&difference.counts));
    if difference.counts.is_same() {
        return;
    }
    print_rules(&difference.by_rule);
    print_services(&difference.by_service);
    print_lines(&difference.top.iter().collect::<Vec<_>>());
    print_findings("", difference);
}

fn counted(counts: &Counts) -> String {
    if counts.is_same() {
        return format!("the same: {} charges", output::count(counts.charges));
    }
    format!(
        "{} of {} charges change: {} in amount, {} in treatment, {} in a label; {} added lines change; {} findings come, {} go",
        output::count(counts.changed),
        output::count(counts.charges),
        output::count(counts.amounts),
        output::count(counts.treatments),
        output::count(counts.labels),
        output::count(counts.added_changed),
        counts.findings_new,
        counts.findings_gone
    )
}

pub(super) fn print_rules(rules: &[RuleDifference]) {
    let rows = rules.iter().map(|rule| vec![rule.title.clone(), optional(rule.before), optional(rule.after), change(rule.delta)]);
    output::print(&output::table(&["Rule", ">Moves now", ">Moves then", ">Change"], rows));
}

fn print_services(services: &[ServiceDifference]) {
    let changed: Vec<&ServiceDifference> = services.iter().filter(|service| service.changed > 0).collect();
    if changed.is_empty() {
        return;
    }
    let rows = changed.iter().take(SERVICES).map(|service| {
        let name = service.service.as_deref().unwrap_or("(none)");
        vec![cut(name), output::money(service.before), output::money(service.after), change(service.delta), output::count(service.changed)]
    });
    output::print(&output::table(&["Service", ">Now", ">Then", ">Change", ">Lines"], rows));
    if changed.len() > SERVICES {
        output::print(&format!("and {} services more", changed.len() - SERVICES));
    }
}

pub(super) fn print_lines(lines: &[&LineDifference]) {
    if lines.is_empty() {
        return;
    }
    let rows = lines.iter().map(|line| {
        let treatment = match (line.treatment_before, line.treatment_after) {
            (before, after) if before == after => String::new(),
            (before, after) => {
                let name = |side: Option<crate::domain::rule::Treatment>| side.map_or("-", |treatment| treatment.name());
                format!("{} -> {}", name(before), name(after))
            }
        };
        vec![
            cut(line.description.as_deref().or(line.service.as_deref()).unwrap_or_default()),
            line.sub_account.clone().unwrap_or_default(),
            line.before.to_string(),
            line.after.to_string(),
            change(line.delta),
            treatment,
        ]
    });
    output::print(&output::table(&["Lines that change most", "Account", ">Now", ">Then", ">Change", ""], rows));
}

fn print_findings(prefix: &str, difference: &Difference) {
    for (word, findings) in [("new", &difference.findings_new), ("gone", &difference.findings_gone)] {
        for finding in findings {
            let from = finding.rule.as_ref().map_or(String::new(), |rule| format!(" ({rule})"));
            output::print(&format!("{prefix}{word} finding: {}{from}", finding.message));
        }
    }
}
