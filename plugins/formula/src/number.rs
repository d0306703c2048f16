//! Exact decimals: literals, and values while a formula is computed.
//!
//! A value is computed in 128 bits where it fits and repeated in 512 where it does not; both give the same digits, because nothing
//! rounds but `round`, `div` and the formula's own last step.

use std::cmp::Ordering;

use rerate_rule::{Money, Overflow, Rounding};

/// Decimals of an amount.
pub(crate) const SCALE: u8 = 18;

/// A literal, `units * 10^-scale`, without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Decimal {
    pub(crate) units: i128,
    pub(crate) scale: u8,
}

impl Decimal {
    pub(crate) const ZERO: Self = Self { units: 0, scale: 0 };
    pub(crate) const ONE: Self = Self { units: 1, scale: 0 };

    /// # Errors
    /// With what a number looks like.
    pub(crate) fn read(digits: &str) -> Result<Self, String> {
        let money: Money = digits.parse().map_err(|error| match error {
            rerate_rule::MoneyError::NotANumber => "a number is written like 12.50".to_owned(),
            other => other.to_string(),
        })?;
        Ok(Self::shortest(money.units(), SCALE))
    }

    /// # Errors
    /// When a hundredth of it has more than 18 decimals.
    pub(crate) fn percent(self) -> Result<Self, String> {
        match Self::shortest(self.units, self.scale.saturating_add(2)) {
            share if share.scale <= SCALE => Ok(share),
            _ => Err("a percentage has at most 16 decimals".to_owned()),
        }
    }

    pub(crate) const fn shortest(mut units: i128, mut scale: u8) -> Self {
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        Self { units, scale }
    }

    /// `1 / self`, where that is a decimal.
    pub(crate) fn inverse(self) -> Option<Self> {
        let (mut rest, mut twos, mut fives) = (self.units, 0_u8, 0_u8);
        if rest == 0 {
            return None;
        }
        while rest % 2 == 0 {
            rest /= 2;
            twos += 1;
        }
        while rest % 5 == 0 {
            rest /= 5;
            fives += 1;
        }
        // 1 / (2^a 5^b) = 2^(b - a) * 10^-b, and the other way about.
        let decimals = twos.max(fives);
        if rest.abs() != 1 || decimals > SCALE {
            return None;
        }
        let units = 2_i128.pow(u32::from(decimals - twos)) * 5_i128.pow(u32::from(decimals - fives)) * rest;
        let raised = units.checked_mul(10_i128.pow(u32::from(self.scale)))?;
        Some(Self::shortest(raised, decimals))
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let sum = self.value::<i128>().plus(&other.value()).ok()?;
        Self::of(&sum)
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let product = self.value::<i128>().times(&other.value()).ok()?;
        Self::of(&product)
    }

    pub(crate) const fn negative(self) -> Self {
        Self { units: -self.units, scale: self.scale }
    }

    pub(crate) fn value<I: Int>(self) -> Value<I> {
        Value { units: I::of(self.units), scale: u32::from(self.scale) }
    }

    fn of(value: &Value<i128>) -> Option<Self> {
        Some(Self::shortest(value.units, u8::try_from(value.scale).ok()?))
    }
}

/// An integer that is wide enough or says [`Overflow`].
pub(crate) trait Int: Clone + Ord {
    fn of(units: i128) -> Self;
    /// # Errors
    /// [`Overflow`], as everywhere here.
    fn plus(&self, other: &Self) -> Result<Self, Overflow>;
    /// # Errors
    /// [`Overflow`].
    fn times(&self, other: &Self) -> Result<Self, Overflow>;
    fn negative(&self) -> Self;
    fn is_zero(&self) -> bool;
    fn is_negative(&self) -> bool;
    /// `self / divisor`, rounded; the divisor is not zero.
    ///
    /// # Errors
    /// [`Overflow`].
    fn over(&self, divisor: &Self, rounding: Rounding) -> Result<Self, Overflow>;
    /// # Errors
    /// [`Overflow`].
    fn narrowed(&self) -> Result<i128, Overflow>;

    /// `self * 10^exponent`.
    ///
    /// # Errors
    /// [`Overflow`].
    fn raised(&self, mut exponent: u32) -> Result<Self, Overflow> {
        /// The largest power of ten of an `i128`.
        const STEP: u32 = 38;
        let mut raised = self.clone();
        while exponent > 0 {
            let step = exponent.min(STEP);
            raised = raised.times(&Self::of(10_i128.pow(step)))?;
            exponent -= step;
        }
        Ok(raised)
    }
}

impl Int for i128 {
    fn of(units: i128) -> Self {
        units
    }

    fn plus(&self, other: &Self) -> Result<Self, Overflow> {
        self.checked_add(*other).filter(|sum| *sum != Self::MIN).ok_or(Overflow)
    }

    fn times(&self, other: &Self) -> Result<Self, Overflow> {
        self.checked_mul(*other).filter(|product| *product != Self::MIN).ok_or(Overflow)
    }

    fn negative(&self) -> Self {
        -self
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }

    fn is_negative(&self) -> bool {
        *self < 0
    }

    fn over(&self, divisor: &Self, rounding: Rounding) -> Result<Self, Overflow> {
        let (quotient, remainder) = (self / divisor, (self % divisor).unsigned_abs());
        let rest = divisor.unsigned_abs() - remainder;
        let away = away(rounding, remainder == 0, remainder.cmp(&rest), quotient % 2 != 0);
        let step = if (*self < 0) == (*divisor < 0) { 1 } else { -1 };
        if away { quotient.plus(&step) } else { Ok(quotient) }
    }

    fn narrowed(&self) -> Result<i128, Overflow> {
        Ok(*self)
    }
}

/// Whether a quotient is rounded away from zero: how the remainder compares to what is left of the divisor.
pub(crate) fn away(rounding: Rounding, exact: bool, half: Ordering, odd: bool) -> bool {
    !exact
        && match rounding {
            Rounding::HalfEven => half.is_gt() || (half.is_eq() && odd),
            Rounding::HalfUp => half.is_ge(),
            Rounding::Down => false,
            Rounding::Up => true,
        }
}

/// `units * 10^-scale`.
#[derive(Clone, Debug)]
pub(crate) struct Value<I> {
    pub(crate) units: I,
    pub(crate) scale: u32,
}

impl<I: Int> Value<I> {
    /// Both at the finer of the two scales.
    fn aligned(&self, other: &Self) -> Result<(I, I, u32), Overflow> {
        let scale = self.scale.max(other.scale);
        Ok((self.units.raised(scale - self.scale)?, other.units.raised(scale - other.scale)?, scale))
    }

    /// # Errors
    /// [`Overflow`].
    pub(crate) fn plus(&self, other: &Self) -> Result<Self, Overflow> {
        let (left, right, scale) = self.aligned(other)?;
        Ok(Self { units: left.plus(&right)?, scale })
    }

    /// # Errors
    /// [`Overflow`].
    pub(crate) fn times(&self, other: &Self) -> Result<Self, Overflow> {
        Ok(Self { units: self.units.times(&other.units)?, scale: self.scale + other.scale })
    }

    pub(crate) fn negative(&self) -> Self {
        Self { units: self.units.negative(), scale: self.scale }
    }

    /// # Errors
    /// [`Overflow`].
    pub(crate) fn order(&self, other: &Self) -> Result<Ordering, Overflow> {
        let (left, right, _) = self.aligned(other)?;
        Ok(left.cmp(&right))
    }

    /// # Errors
    /// [`Overflow`].
    pub(crate) fn rounded(&self, digits: u8, rounding: Rounding) -> Result<Self, Overflow> {
        let digits = u32::from(digits);
        if self.scale <= digits {
            return Ok(self.clone());
        }
        let divisor = I::of(1).raised(self.scale - digits)?;
        Ok(Self { units: self.units.over(&divisor, rounding)?, scale: digits })
    }

    /// `self / other`, rounded to `digits` decimals; `None` by zero.
    ///
    /// # Errors
    /// [`Overflow`].
    pub(crate) fn over(&self, other: &Self, digits: u8, rounding: Rounding) -> Result<Option<Self>, Overflow> {
        if other.units.is_zero() {
            return Ok(None);
        }
        let digits = u32::from(digits);
        let raise = digits + other.scale;
        let numerator = self.units.raised(raise.saturating_sub(self.scale))?;
        let divisor = other.units.raised(self.scale.saturating_sub(raise))?;
        Ok(Some(Self { units: numerator.over(&divisor, rounding)?, scale: digits }))
    }

    /// The count of 10^-scale, if it is one.
    ///
    /// # Errors
    /// [`Overflow`], also where digits would be lost.
    pub(crate) fn at_scale(&self, scale: u8) -> Result<i128, Overflow> {
        let scale = u32::from(scale);
        if self.scale <= scale {
            return self.units.raised(scale - self.scale)?.narrowed();
        }
        let divisor = I::of(1).raised(self.scale - scale)?;
        let quotient = self.units.over(&divisor, Rounding::Down)?;
        if quotient.times(&divisor)? == self.units { quotient.narrowed() } else { Err(Overflow) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::read(text).unwrap()
    }

    #[test]
    fn a_divisor_of_twos_and_fives_has_an_exact_inverse_and_no_other_has() {
        for (text, inverse) in [
            ("100", Some("0.01")),
            ("4", Some("0.25")),
            ("0.125", Some("8")),
            ("1.6", Some("0.625")),
            ("3", None),
            ("0", None),
            ("7.5", None),
        ] {
            assert_eq!(decimal(text).inverse(), inverse.map(decimal), "{text}");
        }
    }

    #[test]
    fn a_percentage_is_a_hundredth() {
        assert_eq!(decimal("95").percent(), Ok(decimal("0.95")));
        assert!(decimal("0.12345678901234567").percent().is_err());
    }
}
