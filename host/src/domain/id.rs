//! Prefixed, sortable ids: `tnt_01jd3q...`. A kind's prefix keeps an id of one noun from being taken for another's.

use std::fmt;

/// Crockford's base 32 in lower case: sorts as the number does.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A time in milliseconds and 80 random bits, in the layout of a ULID.
pub fn bits(millis: u64, random: [u8; 10]) -> u128 {
    let mut bits = u128::from(millis) << 80;
    for (index, byte) in random.iter().enumerate() {
        bits |= u128::from(*byte) << (72 - 8 * index);
    }
    bits
}

/// The id with this prefix and these [`bits`].
pub fn text(prefix: &str, bits: u128) -> String {
    let digits: String = (0..26).rev().map(|place| char::from(ALPHABET[(bits >> (5 * place)) as usize & 31])).collect();
    format!("{prefix}_{digits}")
}

/// The [`bits`] of an id; none of a text that is none.
pub fn bits_of(id: &str) -> Option<u128> {
    let (_, digits) = id.rsplit_once('_')?;
    let value = |digit: u8| ALPHABET.iter().position(|known| *known == digit);
    // 26 digits are 130 bits.
    if digits.len() != 26 || !matches!(digits.as_bytes().first(), Some(b'0'..=b'7')) {
        return None;
    }
    digits.bytes().try_fold(0_u128, |bits, digit| Some(bits << 5 | value(digit)? as u128))
}

/// A text that is not an id of the wanted noun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NotAnId {
    pub prefix: &'static str,
    pub text: String,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an id that starts with {}_", self.text, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let early = text("tnt", bits(1_700_000_000_000, [255; 10]));
        let late = text("tnt", bits(1_700_000_000_001, [0; 10]));
        assert!(early < late);
        assert_eq!(early.len(), 4 + 26);
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for bits in [0, 1, bits(1_700_000_000_000, [7; 10]), u128::MAX] {
            assert_eq!(bits_of(&text("run", bits)), Some(bits));
        }
        for other in ["", "run", "run_", "run_0", "run_8zzzzzzzzzzzzzzzzzzzzzzzzz", "run_0000000000000000000000000u"] {
            assert_eq!(bits_of(other), None, "{other}");
        }
    }
}
