//! Integers of 512 bits: what the limits on a formula keep every exact intermediate within.
//!
//! Limbs of 32 bits, because wasm multiplies two of them in one instruction and 128-bit products are calls.

use std::cmp::Ordering;

use rerate_rule::{Overflow, Rounding};

use crate::number::{Int, away};

const LIMBS: usize = 16;
/// Decimal digits that always fit.
pub(crate) const DIGITS_MAX: u32 = 150;

type Magnitude = [u32; LIMBS];

/// Zero is never negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wide {
    negative: bool,
    magnitude: Magnitude,
}

impl Wide {
    fn new(negative: bool, magnitude: Magnitude) -> Self {
        Self { negative: negative && magnitude.iter().any(|limb| *limb != 0), magnitude }
    }
}

impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wide {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => compared(&self.magnitude, &other.magnitude),
            (true, true) => compared(&other.magnitude, &self.magnitude),
        }
    }
}

fn compared(left: &[u32], right: &[u32]) -> Ordering {
    left.iter().rev().cmp(right.iter().rev())
}

/// Limbs up to the highest that is not zero.
fn used(limbs: &[u32]) -> usize {
    limbs.iter().rposition(|limb| *limb != 0).map_or(0, |position| position + 1)
}

#[allow(clippy::cast_possible_truncation)] // takes one limb on purpose
const fn low(value: u64) -> u32 {
    value as u32
}

fn added(left: &Magnitude, right: &Magnitude) -> Result<Magnitude, Overflow> {
    let mut sum = [0; LIMBS];
    let mut carry = 0;
    for ((sum, left), right) in sum.iter_mut().zip(left).zip(right) {
        carry += u64::from(*left) + u64::from(*right);
        *sum = low(carry);
        carry >>= 32;
    }
    if carry == 0 { Ok(sum) } else { Err(Overflow) }
}

/// The larger less the smaller.
fn subtracted(larger: &Magnitude, smaller: &Magnitude) -> Magnitude {
    let mut difference = [0; LIMBS];
    let mut borrow = false;
    for ((difference, larger), smaller) in difference.iter_mut().zip(larger).zip(smaller) {
        let (less, one) = larger.overflowing_sub(*smaller);
        let (less, two) = less.overflowing_sub(u32::from(borrow));
        *difference = less;
        borrow = one || two;
    }
    difference
}

fn multiplied(left: &Magnitude, right: &Magnitude) -> Result<Magnitude, Overflow> {
    let (left, right) = (&left[..used(left)], &right[..used(right)]);
    let mut product = [0; 2 * LIMBS];
    for (i, a) in left.iter().enumerate() {
        let mut carry = 0;
        for (j, b) in right.iter().enumerate() {
            carry += u64::from(*a) * u64::from(*b) + u64::from(product[i + j]);
            product[i + j] = low(carry);
            carry >>= 32;
        }
        product[i + right.len()] = low(carry);
    }
    let (kept, lost) = product.split_at(LIMBS);
    if used(lost) > 0 {
        return Err(Overflow);
    }
    let mut magnitude = [0; LIMBS];
    magnitude.copy_from_slice(kept);
    Ok(magnitude)
}

/// Quotient and remainder of two magnitudes; the divisor is not zero. Long division, a limb of the quotient at a time.
fn divided(dividend: &Magnitude, divisor: &Magnitude) -> (Magnitude, Magnitude) {
    let n = used(divisor);
    let m = used(dividend);
    let mut quotient = [0; LIMBS];
    if m < n {
        return (quotient, *dividend);
    }
    if n == 1 {
        let by = u64::from(divisor[0]);
        let mut rest = 0;
        for index in (0..m).rev() {
            let part = (rest << 32) | u64::from(dividend[index]);
            quotient[index] = low(part / by);
            rest = part % by;
        }
        let mut remainder = [0; LIMBS];
        remainder[0] = low(rest);
        return (quotient, remainder);
    }
    // With the divisor's highest bit set, a guess from the two highest limbs is at most two too large.
    let shift = divisor[n - 1].leading_zeros();
    let mut rest = [0; LIMBS + 1];
    shifted(dividend, shift, &mut rest);
    let mut by = [0; LIMBS + 1];
    shifted(divisor, shift, &mut by);
    for place in (0..=m - n).rev() {
        let top = (u64::from(rest[place + n]) << 32) | u64::from(rest[place + n - 1]);
        let mut guess = top / u64::from(by[n - 1]);
        let mut left = top % u64::from(by[n - 1]);
        while guess > u64::from(u32::MAX) || guess * u64::from(by[n - 2]) > ((left << 32) | u64::from(rest[place + n - 2])) {
            guess -= 1;
            left += u64::from(by[n - 1]);
            if left > u64::from(u32::MAX) {
                break;
            }
        }
        if take_away(&mut rest[place..=place + n], &by[..n], guess) {
            guess -= 1;
            give_back(&mut rest[place..=place + n], &by[..n]);
        }
        quotient[place] = low(guess);
    }
    let mut remainder = [0; LIMBS];
    for (index, limb) in remainder.iter_mut().enumerate() {
        let high = u64::from(rest[index + 1]) << 32;
        *limb = low((high | u64::from(rest[index])) >> shift);
    }
    (quotient, remainder)
}

fn shifted(from: &Magnitude, shift: u32, into: &mut [u32; LIMBS + 1]) {
    let mut carry = 0;
    for (into, from) in into.iter_mut().zip(from.iter().chain(&[0])) {
        let wide = (u64::from(*from) << shift) | carry;
        *into = low(wide);
        carry = wide >> 32;
    }
}

/// `rest -= by * times`; whether that went below zero.
fn take_away(rest: &mut [u32], by: &[u32], times: u64) -> bool {
    let (mut carry, mut borrow) = (0_u64, false);
    for (rest, by) in rest.iter_mut().zip(by.iter().chain(&[0])) {
        carry += u64::from(*by) * times;
        let (less, one) = rest.overflowing_sub(low(carry));
        let (less, two) = less.overflowing_sub(u32::from(borrow));
        *rest = less;
        borrow = one || two;
        carry >>= 32;
    }
    borrow
}

/// `rest += by`, the carry beyond lost against the borrow before.
fn give_back(rest: &mut [u32], by: &[u32]) {
    let mut carry = 0;
    for (rest, by) in rest.iter_mut().zip(by.iter().chain(&[0])) {
        carry += u64::from(*rest) + u64::from(*by);
        *rest = low(carry);
        carry >>= 32;
    }
}

impl Int for Wide {
    fn of(units: i128) -> Self {
        let mut rest = units.unsigned_abs();
        let mut magnitude = [0; LIMBS];
        for limb in magnitude.iter_mut().take(4) {
            #[allow(clippy::cast_possible_truncation)] // takes one limb on purpose
            let lowest = rest as u32;
            *limb = lowest;
            rest >>= 32;
        }
        Self::new(units < 0, magnitude)
    }

    fn plus(&self, other: &Self) -> Result<Self, Overflow> {
        if self.negative == other.negative {
            return Ok(Self::new(self.negative, added(&self.magnitude, &other.magnitude)?));
        }
        Ok(match compared(&self.magnitude, &other.magnitude) {
            Ordering::Less => Self::new(other.negative, subtracted(&other.magnitude, &self.magnitude)),
            _ => Self::new(self.negative, subtracted(&self.magnitude, &other.magnitude)),
        })
    }

    fn times(&self, other: &Self) -> Result<Self, Overflow> {
        Ok(Self::new(self.negative != other.negative, multiplied(&self.magnitude, &other.magnitude)?))
    }

    fn negative(&self) -> Self {
        Self::new(!self.negative, self.magnitude)
    }

    fn is_zero(&self) -> bool {
        used(&self.magnitude) == 0
    }

    fn is_negative(&self) -> bool {
        self.negative
    }

    fn over(&self, divisor: &Self, rounding: Rounding) -> Result<Self, Overflow> {
        let (mut quotient, remainder) = divided(&self.magnitude, &divisor.magnitude);
        let rest = subtracted(&divisor.magnitude, &remainder);
        if away(rounding, used(&remainder) == 0, compared(&remainder, &rest), quotient[0] % 2 != 0) {
            quotient = added(&quotient, &Self::of(1).magnitude)?;
        }
        Ok(Self::new(self.negative != divisor.negative, quotient))
    }

    fn narrowed(&self) -> Result<i128, Overflow> {
        if used(&self.magnitude) > 4 {
            return Err(Overflow);
        }
        let units = self.magnitude[..4].iter().rev().fold(0_u128, |units, limb| (units << 32) | u128::from(*limb));
        let units = i128::try_from(units).map_err(|_| Overflow)?;
        Ok(if self.negative { -units } else { units })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn big(wide: &Wide) -> BigInt {
        let sign = if wide.negative { num_bigint::Sign::Minus } else { num_bigint::Sign::Plus };
        BigInt::from_slice(sign, &wide.magnitude)
    }

    /// Lengths of every size, and limbs that provoke carries.
    fn wides() -> impl Strategy<Value = Wide> {
        let limb = prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), Just(1 << 31), Just(1)];
        (any::<bool>(), prop::collection::vec(limb, 0..=LIMBS)).prop_map(|(negative, limbs)| {
            let mut magnitude = [0; LIMBS];
            magnitude[..limbs.len()].copy_from_slice(&limbs);
            Wide::new(negative, magnitude)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn wide_arithmetic_agrees_with_a_library(left in wides(), right in wides()) {
            if let Ok(sum) = left.plus(&right) {
                prop_assert_eq!(big(&sum), big(&left) + big(&right));
            }
            match left.times(&right) {
                Ok(product) => prop_assert_eq!(big(&product), big(&left) * big(&right)),
                Err(Overflow) => prop_assert!((big(&left) * big(&right)).bits() > 512),
            }
            prop_assert_eq!(left.cmp(&right), big(&left).cmp(&big(&right)));
            if !right.is_zero() {
                let quotient = left.over(&right, Rounding::Down).unwrap();
                prop_assert_eq!(big(&quotient), big(&left) / big(&right));
            }
        }

        #[test]
        fn wide_and_128_bits_round_alike(left in any::<i128>(), right in prop_oneof![any::<i128>(), -1_000_i128..1_000], mode in 0_usize..4) {
            prop_assume!(right != 0 && left != i128::MIN && right != i128::MIN);
            let rounding = [Rounding::HalfEven, Rounding::HalfUp, Rounding::Down, Rounding::Up][mode];
            let narrow = left.over(&right, rounding);
            prop_assert_eq!(Wide::of(left).over(&Wide::of(right), rounding).and_then(|quotient| quotient.narrowed()), narrow);
            prop_assert_eq!(Wide::of(left).narrowed(), Ok(left));
        }
    }
}
