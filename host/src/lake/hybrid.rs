//! Parquet's hybrid of run-length encoding and bit packing: how dictionary codes and definition levels are written.
//!
//! Format: parquet-format/Encodings.md, "Run Length Encoding / Bit-Packing Hybrid".

/// Values in a bit-packed group.
const GROUP: usize = 8;
/// Repeats that are worth a run of their own: shorter ones would cut bit-packed stretches to pieces.
const MIN_RUN: usize = 16;
/// Widest value: a row group has at most 2^24 rows, so at most as many codes.
const MAX_WIDTH: u32 = 24;

/// Bytes that are not a hybrid of the wanted number of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Bits that the largest of `values` distinct codes needs.
pub(super) fn width_of(values: usize) -> u32 {
    usize::BITS - values.saturating_sub(1).leading_zeros()
}

/// Appends `values`, each below `2^width`.
pub(super) fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= MAX_WIDTH, "a code wider than a row group can make it");
    let mut packed_from = 0;
    let mut at = 0;
    while at < values.len() {
        let run = values[at..].iter().take_while(|value| **value == values[at]).count();
        if run >= MIN_RUN {
            pack(&values[packed_from..at], width, out);
            encode_run(values[at], run, width, out);
            at += run;
            packed_from = at;
        } else {
            at = (at + GROUP).min(values.len());
        }
    }
    pack(&values[packed_from..], width, out);
}

/// Appends one value, repeated.
pub(super) fn encode_run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    if count == 0 {
        return;
    }
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint(((groups as u64) << 1) | 1, out);
    let end = out.len() + groups * width as usize;
    let mut pending = 0_u64;
    let mut bits = 0;
    for value in values {
        pending |= u64::from(*value) << bits;
        bits += width;
        while bits >= 32 {
            out.extend_from_slice(&pending.to_le_bytes()[..4]);
            pending >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..bits.div_ceil(8) as usize]);
    out.resize(end, 0);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Appends exactly `count` values. What follows them in `bytes` is left alone.
pub(super) fn decode(mut bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> Result<(), Malformed> {
    if width > MAX_WIDTH {
        return Err(Malformed);
    }
    let target = out.len() + count;
    out.reserve(count + GROUP);
    while out.len() < target {
        let wanted = target - out.len();
        let header = read_varint(&mut bytes)?;
        let length = usize::try_from(header >> 1).map_err(|_| Malformed)?;
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at_checked(width.div_ceil(8) as usize).ok_or(Malformed)?;
            bytes = rest;
            if length == 0 || length > wanted {
                return Err(Malformed);
            }
            let mut word = [0; 4];
            word[..value.len()].copy_from_slice(value);
            out.resize(out.len() + length, u32::from_le_bytes(word));
        } else {
            // The last group may be padded beyond the wanted values, no more than that.
            if length == 0 || length > wanted.div_ceil(GROUP) {
                return Err(Malformed);
            }
            let (packed, rest) = bytes.split_at_checked(length * width as usize).ok_or(Malformed)?;
            bytes = rest;
            unpack(packed, width, length, out);
            out.truncate(target);
        }
    }
    Ok(())
}

fn unpack(bytes: &[u8], width: u32, groups: usize, out: &mut Vec<u32>) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_groups::<$width>(bytes, out),)*
                _ => out.resize(out.len() + groups * GROUP, 0),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
}

/// A constant width lets the compiler unroll the eight shifts of a group.
#[allow(clippy::cast_possible_truncation)] // masked to WIDTH <= 24 bits
fn unpack_groups<const WIDTH: usize>(bytes: &[u8], out: &mut Vec<u32>) {
    let mask = (1_u64 << WIDTH) - 1;
    let mut padded = [0_u8; 32];
    for group in bytes.chunks_exact(WIDTH) {
        padded[..WIDTH].copy_from_slice(group);
        let values: [u32; GROUP] = std::array::from_fn(|index| {
            let bit = index * WIDTH;
            let word: [u8; 8] = std::array::from_fn(|byte| padded[bit / 8 + byte]);
            ((u64::from_le_bytes(word) >> (bit % 8)) & mask) as u32
        });
        out.extend_from_slice(&values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[u32], width: u32) -> Vec<u32> {
        let mut bytes = Vec::new();
        encode(values, width, &mut bytes);
        let mut back = Vec::new();
        decode(&bytes, width, values.len(), &mut back).unwrap();
        back
    }

    #[test]
    fn the_example_of_the_parquet_specification_packs_to_its_bytes() {
        let mut bytes = Vec::new();
        pack(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &mut bytes);
        assert_eq!(bytes, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }

    #[test]
    fn a_constant_column_costs_a_few_bytes() {
        let mut bytes = Vec::new();
        encode(&[0; 100_000], 0, &mut bytes);
        assert!(bytes.len() <= 3, "{bytes:?}");
        assert_eq!(round_trip(&[5; 100_000], 3), vec![5; 100_000]);
    }

    proptest! {
        #[test]
        fn values_and_runs_of_any_width_come_back(
            width in 0_u32..=24,
            runs in prop::collection::vec((any::<u32>(), 1_usize..40), 0..60),
        ) {
            let values: Vec<u32> =
                runs.iter().flat_map(|(value, n)| std::iter::repeat_n(value & ((1 << width) - 1), *n)).collect();
            prop_assert_eq!(round_trip(&values, width), values);
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), width in 0_u32..40, count in 0_usize..300) {
            let mut out = Vec::new();
            if decode(&bytes, width, count, &mut out).is_ok() {
                prop_assert_eq!(out.len(), count);
            }
        }
    }
}
