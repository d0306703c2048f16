//! The generator's own random numbers, so that a seed means the same bytes on every machine and in every later version of a library.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): good enough to look real, and a stream can start at any (seed, stream) without state shared
//! between threads. Not for anything secret.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// A stream of its own for each (seed, stream).
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { state: mix(seed.wrapping_add(GOLDEN)) ^ mix(stream.wrapping_mul(GOLDEN).wrapping_add(1)) }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Below `limit`, which is not zero. The bias of the multiplication is below 2^-32 for every limit used here.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// Once in `n` times.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Fills with characters of `alphabet`, whose length is a power of two of at most 64: several characters from one number.
    pub(super) fn fill(&mut self, alphabet: &[u8], out: &mut [u8]) {
        debug_assert!(alphabet.len().is_power_of_two() && alphabet.len() <= 64);
        let bits = alphabet.len().trailing_zeros();
        let mask = alphabet.len() - 1;
        for part in out.chunks_mut(64 / bits as usize) {
            let mut number = self.next();
            for byte in part {
                *byte = alphabet[usize::try_from(number & 63).unwrap_or(0) & mask];
                number >>= bits;
            }
        }
    }

    pub(super) fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        let mut bytes = vec![0; len];
        self.fill(alphabet, &mut bytes);
        bytes.into_iter().map(char::from).collect()
    }

    pub(super) fn hex(&mut self, len: usize) -> String {
        self.text(HEX, len)
    }

    pub(super) fn digits(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }

    /// As a version 4 UUID is written.
    pub(super) fn uuid(&mut self) -> String {
        let (a, b, c, d) = (self.hex(8), self.hex(4), self.hex(3), self.hex(12));
        let variant = *self.pick(&["8", "9", "a", "b"]);
        format!("{a}-{b}-4{c}-{variant}{}-{d}", self.hex(3))
    }
}

pub(super) const HEX: &[u8] = b"0123456789abcdef";
pub(super) const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Of AWS SKUs and rate codes.
pub(super) const UPPER: &[u8] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZA";

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_published_algorithm() {
        // SplitMix64 from state 1234567, as in the reference implementation's test vectors.
        let mut random = Random { state: 1_234_567 };
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        assert_eq!(Random::new(1, 2).uuid(), Random::new(1, 2).uuid());
        assert_ne!(Random::new(1, 2).next(), Random::new(1, 3).next());
        assert_ne!(Random::new(1, 2).next(), Random::new(2, 2).next());
        assert_eq!(Random::new(3, 0).uuid().len(), 36);
    }
}
