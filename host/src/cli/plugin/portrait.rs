//! A component's portrait as `plugin build` and `plugin inspect` show it.

use std::collections::BTreeSet;

use crate::cli::{Failure, kept, output};
use crate::domain::rule::BillPeriod;
use crate::plugins::cases;
use crate::plugins::portrait::{Columns, ConfigField, Portrait, portrait};
use crate::sandbox::{Refusal, sections};
use crate::store::TrustedKey;

/// Asked for columns when there is no golden case: what a rule needs under no configuration, in a month like any other.
fn empty_config() -> Option<(String, BillPeriod)> {
    Some(("{}".to_owned(), BillPeriod { period: "2026-09".parse().ok()?, currency: "USD".to_owned() }))
}

/// Loads the component as a daemon would, and looks at it; `keys` are those that a daemon trusts, if one was asked.
pub(super) fn paint(component: &[u8], keys: Option<&[TrustedKey]>) -> Result<Result<Portrait, Refusal>, Failure> {
    let plugin = match kept::sandbox()?.load(component) {
        Ok(plugin) => plugin,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let cases = sections::section(component, sections::CASES).map(|section| cases::unbundle(section.data));
    let cases = cases.transpose().map_err(Failure::input)?.unwrap_or_default();
    let mut configs: Vec<_> = cases.iter().map(|case| (case.files.config.clone(), case.bill.clone())).collect();
    if configs.is_empty() {
        configs.extend(empty_config());
    }
    Ok(Ok(portrait(&plugin, component, cases.len(), &configs, keys)))
}

pub(super) fn show(portrait: &Portrait, file: &str) {
    output::print(&format!("{} {}: {}", portrait.name, portrait.version, portrait.summary));
    let capabilities: Vec<&str> = portrait.capabilities.iter().map(|capability| capability.name()).collect();
    let facts = [
        ("file", file.to_owned()),
        ("sha256", portrait.digest.clone()),
        ("size", output::bytes(portrait.size as u64)),
        ("does", capabilities.join(", ")),
        ("contract", portrait.wit.clone()),
        ("imports", list(&portrait.imports, "none")),
        ("columns", columns(portrait.columns.as_ref())),
        ("cases", if portrait.cases == 0 { "none".to_owned() } else { format!("{} bundled", portrait.cases) }),
        ("source lines", if portrait.source_lines { "yes: a crash names the rule's own line" } else { "no" }.to_owned()),
        ("signature", portrait.signature.told.clone()),
    ];
    for (name, fact) in facts {
        output::print(&format!("  {name:12}  {fact}"));
    }
}

/// The configuration's fields.
pub(super) fn show_fields(fields: &[ConfigField]) {
    if fields.is_empty() {
        output::print("\nIts configuration has no fields.");
        return;
    }
    let rows = fields.iter().map(|field| {
        let absent = match &field.default {
            _ if field.required => "required".to_owned(),
            Some(default) => default.to_string(),
            None => "-".to_owned(),
        };
        vec![field.name.clone(), field.kind.clone(), absent, field.about.clone()]
    });
    output::print(&format!("\n{}", output::table(&["configuration", "type", "if absent", "what it is"], rows)));
}

fn columns(columns: Option<&Columns>) -> String {
    let Some(columns) = columns else { return "depend on the configuration, and there is no golden case to ask with".to_owned() };
    let parts = [
        ("decides by", &columns.dimensions),
        ("reads", &columns.reads),
        ("relabels", &columns.writes),
        ("selects by", &columns.selects_by),
        ("totals of", &columns.totals),
    ];
    let mut told: Vec<String> =
        parts.iter().filter(|(_, names)| !names.is_empty()).map(|(verb, names)| format!("{verb} {}", joined(names))).collect();
    if columns.history {
        told.push("its earlier charges".to_owned());
    }
    list(&told, "none")
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn list(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.join("; ") }
}
