//! Factors and percentages as a configuration writes them, exact to 10^-9.

use std::fmt;
use std::str::FromStr;

use crate::config::read_text;
use crate::money::{Money, MoneyError};

/// 10^-9 in units of [`Money`].
const UNITS_PER_BILLIONTH: i128 = 1_000_000_000;

/// A factor, counted in 10^-9: what the contract's `scaled` multiplies by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(i64);

impl Rate {
    pub const ONE: Self = Self(1_000_000_000);

    pub const fn from_billionths(billionths: i64) -> Self {
        Self(billionths)
    }

    pub const fn billionths(self) -> i64 {
        self.0
    }

    fn of_units(units: i128) -> Option<Self> {
        (units % UNITS_PER_BILLIONTH == 0).then(|| i64::try_from(units / UNITS_PER_BILLIONTH).ok().map(Self)).flatten()
    }
}

/// Reads a factor, `0.75`.
impl FromStr for Rate {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::of_units(text.parse::<Money>()?.units()).ok_or(MoneyError::TooPrecise)
    }
}

/// A percentage such as `"75.0"`, of which every use as a factor is exact: at most 7 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    share: Rate,
}

impl Percent {
    /// This part of an amount: 75 % is 0.75.
    pub const fn share(self) -> Rate {
        self.share
    }

    /// An amount and this part of it: 30 % more is 1.3, -20 % is 0.8.
    pub const fn on_top(self) -> Rate {
        Rate(self.share.0 + Rate::ONE.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = text.parse::<Money>().map_err(|error| error.to_string())?.units();
        let share = (units % 100 == 0).then(|| Rate::of_units(units / 100)).flatten();
        let share = share.filter(|rate| rate.0.checked_add(Rate::ONE.0).is_some());
        share.map(|share| Self { share }).ok_or_else(|| "a percentage has at most 7 decimals and 11 digits before them".to_owned())
    }
}

/// Without trailing zeros: `7.5`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Money::from_units(i128::from(self.share.0) * 100 * UNITS_PER_BILLIONTH).fmt(f)
    }
}

impl<'de> serde::Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a percentage as text, in quotes: \"7.5\"", str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_an_exact_factor_or_an_error() {
        let percent: Percent = "75.0".parse().unwrap();
        assert_eq!(percent.share().billionths(), 750_000_000);
        assert_eq!(percent.to_string(), "75");
        assert_eq!("30".parse::<Percent>().unwrap().on_top().billionths(), 1_300_000_000);
        assert_eq!("-20".parse::<Percent>().unwrap().on_top().billionths(), 800_000_000);
        assert_eq!("0.0000001".parse::<Percent>().unwrap().share().billionths(), 1);
        assert!("0.00000001".parse::<Percent>().is_err());
        assert!("1000000000000".parse::<Percent>().is_err());
        assert!("75%".parse::<Percent>().is_err());
    }
}
