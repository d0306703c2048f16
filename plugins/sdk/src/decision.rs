//! What a rule decides about every charge of one combination.

use std::borrow::Cow;

use crate::exact::Rounding;
use crate::money::Money;
use crate::rate::Rate;

/// Keep as it was, or keep and have a person look, where the column that should be copied has no value or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    Keep,
    Hold,
}

/// A column by its name, which the rule's plan must read.
type Column = Cow<'static, str>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    Keep,
    Zero,
    /// Another money column; null and zero count as missing.
    Copied {
        column: Column,
        if_missing: IfMissing,
    },
    /// `column * rate`, rounded once to `digits` decimals. Null stays what the tenant would have been charged.
    Scaled {
        column: Column,
        rate: Rate,
        digits: u8,
        rounding: Rounding,
    },
    /// `below` for the part up to the threshold, `above` for the rest, rounded once.
    Tiered {
        column: Column,
        threshold: Money,
        below: Rate,
        above: Rate,
        digits: u8,
        rounding: Rounding,
    },
    /// Row logic: [`Adjust::apply`](crate::Adjust::apply) computes it.
    Custom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    Keep,
    /// The tenant is not charged and does not see it.
    Drop,
    /// A person must look before an invoice is issued.
    Hold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub amount: Amount,
    pub treatment: Treatment,
    /// Text columns to set, which the rule's plan must write; `None` sets null.
    pub relabel: Vec<(Column, Option<String>)>,
    /// Why, in a few words: the charge's provenance.
    pub reason: Cow<'static, str>,
}

impl Decision {
    fn new(amount: Amount, treatment: Treatment, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { amount, treatment, relabel: Vec::new(), reason: reason.into() }
    }

    /// Leaves the charge as it is.
    pub fn keep(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Amount::Keep, Treatment::Keep, reason)
    }

    /// The tenant sees the charge and pays nothing for it.
    pub fn zero(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Amount::Zero, Treatment::Keep, reason)
    }

    /// The tenant neither sees nor pays the charge.
    pub fn drop(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Amount::Keep, Treatment::Drop, reason)
    }

    /// A person must look before an invoice is issued.
    pub fn hold(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Amount::Keep, Treatment::Hold, reason)
    }

    pub fn copied(column: impl Into<Column>, if_missing: IfMissing, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Amount::Copied { column: column.into(), if_missing }, Treatment::Keep, reason)
    }

    /// Rounded once, to `digits` decimals, half to even.
    pub fn scaled(column: impl Into<Column>, rate: Rate, digits: u8, reason: impl Into<Cow<'static, str>>) -> Self {
        let amount = Amount::Scaled { column: column.into(), rate, digits, rounding: Rounding::HalfEven };
        Self::new(amount, Treatment::Keep, reason)
    }

    /// Row logic decides: [`Adjust::apply`](crate::Adjust::apply).
    pub fn custom(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Amount::Custom, Treatment::Keep, reason)
    }

    /// Also sets a text column; `None` sets null.
    #[must_use]
    pub fn relabel(mut self, column: impl Into<Column>, value: Option<&str>) -> Self {
        self.relabel.push((column.into(), value.map(str::to_owned)));
        self
    }
}
