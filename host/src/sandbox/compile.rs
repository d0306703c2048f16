//! From WebAssembly to native code: in a child process that is killed when it takes too long or too much memory, because compiling can be
//! made slow on purpose; or in this process, for tests and one-shot commands whose user can interrupt them.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::cache::Artefact;
use super::engine;
use super::limits::{COMPONENT_BYTES, Limits};
use super::validate::{Refusal, Validated};

/// The hidden command by which the daemon's binary becomes its own compiler.
pub const CHILD_COMMAND: &str = "__compile";

/// How often a compiling child is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compile {
    InProcess,
    /// By this program, which must hand its arguments after [`CHILD_COMMAND`] to [`compile_child_main`].
    Child(PathBuf),
}

pub(super) fn compile(how: &Compile, engine: &Engine, component: &Validated<'_>, limits: &Limits) -> Result<Artefact, Refusal> {
    match how {
        Compile::InProcess => precompile(engine, component.bytes).map(Artefact::fresh),
        Compile::Child(program) => in_child(program, component.bytes, limits),
    }
}

/// A compiler bug must not take the daemon with it.
fn precompile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, Refusal> {
    match std::panic::catch_unwind(AssertUnwindSafe(|| engine.precompile_component(component))) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => Err(Refusal::Compile(format!("{error:#}"))),
        Err(_) => Err(Refusal::Compile("the compiler failed".to_owned())),
    }
}

fn in_child(program: &Path, component: &[u8], limits: &Limits) -> Result<Artefact, Refusal> {
    let failed = |what: &str, error: std::io::Error| Refusal::Sandbox(format!("{what}: {error}"));
    let folder = tempfile::Builder::new().prefix("rerate-compile-").tempdir().map_err(|error| failed("no temporary folder", error))?;
    let (source, target) = (folder.path().join("component.wasm"), folder.path().join("component.aot"));
    fs::write(&source, component).map_err(|error| failed("cannot write the component", error))?;
    let mut child = Command::new(program)
        .args([CHILD_COMMAND.as_ref(), source.as_os_str(), target.as_os_str()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed("cannot start the compiler", error))?;
    let outcome = watch(&mut child, limits);
    if outcome.is_err() {
        // Killing fails only when it has just ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    if !outcome?.success() {
        return Err(Refusal::Compile(complaint(&mut child)));
    }
    fs::read(&target).map(Artefact::fresh).map_err(|error| failed("the compiler left no result", error))
}

/// Waits for the child to end within its time and memory. Memory is read from the process table while it runs: a limit that the system
/// enforces on address space would also count what the allocator merely reserves.
fn watch(child: &mut Child, limits: &Limits) -> Result<ExitStatus, Refusal> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(Refusal::Sandbox(format!("lost the compiler: {error}"))),
        }
        if start.elapsed() > limits.compile_deadline {
            return Err(Refusal::CompileSlow { seconds: limits.compile_deadline.as_secs() });
        }
        if resident_bytes(child.id()).is_some_and(|bytes| bytes > limits.compile_bytes) {
            return Err(Refusal::CompileMemory { bytes: limits.compile_bytes });
        }
        std::thread::sleep(POLL);
    }
}

/// Linux only; elsewhere the deadline alone bounds a compilation.
fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// What the child wrote before it failed.
fn complaint(child: &mut Child) -> String {
    /// More than one message of the compiler.
    const LONGEST: u64 = 4_096;
    let mut text = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        // What cannot be read is missing from a message, no more.
        let _ = pipe.take(LONGEST).read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if text.is_empty() { "the compiler ended without a result".to_owned() } else { text }
}

/// The child's side: reads the component named first, writes its native code to the path named second. The caller prints the error to
/// standard error and exits with a failure.
pub fn compile_child_main(arguments: &[OsString]) -> Result<(), String> {
    let [source, target] = arguments else {
        return Err(format!("{CHILD_COMMAND} takes a component and a target"));
    };
    let component = fs::read(source).map_err(|error| error.to_string())?;
    if component.len() > COMPONENT_BYTES {
        return Err(Refusal::TooLarge { bytes: component.len() }.to_string());
    }
    let engine = engine::compiler().map_err(|error| error.to_string())?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    fs::write(target, code).map_err(|error| error.to_string())
}
