//! Exact money: a count of 10^-18 in an `i128`.

use std::fmt;
use std::str::FromStr;

use crate::config::read_text;
use crate::exact::{Factor, Overflow, Rounding, Units as _};
use crate::rate::Rate;

/// Decimals of every [`Money`].
pub(crate) const SCALE: u8 = 18;
const ONE: i128 = 1_000_000_000_000_000_000;
/// The largest magnitude that a daemon stores: 38 digits.
const LARGEST: i128 = 10_i128.pow(38) - 1;

/// An exact amount. Never null, never a float; reads from and prints as plain decimal text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    NotANumber,
    TooLarge,
    TooPrecise,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a decimal number such as \"-12.50\"",
            Self::TooLarge => "more than 20 digits before the decimal point",
            Self::TooPrecise => "more than 18 decimals",
        })
    }
}

impl std::error::Error for MoneyError {}

impl Money {
    pub const ZERO: Self = Self(0);

    /// From a count of 10^-18.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// The count of 10^-18.
    pub const fn units(self) -> i128 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// # Errors
    /// When the sum leaves the range.
    pub fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self).ok_or(Overflow)
    }

    /// # Errors
    /// When the difference leaves the range.
    pub fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }

    #[must_use]
    pub const fn negated(self) -> Self {
        Self(-self.0)
    }

    /// `self * rate`, rounded once to `digits` decimals (at most 18).
    ///
    /// # Errors
    /// When the product leaves the range.
    pub fn times(self, rate: Rate, digits: u8, rounding: Rounding) -> Result<Self, Overflow> {
        self.0.times(&Factor::of(rate), SCALE, digits, rounding).map(Self)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads `-12.50`, `+3` or `.5`; never E-notation, never more than 18 decimals.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let mut units: i128 = 0;
        let mut decimals: Option<u8> = None;
        let mut any = false;
        for byte in digits {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    match &mut decimals {
                        Some(SCALE) if *byte == b'0' => continue,
                        Some(SCALE) => return Err(MoneyError::TooPrecise),
                        Some(count) => *count += 1,
                        None => {}
                    }
                    units = units.checked_mul(10).and_then(|u| u.checked_add(i128::from(byte - b'0'))).ok_or(MoneyError::TooLarge)?;
                }
                b'.' if decimals.is_none() => decimals = Some(0),
                _ => return Err(MoneyError::NotANumber),
            }
        }
        if !any {
            return Err(MoneyError::NotANumber);
        }
        let missing = SCALE - decimals.unwrap_or(0);
        let units = units.checked_mul(10_i128.pow(u32::from(missing))).filter(|u| *u <= LARGEST).ok_or(MoneyError::TooLarge)?;
        Ok(Self(if negative { -units } else { units }))
    }
}

/// Plain decimal text without trailing zeros: `-0.0000000007`, `12.5`, `0`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        let (whole, fraction) = (magnitude / one, magnitude % one);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:018}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl<'de> serde::Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a decimal number as text, in quotes: \"12.50\"", |text| {
            text.parse::<Self>().map_err(|error| error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_that_is_no_plain_decimal_is_refused() {
        for text in ["", "-", ".", "1.2.3", "1e3", "NULL", "1,5", " 1", "--1", "0x10"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::NotANumber), "{text:?}");
        }
        assert_eq!("100000000000000000000".parse::<Money>(), Err(MoneyError::TooLarge));
        assert_eq!("0.1234567890123456789".parse::<Money>(), Err(MoneyError::TooPrecise));
        assert_eq!("0.1234567890123456780000".parse::<Money>().unwrap().to_string(), "0.123456789012345678");
    }

    #[test]
    fn a_product_is_rounded_once() {
        let rate: Rate = "0.107".parse().unwrap();
        let money: Money = "1.15".parse().unwrap();
        assert_eq!(money.times(rate, 18, Rounding::HalfEven).unwrap().to_string(), "0.12305");
        assert_eq!(money.times(rate, 4, Rounding::HalfEven).unwrap().to_string(), "0.123");
        assert_eq!(money.times(rate, 4, Rounding::HalfUp).unwrap().to_string(), "0.1231");
        assert_eq!(money.times(rate, 2, Rounding::Up).unwrap().to_string(), "0.13");
        assert_eq!(money.negated().times(rate, 2, Rounding::Down).unwrap().to_string(), "-0.12");
    }

    proptest! {
        #[test]
        fn text_of_money_reads_back_as_itself(units in -LARGEST..=LARGEST) {
            let money = Money(units);
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }
    }
}
