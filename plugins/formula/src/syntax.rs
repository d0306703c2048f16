//! What a text says, before anything is known of types.

use crate::number::Decimal;
use crate::problem::Span;

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number(Decimal),
    Text(String),
    Flag(bool),
    Null,
    Column(String),
    Negative(Box<Node>),
    Not(Box<Node>),
    /// Terms, and whether each is subtracted. Text is joined by the same sign.
    Sum(Vec<(bool, Node)>),
    /// Factors, and whether each divides.
    Product(Vec<(bool, Node)>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Compared(Comparison, Box<Node>, Box<Node>),
    /// `value in (list)`; true where it is `not in`.
    In(Box<Node>, Vec<Node>, bool),
    /// `value is null`; true where it is `is not null`.
    IsNull(Box<Node>, bool),
    Call(String, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(crate) const fn of(sign: &str) -> Option<Self> {
        Some(match sign.as_bytes() {
            b"=" => Self::Equal,
            b"!=" => Self::Unequal,
            b"<" => Self::Less,
            b"<=" => Self::LessOrEqual,
            b">" => Self::Greater,
            b">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// Whether it holds for two values that are there.
    pub(crate) const fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
