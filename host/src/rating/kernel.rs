//! Exact arithmetic on columns of 10^-18 units: the closed forms of the rule contract, and the forms in which money crosses into a rule.

use crate::domain::money::{NULL, SCALE, power_of_ten};
use crate::domain::rule::{Rounding, RuleMoney, Scaled, Tiered};

/// An amount left the range of Decimal128(38, 18), or a rule asked for more than 18 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

/// Decimals of a contract rate.
const RATE_DECIMALS: u32 = 9;

/// `units * rate * 10^-9`, rounded once to `digits` decimals.
pub fn scale(units: i128, rate: i64, digits: u8, rounding: Rounding) -> Result<i128, OutOfRange> {
    let digits = u32::from(digits);
    if digits > SCALE {
        return Err(OutOfRange);
    }
    let product = units.checked_mul(i128::from(rate)).ok_or(OutOfRange)?;
    let coarser = SCALE - digits;
    let rounded = divide_rounding(product, RATE_DECIMALS + coarser, rounding);
    storable(rounded.checked_mul(power_of_ten(coarser)).ok_or(OutOfRange)?)
}

/// One form of [`scale`] for each row; null stays null.
pub fn scaled(form: &Scaled, units: i128) -> Result<i128, OutOfRange> {
    scale(units, form.rate, form.digits, form.rounding)
}

/// `below` applies up to the threshold, `above` to what exceeds it; rounded once.
pub fn tiered(form: &Tiered, units: i128) -> Result<i128, OutOfRange> {
    let scale_up = SCALE.checked_sub(u32::from(form.scale)).ok_or(OutOfRange)?;
    let digits = u32::from(form.digits);
    if digits > SCALE {
        return Err(OutOfRange);
    }
    let threshold = i128::from(form.threshold).checked_mul(power_of_ten(scale_up)).ok_or(OutOfRange)?;
    let lower = units.min(threshold);
    let upper = units - lower;
    let product = lower
        .checked_mul(i128::from(form.below))
        .zip(upper.checked_mul(i128::from(form.above)))
        .and_then(|(a, b)| a.checked_add(b))
        .ok_or(OutOfRange)?;
    let coarser = SCALE - digits;
    let rounded = divide_rounding(product, RATE_DECIMALS + coarser, form.rounding);
    storable(rounded.checked_mul(power_of_ten(coarser)).ok_or(OutOfRange)?)
}

/// The value, if Decimal128(38, 18) can store it.
pub fn storable(units: i128) -> Result<i128, OutOfRange> {
    if crate::domain::money::Amount(units).is_storable() { Ok(units) } else { Err(OutOfRange) }
}

/// `value / 10^exponent`, rounded once.
fn divide_rounding(value: i128, exponent: u32, rounding: Rounding) -> i128 {
    let magnitude = value.unsigned_abs();
    let (quotient, remainder, divisor) = if exponent == RATE_DECIMALS {
        let (quotient, remainder) = divide_by_billion(magnitude);
        (quotient, u128::from(remainder), u128::from(BILLION))
    } else {
        let divisor = power_of_ten(exponent).unsigned_abs();
        (magnitude / divisor, magnitude % divisor, divisor)
    };
    let up = remainder != 0
        && match rounding {
            Rounding::Down => false,
            Rounding::Up => true,
            Rounding::HalfUp => remainder >= divisor - remainder,
            Rounding::HalfEven => {
                let rest = divisor - remainder;
                remainder > rest || (remainder == rest && quotient & 1 == 1)
            }
        };
    // A quotient of a 127-bit value by at least 10^9 is far below 2^126.
    #[allow(clippy::cast_possible_wrap)]
    let quotient = (quotient + u128::from(up)) as i128;
    if value < 0 { -quotient } else { quotient }
}

const BILLION: u64 = 1_000_000_000;

/// Long division in base 2^32: the compiler turns each step into a multiplication, where a 128-bit division is a call of a loop.
#[allow(clippy::cast_possible_truncation)] // each cast takes one 32-bit limb on purpose
fn divide_by_billion(value: u128) -> (u128, u64) {
    if let Ok(small) = u64::try_from(value) {
        return (u128::from(small / BILLION), small % BILLION);
    }
    let (high, low) = ((value >> 64) as u64, value as u64);
    let (q3, r) = (high / BILLION, high % BILLION);
    let step = (r << 32) | (low >> 32);
    let (q1, r) = (step / BILLION, step % BILLION);
    let step = (r << 32) | (low & 0xffff_ffff);
    let (q0, r) = (step / BILLION, step % BILLION);
    ((u128::from(q3) << 64) | (u128::from(q1) << 32) | u128::from(q0), r)
}

/// Scales that are tried when money is narrowed for a rule, most likely first: AWS bills at 10 decimals, currencies at 2 to 6, Azure
/// and OCI beyond.
const NARROW_SCALES: [u8; 5] = [10, 6, 12, 14, 18];

/// The form in which a column crosses into a rule: `i64` at one scale when every value fits exactly, else whole.
pub fn to_rule(units: impl Iterator<Item = i128> + Clone) -> RuleMoney {
    for scale in NARROW_SCALES {
        if let Some(narrow) = narrow(units.clone(), scale) {
            return RuleMoney::Narrow { scale, units: narrow };
        }
    }
    widen(units)
}

/// The column at scale 18, for a rule whose arithmetic overflowed on the narrow form.
pub fn widen(units: impl Iterator<Item = i128>) -> RuleMoney {
    RuleMoney::Wide { scale: 18, units: units.collect() }
}

/// Exact division by `10^(18 - scale)` through the inverse of 5^k modulo 2^64: no division per value.
fn narrow(units: impl Iterator<Item = i128>, scale: u8) -> Option<Vec<i64>> {
    let exponent = SCALE - u32::from(scale);
    let factor = power_of_ten(exponent);
    let inverse = inverse_of_odd(5_u64.pow(exponent));
    let mut out = Vec::with_capacity(units.size_hint().0);
    for value in units {
        if value == NULL {
            out.push(i64::MIN);
            continue;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
        // arithmetic modulo 2^64, checked below
        let quotient = ((value >> exponent) as u64).wrapping_mul(inverse) as i64;
        if quotient == i64::MIN || i128::from(quotient) * factor != value {
            return None;
        }
        out.push(quotient);
    }
    Some(out)
}

/// Newton's iteration for the inverse modulo 2^64.
const fn inverse_of_odd(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// What a rule answered, as units of 10^-18.
pub fn from_rule(money: RuleMoney) -> Result<Vec<i128>, OutOfRange> {
    match money {
        RuleMoney::Narrow { scale, units } => {
            let factor = power_of_ten(SCALE.checked_sub(u32::from(scale)).ok_or(OutOfRange)?);
            units.into_iter().map(|u| if u == i64::MIN { Ok(NULL) } else { storable(i128::from(u) * factor) }).collect()
        }
        RuleMoney::Wide { scale, units } => {
            let factor = power_of_ten(SCALE.checked_sub(u32::from(scale)).ok_or(OutOfRange)?);
            units
                .into_iter()
                .map(|u| if u == NULL { Ok(NULL) } else { u.checked_mul(factor).ok_or(OutOfRange).and_then(storable) })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Amount;
    use proptest::prelude::*;

    fn units(text: &str) -> i128 {
        text.parse::<Amount>().unwrap().0
    }

    fn scaled_text(text: &str, rate: i64, digits: u8, rounding: Rounding) -> String {
        Amount(scale(units(text), rate, digits, rounding).unwrap()).to_string()
    }

    #[test]
    fn the_four_roundings_differ_only_on_what_is_cut_off() {
        for (rounding, expected) in [
            (Rounding::HalfEven, ["0.02", "0.04", "-0.02"]),
            (Rounding::HalfUp, ["0.03", "0.04", "-0.03"]),
            (Rounding::Down, ["0.02", "0.03", "-0.02"]),
            (Rounding::Up, ["0.03", "0.04", "-0.03"]),
        ] {
            let got = ["0.025", "0.0351", "-0.025"].map(|x| scaled_text(x, 1_000_000_000, 2, rounding));
            assert_eq!(got, expected, "{rounding:?}");
        }
    }

    #[test]
    fn a_markup_of_thirty_percent_is_exact() {
        assert_eq!(scaled_text("0.0000000007", 1_300_000_000, 18, Rounding::HalfEven), "0.00000000091");
        assert_eq!(scaled_text("100", 1_300_000_000, 18, Rounding::HalfEven), "130");
    }

    #[test]
    fn a_tier_charges_each_part_at_its_own_rate() {
        let form = Tiered {
            column: 0,
            threshold: 100,
            scale: 0,
            below: 1_000_000_000,
            above: 500_000_000,
            digits: 18,
            rounding: Rounding::HalfEven,
        };
        assert_eq!(Amount(tiered(&form, units("40")).unwrap()).to_string(), "40");
        assert_eq!(Amount(tiered(&form, units("140")).unwrap()).to_string(), "120");
    }

    proptest! {
        #[test]
        fn long_division_agrees_with_the_plain_one(value in any::<i128>(), exponent in 9_u32..28) {
            let value = value >> 1;
            for rounding in [Rounding::Down, Rounding::Up, Rounding::HalfUp, Rounding::HalfEven] {
                let divisor = power_of_ten(exponent);
                let down = value / divisor;
                let rest = (value % divisor).abs();
                let up = match rounding {
                    Rounding::Down => false,
                    Rounding::Up => rest > 0,
                    Rounding::HalfUp => rest * 2 >= divisor,
                    Rounding::HalfEven => rest * 2 > divisor || (rest * 2 == divisor && down % 2 != 0),
                };
                let expected = if up { down + value.signum() } else { down };
                prop_assert_eq!(divide_rounding(value, exponent, rounding), expected);
            }
        }

        #[test]
        fn what_crosses_into_a_rule_comes_back_the_same(values in prop::collection::vec(prop_oneof![
            any::<i64>().prop_map(|v| i128::from(v) * 100_000_000),
            any::<i64>().prop_map(i128::from),
            (-(10_i128.pow(38)) + 1..10_i128.pow(38)),
            Just(NULL),
        ], 0..20)) {
            prop_assert_eq!(from_rule(to_rule(values.iter().copied())).unwrap(), values);
        }
    }
}
