//! What a component's file carries besides code: custom sections of ours, read and appended without touching anything else.
//!
//! Only the sections of the outermost component count: what lies inside a nested module belongs to the compiler that wrote it.

/// Golden cases that come with a component: its self-test.
pub const CASES: &str = "rerate:cases";
/// Where in its own sources each instruction of a component comes from.
pub const LINES: &str = "rerate:lines";
/// Who vouches for everything before this section; always the last one.
pub const SIGNATURE: &str = "rerate:signature";

/// Magic number and version.
const HEADER: usize = 8;
const CUSTOM: u8 = 0;

/// A custom section and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
    /// Offset of the section's first byte in the file.
    pub at: usize,
    /// Offset behind its last byte.
    pub end: usize,
    /// Whether nothing follows.
    pub is_last: bool,
}

/// The outermost custom sections in order; what cannot be read ends the list, since validation refuses such a file anyway.
pub fn custom_sections(component: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        loop {
            let start = at;
            let id = *component.get(start)?;
            let (size, body) = leb(component, start + 1)?;
            let end = body.checked_add(size)?;
            let payload = component.get(body..end)?;
            at = end;
            if id == CUSTOM {
                let (length, text) = leb(payload, 0)?;
                let name = std::str::from_utf8(payload.get(text..text.checked_add(length)?)?).ok()?;
                return Some(Section { name, data: &payload[text + length..], at: start, end, is_last: end == component.len() });
            }
        }
    })
}

/// The last section of a name: appending another replaces it for readers.
pub fn section<'a>(component: &'a [u8], name: &str) -> Option<Section<'a>> {
    custom_sections(component).filter(|section| section.name == name).last()
}

/// Appends a custom section to a component.
pub fn append(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut payload = Vec::with_capacity(name.len() + data.len() + 5);
    push_leb(&mut payload, name.len());
    payload.extend_from_slice(name.as_bytes());
    payload.extend_from_slice(data);
    component.push(CUSTOM);
    push_leb(component, payload.len());
    component.extend_from_slice(&payload);
}

/// An unsigned LEB128 of at most 32 bits, and where it ends.
fn leb(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_u32;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        let part = u32::from(byte & 0x7f);
        value |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, at));
        }
    }
    None
}

fn push_leb(bytes: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: [u8; HEADER] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    #[test]
    fn what_is_appended_is_found_and_the_last_of_a_name_counts() {
        let mut component = EMPTY.to_vec();
        append(&mut component, CASES, b"one");
        append(&mut component, LINES, &[7; 300]);
        append(&mut component, CASES, b"two");
        let cases = section(&component, CASES).unwrap();
        assert_eq!((cases.data, cases.is_last), (b"two".as_slice(), true));
        let lines = section(&component, LINES).unwrap();
        assert_eq!((lines.data.len(), lines.is_last), (300, false));
        assert_eq!(section(&component, SIGNATURE), None);
        assert_eq!(&component[..lines.at], {
            let mut first = EMPTY.to_vec();
            append(&mut first, CASES, b"one");
            first
        });
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut component = EMPTY.to_vec();
            component.extend(bytes);
            prop_assert!(custom_sections(&component).count() <= component.len());
        }
    }
}
