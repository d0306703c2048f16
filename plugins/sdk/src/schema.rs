//! A configuration's fields as constants, and their JSON Schema (2020-12).

use serde_json::{Map, Value, json};

/// One field of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub about: &'static str,
    /// What an absent field means, as JSON text; for people and forms, the rule itself applies it.
    pub default: Option<&'static str>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// [`Money`](crate::Money).
    Decimal,
    /// [`Percent`](crate::Percent).
    Percent,
    Text,
    /// [`Month`](crate::Month).
    Month,
    Choice(&'static [&'static str]),
    /// A whole number of at least zero.
    UpTo(u8),
    /// [`Where`](crate::Where).
    Where,
    /// Keys of the author's choosing.
    Map(&'static Self),
    List(&'static Self),
    Object(&'static [Field]),
}

impl Field {
    pub const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, required: true, about, default: None }
    }

    pub const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, required: false, about, default: None }
    }

    /// An optional field and, as JSON text, what its absence means.
    pub const fn defaulted(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Self {
        Self { name, kind, required: false, about, default: Some(default) }
    }

    /// The field that most rules have.
    pub const fn conditions() -> Self {
        Self::defaulted("where", Kind::Where, "[]", "Charges that the rule applies to; all conditions hold.")
    }
}

/// The JSON Schema of a configuration with these fields.
pub fn json_schema(fields: &[Field]) -> String {
    let mut schema = object(fields);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema.to_string()
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(field: &Field) -> Value {
    let mut schema = value(&field.kind);
    if !field.about.is_empty() {
        schema["description"] = field.about.into();
    }
    if let Some(default) = field.default.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        schema["default"] = default;
    }
    schema
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Decimal => json!({ "type": "string", "format": "decimal", "pattern": r"^[-+]?(\d+\.?\d*|\.\d+)$" }),
        Kind::Percent => json!({ "type": "string", "format": "percent", "pattern": r"^[-+]?(\d+\.?\d*|\.\d+)$" }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Month => json!({ "type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$" }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::UpTo(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
        Kind::Where => condition_list(),
        Kind::Map(kind) => json!({ "type": "object", "additionalProperties": value(kind) }),
        Kind::List(kind) => json!({ "type": "array", "items": value(kind) }),
        Kind::Object(fields) => object(fields),
    }
}

fn condition_list() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "column": { "type": "string" },
                "is_in": texts,
                "not_in": texts,
                "starts_with": texts,
                "is_null": { "const": true },
                "not_null": { "const": true },
            },
            "required": ["column"],
            "minProperties": 2,
            "maxProperties": 2,
            "additionalProperties": false,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_field_is_described() {
        const FIELDS: &[Field] = &[
            Field::required("percent", Kind::Percent, "How much."),
            Field::defaulted("digits", Kind::UpTo(18), "18", ""),
            Field::optional("tiers", Kind::List(&Kind::Object(&[Field::optional("up_to", Kind::Decimal, "")])), ""),
            Field::conditions(),
        ];
        let schema: Value = serde_json::from_str(&json_schema(FIELDS)).unwrap();
        assert_eq!(schema["required"], json!(["percent"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["percent"]["description"], "How much.");
        assert_eq!(schema["properties"]["digits"]["default"], 18);
        assert_eq!(schema["properties"]["tiers"]["items"]["properties"]["up_to"]["format"], "decimal");
        assert_eq!(schema["properties"]["where"]["items"]["required"], json!(["column"]));
    }
}
