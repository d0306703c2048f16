//! The section `rerate:lines`: which line of the rule's own sources each instruction comes from, and in which function.
//!
//! Written when a rule is built, read when it has failed, and only to word the failure: whatever a section says, nothing but text comes of
//! it. Sources that are not the rule's own are left out, so a place is the author's line that led there.

use std::collections::BTreeMap;

/// Larger sections are not read: 1 MiB of places is some hundred thousand lines of code.
const SECTION_BYTES: usize = 1 << 20;
/// Characters of a name that are shown.
const NAME_CHARS: usize = 200;
const FORMAT: u64 = 1;

/// A place in a rule's own sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePlace {
    pub function: String,
    /// From the folder of the rule's crate.
    pub file: String,
    pub line: u32,
}

/// Where code of the main module comes from: by function index, from an offset in the function on. None ends a place.
pub type SourceMap = BTreeMap<u32, BTreeMap<u32, Option<SourcePlace>>>;

impl std::fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |text: &str| text.chars().take(NAME_CHARS).filter(|c| !c.is_control()).collect::<String>();
        write!(f, "{} at {}:{}", shown(&self.function), shown(&self.file), self.line)
    }
}

/// The section's content: a format number, the files, the functions, then for each function of the module its rows. Numbers are LEB128,
/// most of them differences, so that a row takes about three bytes.
pub fn encode(map: &SourceMap) -> Vec<u8> {
    let places = || map.values().flat_map(BTreeMap::values).flatten();
    let files = numbered(places().map(|place| place.file.as_str()));
    let functions = numbered(places().map(|place| place.function.as_str()));
    let mut out = Vec::new();
    push(&mut out, FORMAT);
    for names in [&files, &functions] {
        push(&mut out, names.len() as u64);
        for name in names.keys() {
            push(&mut out, name.len() as u64);
            out.extend_from_slice(name.as_bytes());
        }
    }
    push(&mut out, map.len() as u64);
    let mut last_index = 0;
    for (index, rows) in map {
        push(&mut out, u64::from(index - last_index));
        last_index = *index;
        push(&mut out, rows.len() as u64);
        let (mut last_offset, mut last_line) = (0, 0);
        for (offset, place) in rows {
            push(&mut out, u64::from(offset - last_offset));
            last_offset = *offset;
            let Some(place) = place else {
                push(&mut out, 0);
                continue;
            };
            push(&mut out, files[place.file.as_str()] + 1);
            push(&mut out, functions[place.function.as_str()]);
            let difference = i64::from(place.line) - last_line;
            last_line = i64::from(place.line);
            push(&mut out, (difference << 1 ^ difference >> 63).cast_unsigned());
        }
    }
    out
}

fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut numbers: BTreeMap<&str, u64> = names.map(|name| (name, 0)).collect();
    numbers.values_mut().zip(0..).for_each(|(number, index)| *number = index);
    numbers
}

fn push(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// The place of an instruction: its function's index in the main module and its offset there. None when the section does not tell, be
/// it that the code is not the rule's own or that the section is damaged.
pub(super) fn find(section: &[u8], function_index: u32, offset: u32) -> Option<SourcePlace> {
    if section.len() > SECTION_BYTES {
        return None;
    }
    let mut reader = Reader { rest: section };
    if reader.number()? != FORMAT {
        return None;
    }
    let files = reader.names()?;
    let functions = reader.names()?;
    let mut index = 0_u64;
    for _ in 0..reader.number()? {
        index = index.checked_add(reader.number()?)?;
        let rows = reader.number()?;
        let wanted = index == u64::from(function_index);
        let (mut at, mut line, mut found) = (0_u64, 0_i64, None);
        for _ in 0..rows {
            at = at.checked_add(reader.number()?)?;
            let file = reader.number()?;
            let mut place = None;
            if let Some(file) = file.checked_sub(1) {
                let function = reader.number()?;
                let zigzag = reader.number()?;
                let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
                line = line.checked_add(difference)?;
                place = Some((file, function, line));
            }
            if wanted && at <= u64::from(offset) {
                found = place;
            }
        }
        if wanted {
            let (file, function, line) = found?;
            let named = |names: &[&str], index: u64| names.get(usize::try_from(index).ok()?).map(|name| (*name).to_owned());
            return Some(SourcePlace {
                function: named(&functions, function)?,
                file: named(&files, file)?,
                line: u32::try_from(line).ok()?,
            });
        }
    }
    None
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn names(&mut self) -> Option<Vec<&'a str>> {
        let count = self.number()?;
        let mut names = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(self.number()?).ok()?;
            let (name, rest) = self.rest.split_at_checked(length)?;
            self.rest = rest;
            names.push(std::str::from_utf8(name).ok()?);
        }
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(function: &str, file: &str, line: u32) -> SourcePlace {
        SourcePlace { function: function.to_owned(), file: file.to_owned(), line }
    }

    #[test]
    fn a_place_holds_from_its_offset_to_the_next() {
        let rows = |rows: &[(u32, Option<SourcePlace>)]| rows.iter().cloned().collect::<BTreeMap<_, _>>();
        let decide = place("my_rule::Rule::decide", "src/lib.rs", 42);
        let price = place("my_rule::price", "src/price.rs", 7);
        let map = SourceMap::from([
            (3, rows(&[(10, Some(decide.clone())), (20, None), (30, Some(price.clone()))])),
            (9, rows(&[(0, Some(decide.clone()))])),
        ]);
        let section = encode(&map);
        let at = |function, offset| find(&section, function, offset);
        assert_eq!((at(3, 9), at(3, 10), at(3, 19)), (None, Some(decide.clone()), Some(decide.clone())));
        assert_eq!((at(3, 20), at(3, 30), at(3, 1_000)), (None, Some(price.clone()), Some(price)));
        assert_eq!((at(9, 0), at(8, 0), at(10, 0)), (Some(decide.clone()), None, None));
        assert_eq!(decide.to_string(), "my_rule::Rule::decide at src/lib.rs:42");
        for length in 0..section.len() {
            assert_eq!(find(&section[..length], 9, 0), None, "{length}");
        }
    }

    #[test]
    fn what_a_section_calls_a_function_cannot_steer_a_terminal_or_fill_a_screen() {
        let shown = place(&"\u{1b}[2Jx".repeat(1_000), "a\nb", 1).to_string();
        assert!(shown.chars().count() < 220 && !shown.contains(char::is_control), "{shown}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), index in 0_u32..20, offset: u32) {
            find(&bytes, index, offset);
            if let Some(first) = bytes.first_mut() {
                *first = 1;
            }
            find(&bytes, index, offset);
        }

        #[test]
        fn a_damaged_section_gives_some_text_or_none(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), offset in 0_u32..40,
        ) {
            let rows = (0..20).map(|row| (row * 2, Some(place("f", "src/lib.rs", row * 7 % 11)))).collect();
            let mut section = encode(&SourceMap::from([(1, rows)]));
            for (at, byte) in changes {
                let at = at.index(section.len());
                section[at] = byte;
            }
            if let Some(found) = find(&section, 1, offset) {
                prop_assert!(found.to_string().len() < 1_000);
            }
        }
    }
}
