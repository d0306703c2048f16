//! Single tags out of the JSON text of `Tags`: each distinct text is read once for all keys that are wanted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::domain::columns::{Dictionary, NULL_CODE, TextColumn};

/// One column for each key, in their order. A tag that is no text is given as its JSON; a `Tags` that is no JSON object has no tags.
pub(super) fn extract(tags: &TextColumn, keys: &[&str]) -> Vec<TextColumn> {
    let mut columns: Vec<Values> = keys.iter().map(|_| Values::default()).collect();
    let mut found = vec![None; keys.len()];
    for text in tags.values.iter() {
        found.fill(None);
        let mut json = serde_json::Deserializer::from_str(text);
        let whole = Wanted { keys, found: &mut found }.deserialize(&mut json).is_ok() && json.end().is_ok();
        for (column, value) in columns.iter_mut().zip(&mut found) {
            let value = value.take().filter(|_| whole);
            column.push(value);
        }
    }
    columns.into_iter().map(|column| column.of(tags)).collect()
}

/// The distinct values of a tag, and the code of each distinct text of `Tags`.
#[derive(Default)]
struct Values {
    dictionary: Dictionary,
    codes: HashMap<String, u32>,
    of_text: Vec<u32>,
}

impl Values {
    fn push(&mut self, value: Option<String>) {
        let code = value.map_or(NULL_CODE, |value| match self.codes.get(&value) {
            Some(code) => *code,
            None => {
                let code = self.dictionary.push(&value);
                self.codes.insert(value, code);
                code
            }
        });
        self.of_text.push(code);
    }

    fn of(self, tags: &TextColumn) -> TextColumn {
        let code = |text: &u32| if *text == NULL_CODE { NULL_CODE } else { self.of_text[*text as usize] };
        TextColumn { codes: tags.codes.iter().map(code).collect(), values: Arc::new(self.dictionary) }
    }
}

struct Wanted<'a> {
    keys: &'a [&'a str],
    found: &'a mut [Option<String>],
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if let Some(index) = self.keys.iter().position(|wanted| *wanted == key) {
                self.found[index] = match map.next_value::<serde_json::Value>()? {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text),
                    other => Some(other.to_string()),
                };
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_any_json_type_are_text_and_other_texts_have_none() {
        let texts = [
            Some(r#"{"team":"a\"b","n":1,"x":{"y":[true]}}"#),
            None,
            Some("not json"),
            Some(r#"{"team":null}"#),
            Some(r#"{"team":"a"} trailing"#),
            Some(r#"["team"]"#),
            Some(r#"{"n":2,"team":"z"}"#),
        ];
        let columns = extract(&TextColumn::from_rows(texts), &["team", "n", "x", "absent"]);
        let rows = |index: usize| (0..texts.len()).map(|row| columns[index].get(row)).collect::<Vec<_>>();
        assert_eq!(rows(0), [Some("a\"b"), None, None, None, None, None, Some("z")]);
        assert_eq!(rows(1), [Some("1"), None, None, None, None, None, Some("2")]);
        assert_eq!(rows(2), [Some(r#"{"y":[true]}"#), None, None, None, None, None, None]);
        assert_eq!(rows(3), [None; 7]);
    }
}
