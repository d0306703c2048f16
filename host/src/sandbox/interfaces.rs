//! What a component asks for and offers, by name: for people who look at one. Whether it is acceptable is `validate`'s to say.

use wasmparser::{Parser, Payload};

/// Interfaces of the outermost component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Reads as far as the file can be read; a damaged one has what came before the damage.
pub fn interfaces(component: &[u8]) -> Interfaces {
    let mut found = Interfaces::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                found.imports.extend(section.into_iter().map_while(Result::ok).map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                found.exports.extend(section.into_iter().map_while(Result::ok).map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    found
}
