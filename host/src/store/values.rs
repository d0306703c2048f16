//! How the domain's values are written in a column: everything as text, amounts exactly.

use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::{AnyTypeInfo, AnyTypeInfoKind};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Row, Type, ValueRef};

use super::{
    Db, DbRow, DeploymentState, IntegrationKind, IntegrationStatus, Origin, PreviewState, Result, RunState, ShadowOutcome, ShadowState,
    SigningPolicy, SnapshotState, StoreError, TenantKind, TenantState, UserState,
};
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};
use crate::domain::money::Amount;
use crate::domain::period::Period;

type Written = <Db as Database>::ArgumentBuffer;
type Stored<'r> = <Db as Database>::ValueRef<'r>;

/// Types that are stored as a text: by two functions, to it and from it.
macro_rules! stored_as_text {
    ($($value:ty),* $(,)?; $to:path, $from:path) => {$(
        impl Type<Db> for $value {
            fn type_info() -> AnyTypeInfo {
                <str as Type<Db>>::type_info()
            }
        }
        impl<'q> Encode<'q, Db> for $value {
            fn encode_by_ref(&self, buffer: &mut Written) -> std::result::Result<IsNull, BoxDynError> {
                Encode::<Db>::encode($to(self)?, buffer)
            }
        }
        impl<'r> Decode<'r, Db> for $value {
            fn decode(value: Stored<'r>) -> std::result::Result<Self, BoxDynError> {
                $from(<&str as Decode<Db>>::decode(value)?)
            }
        }
    )*};
}

stored_as_text!(Amount, Period, Organisation, Role; written, parsed);

// Enums, by the word that they have in JSON.
stored_as_text!(
    DeploymentState, IntegrationKind, IntegrationStatus, Origin, PreviewState, RunState, ShadowOutcome, ShadowState, SigningPolicy,
    SnapshotState, TenantKind, TenantState, UserState; word, from_word
);

fn written(value: &impl ToString) -> std::result::Result<String, BoxDynError> {
    Ok(value.to_string())
}

fn parsed<T: std::str::FromStr<Err: Into<BoxDynError>>>(text: &str) -> std::result::Result<T, BoxDynError> {
    text.parse().map_err(Into::into)
}

fn word(value: &impl Serialize) -> std::result::Result<String, BoxDynError> {
    match serde_json::to_value(value)? {
        Value::String(word) => Ok(word),
        other => Err(format!("{other} is not a word").into()),
    }
}

fn from_word<'r, T: Deserialize<'r>>(text: &'r str) -> std::result::Result<T, BoxDynError> {
    let source: serde::de::value::StrDeserializer<'r, serde::de::value::Error> = text.into_deserializer();
    Ok(T::deserialize(source)?)
}

impl Type<Db> for Moment {
    fn type_info() -> AnyTypeInfo {
        <i64 as Type<Db>>::type_info()
    }
}

impl<'q> Encode<'q, Db> for Moment {
    fn encode_by_ref(&self, buffer: &mut Written) -> std::result::Result<IsNull, BoxDynError> {
        Encode::<Db>::encode_by_ref(&self.0, buffer)
    }
}

impl<'r> Decode<'r, Db> for Moment {
    fn decode(value: Stored<'r>) -> std::result::Result<Self, BoxDynError> {
        Ok(Self(<i64 as Decode<Db>>::decode(value)?))
    }
}

/// How a yes or no is read: a boolean of PostgreSQL, 0 or 1 of SQLite. A field says `#[sqlx(try_from = "Flag")]`; a `bool` is bound as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag(bool);

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        flag.0
    }
}

impl Type<Db> for Flag {
    fn type_info() -> AnyTypeInfo {
        <bool as Type<Db>>::type_info()
    }

    fn compatible(stored: &AnyTypeInfo) -> bool {
        stored.kind() == AnyTypeInfoKind::Bool || stored.kind().is_integer()
    }
}

impl<'r> Decode<'r, Db> for Flag {
    fn decode(value: Stored<'r>) -> std::result::Result<Self, BoxDynError> {
        let boolean = value.type_info().kind() == AnyTypeInfoKind::Bool;
        Ok(Self(if boolean { <bool as Decode<Db>>::decode(value)? } else { <i64 as Decode<Db>>::decode(value)? != 0 }))
    }
}

/// Reads a yes or no.
pub(super) fn flag(row: &DbRow, column: &str) -> sqlx::Result<bool> {
    row.try_get::<Flag, _>(column).map(Into::into)
}

/// A list or object as it is stored.
pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Invalid(error.to_string()))
}

/// Reads a column of JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &DbRow, column: &str) -> sqlx::Result<T> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
}

/// Reads a count.
pub(super) fn count(row: &DbRow, column: &str) -> sqlx::Result<u64> {
    let stored: i64 = row.try_get(column)?;
    u64::try_from(stored).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
}

/// A count as it is stored.
pub(super) fn counted(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| StoreError::Invalid(format!("{value} is too large to store")))
}

/// A text as a pattern of `LIKE .. ESCAPE '!'` that stands for itself.
pub(super) fn literally(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern
}
