//! `rerate plugin build`: from a rule's crate to the component that a chain or a daemon uses.

use std::path::PathBuf;
use std::time::Instant;

use crate::cli::{Failure, output};
use crate::plugins::build::{BuildError, build_component};
use crate::sandbox::{Sandbox, SandboxOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin build examples/rounding-markup
  rerate plugin build my-rule --out plugins/my-rule.wasm    a daemon that watches plugins takes it at once";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder with the rule's Cargo.toml
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where to write the component [default: the folder's name with .wasm, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let out = match &args.out {
        Some(out) => out.clone(),
        None => {
            let dir = args.dir.canonicalize().map_err(|e| Failure::input(format!("{}: {e}", args.dir.display())))?;
            PathBuf::from(dir.file_name().unwrap_or(dir.as_os_str())).with_extension("wasm")
        }
    };
    let built = build_component(&args.dir, &out).map_err(|error| match error {
        BuildError::NotACrate(_) | BuildError::File { .. } => Failure::input(error),
        error => Failure::run(error),
    })?;
    // Better here than when it is uploaded.
    let plugin = Sandbox::new(SandboxOptions::default())?
        .load(&std::fs::read(&out)?)
        .map_err(|refusal| Failure::run(format!("{} is built, but no daemon takes it: {refusal}", out.display())))?;
    let manifest = plugin.manifest();
    output::print(&format!("{} {}: {}", manifest.name, manifest.version, manifest.summary));
    output::print(&format!("{}  {}  sha256 {}", out.display(), output::bytes(built.size as u64), built.digest));
    output::complain(&format!("built in {}", output::duration(started.elapsed())));
    Ok(())
}
