//! JSON text to a configuration type, with a pointer in every complaint.
//!
//! A reader of our own because a component carries whatever it reads with: this is a fraction of a general one, knows no floats (a
//! number with a fraction is told to be text) and keeps the path to what does not fit.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::ConfigError;

/// Nesting beyond which text is no configuration; the stack of a component is small.
const DEPTH_MAX: usize = 32;

enum Value {
    Null,
    Flag(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// # Errors
/// With the pointer of the first value that does not fit.
pub(crate) fn read<C: DeserializeOwned>(text: &str) -> Result<C, ConfigError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0).and_then(|value| parser.end(value));
    let value = value.map_err(|problem| ConfigError::whole(format!("not JSON: {problem} at byte {}", parser.at)))?;
    C::deserialize(value).map_err(|Mismatch { path, message }| {
        let pointer = path.iter().rev().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect();
        ConfigError { pointer, message }
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    fn takes(&mut self, byte: u8) -> bool {
        let taken = self.peek() == byte;
        self.at += usize::from(taken);
        taken
    }

    fn end(&mut self, value: Value) -> Result<Value, &'static str> {
        if self.peek() == 0 && self.at == self.text.len() { Ok(value) } else { Err("something follows the value") }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, &'static str> {
        if !self.text[self.at..].starts_with(word) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, &'static str> {
        if depth > DEPTH_MAX {
            return Err("nested too deeply");
        }
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Value::Text),
            b't' => self.word("true", Value::Flag(true)),
            b'f' => self.word("false", Value::Flag(false)),
            b'n' => self.word("null", Value::Null),
            b'-' | b'0'..=b'9' => Ok(self.number()),
            _ => Err("expected a value"),
        }
    }

    /// What looks like a number; whether it is one shows when it is used.
    fn number(&mut self) -> Value {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')).count();
        self.at += length;
        Value::Number(rest[..length].to_owned())
    }

    fn list(&mut self, depth: usize) -> Result<Value, &'static str> {
        self.at += 1;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.takes(b']') {
                return Ok(Value::List(items));
            }
            if !self.takes(b',') {
                return Err("expected , or ]");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, &'static str> {
        self.at += 1;
        let mut fields: Vec<(String, Value)> = Vec::new();
        if self.takes(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            if self.peek() != b'"' {
                return Err("expected a field's name in quotes");
            }
            let name = self.string()?;
            if fields.iter().any(|(known, _)| *known == name) {
                return Err("the same field twice");
            }
            if !self.takes(b':') {
                return Err("expected :");
            }
            let value = self.value(depth + 1)?;
            fields.push((name, value));
            if self.takes(b'}') {
                return Ok(Value::Object(fields));
            }
            if !self.takes(b',') {
                return Err("expected , or }");
            }
        }
    }

    fn string(&mut self) -> Result<String, &'static str> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)).count();
            string.push_str(&rest[..plain]);
            self.at += plain;
            match rest.as_bytes().get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                _ => return Err("a text that does not end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, &'static str> {
        let escape = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match escape {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.code_unit()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high).ok_or("half a surrogate pair");
                }
                if !self.text[self.at..].starts_with("\\u") {
                    return Err("half a surrogate pair");
                }
                self.at += 2;
                let low = self.code_unit()?.wrapping_sub(0xdc00);
                if low >= 0x400 {
                    return Err("half a surrogate pair");
                }
                char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low).ok_or("half a surrogate pair")?
            }
            _ => return Err("an unknown escape"),
        })
    }

    fn code_unit(&mut self) -> Result<u32, &'static str> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or("\\u wants four hexadecimal digits")?;
        self.at += 4;
        Ok(unit)
    }
}

/// A value that does not fit, with the keys that lead to it, innermost first.
#[derive(Debug)]
struct Mismatch {
    path: Vec<String>,
    message: String,
}

impl Mismatch {
    fn within(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

impl serde::de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), message: message.to_string() }
    }

    // The default would carry the formatting of floats into every component.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "text",
            Unexpected::Unit | Unexpected::Option => "null",
            Unexpected::Seq => "a list",
            Unexpected::Map => "an object",
            _ => "something else",
        };
        Self::custom(format_args!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Signed(number) => Self::custom(format_args!("expected {expected}, found {number}")),
            Unexpected::Unsigned(number) => Self::custom(format_args!("expected {expected}, found {number}")),
            other => Self::invalid_type(other, expected),
        }
    }
}

impl Value {
    /// What is here instead of what the visitor wants.
    #[cold]
    fn mismatch(&self, expected: &dyn Expected) -> Mismatch {
        let found = match self {
            Self::Null => Unexpected::Unit,
            Self::Flag(flag) => Unexpected::Bool(*flag),
            Self::Number(_) => Unexpected::Unsigned(0),
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
        };
        serde::de::Error::invalid_type(found, expected)
    }
}

// Each method takes only the form that it is for: a general `deserialize_any` behind all of them would be copied into every component
// once for each type of its configuration.

macro_rules! numbers {
    ($($method:ident $visit:ident,)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            match &self {
                Self::Number(text) => match text.parse() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => Err(self.mismatch(&visitor)),
                },
                _ => Err(self.mismatch(&visitor)),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for Value {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Flag(_) => self.deserialize_bool(visitor),
            Self::Number(_) => self.deserialize_i64(visitor),
            Self::Text(_) => self.deserialize_string(visitor),
            Self::List(_) => self.deserialize_seq(visitor),
            Self::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if let Self::Flag(flag) = self { visitor.visit_bool(flag) } else { Err(self.mismatch(&visitor)) }
    }

    numbers! {
        deserialize_u8 visit_u8,
        deserialize_u16 visit_u16,
        deserialize_u32 visit_u32,
        deserialize_u64 visit_u64,
        deserialize_i8 visit_i8,
        deserialize_i16 visit_i16,
        deserialize_i32 visit_i32,
        deserialize_i64 visit_i64,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if let Self::Text(text) = self { visitor.visit_string(text) } else { Err(self.mismatch(&visitor)) }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if matches!(self, Self::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::List(items) => visitor.visit_seq(Items { items: items.into_iter(), next: 0 }),
            other => Err(other.mismatch(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Object(fields) => visitor.visit_map(Fields { fields: fields.into_iter(), value: None }),
            other => Err(other.mismatch(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Text(text) => visitor.visit_enum(IntoDeserializer::<Mismatch>::into_deserializer(text)),
            other => Err(other.mismatch(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|mismatch| mismatch.within(index.to_string()))
    }
}

struct Fields {
    fields: std::vec::IntoIter<(String, Value)>,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        let key: StringDeserializer<Mismatch> = name.clone().into_deserializer();
        let read = seed.deserialize(key).map_err(|mismatch| mismatch.within(name.clone()))?;
        self.value = Some((name, value));
        Ok(Some(read))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let (name, value) = self.value.take().unwrap_or((String::new(), Value::Null));
        seed.deserialize(value).map_err(|mismatch| mismatch.within(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn text_that_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"a\nb\"",
            "nul",
            "{} {}",
            "[\"a\"",
            "\u{0}",
            "{\"a\":1,\"a\":2}",
        ] {
            assert!(read::<serde::de::IgnoredAny>(text).is_err(), "{text:?}");
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(read::<serde::de::IgnoredAny>(&deep).unwrap_err().message.contains("deeply"));
        assert_eq!(read::<String>(r#""\u00e9\ud83d\ude00\n\"""#).unwrap(), "é😀\n\"");
    }

    proptest! {
        #[test]
        fn what_a_general_reader_reads_this_one_reads_alike(
            fields in prop::collection::btree_map(".*", prop::collection::vec(prop::option::of((".*", any::<i64>(), any::<bool>())), 0..4), 0..4)
        ) {
            let text = serde_json::to_string(&fields).unwrap();
            prop_assert_eq!(read::<BTreeMap<_, _>>(&text).unwrap(), fields);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let general = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let ours = read::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert!(ours || !general);
        }
    }
}
