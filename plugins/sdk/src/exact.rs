//! Exact arithmetic on a row's amounts, for both widths in which they arrive.
//!
//! Narrow (`i64`) arithmetic either gives what the wide (`i128`) would or reports [`Overflow`], upon which the daemon repeats the batch
//! wide. It never rounds where the wide would not, so a result does not depend on the width.

use crate::rate::Rate;

/// An amount left the range of its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an amount left the range")
    }
}

impl std::error::Error for Overflow {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    HalfEven,
    HalfUp,
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
}

/// A rate as a reduced fraction, so that narrow products stay narrow: 1.07 is 107/100, not 1070000000/10^9.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    numerator: i64,
    denominator: i64,
    /// The largest magnitude that an `i64` product allows.
    narrow_limit: i64,
}

impl Factor {
    pub const fn of(rate: Rate) -> Self {
        let (mut a, mut b) = (rate.billionths().unsigned_abs(), 1_000_000_000_u64);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = a.cast_signed(); // divides 10^9
        let numerator = rate.billionths() / divisor;
        let narrow_limit = if numerator == 0 { i64::MAX } else { i64::MAX / numerator.saturating_abs() };
        Self { numerator, denominator: 1_000_000_000 / divisor, narrow_limit }
    }
}

/// The two widths of an amount: a count of 10^-scale, with one value set aside for null. Sealed: there are no others.
pub trait Units: Copy + Ord + sealed::Sealed + 'static {
    const NULL: Self;
    const ZERO: Self;

    /// # Errors
    /// [`Overflow`].
    fn plus(self, other: Self) -> Result<Self, Overflow>;

    /// # Errors
    /// [`Overflow`].
    fn minus(self, other: Self) -> Result<Self, Overflow>;

    /// `self * factor` at the same scale, rounded once to `digits` decimals.
    ///
    /// # Errors
    /// [`Overflow`], also when the width cannot hold the digits of the exact result.
    fn times(self, factor: &Factor, scale: u8, digits: u8, rounding: Rounding) -> Result<Self, Overflow>;

    /// # Errors
    /// [`Overflow`], also when `units * 10^-18` has more decimals than `scale`.
    fn of_money(units: i128, scale: u8) -> Result<Self, Overflow>;

    /// `self * 10^exponent`: the same amount at a finer scale.
    ///
    /// # Errors
    /// [`Overflow`].
    fn raised(self, exponent: u8) -> Result<Self, Overflow>;

    /// The count itself, for arithmetic that is wider than an amount.
    fn to_i128(self) -> i128;

    /// # Errors
    /// [`Overflow`], when the count does not fit this width.
    fn of_i128(units: i128) -> Result<Self, Overflow>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i64 {}
    impl Sealed for i128 {}
}

/// `10^exponent` for each exponent that an `i64` holds.
const POWERS: [i64; 19] = {
    let mut powers = [1_i64; 19];
    let mut exponent = 1;
    while exponent < 19 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// The step of the last of `digits` decimals, counted in 10^-scale.
fn step(scale: u8, digits: u8) -> Result<i64, Overflow> {
    POWERS.get(usize::from(scale.saturating_sub(digits))).copied().ok_or(Overflow)
}

impl Units for i64 {
    const NULL: Self = Self::MIN;
    const ZERO: Self = 0;

    fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.checked_add(other).filter(|sum| *sum != Self::NULL).ok_or(Overflow)
    }

    fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.checked_sub(other).filter(|difference| *difference != Self::NULL).ok_or(Overflow)
    }

    #[inline]
    fn times(self, factor: &Factor, scale: u8, digits: u8, rounding: Rounding) -> Result<Self, Overflow> {
        // The limit instead of a checked product: wasm has no 128-bit multiplication to check it with.
        if self > factor.narrow_limit || self < -factor.narrow_limit {
            return Err(Overflow);
        }
        let product = self * factor.numerator;
        if scale < digits {
            return if product % factor.denominator == 0 { Ok(product / factor.denominator) } else { Err(Overflow) };
        }
        let step = step(scale, digits)?;
        let divisor = if step <= Self::MAX / 1_000_000_000 { step * factor.denominator } else { return Err(Overflow) };
        // One division: wasm has no instruction that also gives the remainder.
        let quotient = product / divisor;
        let remainder = product - quotient * divisor;
        let rounded = quotient * step; // at most the product
        if remainder != 0 && away(rounding, remainder.unsigned_abs(), divisor.unsigned_abs(), quotient & 1 == 1) {
            return rounded.plus(if product < 0 { -step } else { step });
        }
        Ok(rounded)
    }

    fn of_money(units: i128, scale: u8) -> Result<Self, Overflow> {
        let step = i128::from(step(18, scale)?);
        if units % step != 0 {
            return Err(Overflow);
        }
        Self::try_from(units / step).ok().filter(|u| *u != Self::NULL).ok_or(Overflow)
    }

    fn raised(self, exponent: u8) -> Result<Self, Overflow> {
        let step = step(exponent, 0)?;
        let limit = Self::MAX / step;
        if self > limit || self < -limit { Err(Overflow) } else { Ok(self * step) }
    }

    fn to_i128(self) -> i128 {
        i128::from(self)
    }

    fn of_i128(units: i128) -> Result<Self, Overflow> {
        Self::try_from(units).ok().filter(|units| *units != Self::NULL).ok_or(Overflow)
    }
}

/// Whether to round away from zero, for a remainder other than zero.
#[inline]
fn away(rounding: Rounding, remainder: u64, divisor: u64, odd: bool) -> bool {
    let rest = divisor - remainder;
    match rounding {
        Rounding::HalfEven => remainder > rest || (remainder == rest && odd),
        Rounding::HalfUp => remainder >= rest,
        Rounding::Down => false,
        Rounding::Up => true,
    }
}

impl Units for i128 {
    const NULL: Self = Self::MIN;
    const ZERO: Self = 0;

    fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.checked_add(other).filter(|sum| *sum != Self::NULL).ok_or(Overflow)
    }

    fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.checked_sub(other).filter(|difference| *difference != Self::NULL).ok_or(Overflow)
    }

    fn times(self, factor: &Factor, scale: u8, digits: u8, rounding: Rounding) -> Result<Self, Overflow> {
        let step = Self::from(step(scale, digits)?);
        let divisor = step * Self::from(factor.denominator);
        let numerator = Self::from(factor.numerator);
        let (quotient, remainder) = match self.checked_mul(numerator) {
            Some(product) => {
                let quotient = product / divisor;
                (quotient, product - quotient * divisor)
            }
            // In two parts, whole divisors and the rest, so that the product stays in range wherever the result does.
            None => {
                let whole = (self / divisor).checked_mul(numerator).ok_or(Overflow)?;
                let part = (self % divisor).checked_mul(numerator).ok_or(Overflow)?;
                (whole.checked_add(part / divisor).ok_or(Overflow)?, part % divisor)
            }
        };
        let rest = divisor - remainder.abs();
        let up = remainder != 0
            && match rounding {
                Rounding::HalfEven => remainder.abs() > rest || (remainder.abs() == rest && quotient % 2 != 0),
                Rounding::HalfUp => remainder.abs() >= rest,
                Rounding::Down => false,
                Rounding::Up => true,
            };
        let rounded = if up { quotient + if remainder < 0 { -1 } else { 1 } } else { quotient };
        rounded.checked_mul(step).filter(|r| *r != Self::NULL).ok_or(Overflow)
    }

    fn of_money(units: i128, scale: u8) -> Result<Self, Overflow> {
        let step = Self::from(step(18, scale)?);
        if units % step == 0 { Ok(units / step) } else { Err(Overflow) }
    }

    fn raised(self, exponent: u8) -> Result<Self, Overflow> {
        self.checked_mul(Self::from(step(exponent, 0)?)).ok_or(Overflow)
    }

    fn to_i128(self) -> i128 {
        self
    }

    fn of_i128(units: i128) -> Result<Self, Overflow> {
        if units == Self::NULL { Err(Overflow) } else { Ok(units) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROUNDINGS: [Rounding; 4] = [Rounding::HalfEven, Rounding::HalfUp, Rounding::Down, Rounding::Up];

    #[test]
    fn narrow_says_overflow_where_the_exact_result_has_more_decimals_than_the_batch() {
        let factor = Factor::of("1.07".parse().unwrap());
        assert_eq!(1_i64.times(&factor, 2, 18, Rounding::HalfEven), Err(Overflow));
        assert_eq!(100_i64.times(&factor, 2, 18, Rounding::HalfEven), Ok(107));
        assert_eq!(i64::MAX.times(&factor, 2, 2, Rounding::Down), Err(Overflow));
    }

    proptest! {
        #[test]
        fn narrow_gives_what_wide_gives_or_says_overflow(
            units in prop_oneof![-1_000_000_000_000_i64..1_000_000_000_000, any::<i64>().prop_filter("null", |u| *u != i64::MIN)],
            billionths in prop_oneof![(-2_000_i64..2_000).prop_map(|thousandths| thousandths * 1_000_000), -5_000_000_000_i64..5_000_000_000],
            scale in 0_u8..=18, digits in 0_u8..=18, rounding in 0_usize..4,
        ) {
            let factor = Factor::of(Rate::from_billionths(billionths));
            if let Ok(narrow) = units.times(&factor, scale, digits, ROUNDINGS[rounding]) {
                let to_wide = 10_i128.pow(u32::from(18 - scale));
                let wide = (i128::from(units) * to_wide).times(&factor, 18, digits, ROUNDINGS[rounding]);
                prop_assert_eq!(wide, Ok(i128::from(narrow) * to_wide));
            }
        }

        #[test]
        fn wide_is_the_nearest_step_to_the_exact_product(units in -10_i128.pow(26)..10_i128.pow(26), billionths in -5_000_000_000_i64..5_000_000_000, digits in 0_u8..=18) {
            let factor = Factor::of(Rate::from_billionths(billionths));
            let rounded = units.times(&factor, 18, digits, Rounding::HalfEven).unwrap();
            let step = 10_i128.pow(u32::from(18 - digits));
            prop_assert_eq!(rounded % step, 0);
            let off = (rounded * 1_000_000_000 - units * i128::from(billionths)).abs();
            prop_assert!(off * 2 <= step * 1_000_000_000);
        }
    }
}
