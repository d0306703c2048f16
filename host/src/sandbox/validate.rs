//! What is refused before anything is compiled: every byte is parsed here first, and what the component imports and exports is compared
//! with the contract. The types of the exports are compared when the component is first instantiated.

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use super::call::RuleFailure;
use super::limits::{COMPONENT_BYTES, Limits};
use super::log::{LOG_FUNCTION, LOG_IMPORT};
use crate::domain::rule::Capability;

/// The contract's package, and the version of it that this daemon speaks: 1.0 and its corrections.
const PACKAGE: &str = "rerate:rule";
const MAJOR: u64 = 1;
const MINOR: u64 = 0;
const SUPPORTED: &str = "1.0";

/// A page of linear memory; other sizes are a feature that is off.
const PAGE_BYTES: u64 = 1 << 16;

/// Components inside of components. Tools nest two or three; checking a hundred thousand took minutes, and the time grows with the square.
const NESTING: usize = 16;

/// Why a component is not accepted, as a sentence that its author can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the file has {bytes} bytes; a component may have at most {COMPONENT_BYTES}. Build it in release mode and strip debug information"
    )]
    TooLarge { bytes: usize },
    #[error("this is not a WebAssembly file. Upload the component (`.wasm`) that `rerate plugin build` writes")]
    NotWasm,
    #[error(
        "this is a core WebAssembly module, not a component. Build it with `rerate plugin build`, or make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    #[error("the component is damaged or uses a WebAssembly feature that rules may not use: {0}")]
    Malformed(String),
    #[error(
        "the component imports `{name}`, but a rule has no files, clock, randomness, network or environment. Build Rust for wasm32-unknown-unknown, JavaScript with all features of componentize-js disabled, Python with componentize-py --stub-wasi"
    )]
    Wasi { name: String },
    #[error(
        "the component imports `{name}`; a rule may import the types of `{PACKAGE}`, and `{LOG_IMPORT}` with its one function `{LOG_FUNCTION}`"
    )]
    Import { name: String },
    #[error("the component starts with {} MiB of memory; a rule may have {} MiB. Link it with a smaller stack and static data", .bytes >> 20, .limit >> 20)]
    Memory { bytes: u64, limit: u64 },
    #[error("the component is composed of several components; upload each rule by itself")]
    Composed,
    #[error("the component was built for `{found}`; this daemon supports {PACKAGE} {SUPPORTED}. Build it with the SDK of that version")]
    Version { found: String },
    #[error("the component does not export `{PACKAGE}/describe`, so nothing is known of it. Implement `describe`")]
    NotDescribed,
    #[error(
        "the component exports none of `adjust`, `charge` and `check` of {PACKAGE} {SUPPORTED}, so it can do nothing. Implement one of them"
    )]
    NoCapability,
    #[error("what the component exports differs from the contract {PACKAGE} {SUPPORTED}: {0}. Build it with an unchanged `rule.wit`")]
    Contract(String),
    #[error("the component was not compiled within {seconds} s. Split very large functions")]
    CompileSlow { seconds: u64 },
    #[error("compiling the component took more than {} MiB of memory. Split very large functions", .bytes >> 20)]
    CompileMemory { bytes: u64 },
    #[error("the component could not be compiled: {0}")]
    Compile(String),
    #[error("the component failed when it was asked to describe itself: {0}")]
    Describe(RuleFailure),
    #[error("what the component says of itself is not usable: {0}")]
    Manifest(String),
    /// Not the component's fault.
    #[error("the sandbox is not usable: {0}")]
    Sandbox(String),
}

/// A component of which every byte was parsed and which asks for nothing.
#[derive(Debug)]
pub(super) struct Validated<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) capabilities: Vec<Capability>,
}

/// WebAssembly 2.0 and what compilers emit by default since, without anything whose result may differ between machines.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        .union(WasmFeatures::EXTENDED_CONST)
        .union(WasmFeatures::TAIL_CALL)
        .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
        .union(WasmFeatures::WIDE_ARITHMETIC)
        .union(WasmFeatures::COMPONENT_MODEL)
        .difference(WasmFeatures::GC_TYPES)
}

pub(super) fn validate<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Validated<'a>, Refusal> {
    if bytes.len() > COMPONENT_BYTES {
        return Err(Refusal::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Refusal::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(Refusal::CoreModule);
    }
    let surface = surface(bytes)?;
    let types = Validator::new_with_features(features()).validate_all(bytes).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let types = types.as_ref();
    for name in surface.imports {
        let instance = match types.component_item_for_import(name).map(|item| &item.ty) {
            Some(ComponentEntityType::Instance(id)) => Some(&types[*id].exports),
            _ => None,
        };
        // Its type is compared when the component is linked.
        let is_log = |(export, ty): (&String, &ComponentEntityType)| export == LOG_FUNCTION && matches!(ty, ComponentEntityType::Func(_));
        if name == LOG_IMPORT && instance.is_some_and(|exports| exports.iter().all(|(export, item)| is_log((export, &item.ty)))) {
            continue;
        }
        let only_types = instance.is_some_and(|exports| {
            exports.values().all(
                |item| matches!(&item.ty, ComponentEntityType::Type { created, .. } if !matches!(created, ComponentAnyTypeId::Resource(_))),
            )
        });
        match contract_name(name)? {
            Some("types") if only_types => {}
            _ if name.starts_with("wasi:") => return Err(Refusal::Wasi { name: name.to_owned() }),
            _ => return Err(Refusal::Import { name: name.to_owned() }),
        }
    }
    let limit = u64::try_from(limits.memory_bytes).unwrap_or(u64::MAX);
    if surface.memory_bytes > limit {
        return Err(Refusal::Memory { bytes: surface.memory_bytes, limit });
    }
    let mut described = false;
    let mut capabilities = Vec::new();
    for name in surface.exports {
        match contract_name(name)? {
            Some("describe") => described = true,
            Some("adjust") => capabilities.push(Capability::Adjust),
            Some("charge") => capabilities.push(Capability::Charge),
            Some("check") => capabilities.push(Capability::Check),
            _ => {}
        }
    }
    if capabilities.is_empty() {
        return Err(Refusal::NoCapability);
    }
    if !described {
        return Err(Refusal::NotDescribed);
    }
    capabilities.sort_by_key(|capability| match capability {
        Capability::Adjust => 0,
        Capability::Charge => 1,
        Capability::Check => 2,
    });
    Ok(Validated { bytes, capabilities })
}

/// What is seen without looking at types.
struct Surface<'a> {
    /// Names of the outermost component.
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
    /// What all memories have from the start.
    memory_bytes: u64,
}

/// Walks all sections. Nested components without code are how tools re-export typed interfaces; nested components with code are
/// compositions.
fn surface(bytes: &[u8]) -> Result<Surface<'_>, Refusal> {
    let malformed = |error: wasmparser::BinaryReaderError| Refusal::Malformed(error.to_string());
    let mut surface = Surface { imports: Vec::new(), exports: Vec::new(), memory_bytes: 0 };
    let mut nesting: Vec<Encoding> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding, .. } => {
                let components = nesting.iter().filter(|outer| matches!(outer, Encoding::Component)).count();
                if encoding == Encoding::Module && components > 1 {
                    return Err(Refusal::Composed);
                }
                if nesting.len() == NESTING {
                    return Err(Refusal::Malformed(format!("components are nested more than {NESTING} deep")));
                }
                nesting.push(encoding);
            }
            Payload::End(_) => {
                nesting.pop();
            }
            Payload::ComponentImportSection(section) if nesting.len() == 1 => {
                for import in section {
                    surface.imports.push(import.map_err(malformed)?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if nesting.len() == 1 => {
                for export in section {
                    surface.exports.push(export.map_err(malformed)?.name.name);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let bytes = memory.map_err(malformed)?.initial.saturating_mul(PAGE_BYTES);
                    surface.memory_bytes = surface.memory_bytes.saturating_add(bytes);
                }
            }
            _ => {}
        }
    }
    Ok(surface)
}

/// The interface that a name of our package stands for; `None` for other packages.
fn contract_name(name: &str) -> Result<Option<&str>, Refusal> {
    let Some(rest) = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) else {
        return Ok(None);
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let supported = numbers.next() == Some(Some(MAJOR)) && numbers.next() == Some(Some(MINOR)) && matches!(numbers.next(), Some(Some(_)));
    if supported && numbers.next().is_none() { Ok(Some(interface)) } else { Err(Refusal::Version { found: name.to_owned() }) }
}
