//! A configuration's fields as constants, and their JSON Schema (2020-12).

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
    let mut schema = String::from(r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","#);
    object(&mut schema, fields);
    schema.push('}');
    schema
}

// Each of these writes the inside of an object, so that the caller can add to it.

fn object(out: &mut String, fields: &[Field]) {
    out.push_str(r#""type":"object","additionalProperties":false,"properties":{"#);
    for (index, field) in fields.iter().enumerate() {
        comma(out, index);
        text(out, field.name);
        out.push_str(":{");
        kind(out, &field.kind);
        if !field.about.is_empty() {
            out.push_str(",\"description\":");
            text(out, field.about);
        }
        if let Some(default) = field.default {
            out.push_str(",\"default\":");
            out.push_str(default);
        }
        out.push('}');
    }
    out.push_str("},\"required\":");
    let required = fields.iter().filter(|field| field.required).map(|field| field.name);
    list(out, required);
}

fn kind(out: &mut String, of: &Kind) {
    match of {
        Kind::Decimal => out.push_str(r#""type":"string","format":"decimal","pattern":"^[-+]?(\\d+\\.?\\d*|\\.\\d+)$""#),
        Kind::Percent => out.push_str(r#""type":"string","format":"percent","pattern":"^[-+]?(\\d+\\.?\\d*|\\.\\d+)$""#),
        Kind::Text => out.push_str(r#""type":"string""#),
        Kind::Month => out.push_str(r#""type":"string","pattern":"^\\d{4}-(0[1-9]|1[0-2])$""#),
        Kind::Choice(choices) => {
            out.push_str("\"enum\":");
            list(out, choices.iter().copied());
        }
        Kind::UpTo(most) => {
            out.push_str(r#""type":"integer","minimum":0,"maximum":"#);
            out.push_str(&most.to_string());
        }
        Kind::Where => out.push_str(WHERE),
        Kind::Map(values) => nested(out, r#""type":"object","additionalProperties":{"#, values),
        Kind::List(items) => nested(out, r#""type":"array","items":{"#, items),
        Kind::Object(fields) => object(out, fields),
    }
}

fn nested(out: &mut String, opening: &str, of: &Kind) {
    out.push_str(opening);
    kind(out, of);
    out.push('}');
}

/// A column and exactly one test.
const WHERE: &str = concat!(
    r#""type":"array","items":{"type":"object","required":["column"],"minProperties":2,"maxProperties":2,"additionalProperties":false,"#,
    r#""properties":{"column":{"type":"string"},"#,
    r#""is_in":{"type":"array","minItems":1,"items":{"type":"string"}},"#,
    r#""not_in":{"type":"array","minItems":1,"items":{"type":"string"}},"#,
    r#""starts_with":{"type":"array","minItems":1,"items":{"type":"string","minLength":1}},"#,
    r#""is_null":{"const":true},"not_null":{"const":true}}}"#,
);

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn list<'a>(out: &mut String, values: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (index, value) in values.enumerate() {
        comma(out, index);
        text(out, value);
    }
    out.push(']');
}

/// Text of an author's source file: quotes and backslashes are all that needs care.
fn text(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(if character.is_control() { ' ' } else { character });
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
