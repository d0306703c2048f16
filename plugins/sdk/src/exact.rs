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
    /// The same as a decimal of the fewest digits, `digits * 10^-decimals`, for wide amounts.
    digits: i64,
    decimals: u8,
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
        let (mut digits, mut decimals) = (rate.billionths(), 9);
        while decimals > 0 && digits % 10 == 0 {
            (digits, decimals) = (digits / 10, decimals - 1);
        }
        Self { numerator, denominator: 1_000_000_000 / divisor, narrow_limit, digits, decimals }
    }
}

/// The two widths of an amount: a count of 10^-scale, with one value set aside for null. Sealed: there are no others.
pub trait Units: Copy + Ord + sealed::Sealed + 'static {
    const NULL: Self;
    const ZERO: Self;

    /// What a column of these amounts crosses the boundary as.
    type Word: Copy + Default;

    /// Words an amount.
    #[doc(hidden)]
    const WORDS: usize;

    /// The amount at a place of a column.
    #[doc(hidden)]
    fn at(column: &[Self::Word], index: usize) -> Self;

    /// Puts the amount at a place of a column.
    #[doc(hidden)]
    fn put(self, column: &mut [Self::Word], index: usize);

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

    type Word = Self;
    const WORDS: usize = 1;

    #[inline]
    fn at(column: &[Self], index: usize) -> Self {
        column[index]
    }

    #[inline]
    fn put(self, column: &mut [Self], index: usize) {
        column[index] = self;
    }

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

    type Word = u64;
    const WORDS: usize = 2;

    #[inline]
    fn at(column: &[u64], index: usize) -> Self {
        let [low, high] = column.as_chunks().0[index];
        (u128::from(low) | u128::from(high) << 64).cast_signed()
    }

    #[inline]
    fn put(self, column: &mut [u64], index: usize) {
        let (high, low) = limbs(self.cast_unsigned());
        column.as_chunks_mut().0[index] = [low, high];
    }

    fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.checked_add(other).filter(|sum| *sum != Self::NULL).ok_or(Overflow)
    }

    fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.checked_sub(other).filter(|difference| *difference != Self::NULL).ok_or(Overflow)
    }

    #[inline]
    fn times(self, factor: &Factor, scale: u8, digits: u8, rounding: Rounding) -> Result<Self, Overflow> {
        let step = step(scale, digits)?.unsigned_abs();
        let exponent = scale.saturating_sub(digits) + factor.decimals;
        let (magnitude, numerator) = (self.unsigned_abs(), factor.digits.unsigned_abs());
        let divided = match product(magnitude, numerator) {
            Some(product) => Divided::by_power_of_ten(product, exponent),
            None => Divided::of_large_product(magnitude, numerator, exponent).ok_or(Overflow)?,
        };
        let rounded = product(divided.rounded(rounding), step).ok_or(Overflow)?;
        let rounded = Self::try_from(rounded).map_err(|_| Overflow)?;
        Ok(if (self < 0) == (factor.digits < 0) { rounded } else { -rounded })
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

/// A magnitude divided by a power of ten.
struct Divided {
    quotient: u128,
    remainder: u128,
    divisor: u128,
}

impl Divided {
    /// `value / 10^exponent`, for at most 27: the twos are a shift, and 5^27 fits one limb. Under WebAssembly a 128-bit division is a loop
    /// in the compiler's library and a 128-bit shift a call into it; this takes a handful of multiplications there.
    #[inline]
    fn by_power_of_ten(value: u128, exponent: u8) -> Self {
        let five = &FIVES[usize::from(exponent)];
        let (quotient, remainder) = five.divide(shifted_right(value, exponent));
        let cut_off = limbs(value).1 & ((1 << exponent) - 1);
        let remainder = shifted_left(remainder, exponent) | u128::from(cut_off);
        Self { quotient, remainder, divisor: shifted_left(five.power, exponent) }
    }

    /// A product that leaves 128 bits although its quotient may not: whole divisors and the rest apart.
    #[cold]
    fn of_large_product(magnitude: u128, numerator: u64, exponent: u8) -> Option<Self> {
        let whole = Self::by_power_of_ten(magnitude, exponent);
        let part = Self::by_power_of_ten(product(whole.remainder, numerator)?, exponent);
        let quotient = product(whole.quotient, numerator)?.checked_add(part.quotient)?;
        Some(Self { quotient, ..part })
    }

    #[inline]
    fn rounded(&self, rounding: Rounding) -> u128 {
        let rest = self.divisor - self.remainder;
        let up = self.remainder != 0
            && match rounding {
                Rounding::HalfEven => self.remainder > rest || (self.remainder == rest && self.quotient & 1 == 1),
                Rounding::HalfUp => self.remainder >= rest,
                Rounding::Down => false,
                Rounding::Up => true,
            };
        self.quotient + u128::from(up)
    }
}

/// A product of 128 bits at most.
#[inline]
fn product(a: u128, b: u64) -> Option<u128> {
    let (high, low) = limbs(a);
    let upper = u128::from(high) * u128::from(b);
    let (overflow, upper) = limbs(upper);
    if overflow != 0 {
        return None;
    }
    (u128::from(low) * u128::from(b)).checked_add(u128::from(upper) << 64)
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // each cast takes one limb on purpose
const fn limbs(value: u128) -> (u64, u64) {
    ((value >> 64) as u64, value as u64)
}

/// `value >> by`, for less than 64.
#[inline]
fn shifted_right(value: u128, by: u8) -> u128 {
    let (high, low) = limbs(value);
    let low = (low >> by) | (high << 1 << (63 - by));
    (u128::from(high >> by) << 64) | u128::from(low)
}

/// `value << by`, for less than 64.
#[inline]
fn shifted_left(value: u64, by: u8) -> u128 {
    (u128::from(value >> 1 >> (63 - by)) << 64) | u128::from(value << by)
}

/// A power of five, ready to divide by: Möller and Granlund, "Improved division by invariant integers" (2011), algorithm 4.
struct Five {
    power: u64,
    /// Leading zeros of the power, from 1 to 63.
    shift: u32,
    /// `floor((2^128 - 1) / (power << shift)) - 2^64`
    reciprocal: u64,
}

const FIVES: [Five; 28] = {
    let mut fives = [const { Five::new(1) }; 28];
    let (mut exponent, mut power) = (0, 1);
    while exponent < 28 {
        fives[exponent] = Five::new(power);
        power = if exponent < 27 { power * 5 } else { power };
        exponent += 1;
    }
    fives
};

impl Five {
    const fn new(power: u64) -> Self {
        let shift = power.leading_zeros();
        let (_, reciprocal) = limbs(u128::MAX / ((power << shift) as u128));
        Self { power, shift, reciprocal }
    }

    #[inline]
    fn divide(&self, value: u128) -> (u128, u64) {
        let (high, low) = limbs(value);
        if high == 0 {
            let quotient = low / self.power;
            return (u128::from(quotient), low - quotient * self.power);
        }
        let carried = 64 - self.shift;
        let (first, second, third) = (high >> carried, (high << self.shift) | (low >> carried), low << self.shift);
        let (upper, rest) = self.step(first, second);
        let (lower, rest) = self.step(rest, third);
        ((u128::from(upper) << 64) | u128::from(lower), rest >> self.shift)
    }

    /// Two limbs by the shifted power; the high one is below it.
    #[inline]
    fn step(&self, high: u64, low: u64) -> (u64, u64) {
        let divisor = self.power << self.shift;
        let estimate = u128::from(self.reciprocal) * u128::from(high) + ((u128::from(high) << 64) | u128::from(low));
        let (estimate, fraction) = limbs(estimate);
        let mut quotient = estimate.wrapping_add(1);
        let mut rest = low.wrapping_sub(quotient.wrapping_mul(divisor));
        if rest > fraction {
            quotient = quotient.wrapping_sub(1);
            rest = rest.wrapping_add(divisor);
        }
        if rest >= divisor {
            quotient = quotient.wrapping_add(1);
            rest -= divisor;
        }
        (quotient, rest)
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
        fn a_division_by_a_power_of_ten_is_the_compilers(
            value in prop_oneof![any::<u128>(), any::<u128>().prop_map(|v| v >> 64), (0_u32..128, any::<u128>()).prop_map(|(s, v)| v >> s)],
            exponent in 0_u8..=27,
        ) {
            let divided = Divided::by_power_of_ten(value, exponent);
            let divisor = 10_u128.pow(u32::from(exponent));
            prop_assert_eq!((divided.quotient, divided.remainder, divided.divisor), (value / divisor, value % divisor, divisor));
        }

        #[test]
        fn a_product_is_the_compilers_or_too_large(a in any::<u128>(), shift in 0_u32..128, b in any::<u64>()) {
            prop_assert_eq!(product(a >> shift, b), (a >> shift).checked_mul(u128::from(b)));
        }

        #[test]
        fn wide_is_exact_as_long_as_the_result_is_in_range(
            units in any::<i128>(), shift in 0_u32..127, billionths in any::<i64>(), digits in 0_u8..=18, rounding in 0_usize..4,
        ) {
            // Up to 2^126 times up to 2^63: against a quotient and remainder of twice the width.
            let units = units >> shift;
            let (magnitude, rate) = (units.unsigned_abs(), billionths.unsigned_abs());
            let exponent = u32::from(18 - digits) + 9;
            let divisor = 10_u128.pow(exponent);
            let whole = (magnitude / divisor).checked_mul(u128::from(rate));
            let part = (magnitude % divisor).checked_mul(u128::from(rate));
            let answer = units.times(&Factor::of(Rate::from_billionths(billionths)), 18, digits, ROUNDINGS[rounding]);
            if let (Some(whole), Some(part)) = (whole, part) {
                let (quotient, remainder) = (whole.checked_add(part / divisor), part % divisor);
                let up = remainder != 0 && match ROUNDINGS[rounding] {
                    Rounding::HalfEven => remainder * 2 > divisor || (remainder * 2 == divisor && quotient.is_some_and(|q| q % 2 == 1)),
                    Rounding::HalfUp => remainder * 2 >= divisor,
                    Rounding::Down => false,
                    Rounding::Up => true,
                };
                let rounded = quotient.and_then(|q| q.checked_add(u128::from(up))).and_then(|q| q.checked_mul(10_u128.pow(u32::from(18 - digits))));
                let signed = rounded.and_then(|r| i128::try_from(r).ok()).map(|r| if (units < 0) == (billionths < 0) { r } else { -r });
                prop_assert_eq!(answer.ok(), signed);
            }
        }

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
