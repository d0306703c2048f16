//! Conditions on text columns, as every configuration writes them: `where`.

use serde::Deserialize;

/// A test of one text column. Null is in no list and starts with nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    IsIn(Vec<String>),
    NotIn(Vec<String>),
    StartsWith(Vec<String>),
    IsNull,
    NotNull,
}

impl Test {
    pub fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::IsIn(list) => value.is_some_and(|v| list.iter().any(|l| l == v)),
            Self::NotIn(list) => !value.is_some_and(|v| list.iter().any(|l| l == v)),
            Self::StartsWith(list) => value.is_some_and(|v| list.iter().any(|l| v.starts_with(l.as_str()))),
            Self::IsNull => value.is_none(),
            Self::NotNull => value.is_some(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Condition {
    pub column: String,
    pub test: Test,
}

/// Conditions of which all hold; none select everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Where(Vec<Condition>);

impl Where {
    pub fn conditions(&self) -> &[Condition] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Where> for Vec<Condition> {
    fn from(conditions: Where) -> Self {
        conditions.0
    }
}

/// A condition as JSON writes it: a column and exactly one of the tests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    column: String,
    is_in: Option<Vec<String>>,
    not_in: Option<Vec<String>>,
    starts_with: Option<Vec<String>>,
    is_null: Option<bool>,
    not_null: Option<bool>,
}

impl TryFrom<Written> for Condition {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { column, is_in, not_in, starts_with, is_null, not_null } = written;
        if is_null == Some(false) || not_null == Some(false) {
            return Err("is_null and not_null are only ever true; leave the other out");
        }
        let tests = [
            is_in.map(Test::IsIn),
            not_in.map(Test::NotIn),
            starts_with.map(Test::StartsWith),
            is_null.map(|_| Test::IsNull),
            not_null.map(|_| Test::NotNull),
        ];
        let mut tests = tests.into_iter().flatten();
        let (Some(test), None) = (tests.next(), tests.next()) else {
            return Err("a condition needs exactly one of is_in, not_in, starts_with, is_null, not_null");
        };
        match &test {
            Test::IsIn(list) | Test::NotIn(list) | Test::StartsWith(list) if list.is_empty() => Err("the list of values is empty"),
            Test::StartsWith(list) if list.iter().any(String::is_empty) => Err("every text starts with \"\"; use not_null"),
            _ => Ok(Self { column, test }),
        }
    }
}
