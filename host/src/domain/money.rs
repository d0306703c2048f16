//! Exact money: a count of 10^-18 in an `i128`, the unit of every stored amount. Nothing here, or above it, touches a float.

use std::fmt;

/// Decimals that a stored amount carries (Decimal128(38, 18) on disk).
pub const SCALE: u32 = 18;

/// `10^SCALE`: the units of one whole currency unit.
pub const ONE: i128 = 1_000_000_000_000_000_000;

/// The unit count that stands for "no value" inside a [`MoneyColumn`](super::columns::MoneyColumn).
pub const NULL: i128 = i128::MIN;

/// The largest magnitude that Decimal128(38, 18) holds.
const LARGEST: i128 = 10_i128.pow(38) - 1;

/// An exact amount in 10^-18 of its currency. Never null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i128);

/// What reading a decimal from text found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The value, rounded half-even where the text has more than 18 decimals.
    pub amount: Amount,
    /// Text minus value, in 10^-36, where digits were rounded away; zero otherwise.
    pub rounded_away: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("not a decimal number")]
    NotANumber,
    #[error("more than 20 digits before the decimal point")]
    TooLarge,
    #[error("more than 18 decimals")]
    TooPrecise,
}

pub(crate) const fn power_of_ten(exponent: u32) -> i128 {
    10_i128.pow(exponent)
}

/// Divides and rounds half to even. `divisor` is positive.
pub(crate) const fn divide_half_even(value: i128, divisor: i128) -> i128 {
    let quotient = value / divisor;
    let remainder = (value % divisor).abs();
    let twice = remainder * 2;
    if twice > divisor || (twice == divisor && quotient % 2 != 0) { quotient + value.signum() } else { quotient }
}

impl Amount {
    pub const ZERO: Self = Self(0);

    /// Reads `-12.50`, `7.0E-10`, `+3` or `.5`. Digits beyond the 18th decimal are rounded half-even and reported; text with more than
    /// 38 significant digits before them is refused.
    pub fn parse(text: &[u8]) -> Result<Parsed, MoneyError> {
        let (negative, mut rest) = match text.first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let mut mantissa: i128 = 0;
        let mut decimals: i32 = 0;
        let mut seen_point = false;
        let mut digits = 0_u32;
        while let Some((&byte, tail)) = rest.split_first() {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    mantissa = mantissa.checked_mul(10).and_then(|m| m.checked_add(i128::from(byte - b'0'))).ok_or(MoneyError::TooLarge)?;
                    decimals += i32::from(seen_point);
                }
                b'.' if !seen_point => seen_point = true,
                b'e' | b'E' => break,
                _ => return Err(MoneyError::NotANumber),
            }
            rest = tail;
        }
        if digits == 0 {
            return Err(MoneyError::NotANumber);
        }
        if let Some((_, exponent)) = rest.split_first() {
            decimals = decimals.saturating_sub(parse_exponent(exponent)?);
        }
        let signed = if negative { -mantissa } else { mantissa };
        scale_to_units(signed, decimals)
    }

    /// As [`Amount::parse`], for configuration and interfaces: more than 18 decimals is an error.
    pub fn parse_exact(text: &str) -> Result<Self, MoneyError> {
        let parsed = Self::parse(text.trim().as_bytes())?;
        if parsed.rounded_away == 0 { Ok(parsed.amount) } else { Err(MoneyError::TooPrecise) }
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether Decimal128(38, 18) can store it.
    pub const fn is_storable(self) -> bool {
        self.0 >= -LARGEST && self.0 <= LARGEST
    }
}

fn parse_exponent(text: &[u8]) -> Result<i32, MoneyError> {
    let text = std::str::from_utf8(text).map_err(|_| MoneyError::NotANumber)?;
    let exponent: i32 = text.parse().map_err(|_| MoneyError::NotANumber)?;
    if exponent.abs() > 1_000 { Err(MoneyError::TooLarge) } else { Ok(exponent) }
}

/// `mantissa * 10^-decimals` in units of 10^-18.
fn scale_to_units(mantissa: i128, decimals: i32) -> Result<Parsed, MoneyError> {
    let shift = i32::try_from(SCALE).unwrap_or(18) - decimals;
    let exact = |units: i128| Parsed { amount: Amount(units), rounded_away: 0 };
    if mantissa == 0 {
        return Ok(exact(0));
    }
    if shift >= 0 {
        let units = u32::try_from(shift)
            .ok()
            .and_then(|s| 10_i128.checked_pow(s))
            .and_then(|p| mantissa.checked_mul(p))
            .ok_or(MoneyError::TooLarge)?;
        return if Amount(units).is_storable() { Ok(exact(units)) } else { Err(MoneyError::TooLarge) };
    }
    let excess = shift.unsigned_abs();
    if excess > 38 {
        return Ok(exact(0)); // below 10^-56: nothing that a report could show
    }
    let divisor = power_of_ten(excess);
    let units = divide_half_even(mantissa, divisor);
    let left = mantissa - units * divisor; // in 10^-(18 + excess)
    let rounded_away = if excess <= SCALE { left * power_of_ten(SCALE - excess) } else { left / power_of_ten(excess - SCALE) };
    Ok(Parsed { amount: Amount(units), rounded_away })
}

/// Plain decimal text without trailing zeros and never in E-notation: `-0.0000000007`, `12.5`, `0`.
impl fmt::Display for Amount {
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

impl std::str::FromStr for Amount {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::parse_exact(text)
    }
}

impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse_exact(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Parsed {
        Amount::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn java_notation_and_plain_notation_are_the_same_number() {
        assert_eq!(parse("7.0E-10"), parse("0.0000000007"));
        assert_eq!(parse("7.0E-10").amount.to_string(), "0.0000000007");
        assert_eq!(parse("1.5e3").amount.to_string(), "1500");
        assert_eq!(parse("-.5").amount.to_string(), "-0.5");
    }

    #[test]
    fn digits_beyond_the_eighteenth_decimal_are_rounded_half_even_and_reported() {
        let down = parse("0.0000000000000000005");
        assert_eq!(down.amount, Amount(0));
        assert_eq!(down.rounded_away, 500_000_000_000_000_000);
        let up = parse("0.0000000000000000015");
        assert_eq!(up.amount, Amount(2));
        assert_eq!(up.rounded_away, -500_000_000_000_000_000);
        assert_eq!(parse("1.234567890123456789012345").amount.to_string(), "1.234567890123456789");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "abc", "1e", "NULL", "1,5", "0x10", " 1"] {
            assert!(Amount::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(Amount::parse(b"100000000000000000000").unwrap_err(), MoneyError::TooLarge);
        assert_eq!(Amount::parse_exact("0.1234567890123456789"), Err(MoneyError::TooPrecise));
    }

    proptest! {
        #[test]
        fn text_of_an_amount_reads_back_as_itself(units in -LARGEST..=LARGEST) {
            let amount = Amount(units);
            prop_assert_eq!(Amount::parse_exact(&amount.to_string()), Ok(amount));
        }
    }
}
