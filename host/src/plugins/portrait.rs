//! What a component is, for people and programs that look at one: everything that its file tells, and what it says when asked.

use std::collections::BTreeSet;

use serde::Serialize;

use super::signature::SignatureView;
use crate::domain::rule::{BillPeriod, Capability, Plan};
use crate::sandbox::{Plugin, interfaces, sections};
use crate::store::TrustedKey;

#[derive(Clone, Debug, Serialize)]
pub struct Portrait {
    /// sha256 of the component, hexadecimal.
    pub digest: String,
    /// In bytes.
    pub size: usize,
    pub name: String,
    pub version: String,
    pub title: String,
    pub summary: String,
    pub capabilities: Vec<Capability>,
    /// The contract that it was built for, `rerate:rule@1.0.0`.
    pub wit: String,
    /// Interfaces that it calls; types alone are none.
    pub imports: Vec<String>,
    pub config: Vec<ConfigField>,
    /// `None` where no configuration was at hand that the rule accepts.
    pub columns: Option<Columns>,
    /// Bundled golden cases.
    pub cases: usize,
    /// Whether a crash is reported with the rule's own source line.
    pub source_lines: bool,
    pub signature: SignatureView,
}

/// A field of the configuration, from its JSON Schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigField {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub required: bool,
    pub default: Option<serde_json::Value>,
    pub about: String,
}

/// The columns of all plans that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// On which decisions depend.
    pub dimensions: BTreeSet<String>,
    /// Amounts.
    pub reads: BTreeSet<String>,
    /// Relabelled.
    pub writes: BTreeSet<String>,
    /// Tested by conditions.
    pub selects_by: BTreeSet<String>,
    /// Of totals: grouped by and summed.
    pub totals: BTreeSet<String>,
    /// Whether it asks what it charged in earlier periods.
    pub history: bool,
    /// How many configurations were asked, of how many the rule accepted.
    pub configurations: usize,
}

impl Columns {
    fn add(&mut self, plan: Plan) {
        self.configurations += 1;
        self.dimensions.extend(plan.dimensions);
        self.reads.extend(plan.reads);
        self.writes.extend(plan.writes);
        self.selects_by.extend(plan.applies_to.into_iter().map(|condition| condition.column));
        self.history |= plan.history;
        for total in plan.totals {
            self.totals.extend(total.group_by);
            self.totals.extend(total.sums);
            self.selects_by.extend(total.conditions.into_iter().map(|condition| condition.column));
        }
    }
}

/// `configs` are configurations under which the rule is asked for its columns; those that it refuses are left out. `keys` are those that
/// a daemon trusts, if one was asked.
pub fn portrait(
    plugin: &Plugin,
    component: &[u8],
    cases: usize,
    configs: &[(String, BillPeriod)],
    keys: Option<&[TrustedKey]>,
) -> Portrait {
    let mut columns = Columns::default();
    for (config, bill) in configs {
        if let Ok(plan) = plugin.configure(config, bill) {
            columns.add(plan);
        }
    }
    let manifest = plugin.manifest();
    let seen = interfaces(component);
    let described = seen.exports.iter().find_map(|name| name.split_once("/describe@"));
    Portrait {
        digest: plugin.digest().to_owned(),
        size: plugin.size(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        title: manifest.title.clone(),
        summary: manifest.summary.clone(),
        capabilities: plugin.capabilities().to_vec(),
        wit: described.map(|(package, version)| format!("{package}@{version}")).unwrap_or_default(),
        imports: seen.imports.into_iter().filter(|name| !name.starts_with("rerate:rule/types@")).collect(),
        config: fields(&manifest.config_schema),
        columns: (columns.configurations > 0).then_some(columns),
        cases,
        source_lines: sections::section(component, sections::LINES).is_some(),
        signature: SignatureView::of(component, keys),
    }
}

/// The properties of a JSON Schema, in its order.
pub fn fields(schema: &str) -> Vec<ConfigField> {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let field = |(name, of): (&String, &serde_json::Value)| ConfigField {
        name: name.clone(),
        kind: kind(of),
        required: required.iter().any(|required| required == name),
        default: of.get("default").cloned(),
        about: of["description"].as_str().unwrap_or_default().to_owned(),
    };
    properties.iter().map(field).collect()
}

/// A type in a word or two: `decimal`, `list of string`, `one of keep, hold`.
fn kind(schema: &serde_json::Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)).collect();
        return format!("one of {}", choices.join(", "));
    }
    let format = schema["format"].as_str();
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => format!("map of {}", kind(&schema["additionalProperties"])),
        Some(kind) => format.unwrap_or(kind).to_owned(),
        None => format.unwrap_or("anything").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_told_as_fields_with_words_for_types() {
        let schema = r#"{"type":"object","required":["percent"],"properties":{
            "percent":{"type":"string","format":"percent","description":"More."},
            "free":{"type":"array","items":{"type":"string"},"default":[]},
            "by":{"type":"object","additionalProperties":{"type":"string","format":"decimal"}},
            "mode":{"enum":["keep","hold"]}}}"#;
        let fields = fields(schema);
        let told: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.kind.as_str(), field.required)).collect();
        let mut expected = [
            ("percent", "percent", true),
            ("free", "list of string", false),
            ("by", "map of decimal", false),
            ("mode", "one of keep, hold", false),
        ];
        let mut sorted = told.clone();
        sorted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        assert_eq!(super::fields("[]"), []);
    }
}
