//! A checked formula: every part has its type, every column is known, and no number can outgrow the arithmetic.

use rerate_rule::Rounding;

use crate::number::Decimal;
use crate::syntax::Comparison;

/// Text depends on text columns alone, so it is known for every combination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Text {
    Literal(String),
    Null,
    Column(String),
    Joined(Vec<Self>),
    Lower(Box<Self>),
    Upper(Box<Self>),
    Coalesce(Vec<Self>),
    If(Vec<(Test, Self)>, Box<Self>),
    /// The value of the first key that the text equals.
    Case(Box<Self>, Vec<(Self, Self)>, Box<Self>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Number {
    Literal(Decimal),
    Null,
    /// Position in [`columns::NUMBERS`](crate::columns::NUMBERS).
    Column(u8),
    Negative(Box<Self>),
    Sum(Vec<Self>),
    Product(Vec<Self>),
    Over(Box<Self>, Box<Self>, u8, Mode),
    Rounded(Box<Self>, u8, Mode),
    Least(Vec<Self>),
    Greatest(Vec<Self>),
    Absolute(Box<Self>),
    Coalesce(Vec<Self>),
    If(Vec<(Test, Self)>, Box<Self>),
    /// The value of the first key that the text equals.
    Case(Text, Vec<(Text, Self)>, Box<Self>),
}

/// Two-valued: nothing is in no list, equals nothing and is less than nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Known(bool),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Text(TextTest),
    Compared(Comparison, Number, Number),
    NumberIn(Number, Vec<Number>),
    NullNumber(Number),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TextTest {
    In(Text, Vec<Text>),
    NotIn(Text, Vec<Text>),
    StartsWith(Text, Vec<Text>),
    EndsWith(Text, Vec<Text>),
    Contains(Text, Vec<Text>),
    Null(Text),
    NotNull(Text),
}

/// [`Rounding`], which has no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    HalfEven,
    HalfUp,
    Down,
    Up,
}

impl Mode {
    pub(crate) const NAMES: [(&'static str, Self); 4] =
        [("half-even", Self::HalfEven), ("half-up", Self::HalfUp), ("down", Self::Down), ("up", Self::Up)];

    pub(crate) const fn rounding(self) -> Rounding {
        match self {
            Self::HalfEven => Rounding::HalfEven,
            Self::HalfUp => Rounding::HalfUp,
            Self::Down => Rounding::Down,
            Self::Up => Rounding::Up,
        }
    }
}

// What a formula looks at.

impl Text {
    /// Adds the text columns that it depends on.
    pub(crate) fn columns(&self, found: &mut Vec<String>) {
        match self {
            Self::Literal(_) | Self::Null => {}
            Self::Column(name) if found.contains(name) => {}
            Self::Column(name) => found.push(name.clone()),
            Self::Joined(parts) | Self::Coalesce(parts) => parts.iter().for_each(|part| part.columns(found)),
            Self::Lower(part) | Self::Upper(part) => part.columns(found),
            Self::If(branches, otherwise) => {
                for (test, value) in branches {
                    test.columns(found);
                    value.columns(found);
                }
                otherwise.columns(found);
            }
            Self::Case(value, cases, otherwise) => {
                value.columns(found);
                for (key, value) in cases {
                    key.columns(found);
                    value.columns(found);
                }
                otherwise.columns(found);
            }
        }
    }
}

impl Number {
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Literal(_) | Self::Null | Self::Column(_) => Vec::new(),
            Self::Negative(part) | Self::Rounded(part, ..) | Self::Absolute(part) => vec![part],
            Self::Over(left, right, ..) => vec![left, right],
            Self::Sum(parts) | Self::Product(parts) | Self::Least(parts) | Self::Greatest(parts) | Self::Coalesce(parts) => {
                parts.iter().collect()
            }
            Self::If(branches, otherwise) => branches.iter().map(|(_, value)| value).chain([&**otherwise]).collect(),
            Self::Case(_, cases, otherwise) => cases.iter().map(|(_, value)| value).chain([&**otherwise]).collect(),
        }
    }

    fn tests(&self) -> impl Iterator<Item = &Test> {
        let branches: &[(Test, Self)] = if let Self::If(branches, _) = self { branches } else { &[] };
        branches.iter().map(|(test, _)| test)
    }

    /// Adds the text columns that it depends on.
    pub(crate) fn columns(&self, found: &mut Vec<String>) {
        self.parts().into_iter().for_each(|part| part.columns(found));
        self.tests().for_each(|test| test.columns(found));
        if let Self::Case(value, cases, _) = self {
            value.columns(found);
            cases.iter().for_each(|(key, _)| key.columns(found));
        }
    }

    /// Adds the columns of amounts that it depends on.
    pub(crate) fn amounts(&self, found: &mut Vec<u8>) {
        match self {
            Self::Column(column) if !found.contains(column) => found.push(*column),
            _ => self.parts().into_iter().for_each(|part| part.amounts(found)),
        }
        self.tests().for_each(|test| test.amounts(found));
    }
}

impl Test {
    pub(crate) fn columns(&self, found: &mut Vec<String>) {
        match self {
            Self::Known(_) => {}
            Self::All(tests) | Self::Any(tests) => tests.iter().for_each(|test| test.columns(found)),
            Self::Not(test) => test.columns(found),
            Self::Text(test) => test.columns(found),
            Self::Compared(_, left, right) => {
                left.columns(found);
                right.columns(found);
            }
            Self::NumberIn(number, list) => {
                number.columns(found);
                list.iter().for_each(|item| item.columns(found));
            }
            Self::NullNumber(number) => number.columns(found),
        }
    }

    pub(crate) fn amounts(&self, found: &mut Vec<u8>) {
        match self {
            Self::Known(_) | Self::Text(_) => {}
            Self::All(tests) | Self::Any(tests) => tests.iter().for_each(|test| test.amounts(found)),
            Self::Not(test) => test.amounts(found),
            Self::Compared(_, left, right) => {
                left.amounts(found);
                right.amounts(found);
            }
            Self::NumberIn(number, list) => {
                number.amounts(found);
                list.iter().for_each(|item| item.amounts(found));
            }
            Self::NullNumber(number) => number.amounts(found),
        }
    }

    /// Whether it can differ between charges whose text is the same.
    pub(crate) fn looks_at_amounts(&self) -> bool {
        let mut found = Vec::new();
        self.amounts(&mut found);
        !found.is_empty()
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Known(known) => Self::Known(!known),
            Self::Not(test) => *test,
            Self::Text(TextTest::In(value, list)) => Self::Text(TextTest::NotIn(value, list)),
            Self::Text(TextTest::NotIn(value, list)) => Self::Text(TextTest::In(value, list)),
            Self::Text(TextTest::Null(value)) => Self::Text(TextTest::NotNull(value)),
            Self::Text(TextTest::NotNull(value)) => Self::Text(TextTest::Null(value)),
            other => Self::Not(Box::new(other)),
        }
    }
}

impl TextTest {
    pub(crate) fn columns(&self, found: &mut Vec<String>) {
        match self {
            Self::In(value, list)
            | Self::NotIn(value, list)
            | Self::StartsWith(value, list)
            | Self::EndsWith(value, list)
            | Self::Contains(value, list) => {
                value.columns(found);
                list.iter().for_each(|item| item.columns(found));
            }
            Self::Null(value) | Self::NotNull(value) => value.columns(found),
        }
    }
}
