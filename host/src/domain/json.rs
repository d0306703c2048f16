//! JSON whose objects name each field once. A library keeps the last of two and says nothing, so that of two percentages in a rule's
//! configuration one would be lost.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// Reads a text of which no object names a field twice.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    named_once(text)?;
    serde_json::from_slice(text)
}

/// Refuses a text of which an object names a field twice; what is no JSON is for the one who reads it.
pub fn named_once(text: &[u8]) -> Result<(), serde_json::Error> {
    match serde_json::from_slice::<Once>(text) {
        Err(error) if error.classify() == Category::Data => Err(error),
        Ok(Once) | Err(_) => Ok(()),
    }
}

struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Once, A::Error> {
        let mut known = BTreeSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if known.contains(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            known.insert(name);
            fields.next_value::<Once>()?;
        }
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        while items.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E: Error>(self) -> Result<Once, E> {
        Ok(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_named_twice_at_any_depth_is_told_and_other_json_is_read() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#, r#"[{},{"":1,"":2}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(named_once(text.as_bytes()).unwrap_err().to_string().starts_with("duplicate field `"), "{text}");
        }
        for text in [r#"{"a":{"a":1},"b":[1,1,-1,0.5,1e400,null,true,"a",18446744073709551616]}"#, "[]", "7", "{", "\u{feff}{}", ""] {
            assert!(named_once(text.as_bytes()).is_ok(), "{text}");
        }
        assert_eq!(read::<serde_json::Value>(br#"{"a":1}"#).unwrap()["a"], 1);
    }
}
