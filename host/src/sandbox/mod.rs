//! Runs billing rules: WebAssembly components that may compute and nothing else.
//!
//! The only module that knows the runtime. It speaks [`domain::rule`](crate::domain::rule) and never: reads a component from a path,
//! keeps a registry of them, retries, or decides what a rule's failure means for a run.

mod bindings;
mod cache;
mod call;
mod clock;
mod compile;
mod engine;
mod interfaces;
mod limits;
pub mod lines;
mod log;
mod meter;
pub mod sections;
mod validate;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

pub use self::cache::Cache;
pub use self::call::RuleFailure;
pub use self::compile::{CHILD_COMMAND, Compile, compile_child_main};
pub use self::interfaces::{Interfaces, interfaces};
pub use self::limits::{COMPONENT_BYTES, Limits};
pub use self::log::{Log, Logged};
pub use self::meter::{CallUsage, Meter, Patience, Quota, Usage};
pub use self::validate::Refusal;

use self::bindings::v1;
use self::cache::Artefact;
use self::call::{NotStarted, Session, Terms};
use self::engine::Engines;
use self::limits::Allowance;
use self::validate::Validated;
use crate::domain::rule::{
    BillPeriod, Capability, ConfigError, Decision, Earlier, Finding, Line, Manifest, Plan, RuleMoney, RuleText, Total,
};

/// Longest name and version of a manifest: they are shown in tables and written with every charge.
const NAME_BYTES: usize = 100;

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where compiled components are kept; without it each start compiles again.
    pub cache_dir: Option<PathBuf>,
    pub limits: Limits,
    pub compile: Compile,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self { cache_dir: None, limits: Limits::default(), compile: Compile::InProcess }
    }
}

/// Loads components. One for the whole process: it holds the pool of instances.
pub struct Sandbox {
    engines: Engines,
    options: SandboxOptions,
    cache: Option<Cache>,
    /// Loaded components by digest, so that two rules of the same component share its code.
    loaded: Mutex<HashMap<String, Weak<Code>>>,
}

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    #[error("the folder of compiled rules {folder} is not usable: {error}")]
    Cache { folder: PathBuf, error: std::io::Error },
}

impl Sandbox {
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        let engines = engine::runners(&options.limits).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        let cache = match &options.cache_dir {
            Some(folder) => Some(Cache::open(folder).map_err(|error| SandboxError::Cache { folder: folder.clone(), error })?),
            None => None,
        };
        Ok(Self { engines, options, cache, loaded: Mutex::default() })
    }

    /// Parses every byte and compares what the component imports and exports with the contract; nothing is compiled.
    pub fn validate(&self, component: &[u8]) -> Result<(), Refusal> {
        validate::validate(component, &self.options.limits).map(|_| ())
    }

    /// Where components are compiled and what that may take, for people.
    pub fn compiling(&self) -> String {
        let Limits { compile_deadline, compile_bytes, .. } = &self.options.limits;
        match self.options.compile {
            Compile::Child(_) => {
                format!("in a process of its own that may take {} s and {} MiB", compile_deadline.as_secs(), compile_bytes >> 20)
            }
            Compile::InProcess => "in this process, without a limit".to_owned(),
        }
    }

    /// Makes a component ready to run: parses every byte, compiles it or takes the compiled form from the cache, and asks what it is.
    pub fn load(&self, component: &[u8]) -> Result<Arc<Plugin>, Refusal> {
        let validated = validate::validate(component, &self.options.limits)?;
        let digest = hex(&Sha256::digest(component));
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).and_then(Weak::upgrade);
        if let Some(code) = known {
            return Ok(self.plugin(code));
        }
        let component = self.code(&digest, &validated)?;
        let code = Arc::new(self.describe(component, digest, validated)?);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|_, code| code.strong_count() > 0);
        loaded.insert(code.digest.clone(), Arc::downgrade(&code));
        drop(loaded);
        Ok(self.plugin(code))
    }

    fn plugin(&self, code: Arc<Code>) -> Arc<Plugin> {
        let terms = self.terms(code.lines.clone());
        Arc::new(Plugin { code, terms })
    }

    fn terms(&self, lines: Option<Arc<[u8]>>) -> Arc<Terms> {
        Arc::new(Terms { limits: self.options.limits.clone(), meter: None, log: None, lines })
    }

    fn code(&self, digest: &str, component: &Validated<'_>) -> Result<Component, Refusal> {
        let kept = self.cache.as_ref().and_then(|cache| cache.get(digest, &self.engines.first));
        if let Some(code) = kept.and_then(|artefact| native(&self.engines.first, &artefact).ok()) {
            return Ok(code);
        }
        let artefact = compile::compile(&self.options.compile, &self.engines.first, component, &self.options.limits)?;
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.put(digest, &self.engines.first, &artefact)) {
            tracing::warn!(%error, "a compiled rule could not be kept; the next start compiles it again");
        }
        native(&self.engines.first, &artefact).map_err(|error| Refusal::Compile(format!("{error:#}")))
    }

    /// Finds the exports, compares their types with the contract and asks the component what it is.
    fn describe(&self, component: Component, digest: String, validated: Validated<'_>) -> Result<Code, Refusal> {
        let contract = |error: wasmtime::Error| Refusal::Contract(format!("{error:#}"));
        let linked = Linked::new(&component, &validated.capabilities).map_err(contract)?;
        let mut code = Code {
            digest,
            size: validated.bytes.len(),
            manifest: Manifest::default(),
            linked,
            component,
            spare_engine: self.engines.spare.clone(),
            spare: OnceLock::new(),
            capabilities: validated.capabilities,
            memory_bytes: self.options.limits.memory_bytes,
            lines: sections::section(validated.bytes, sections::LINES).map(|section| section.data.into()),
        };
        let (mut session, exports) = code.session(&self.terms(code.lines.clone())).map_err(Refusal::Describe)?;
        session.look(|store, instance| exports.check_types(store, instance)).map_err(contract)?;
        let manifest = exports.about(&mut session).map_err(Refusal::Describe)?;
        drop(session);
        accept(&manifest)?;
        code.manifest = manifest;
        Ok(code)
    }
}

#[allow(unsafe_code)]
fn native(engine: &Engine, artefact: &Artefact) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what the compiler wrote: an `Artefact` comes from it directly, or from a file whose HMAC was checked over
    // these very bytes in memory.
    unsafe { Component::deserialize(engine, artefact.code()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A component that is ready to run under limits of its own. Calls may come from many threads; each has its own instance.
pub struct Plugin {
    code: Arc<Code>,
    terms: Arc<Terms>,
}

/// A component's native code, ready for instances, and what it says of itself.
struct Code {
    digest: String,
    size: usize,
    manifest: Manifest,
    linked: Linked,
    component: Component,
    spare_engine: Engine,
    /// The same code on the spare engine, made when the pool is first found full.
    spare: OnceLock<Linked>,
    capabilities: Vec<Capability>,
    /// The most that one instance has room for.
    memory_bytes: usize,
    /// What the component says of where its code comes from, unread.
    lines: Option<Arc<[u8]>>,
}

/// Native code of one engine with its imports resolved, of which there is at most the log, and its exports found.
struct Linked {
    pre: InstancePre<Allowance>,
    contract: v1::Contract,
}

/// Why a configuration gave no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    /// The rule read it and says no.
    #[error(transparent)]
    Refused(ConfigError),
    #[error(transparent)]
    Failed(RuleFailure),
}

impl Plugin {
    /// The same code under other limits, counted by `meter`. Nothing is compiled or copied.
    ///
    /// What concerns the sandbox as a whole stays as it is: its number of instances, the bounds of compiling, and the memory that an
    /// instance has room for. A larger `memory_bytes` than the sandbox was made with is cut to that.
    #[must_use]
    pub fn with(&self, limits: Limits, meter: Option<Arc<Meter>>) -> Arc<Self> {
        let memory_bytes = limits.memory_bytes.min(self.code.memory_bytes);
        let terms = Terms { limits: Limits { memory_bytes, ..limits }, meter, ..Terms::clone(&self.terms) };
        Arc::new(Self { code: Arc::clone(&self.code), terms: Arc::new(terms) })
    }

    /// The same, with its lines written to `log`. Without one they are not kept.
    #[must_use]
    pub fn logging(&self, log: &Arc<Log>) -> Arc<Self> {
        let terms = Terms { log: Some(Arc::clone(log)), ..Terms::clone(&self.terms) };
        Arc::new(Self { code: Arc::clone(&self.code), terms: Arc::new(terms) })
    }

    /// What each call may use.
    pub fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// SHA-256 of the component in hexadecimal: its identity.
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.code.size
    }

    pub fn manifest(&self) -> &Manifest {
        &self.code.manifest
    }

    /// In the order adjust, charge, check.
    pub fn capabilities(&self) -> &[Capability] {
        &self.code.capabilities
    }

    fn session(&self) -> Result<(Session, &v1::Contract), RuleFailure> {
        self.code.session(&self.terms)
    }

    /// Checks a configuration (JSON) and says what the rule needs under it.
    pub fn configure(&self, config: &str, period: &BillPeriod) -> Result<Plan, ConfigureError> {
        let (mut session, exports) = self.session().map_err(ConfigureError::Failed)?;
        let answer = exports.configure(&mut session, config, period);
        answer.map_err(ConfigureError::Failed)?.map_err(ConfigureError::Refused)
    }

    /// Opens a rater with its own instance, for one worker of one run.
    pub fn open(&self, config: &str, period: &BillPeriod, totals: &[Total]) -> Result<Rater, RuleFailure> {
        let (mut session, exports) = self.session()?;
        let rater = exports.open(&mut session, config, period, totals)?;
        Ok(Rater { session, rater })
    }

    /// The lines that the rule adds.
    pub fn charge(&self, config: &str, period: &BillPeriod, totals: &[Total], earlier: &[Earlier]) -> Result<Vec<Line>, RuleFailure> {
        let (mut session, exports) = self.session()?;
        exports.charge(&mut session, config, period, totals, earlier)
    }

    /// What the rule has to say of the outcome.
    pub fn check(&self, config: &str, period: &BillPeriod, totals: &[Total]) -> Result<Vec<Finding>, RuleFailure> {
        let (mut session, exports) = self.session()?;
        exports.check(&mut session, config, period, totals)
    }
}

impl Code {
    /// A fresh instance, from the pool when it has room.
    fn session(&self, terms: &Arc<Terms>) -> Result<(Session, &v1::Contract), RuleFailure> {
        match Session::start(&self.linked.pre, terms) {
            Ok(session) => return Ok((session, &self.linked.contract)),
            Err(NotStarted::Failed(failure)) => return Err(failure),
            Err(NotStarted::Full) => {}
        }
        let spare = self.spare().map_err(|error| RuleFailure::Start(format!("{error:#}")))?;
        match Session::start(&spare.pre, terms) {
            Ok(session) => Ok((session, &spare.contract)),
            Err(NotStarted::Failed(failure)) => Err(failure),
            Err(NotStarted::Full) => Err(RuleFailure::Start("no instance is free".to_owned())),
        }
    }

    fn spare(&self) -> wasmtime::Result<&Linked> {
        if let Some(spare) = self.spare.get() {
            return Ok(spare);
        }
        let artefact = Artefact::fresh(self.component.serialize()?);
        let linked = Linked::new(&native(&self.spare_engine, &artefact)?, &self.capabilities)?;
        Ok(self.spare.get_or_init(|| linked))
    }
}

impl Linked {
    fn new(component: &Component, capabilities: &[Capability]) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(component.engine());
        log::define(&mut linker)?;
        let pre = linker.instantiate_pre(component)?;
        let contract = v1::Contract::find(&pre, capabilities)?;
        Ok(Self { pre, contract })
    }
}

/// Whether people and programs can work with what a component says of itself.
fn accept(manifest: &Manifest) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::Manifest(message));
    for (field, text) in [("name", &manifest.name), ("version", &manifest.version), ("title", &manifest.title)] {
        if text.trim().is_empty() || text.len() > NAME_BYTES {
            return refuse(format!("`{field}` must have 1 to {NAME_BYTES} bytes, not {}", text.len()));
        }
    }
    if !manifest.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return refuse(format!("the name {:?} may have only small letters, digits and dashes", manifest.name));
    }
    match serde_json::from_str::<serde_json::Value>(&manifest.config_schema) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => refuse("`config-schema` is not a JSON object".to_owned()),
        Err(error) => refuse(format!("`config-schema` is not JSON: {error}")),
    }
}

/// A rule at work on one worker's share of a run.
///
/// After a crash, or an answer that broke the contract, every further call fails: what the guest remembers means nothing then.
pub struct Rater {
    session: Session,
    rater: v1::Rater,
}

impl Rater {
    /// One decision for each new combination: row `n` of the dimensions is the combination with codes `n` of each text.
    pub fn decide(&mut self, dimensions: &[RuleText]) -> Result<Vec<Decision>, RuleFailure> {
        let answer = self.rater.decide(&mut self.session, dimensions);
        self.note(answer)
    }

    /// The customer amounts of rows whose decision is [`Change::Custom`](crate::domain::rule::Change::Custom): their slots, and the
    /// plan's `reads` for them. [`RuleFailure::Overflow`] is not final: the rows may be given again as wide money.
    pub fn apply(&mut self, slots: &[u32], reads: &[RuleMoney]) -> Result<RuleMoney, RuleFailure> {
        let answer = self.rater.apply(&mut self.session, slots, reads);
        self.note(answer)
    }

    fn note<T>(&mut self, answer: Result<T, RuleFailure>) -> Result<T, RuleFailure> {
        if matches!(answer, Err(RuleFailure::Shape(_))) {
            self.session.bury();
        }
        answer
    }
}

#[cfg(test)]
pub(crate) mod tests;
