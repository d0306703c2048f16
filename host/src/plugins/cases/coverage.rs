//! What the cases of a rule reached: combinations, decisions, and the options of its configuration.
//!
//! What a rule could decide is in its code alone, so nothing here says that everything was tried; it says what was, and which declared
//! options, columns and pairs of values were not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::case::Case;
use crate::domain::charge::COMMITMENT_OWNER;
use crate::domain::columns::TextColumn;
use crate::domain::rule::{Capability, Change, Decision, Plan};
use crate::rating::ChainRule;
use crate::rating::adjust::decide;
use crate::rating::totals::Gathered;
use crate::rating::working::Working;
use crate::sandbox::Plugin;

/// Values of a dimension that are told apart: beyond, nobody reads them.
const VALUES_MAX: usize = 1_000;
/// Combinations without a case that are named; the rest is a number.
const UNREACHED_MAX: usize = 20;
const NULL: &str = "(null)";

/// Value by dimension.
type Combination = BTreeMap<String, String>;

/// What the cases reached.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage {
    /// The values of each dimension that some case has; null is `(null)`.
    pub values: BTreeMap<String, BTreeSet<String>>,
    /// Distinct combinations that the rule decided on.
    pub combinations: usize,
    /// How many combinations these values could make.
    pub possible: u64,
    /// The first of those that no case has.
    pub unreached: Vec<BTreeMap<String, String>>,
    /// Charges by what was decided on their amount.
    pub amounts: BTreeMap<&'static str, u64>,
    pub treatments: BTreeMap<&'static str, u64>,
    pub reasons: BTreeMap<String, u64>,
    /// Charges by the column that was set.
    pub relabelled: BTreeMap<String, u64>,
    /// Columns that the rule says it may set, and no case made it.
    pub never_relabelled: BTreeSet<String>,
    /// Options and their choices, as JSON pointers, that some case gives.
    pub options: BTreeSet<String>,
    /// Options and choices that the schema declares and no case gives.
    pub never_given: BTreeSet<String>,
    /// Cases that the rule refused or failed.
    pub without_outcome: usize,
    #[serde(skip)]
    seen: BTreeSet<Combination>,
}

impl Coverage {
    pub fn of(plugin: &Arc<Plugin>, cases: &[Case]) -> Self {
        let mut coverage = Self::default();
        let schema = serde_json::from_str(&plugin.manifest().config_schema).unwrap_or(Value::Null);
        let mut declared = BTreeSet::new();
        declare(&schema, "", &mut declared);
        for case in cases {
            if let Ok(config) = serde_json::from_str(&case.files.config) {
                give(&config, &schema, "", &mut coverage.options);
            }
            let reached = coverage.add(plugin, case);
            coverage.without_outcome += usize::from(reached.is_none());
        }
        coverage.never_given = declared.difference(&coverage.options).cloned().collect();
        coverage.never_relabelled.retain(|column| !coverage.relabelled.contains_key(column));
        coverage.combinations = coverage.seen.len();
        coverage.possible = coverage.values.values().fold(1, |product, values| product.saturating_mul(values.len() as u64));
        coverage.unreached = unreached(&coverage.values, &coverage.seen);
        coverage
    }

    /// None where the rule gives no decisions.
    fn add(&mut self, plugin: &Arc<Plugin>, case: &Case) -> Option<()> {
        let plan = plugin.configure(&case.files.config, &case.bill).ok()?;
        if !plugin.capabilities().contains(&Capability::Adjust) {
            return Some(());
        }
        let batch = Arc::new(case.batch.clone());
        let owner = batch.text(COMMITMENT_OWNER).cloned().unwrap_or_else(|| TextColumn::constant(None, batch.rows));
        let working = Working::of_charges(batch, owner);
        let mut totals = Vec::new();
        for request in &plan.totals {
            let mut gathered = Gathered::default();
            gathered.add(request, &working).ok()?;
            totals.push(gathered.finish(request));
        }
        let rule = ChainRule {
            id: String::new(),
            title: String::new(),
            plugin: Arc::clone(plugin),
            config: case.files.config.clone(),
            earlier: Vec::new(),
        };
        self.never_relabelled.extend(plan.writes.iter().cloned());
        let Some(decided) = decide(&rule, &plan, &case.bill, &totals, &working).ok()? else { return Some(()) };
        for first in &decided.combined.first {
            let row = decided.selection[*first as usize] as usize;
            let value = |name: &String| working.text(name).get(row).unwrap_or(NULL).to_owned();
            let combination: Combination = plan.dimensions.iter().map(|name| (name.clone(), value(name))).collect();
            for (name, value) in &combination {
                let values = self.values.entry(name.clone()).or_default();
                if values.len() < VALUES_MAX {
                    values.insert(value.clone());
                }
            }
            self.seen.insert(combination);
        }
        for slot in &decided.combined.slots {
            self.count(&decided.decisions[*slot as usize], &plan);
        }
        Some(())
    }

    fn count(&mut self, decision: &Decision, plan: &Plan) {
        let amount = match decision.change {
            Change::Keep => "keep",
            Change::Zero => "zero",
            Change::Copied { .. } => "copied",
            Change::Scaled(_) => "scaled",
            Change::Tiered(_) => "tiered",
            Change::Custom => "custom",
        };
        *self.amounts.entry(amount).or_default() += 1;
        *self.treatments.entry(decision.treatment.name()).or_default() += 1;
        let reason = if decision.reason.is_empty() { "(none given)".to_owned() } else { decision.reason.clone() };
        *self.reasons.entry(reason).or_default() += 1;
        for (column, _) in &decision.relabel {
            *self.relabelled.entry(plan.writes[usize::from(*column)].clone()).or_default() += 1;
        }
    }
}

/// The first combinations of the values that were not seen, in the order of the dimensions and their values. It looks at no more
/// than were seen and are named.
fn unreached(values: &BTreeMap<String, BTreeSet<String>>, seen: &BTreeSet<Combination>) -> Vec<Combination> {
    let lists: Vec<(&String, Vec<&String>)> = values.iter().map(|(name, values)| (name, values.iter().collect())).collect();
    let mut digits = vec![0; lists.len()];
    let mut found = Vec::new();
    while found.len() < UNREACHED_MAX {
        let combination: Combination = lists.iter().zip(&digits).map(|((name, of), at)| ((*name).clone(), of[*at].clone())).collect();
        if !seen.contains(&combination) {
            found.push(combination);
        }
        // Counts up, the last dimension fastest.
        let Some(next) = (0..lists.len()).rev().find(|place| digits[*place] + 1 < lists[*place].1.len()) else { break };
        digits[next] += 1;
        digits[next + 1..].fill(0);
    }
    found
}

/// Every option that a schema declares, and every choice of those that have choices.
fn declare(schema: &Value, pointer: &str, out: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let pointer = format!("{pointer}/{name}");
        for choice in field["enum"].as_array().into_iter().flatten() {
            out.insert(choice_of(&pointer, choice));
        }
        declare(field, &pointer, out);
        out.insert(pointer);
    }
    if let Some(inner) = inner(schema) {
        declare(inner, &format!("{pointer}/*"), out);
    }
}

/// What the elements of a list or the values of a map are. Conditions are the daemon's, not the rule's: they count as one option.
fn inner(schema: &Value) -> Option<&Value> {
    let inner = [&schema["items"], &schema["additionalProperties"]].into_iter().find(|value| value.is_object())?;
    let is_condition = inner["properties"].get("is_in").is_some() && inner["properties"].get("not_null").is_some();
    (!is_condition).then_some(inner)
}

/// Every option that a configuration gives.
fn give(config: &Value, schema: &Value, pointer: &str, out: &mut BTreeSet<String>) {
    match config {
        Value::Object(fields) => {
            for (name, value) in fields {
                match schema["properties"].get(name) {
                    Some(field) => {
                        let pointer = format!("{pointer}/{name}");
                        if field["enum"].is_array() {
                            out.insert(choice_of(&pointer, value));
                        }
                        give(value, field, &pointer, out);
                        out.insert(pointer);
                    }
                    None => {
                        if let Some(inner) = inner(schema) {
                            give(value, inner, &format!("{pointer}/*"), out);
                        }
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = inner(schema) {
                items.iter().for_each(|item| give(item, inner, &format!("{pointer}/*"), out));
            }
        }
        _ => {}
    }
}

fn choice_of(pointer: &str, choice: &Value) -> String {
    format!("{pointer} = {choice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_that_no_case_has_are_named() {
        let combination = |service: &str, region: &str| {
            Combination::from([("Service".to_owned(), service.to_owned()), ("Region".to_owned(), region.to_owned())])
        };
        let seen = BTreeSet::from([combination("EC2", "eu"), combination("S3", NULL)]);
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, value) in seen.iter().flatten() {
            values.entry(name.clone()).or_default().insert(value.clone());
        }
        assert_eq!(unreached(&values, &seen), [combination("EC2", NULL), combination("S3", "eu")]);
        assert_eq!(unreached(&BTreeMap::new(), &BTreeSet::from([Combination::new()])), []);
    }

    #[test]
    fn options_and_choices_that_no_configuration_gives_are_found() {
        let schema = serde_json::json!({ "type": "object", "properties": {
            "percent": { "type": "string" },
            "missing": { "enum": ["keep", "hold"] },
            "tiers": { "type": "array", "items": { "type": "object", "properties": { "up_to": {}, "percent": {} } } },
            "where": { "type": "array", "items": { "type": "object", "properties": { "column": {}, "is_in": {}, "not_null": {} } } },
        }});
        let (mut declared, mut given) = (BTreeSet::new(), BTreeSet::new());
        declare(&schema, "", &mut declared);
        let config =
            serde_json::json!({ "missing": "hold", "tiers": [{ "percent": "1" }], "where": [{ "column": "A", "not_null": true }] });
        give(&config, &schema, "", &mut given);
        let missing: Vec<&String> = declared.difference(&given).collect();
        assert_eq!(missing, ["/missing = \"keep\"", "/percent", "/tiers/*/up_to"]);
    }
}
