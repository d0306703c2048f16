//! `rerate plugin inspect`: what a component is.

use std::path::PathBuf;

use super::portrait;
use crate::cli::{Failure, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin inspect my-rule.wasm
  rerate plugin inspect my-rule.wasm --json | jq -r .digest";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.file.display().to_string();
    let component = std::fs::read(&args.file).map_err(|error| Failure::input(format!("{shown}: {error}")))?;
    let portrait = portrait::paint(&component)?.map_err(|refusal| Failure::input(format!("{shown}: {refusal}")))?;
    if args.json {
        output::print_json(&portrait)?;
        return Ok(());
    }
    portrait::show(&portrait, &shown);
    portrait::show_config(&portrait);
    Ok(())
}
