//! A plugin's JSON Schema, and what of a configuration does not fit it: every place, by JSON pointer.
//!
//! It says more at once than the plugin's own `configure`, which stops at its first objection, but `configure` has the last word. A schema
//! comes from a stranger: it may name nothing outside itself, and no regular expression of it takes more than linear time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use boon::{Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use crate::domain::rule::ConfigError;

/// Faults that are told of one configuration: more than anybody mends in one go.
const MOST_FAULTS: usize = 50;

/// Subschemas that a check may visit with every reference followed. A schema whose references double at each level would keep the daemon
/// busy for years; the largest of ours has a few hundred.
const MOST_SUBSCHEMAS: u64 = 100_000;

/// Only a name: nothing is there.
const PLACE: &str = "rule:///schema.json";

/// A schema that makes sense.
pub(super) struct Schema {
    schemas: Schemas,
    root: SchemaIndex,
}

/// Finds nothing outside the schema itself.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("a rule's schema may name nothing outside itself, and it names {url}").into())
    }
}

impl Schema {
    /// Reads the schema that a component gives; the error is a sentence for its author.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        if subschemas(&document, &document, &mut BTreeMap::new()) > MOST_SUBSCHEMAS {
            return Err(format!("with its references followed it has more than {MOST_SUBSCHEMAS} subschemas"));
        }
        // A library that meets text of strangers: whatever it does with it, the daemon goes on.
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            let mut schemas = Schemas::new();
            let mut compiler = Compiler::new();
            compiler.use_loader(Box::new(Nothing));
            compiler.add_resource(PLACE, document).map_err(|error| format!("{error:#}"))?;
            let root = compiler.compile(PLACE, &mut schemas).map_err(|error| format!("{error:#}"))?;
            Ok(Self { schemas, root })
        }));
        compiled.unwrap_or_else(|_| Err("it cannot be read".to_owned())).map_err(|error: String| error.replace(PLACE, "the schema"))
    }

    /// What does not fit, by place.
    pub(super) fn faults(&self, config: &Value) -> Vec<ConfigError> {
        let mut faults = BTreeMap::new();
        match catch_unwind(AssertUnwindSafe(|| self.schemas.validate(config, self.root).map_err(|error| collect(&error, &mut faults)))) {
            Ok(Ok(()) | Err(())) => {}
            Err(_) => {
                faults.insert(String::new(), "the plugin's schema cannot be applied to it".to_owned());
            }
        }
        faults.into_iter().take(MOST_FAULTS).map(|(pointer, message)| ConfigError { pointer, message }).collect()
    }
}

/// The leaves of the tree of errors.
fn collect(error: &ValidationError<'_, '_>, faults: &mut BTreeMap<String, String>) {
    let pointer = error.instance_location.to_string();
    let mut add = |pointer: String, message: String| {
        faults.entry(pointer).or_insert(message);
    };
    match &error.kind {
        ErrorKind::Required { want } => want.iter().for_each(|name| add(below(&pointer, name), "is missing".to_owned())),
        ErrorKind::AdditionalProperties { got } => {
            got.iter().for_each(|name| add(below(&pointer, name), format!("{name:?} is no field of this configuration")));
        }
        // Which of the ways was meant is not known: all of their objections would only confuse.
        ErrorKind::AnyOf | ErrorKind::OneOf(_) => {
            let first = error.causes.first().map(first_leaf).unwrap_or_default();
            add(pointer, if first.is_empty() { error.kind.to_string() } else { format!("fits none of the allowed forms: {first}") });
        }
        kind if error.causes.is_empty() => add(pointer, kind.to_string()),
        _ => error.causes.iter().for_each(|cause| collect(cause, faults)),
    }
}

fn first_leaf(error: &ValidationError<'_, '_>) -> String {
    error.causes.first().map_or_else(|| error.kind.to_string(), first_leaf)
}

fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Subschemas of `part`, those behind references counted each time; what refers to itself counts once.
fn subschemas<'a>(part: &'a Value, whole: &'a Value, known: &mut BTreeMap<&'a str, u64>) -> u64 {
    match part {
        Value::Object(fields) => {
            let mut sum = 1_u64;
            for (name, field) in fields {
                sum = match field {
                    Value::String(target) if name == "$ref" || name == "$dynamicRef" => sum.saturating_add(behind(target, whole, known)),
                    field => sum.saturating_add(subschemas(field, whole, known)),
                };
            }
            sum
        }
        Value::Array(items) => items.iter().fold(0, |sum, item| sum.saturating_add(subschemas(item, whole, known))),
        _ => 0,
    }
}

fn behind<'a>(target: &'a str, whole: &'a Value, known: &mut BTreeMap<&'a str, u64>) -> u64 {
    if let Some(size) = known.get(target) {
        return *size;
    }
    known.insert(target, 0);
    let place = match target.strip_prefix('#') {
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => whole.pointer(pointer),
        // An anchor or a name that the compiler resolves: counted as everything there is.
        _ => Some(whole),
    };
    let size = place.map_or(0, |place| subschemas(place, whole, known));
    known.insert(target, size);
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(schema: &Value, config: &Value) -> Vec<String> {
        let schema = Schema::compile(&schema.to_string()).unwrap_or_else(|error| panic!("{error}"));
        schema.faults(config).into_iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect()
    }

    #[test]
    fn every_place_that_does_not_fit_is_told_at_once() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["percent", "name"], "properties": {
            "percent": {"type": "string", "pattern": "^[0-9]+$"}, "name": {"type": "string"},
            "tiers": {"type": "array", "items": {"type": "object", "required": ["from"], "properties": {"from": {"type": "integer"}}}}}});
        assert_eq!(told(&schema, &json!({"percent": "5", "name": "x", "tiers": [{"from": 1}]})), Vec::<String>::new());
        let faults = told(&schema, &json!({"percent": "five", "a/b": 1, "tiers": [{"from": 1}, {}, {"from": "2"}]}));
        assert_eq!(
            faults,
            [
                "/a~1b \"a/b\" is no field of this configuration",
                "/name is missing",
                "/percent 'five' does not match pattern '^[0-9]+$'",
                "/tiers/1/from is missing",
                "/tiers/2/from want integer, but got string",
            ]
        );
    }

    #[test]
    fn a_schema_that_makes_no_sense_or_asks_for_files_is_refused() {
        let refused = |schema: &Value| Schema::compile(&schema.to_string()).err().unwrap_or_else(|| panic!("{schema} is accepted"));
        assert!(refused(&json!({"type": "decimal"})).contains("type"), "{}", refused(&json!({"type": "decimal"})));
        let file = refused(&json!({"properties": {"x": {"$ref": "file:///etc/hostname"}}}));
        assert!(file.contains("nothing outside itself"), "{file}");
        let web = refused(&json!({"$ref": "https://example.com/schema.json"}));
        assert!(web.contains("nothing outside itself"), "{web}");
        assert!(refused(&json!({"$ref": "#/$defs/missing"})).contains("missing"));
        assert!(Schema::compile("{").is_err());
    }

    #[test]
    fn a_schema_whose_references_double_at_every_level_is_refused_at_once() {
        let mut definitions = serde_json::Map::new();
        for level in 0..60 {
            let next = format!("#/$defs/d{}", level + 1);
            definitions.insert(format!("d{level}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
        }
        definitions.insert("d60".to_owned(), json!({"type": "string"}));
        let error = Schema::compile(&json!({"$ref": "#/$defs/d0", "$defs": definitions}).to_string()).err().unwrap();
        assert!(error.contains("more than 100000 subschemas"), "{error}");
    }

    #[test]
    fn a_schema_may_refer_to_itself() {
        let schema = json!({"type": "object", "properties": {"inner": {"$ref": "#"}}, "additionalProperties": false});
        assert_eq!(told(&schema, &json!({"inner": {"inner": {}}})), Vec::<String>::new());
        assert_eq!(told(&schema, &json!({"inner": {"x": 1}})), ["/inner/x \"x\" is no field of this configuration"]);
    }
}
