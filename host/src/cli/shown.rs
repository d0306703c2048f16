//! What a daemon answered, for the eye: JSON values as text.

use serde_json::Value;

use super::output;
use crate::domain::money::Amount;

/// A JSON text or number.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A text, or what is said where there is none.
pub(super) fn text_or(value: &Value, otherwise: &str) -> String {
    if value.is_null() { otherwise.to_owned() } else { text(value) }
}

/// An amount, rounded.
pub(super) fn money(value: &Value) -> String {
    value.as_str().and_then(|text| text.parse::<Amount>().ok()).map_or_else(|| "-".to_owned(), output::money)
}

/// A list's items; none of what is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What the thing with this id is called among these; nothing where it is not among them.
pub(super) fn name_of(known: &[Value], id: &Value, field: &str) -> String {
    known.iter().find(|one| one["id"] == *id).map_or_else(String::new, |one| text(&one[field]))
}

/// The thing with this id, or with this name whatever its case.
pub(super) fn find<'a>(known: &'a [Value], wanted: &str, field: &str) -> Option<&'a Value> {
    let name = wanted.trim().to_lowercase();
    known.iter().find(|one| one["id"] == *wanted).or_else(|| known.iter().find(|one| text(&one[field]).to_lowercase() == name))
}
