//! What is wrong with a configuration, and the values that it writes as text.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// A configuration that the rule refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// JSON pointer into the configuration; empty for the whole.
    pub pointer: String,
    pub message: String,
}

impl ConfigError {
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }

    /// About the configuration as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self::at("", message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.pointer, self.message) }
    }
}

impl std::error::Error for ConfigError {}

/// Reads a value that a configuration writes as text; `expected` tells so who writes a JSON number.
pub(crate) fn read_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct Text<T>(&'static str, fn(&str) -> Result<T, String>);

    impl<T> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(expected, parse))
}

#[cfg(test)]
mod tests {
    use crate::json::read;
    use crate::{Money, Where};

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[allow(dead_code)] // read for its errors
        amount: Money,
        #[serde(default, rename = "where")]
        conditions: Where,
        #[serde(default)]
        #[allow(dead_code)] // read for its errors
        prices: Vec<Money>,
    }

    fn refused(text: &str) -> (String, String) {
        let error = read::<Sample>(text).unwrap_err();
        (error.pointer, error.message)
    }

    #[test]
    fn an_error_points_at_the_value_that_does_not_fit() {
        assert_eq!(refused(r#"{"amount":"1","colour":3}"#).0, "/colour");
        assert_eq!(refused(r#"{"amount":"1","prices":["1","x"]}"#).0, "/prices/1");
        assert_eq!(refused(r#"{"amount":"1","where":[{"column":"A","is_null":true,"not_null":true}]}"#).0, "/where/0");
        assert_eq!(refused("{}"), (String::new(), "missing field `amount`".to_owned()));
    }

    #[test]
    fn a_json_number_is_told_to_be_text() {
        for number in ["1", "-1", "1.5"] {
            let (pointer, message) = refused(&format!("{{\"amount\":{number}}}"));
            assert_eq!(pointer, "/amount");
            assert!(message.contains("in quotes"), "{message}");
        }
    }

    #[test]
    fn a_condition_has_exactly_one_test_and_it_can_fail() {
        let text = |test: &str| format!(r#"{{"amount":"1","where":[{{"column":"A"{test}}}]}}"#);
        for test in [
            "",
            r#","is_in":["x"],"not_in":["y"]"#,
            r#","is_in":[]"#,
            r#","not_in":[]"#,
            r#","starts_with":[""]"#,
            r#","is_null":false"#,
            r#","like":"x""#,
        ] {
            assert!(read::<Sample>(&text(test)).is_err(), "{test}");
        }
        for test in [r#","is_in":["x"]"#, r#","not_in":["x"]"#, r#","starts_with":["x"]"#, r#","is_null":true"#, r#","not_null":true"#] {
            assert_eq!(read::<Sample>(&text(test)).unwrap().conditions.conditions().len(), 1, "{test}");
        }
    }
}
