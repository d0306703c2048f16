//! Decimal text to units of 10^-18: the short cases at once, all others by `Amount::parse`.

use crate::domain::money::{Amount, SCALE};

/// More digits than this may not fit 64 bits.
const FAST_DIGITS: usize = 19;

const POWERS: [i128; 28] = {
    let mut powers = [1_i128; 28];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The units of a plain or E-notation decimal of at most 19 digits that needs no rounding; `None` asks for the slow way.
pub(super) fn units(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let mut mantissa = 0_u64;
    let mut count = 0_usize;
    let mut point = None;
    let mut exponent = 0_i32;
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        } else if *byte == b'.' && point.is_none() {
            point = Some(count);
        } else if *byte | 0x20 == b'e' {
            exponent = small_exponent(&digits[at + 1..])?;
            break;
        } else {
            return None;
        }
    }
    if count == 0 || count > FAST_DIGITS {
        return None;
    }
    if mantissa == 0 {
        return Some(0);
    }
    let decimals = i32::try_from(count - point.unwrap_or(count)).ok()?;
    let shift = usize::try_from(i32::try_from(SCALE).ok()? - decimals + exponent).ok()?;
    let units = i128::from(mantissa).checked_mul(*POWERS.get(shift)?)?;
    Amount(units).is_storable().then_some(if negative { -units } else { units })
}

/// `-10`, `+3` or `7`: one or two digits.
fn small_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let value = match digits {
        [one] => digit(*one)?,
        [ten, one] => digit(*ten)? * 10 + digit(*one)?,
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// `$50,000.00 ` to `50000.00`: without a currency sign, thousands separators and blanks. `None` when nothing of that is in it, or when
/// the commas are not between groups of three.
pub(super) fn tidied(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let (sign, rest) = trimmed.strip_prefix('-').map_or(("", trimmed), |rest| ("-", rest));
    let rest = rest.trim_start_matches(['$', '€', '£', '¥']).trim_start();
    let (sign, rest) = rest.strip_prefix('-').filter(|_| sign.is_empty()).map_or((sign, rest), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let grouped = whole.contains(',');
    if grouped && (first.is_empty() || first.len() > 3 || groups.any(|group| group.len() != 3)) {
        return None;
    }
    let mut plain = format!("{sign}{}", whole.replace(',', ""));
    if let Some(fraction) = fraction {
        plain.push('.');
        plain.push_str(fraction);
    }
    (plain != text).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_thousands_separator_out_of_place_is_not_tidied_away() {
        assert_eq!(tidied("$50,000.00 ").as_deref(), Some("50000.00"));
        assert_eq!(tidied("-$1,234,567").as_deref(), Some("-1234567"));
        assert_eq!(tidied(" 5").as_deref(), Some("5"));
        assert_eq!(tidied("1,5"), None);
        assert_eq!(tidied("12.5"), None);
    }

    #[test]
    fn what_the_fast_way_cannot_read_exactly_it_leaves_to_the_slow_way() {
        for text in ["", "-", ".", "1.2.3", "0.1234567890123456789", "12345678901234567890", "1e", "1e100", "NULL", "+1", "--1", "1e-20"] {
            assert_eq!(units(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_and_the_slow_way_agree(whole in 0_u64..99_999_999, fraction in "[0-9]{0,12}", exponent in prop::option::of(-9_i32..9), negative: bool) {
            let mut text = format!("{}{whole}.{fraction}", if negative { "-" } else { "" });
            if let Some(exponent) = exponent {
                text.push_str(&format!("E{exponent}"));
            }
            let slow = Amount::parse(text.as_bytes()).unwrap();
            if let Some(fast) = units(text.as_bytes()) {
                prop_assert_eq!(Amount(fast), slow.amount);
                prop_assert_eq!(slow.rounded_away, 0);
            } else {
                prop_assert!(slow.rounded_away != 0 || text.len() > 19);
            }
        }
    }
}
