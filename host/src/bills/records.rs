//! Where the fields of CSV text begin and end, found 64 bytes at a time.
//!
//! Quotes are told apart by parity, as RFC 4180 allows: a doubled quote closes and opens again. A quote that is not where RFC 4180 has it
//! is found when the field is read, so that it can never hide a delimiter unnoticed.

/// Records indexed before their fields are read, column by column: few enough that their text stays in the second-level cache.
const WINDOW_RECORDS: usize = 256;

/// The fields of some records. Field `c` of record `r` ends at `ends[r * columns + c]`; the first begins at `starts[r]`, each other one
/// byte behind the end of the one before.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) starts: Vec<u32>,
    pub(super) ends: Vec<u32>,
}

/// A record that cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Ragged { start: usize, found: usize },
    Unclosed { start: usize },
}

/// Goes through the records of a text of less than 4 GiB.
#[derive(Debug)]
pub(super) struct Records<'a> {
    text: &'a [u8],
    columns: usize,
    block: usize,
    /// All ones inside quotes.
    inside: u64,
    record_start: usize,
    /// Ends found of the record that begins at `record_start`.
    partial: usize,
}

impl<'a> Records<'a> {
    pub(super) const fn new(text: &'a [u8], columns: usize) -> Self {
        Self { text, columns, block: 0, inside: 0, record_start: 0, partial: 0 }
    }

    /// Fills `window` with the next records; none are left when it stays empty.
    pub(super) fn next_window(&mut self, window: &mut Window) -> Result<(), Broken> {
        let kept = window.ends.len() - self.partial;
        window.ends.drain(..kept);
        window.starts.clear();
        while window.starts.len() < WINDOW_RECORDS && self.block < self.text.len() {
            self.index_block(window)?;
        }
        if self.block >= self.text.len() && self.record_start < self.text.len() {
            if self.inside != 0 {
                return Err(Broken::Unclosed { start: self.record_start });
            }
            self.end_record(self.text.len(), window)?;
        }
        Ok(())
    }

    fn index_block(&mut self, window: &mut Window) -> Result<(), Broken> {
        let base = self.block;
        let mut padded = [0_u8; 64];
        let block: &[u8; 64] = match self.text[base..].first_chunk::<64>() {
            Some(block) => block,
            None => {
                padded[..self.text.len() - base].copy_from_slice(&self.text[base..]);
                &padded
            }
        };
        let Masks { commas, newlines, quotes } = masks(block);
        let inside = prefix_parity(quotes) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        let newlines = newlines & !inside;
        let mut delimiters = (commas & !inside) | newlines;
        self.block = base + 64;
        if newlines == 0 {
            let before = window.ends.len();
            while delimiters != 0 {
                window.ends.push(offset(base + delimiters.trailing_zeros() as usize));
                delimiters &= delimiters - 1;
            }
            self.partial += window.ends.len() - before;
            return Ok(());
        }
        while delimiters != 0 {
            let bit = delimiters.trailing_zeros();
            let at = base + bit as usize;
            delimiters &= delimiters - 1;
            if newlines >> bit & 1 == 0 {
                window.ends.push(offset(at));
                self.partial += 1;
            } else {
                self.end_record(at, window)?;
            }
        }
        Ok(())
    }

    fn end_record(&mut self, newline: usize, window: &mut Window) -> Result<(), Broken> {
        let start = self.record_start;
        let end = if newline > start && self.text[newline - 1] == b'\r' { newline - 1 } else { newline };
        self.record_start = newline + 1;
        if self.partial == 0 && end == start {
            return Ok(()); // a blank line
        }
        window.ends.push(offset(end));
        let found = self.partial + 1;
        self.partial = 0;
        if found != self.columns {
            return Err(Broken::Ragged { start, found });
        }
        window.starts.push(offset(start));
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a chunk is at most a chunk size and a record limit long, far below 4 GiB")]
const fn offset(at: usize) -> u32 {
    at as u32
}

/// One bit a byte.
struct Masks {
    commas: u64,
    newlines: u64,
    quotes: u64,
}

fn masks(block: &[u8; 64]) -> Masks {
    let mut masks = Masks { commas: 0, newlines: 0, quotes: 0 };
    for (index, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let shift = index * 8;
        masks.commas |= equal(word, b',') << shift;
        masks.newlines |= equal(word, b'\n') << shift;
        masks.quotes |= equal(word, b'"') << shift;
    }
    masks
}

/// Which of eight bytes equal `byte`, as eight bits.
const fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let difference = word ^ (0x0101_0101_0101_0101 * byte as u64);
    let zero = !(((difference & LOW) + LOW) | difference | LOW);
    // The high bit of each zero byte, gathered into the top byte by one multiplication.
    (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Bit n is the parity of the bits up to and including n.
const fn prefix_parity(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ (bits << 32)
}

/// One past the last line break that is not inside quotes, when the text begins outside quotes.
pub(super) fn last_record_end(text: &[u8]) -> Option<usize> {
    let mut quotes = memchr::memchr_iter(b'"', text).count();
    let mut end = text.len();
    loop {
        let newline = memchr::memrchr(b'\n', &text[..end])?;
        quotes -= memchr::memchr_iter(b'"', &text[newline..end]).count();
        if quotes.is_multiple_of(2) {
            return Some(newline + 1);
        }
        end = newline;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(text: &str, columns: usize) -> Result<Vec<Vec<&str>>, Broken> {
        let mut records = Records::new(text.as_bytes(), columns);
        let (mut window, mut all) = (Window::default(), Vec::new());
        loop {
            records.next_window(&mut window)?;
            if window.starts.is_empty() {
                return Ok(all);
            }
            for (row, start) in window.starts.iter().enumerate() {
                let mut from = *start as usize;
                let mut record = Vec::new();
                for end in &window.ends[row * columns..][..columns] {
                    record.push(&text[from..*end as usize]);
                    from = *end as usize + 1;
                }
                all.push(record);
            }
        }
    }

    #[test]
    fn delimiters_inside_quotes_do_not_count_and_blank_lines_are_no_records() {
        let text = "a,\"b,\n\"\"c\",d\r\n\r\n\n,,\nx,y,z";
        assert_eq!(fields(text, 3), Ok(vec![vec!["a", "\"b,\n\"\"c\"", "d"], vec!["", "", ""], vec!["x", "y", "z"]]));
    }

    #[test]
    fn a_record_of_another_width_and_a_quote_that_stays_open_are_found() {
        assert_eq!(fields("a,b\nc\n", 2), Err(Broken::Ragged { start: 4, found: 1 }));
        assert_eq!(fields("a,b\nc,\"d\n", 2), Err(Broken::Unclosed { start: 4 }));
    }

    #[test]
    fn a_cut_is_never_inside_quotes() {
        assert_eq!(last_record_end(b"a,b\nc,\"d\ne"), Some(4));
        assert_eq!(last_record_end(b"a,\"b\"\"\n\"\nc"), Some(9));
        assert_eq!(last_record_end(b"a,\"b\n"), None);
    }

    proptest! {
        #[test]
        fn fields_are_those_that_the_csv_crate_finds(rows in prop::collection::vec(prop::collection::vec("[a\",\n é]{0,40}", 3), 0..40)) {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let found = fields(&text, 3).unwrap();
            prop_assert_eq!(found.len(), rows.len());
            for (found, row) in found.iter().zip(&rows) {
                for (found, field) in found.iter().zip(row) {
                    let plain = found.strip_prefix('"').and_then(|f| f.strip_suffix('"')).map_or((*found).to_owned(), |f| f.replace("\"\"", "\""));
                    prop_assert_eq!(&plain, field);
                }
            }
        }
    }
}
