//! Numbers as the providers write them. A number here is a count of 10^-10 (`Units`), the scale of AWS costs; products are rounded
//! half-even in 128 bits. No float is computed with: Parquet's doubles are read from the decimal text.

use crate::domain::money::divide_half_even;

/// A count of 10^-10.
pub(super) type Units = i64;

/// 10^10: the units of one.
pub(super) const ONE: Units = 10_000_000_000;

/// `round(rate x quantity, 10)`, as AWS computes a cost. Saturates, which no rate and quantity of the catalogue reaches.
pub(super) fn product(rate: Units, quantity: Units) -> Units {
    let exact = i128::from(rate) * i128::from(quantity);
    Units::try_from(divide_half_even(exact, i128::from(ONE))).unwrap_or(Units::MAX)
}

/// `value x percent / 100`, rounded half-even to 10 decimals.
pub(super) fn percent(value: Units, percent: i64) -> Units {
    Units::try_from(divide_half_even(i128::from(value) * i128::from(percent), 100)).unwrap_or(Units::MAX)
}

/// As Java prints a double of this value: `0.0`, `2.304`, `7.0E-10`, `1.2345678E7`. Right as long as the value has at most 15
/// significant digits, for which a double's shortest text is the decimal itself.
pub(super) fn java(value: Units, out: &mut Vec<u8>) {
    if value == 0 {
        out.extend_from_slice(b"0.0");
        return;
    }
    let mut buffer = [0; 20];
    let digits = ascii(value.unsigned_abs(), &mut buffer);
    if value < 0 {
        out.push(b'-');
    }
    let count = digits.len();
    let significant = trimmed(digits, 1);
    if (8..=17).contains(&count) {
        // 10^-3 <= value < 10^7: written out.
        if count > 10 {
            out.extend_from_slice(&digits[..count - 10]);
            out.push(b'.');
            let fraction = trimmed(&digits[count - 10..], 1);
            out.extend_from_slice(fraction);
        } else {
            out.extend_from_slice(b"0.");
            out.extend_from_slice(&b"00"[..10 - count]);
            out.extend_from_slice(significant);
        }
        return;
    }
    out.push(significant[0]);
    out.push(b'.');
    out.extend_from_slice(if significant.len() > 1 { &significant[1..] } else { b"0" });
    out.push(b'E');
    let exponent = i64::try_from(count).unwrap_or(0) - 11;
    if exponent < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(ascii(exponent.unsigned_abs(), &mut buffer));
}

/// With all ten decimals, as AWS writes a rate: `0.0960000000`.
pub(super) fn fixed(value: Units, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let (whole, fraction) = (value.unsigned_abs() / ONE.unsigned_abs(), value.unsigned_abs() % ONE.unsigned_abs());
    let mut buffer = [0; 20];
    out.extend_from_slice(ascii(whole, &mut buffer));
    out.push(b'.');
    let digits = ascii(fraction, &mut buffer);
    out.extend_from_slice(&b"0000000000"[..10 - digits.len()]);
    out.extend_from_slice(digits);
}

/// Without trailing zeros and never in E-notation: `0.0000000007`, `12`.
pub(super) fn plain(value: Units, out: &mut Vec<u8>) {
    fixed(value, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
}

/// For descriptions: `0.096`.
pub(super) fn plain_text(value: Units) -> String {
    let mut out = Vec::new();
    plain(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn ascii(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            return &buffer[start..];
        }
    }
}

/// Without trailing zeros, but at least `least` digits.
fn trimmed(mut digits: &[u8], least: usize) -> &[u8] {
    while digits.len() > least && digits.last() == Some(&b'0') {
        digits = &digits[..digits.len() - 1];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: fn(Units, &mut Vec<u8>), value: Units) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (value, expected) in [
            (0, "0.0"),
            (7, "7.0E-10"),
            (-29, "-2.9E-9"),
            (9_999_999, "9.999999E-4"),
            (10_000_000, "0.001"),
            (15_000_000, "0.0015"),
            (123_456_789, "0.0123456789"),
            (1_000_000_000, "0.1"),
            (ONE, "1.0"),
            (23_040_000_000, "2.304"),
            (-1_234_567_890_123, "-123.4567890123"),
            (99_999_999_999_999_999, "9999999.9999999999"),
            (100_000_000_000_000_000, "1.0E7"),
            (123_456_780_000_000_000, "1.2345678E7"),
        ] {
            assert_eq!(text(java, value), expected, "{value}");
        }
    }

    #[test]
    fn the_text_of_a_double_reads_back_as_the_same_decimal() {
        use crate::domain::money::Amount;
        let mut value = 1;
        for digit in 1..=16 {
            let read = Amount::parse(text(java, value).as_bytes()).unwrap().amount;
            assert_eq!(read, Amount(i128::from(value) * 100_000_000), "{digit} digits");
            value = value * 10 + digit % 10;
        }
    }

    #[test]
    fn a_cost_is_the_product_rounded_half_even_at_the_tenth_decimal() {
        assert_eq!(product(960_000_000, 24 * ONE), 23_040_000_000);
        assert_eq!(product(5, ONE / 10), 0); // 0.5 units: to even
        assert_eq!(product(15, ONE / 10), 2); // 1.5 units: to even
        assert_eq!(percent(-101, 9), -9);
        assert_eq!(text(fixed, 960_000_000), "0.0960000000");
        assert_eq!(text(plain, 960_000_000), "0.096");
        assert_eq!(text(plain, 12 * ONE), "12");
    }
}
