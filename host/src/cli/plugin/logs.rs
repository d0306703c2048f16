//! `rerate plugin logs`: what the rules of a run wrote.

use serde_json::Value;

use crate::cli::client::{Call, encode};
use crate::cli::{Failure, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin logs run_01k9x3v0z8e4m6q2r7s5t9w1ab
  rerate plugin logs run_01k9x3v0z8e4m6q2r7s5t9w1ab --json

The lines are bounded for each run and are the same each time that it is computed. `rerate run list` shows the runs.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let logs = args.call.client()?.get(&format!("/v1/runs/{}/logs", encode(&args.run)))?;
    if args.call.json {
        output::print_json(&logs)?;
        return Ok(());
    }
    let lines = logs["lines"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    lines.iter().for_each(|line| output::print(&format!("{}: {}", text(line, "rule"), text(line, "message"))));
    match logs["cut"].as_u64().unwrap_or_default() {
        0 if lines.is_empty() => output::complain("the rules of this run wrote nothing"),
        0 => {}
        cut => output::complain(&format!("{} more lines were not kept", output::count(cut))),
    }
    Ok(())
}
