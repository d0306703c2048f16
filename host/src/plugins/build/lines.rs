//! From the compiler's debug information to the section `rerate:lines`, and the module without the former.
//!
//! Only the rule's own sources are kept: for an instruction of the standard library or the SDK that was inlined, the place is the
//! author's line that called it. What the compiler wrote is trusted to be whole; what is missing in it is missing in the section.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use gimli::{AttributeValue, Dwarf, EndianSlice, LittleEndian, Unit, UnitOffset, UnitRef};
use wasmparser::{Parser, Payload, TypeRef};

use crate::sandbox::lines::{SourceMap, SourcePlace, encode};
use crate::sandbox::sections::custom_sections;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// The content of the section, of the sources below `own` (a folder as the debug information names it), told from `root` on.
pub(super) fn table(module: &[u8], root: &Path, own: &Path) -> anyhow::Result<Vec<u8>> {
    let load = |id: gimli::SectionId| -> Result<Reader<'_>, gimli::Error> {
        let data = custom_sections(module).find(|section| section.name == id.name()).map_or(&[][..], |section| section.data);
        Ok(EndianSlice::new(data, LittleEndian))
    };
    let dwarf = Dwarf::load(load)?;
    let mut units = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        units.push(dwarf.unit(header)?);
    }
    let sources = Sources { dwarf: &dwarf, units: &units, root, own };
    let bodies = bodies(module)?;
    let mut map = SourceMap::new();
    for index in 0..units.len() {
        sources.unit(index, &bodies, &mut map)?;
    }
    // Rows that say what the row before says are no news.
    for rows in map.values_mut() {
        let mut last = None;
        rows.retain(|_, place| std::mem::replace(&mut last, place.clone()) != *place);
    }
    map.retain(|_, rows| !rows.is_empty());
    Ok(encode(&map))
}

/// The module without what only debuggers read.
pub(super) fn strip(module: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(module.len());
    let mut from = 0;
    for section in custom_sections(module) {
        let drop = section.name.starts_with(".debug") || ["name", "producers", "target_features"].contains(&section.name);
        if drop {
            kept.extend_from_slice(&module[from..section.at]);
            from = section.end;
        }
    }
    kept.extend_from_slice(&module[from..]);
    kept
}

/// Function bodies by where they begin in the code section, with their function's index.
fn bodies(module: &[u8]) -> anyhow::Result<Vec<(Range<u64>, u32)>> {
    let (mut index, mut code, mut bodies) = (0, 0, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    index += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionStart { range, .. } => code = range.start,
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                bodies.push(((range.start - code) as u64..(range.end - code) as u64, index));
                index += 1;
            }
            _ => {}
        }
    }
    Ok(bodies)
}

/// A function, or one that was inlined into another.
struct Scope {
    ranges: Vec<Range<u64>>,
    depth: isize,
    name: String,
    /// Where it was called, if it was inlined.
    call: Option<(String, u32)>,
}

struct Sources<'a> {
    dwarf: &'a Dwarf<Reader<'a>>,
    units: &'a [Unit<Reader<'a>>],
    root: &'a Path,
    own: &'a Path,
}

impl<'a> Sources<'a> {
    fn unit(&self, index: usize, bodies: &[(Range<u64>, u32)], map: &mut SourceMap) -> anyhow::Result<()> {
        let unit = UnitRef::new(self.dwarf, &self.units[index]);
        let lines = self.lines(unit)?;
        let scopes = self.scopes(unit)?;
        for (position, outer) in scopes.iter().enumerate().filter(|(_, scope)| scope.call.is_none()) {
            let inner = scopes[position + 1..].iter().take_while(|scope| scope.call.is_some());
            let nest: Vec<&Scope> = std::iter::once(outer).chain(inner).collect();
            if !nest.iter().any(|scope| self.is_own(scope.call.as_ref().map_or("", |(file, _)| file)))
                && !outer.ranges.iter().any(|range| lines.range(range.clone()).any(|(_, (file, _))| self.is_own(file)))
            {
                continue;
            }
            for range in &outer.ranges {
                let Some((body, function)) = bodies.iter().find(|(body, _)| body.contains(&range.start)) else { continue };
                let mut cuts: BTreeSet<u64> = lines.range(range.clone()).map(|(at, _)| *at).collect();
                cuts.extend(nest.iter().flat_map(|scope| &scope.ranges).flat_map(|inner| [inner.start, inner.end]));
                let rows = map.entry(*function).or_default();
                for at in cuts.range(range.clone()) {
                    rows.insert(u32::try_from(at - body.start)?, self.place(*at, &nest, &lines));
                }
                rows.insert(u32::try_from(range.end - body.start)?, None);
            }
        }
        Ok(())
    }

    /// The innermost place of the rule's own at an address.
    fn place(&self, at: u64, nest: &[&Scope], lines: &BTreeMap<u64, (String, u32)>) -> Option<SourcePlace> {
        let mut around: Vec<&&Scope> = nest.iter().filter(|scope| scope.ranges.iter().any(|range| range.contains(&at))).collect();
        around.sort_by_key(|scope| scope.depth);
        let mut position = lines.range(..=at).next_back().map(|(_, position)| position);
        while let Some(scope) = around.pop() {
            let (file, line) = position?;
            if *line > 0 && self.is_own(file) {
                let file = Path::new(file).strip_prefix(self.root).unwrap_or(Path::new(file)).display().to_string();
                return Some(SourcePlace { function: scope.name.clone(), file, line: *line });
            }
            position = scope.call.as_ref();
        }
        None
    }

    fn is_own(&self, file: &str) -> bool {
        Path::new(file).starts_with(self.own)
    }

    /// Source positions by address, each up to the next.
    fn lines(&self, unit: UnitRef<'_, Reader<'a>>) -> anyhow::Result<BTreeMap<u64, (String, u32)>> {
        let mut lines = BTreeMap::new();
        let Some(program) = unit.line_program.clone() else { return Ok(lines) };
        let mut rows = program.rows();
        while let Some((_, row)) = rows.next_row()? {
            let position = if row.end_sequence() {
                (String::new(), 0)
            } else {
                let line = row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0));
                (self.file(unit, row.file_index())?, line)
            };
            lines.insert(row.address(), position);
        }
        Ok(lines)
    }

    fn file(&self, unit: UnitRef<'_, Reader<'a>>, index: u64) -> anyhow::Result<String> {
        let header = unit.line_program.as_ref().map(|program| program.header());
        let Some((header, file)) = header.and_then(|header| Some((header, header.file(index)?))) else { return Ok(String::new()) };
        let mut path = std::path::PathBuf::new();
        if let Some(folder) = unit.comp_dir {
            path.push(folder.to_string_lossy().as_ref());
        }
        if let Some(folder) = file.directory(header) {
            path.push(unit.attr_string(folder)?.to_string_lossy().as_ref());
        }
        path.push(unit.attr_string(file.path_name())?.to_string_lossy().as_ref());
        Ok(path.display().to_string())
    }

    /// Functions with code, each followed by what was inlined into it.
    fn scopes(&self, unit: UnitRef<'_, Reader<'a>>) -> anyhow::Result<Vec<Scope>> {
        let mut scopes = Vec::new();
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let inlined = entry.tag() == gimli::DW_TAG_inlined_subroutine;
            if !inlined && entry.tag() != gimli::DW_TAG_subprogram {
                continue;
            }
            let mut ranges = Vec::new();
            let mut found = unit.die_ranges(entry)?;
            while let Some(range) = found.next()? {
                if range.begin < range.end {
                    ranges.push(range.begin..range.end);
                }
            }
            if ranges.is_empty() {
                continue;
            }
            let call = if inlined {
                let number = |name| entry.attr_value(name).and_then(|value| value.udata_value()).unwrap_or(0);
                let file = match entry.attr_value(gimli::DW_AT_call_file) {
                    Some(AttributeValue::FileIndex(index)) => index,
                    Some(value) => value.udata_value().unwrap_or(0),
                    None => 0,
                };
                Some((self.file(unit, file)?, u32::try_from(number(gimli::DW_AT_call_line)).unwrap_or(0)))
            } else {
                None
            };
            let name = self.name(unit, entry.offset(), 0)?.unwrap_or_default();
            scopes.push(Scope { ranges, depth: entry.depth(), name, call });
        }
        Ok(scopes)
    }

    /// A function's name as its author would write it.
    fn name(&self, unit: UnitRef<'_, Reader<'a>>, at: UnitOffset, hops: usize) -> anyhow::Result<Option<String>> {
        /// Longer than any chain of references that a compiler writes.
        const HOPS: usize = 8;
        let entry = unit.entry(at)?;
        for attribute in [gimli::DW_AT_linkage_name, gimli::DW_AT_name] {
            if let Some(value) = entry.attr_value(attribute) {
                let name = unit.attr_string(value)?;
                return Ok(Some(readable(&name.to_string_lossy())));
            }
        }
        let origin = entry.attr_value(gimli::DW_AT_abstract_origin).or_else(|| entry.attr_value(gimli::DW_AT_specification));
        match origin {
            _ if hops == HOPS => Ok(None),
            Some(AttributeValue::UnitRef(offset)) => self.name(unit, offset, hops + 1),
            Some(AttributeValue::DebugInfoRef(offset)) => {
                let other = self.units.iter().find_map(|unit| Some((unit, offset.to_unit_offset(&unit.header)?)));
                other.map_or(Ok(None), |(unit, offset)| self.name(UnitRef::new(self.dwarf, unit), offset, hops + 1))
            }
            _ => Ok(None),
        }
    }
}

/// `<my_rule::Rule as rerate_rule::Adjust>::decide` is to its author `my_rule::Rule::decide`.
fn readable(name: &str) -> String {
    let name = rustc_demangle::try_demangle(name).map_or_else(|_| name.to_owned(), |name| format!("{name:#}"));
    let implemented = name.strip_prefix('<').and_then(|rest| rest.split_once(" as ")).and_then(|(of, rest)| {
        let mut depth = 1;
        let end = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '<') - i32::from(*c == '>');
            depth == 0
        });
        end.map(|(end, _)| format!("{of}{}", &rest[end + 1..]))
    });
    implemented.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_called_what_its_author_calls_it() {
        for (mangled, expected) in [
            ("<my_rule::Rule as rerate_rule::rule::Adjust>::decide", "my_rule::Rule::decide"),
            ("<a::B<c::D> as e::F<g::H>>::i::{{closure}}", "a::B<c::D>::i::{{closure}}"),
            ("my_rule::price", "my_rule::price"),
            ("<odd", "<odd"),
        ] {
            assert_eq!(readable(mangled), expected);
        }
    }

    #[test]
    fn stripping_takes_the_debug_sections_and_leaves_every_other_byte() {
        let mut module = wat::parse_str("(module (func (export \"f\")))").unwrap();
        module.truncate(module.len());
        let plain = strip(&module);
        let mut debug = plain.clone();
        crate::sandbox::sections::append(&mut debug, ".debug_line", &[1, 2, 3]);
        crate::sandbox::sections::append(&mut debug, "component-type:x", &[4]);
        crate::sandbox::sections::append(&mut debug, "name", &[5]);
        let mut expected = plain;
        crate::sandbox::sections::append(&mut expected, "component-type:x", &[4]);
        assert_eq!(strip(&debug), expected);
    }
}
