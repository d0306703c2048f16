//! What is left of a formula once the text of a combination is known: nothing but amounts.

use std::borrow::Cow;

use crate::number::Decimal;
use crate::program::{Number, Test, Text, TextTest};

/// The text columns of one combination, by name.
pub(crate) type Texts<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

impl Text {
    pub(crate) fn value<'a>(&'a self, texts: &Texts<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Literal(text) => Some(Cow::Borrowed(text)),
            Self::Null => None,
            Self::Column(name) => texts(name).map(Cow::Borrowed),
            Self::Joined(parts) => {
                let mut joined = String::new();
                for part in parts {
                    joined.push_str(&part.value(texts)?);
                }
                Some(Cow::Owned(joined))
            }
            Self::Lower(part) => Some(Cow::Owned(part.value(texts)?.to_lowercase())),
            Self::Upper(part) => Some(Cow::Owned(part.value(texts)?.to_uppercase())),
            Self::Coalesce(parts) => parts.iter().find_map(|part| part.value(texts)),
            Self::If(branches, otherwise) => {
                let branch = branches.iter().find(|(test, _)| test.folded(texts) == Test::Known(true));
                branch.map_or(&**otherwise, |(_, value)| value).value(texts)
            }
            Self::Case(value, cases, otherwise) => chosen(value, cases, otherwise, texts).value(texts),
        }
    }
}

fn chosen<'a, V>(value: &'a Text, cases: &'a [(Text, V)], otherwise: &'a V, texts: &Texts<'a>) -> &'a V {
    let Some(value) = value.value(texts) else { return otherwise };
    let found = cases.iter().find(|(key, _)| key.value(texts).is_some_and(|key| key == value));
    found.map_or(otherwise, |(_, value)| value)
}

impl TextTest {
    pub(crate) fn holds<'a>(&'a self, texts: &Texts<'a>) -> bool {
        let any = |value: &'a Text, list: &'a [Text], holds: fn(&str, &str) -> bool| {
            value.value(texts).is_some_and(|value| list.iter().any(|item| item.value(texts).is_some_and(|item| holds(&value, &item))))
        };
        match self {
            Self::In(value, list) => any(value, list, |value, item| value == item),
            Self::NotIn(value, list) => !any(value, list, |value, item| value == item),
            Self::StartsWith(value, list) => any(value, list, |value, item| value.starts_with(item)),
            Self::EndsWith(value, list) => any(value, list, |value, item| value.ends_with(item)),
            Self::Contains(value, list) => any(value, list, |value, item| value.contains(item)),
            Self::Null(value) => value.value(texts).is_none(),
            Self::NotNull(value) => value.value(texts).is_some(),
        }
    }
}

impl Test {
    /// Depends on amounts alone; [`Test::Known`] where it does not depend on them.
    pub(crate) fn folded<'a>(&'a self, texts: &Texts<'a>) -> Self {
        match self {
            Self::Known(known) => Self::Known(*known),
            Self::All(tests) => Self::chain(tests, texts, true, Self::All),
            Self::Any(tests) => Self::chain(tests, texts, false, Self::Any),
            Self::Not(test) => test.folded(texts).negated(),
            Self::Text(test) => Self::Known(test.holds(texts)),
            Self::Compared(comparison, left, right) => match (left.folded(texts), right.folded(texts)) {
                (Number::Null, _) | (_, Number::Null) => Self::Known(*comparison == crate::syntax::Comparison::Unequal),
                (Number::Literal(left), Number::Literal(right)) => match left.value::<i128>().order(&right.value()) {
                    Ok(order) => Self::Known(comparison.holds(order)),
                    Err(_) => Self::Compared(*comparison, Number::Literal(left), Number::Literal(right)),
                },
                (left, right) => Self::Compared(*comparison, left, right),
            },
            Self::NumberIn(number, list) => match number.folded(texts) {
                Number::Null => Self::Known(false),
                number => Self::NumberIn(number, list.iter().map(|item| item.folded(texts)).collect()),
            },
            Self::NullNumber(number) => match number.folded(texts) {
                Number::Null => Self::Known(true),
                Number::Literal(_) => Self::Known(false),
                number => Self::NullNumber(number),
            },
        }
    }

    /// `neutral` changes nothing, its opposite decides.
    fn chain<'a>(tests: &'a [Self], texts: &Texts<'a>, neutral: bool, kind: fn(Vec<Self>) -> Self) -> Self {
        let mut left = Vec::new();
        for test in tests {
            match test.folded(texts) {
                Self::Known(known) if known == neutral => {}
                Self::Known(known) => return Self::Known(known),
                test => left.push(test),
            }
        }
        match left.len() {
            0 => Self::Known(neutral),
            1 => left.remove(0),
            _ => kind(left),
        }
    }
}

impl Number {
    /// Depends on amounts alone.
    pub(crate) fn folded<'a>(&'a self, texts: &Texts<'a>) -> Self {
        match self {
            Self::Literal(_) | Self::Null | Self::Column(_) => self.clone(),
            Self::Negative(part) => match part.folded(texts) {
                Self::Literal(number) => Self::Literal(number.negative()),
                Self::Null => Self::Null,
                part => Self::Negative(Box::new(part)),
            },
            Self::Sum(parts) => Self::joined(parts, texts, Decimal::ZERO, Decimal::plus, Self::Sum),
            Self::Product(parts) => Self::joined(parts, texts, Decimal::ONE, Decimal::times, Self::Product),
            Self::Over(left, right, digits, mode) => match (left.folded(texts), right.folded(texts)) {
                (Self::Null, _) | (_, Self::Null) => Self::Null,
                (left, right) => Self::Over(Box::new(left), Box::new(right), *digits, *mode),
            },
            Self::Rounded(part, digits, mode) => match part.folded(texts) {
                Self::Null => Self::Null,
                Self::Literal(number) if number.scale <= *digits => Self::Literal(number),
                part => Self::Rounded(Box::new(part), *digits, *mode),
            },
            Self::Least(parts) => Self::picked(parts, texts, Self::Least),
            Self::Greatest(parts) => Self::picked(parts, texts, Self::Greatest),
            Self::Absolute(part) => match part.folded(texts) {
                Self::Null => Self::Null,
                Self::Literal(number) if number.units < 0 => Self::Literal(number.negative()),
                Self::Literal(number) => Self::Literal(number),
                part => Self::Absolute(Box::new(part)),
            },
            Self::Coalesce(parts) => {
                let mut left = Vec::new();
                for part in parts {
                    match part.folded(texts) {
                        Self::Null => {}
                        Self::Literal(number) => {
                            left.push(Self::Literal(number));
                            break;
                        }
                        part => left.push(part),
                    }
                }
                match left.len() {
                    0 => Self::Null,
                    1 => left.remove(0),
                    _ => Self::Coalesce(left),
                }
            }
            Self::If(branches, otherwise) => {
                let mut left = Vec::new();
                for (test, value) in branches {
                    match test.folded(texts) {
                        Test::Known(false) => {}
                        Test::Known(true) if left.is_empty() => return value.folded(texts),
                        Test::Known(true) => return Self::If(left, Box::new(value.folded(texts))),
                        test => left.push((test, value.folded(texts))),
                    }
                }
                let otherwise = otherwise.folded(texts);
                if left.is_empty() { otherwise } else { Self::If(left, Box::new(otherwise)) }
            }
            Self::Case(value, cases, otherwise) => chosen(value, cases, otherwise, texts).folded(texts),
        }
    }

    fn joined<'a>(
        parts: &'a [Self],
        texts: &Texts<'a>,
        neutral: Decimal,
        join: fn(Decimal, Decimal) -> Option<Decimal>,
        kind: fn(Vec<Self>) -> Self,
    ) -> Self {
        let mut known = neutral;
        let mut left = Vec::new();
        for part in parts {
            match part.folded(texts) {
                Self::Null => return Self::Null,
                Self::Literal(number) => match join(known, number) {
                    Some(both) => known = both,
                    None => left.push(Self::Literal(number)),
                },
                part => left.push(part),
            }
        }
        match left.len() {
            0 => Self::Literal(known),
            1 if known == neutral => left.remove(0),
            _ => {
                if known != neutral {
                    left.push(Self::Literal(known));
                }
                kind(left)
            }
        }
    }

    fn picked<'a>(parts: &'a [Self], texts: &Texts<'a>, kind: fn(Vec<Self>) -> Self) -> Self {
        let folded: Vec<Self> = parts.iter().map(|part| part.folded(texts)).collect();
        if folded.contains(&Self::Null) { Self::Null } else { kind(folded) }
    }
}
