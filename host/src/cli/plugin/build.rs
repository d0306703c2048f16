//! `rerate plugin build`: from a rule's project to the component that a chain or a daemon uses.

use std::path::PathBuf;
use std::time::Instant;

use super::portrait;
use crate::cli::{Failure, kept, output};
use crate::plugins::build::{BuildError, build_component};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin build                             the project in this folder
  rerate plugin build examples/rounding-markup
  rerate plugin build my-rule --out plugins/my-rule.wasm    a daemon that watches plugins takes it at once

A project is Rust if it has a Cargo.toml, JavaScript if it has a package.json, Python if it has a pyproject.toml.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where to write the component [default: the folder's name with .wasm, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
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
    build_component(&args.dir, &out, kept::cache().as_ref()).map_err(|error| match error {
        BuildError::NotACrate(_)
        | BuildError::NoProject(_)
        | BuildError::Manifest { .. }
        | BuildError::Incomplete { .. }
        | BuildError::Case(_)
        | BuildError::File { .. } => Failure::input(error),
        error => Failure::run(error),
    })?;
    let built_in = started.elapsed();
    // Better here than when it is uploaded.
    let component = std::fs::read(&out)?;
    let portrait = portrait::paint(&component, None)?
        .map_err(|refusal| Failure::run(format!("{} is built, but no daemon takes it: {refusal}", out.display())))?;
    if args.json {
        output::print_json(&portrait)?;
    } else {
        portrait::show(&portrait, &out.display().to_string());
    }
    output::complain(&format!("built in {}", output::duration(built_in)));
    Ok(())
}
