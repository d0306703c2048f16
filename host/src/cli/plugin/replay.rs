//! `rerate plugin replay`: a daemon's run again, as it was or under another version.

use std::num::NonZero;

use crate::cli::client::Call;
use crate::cli::{Failure, preview, run};
use crate::jobs::preview::{PreviewRequest, VersionChange};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin replay run_01m80hy4wgvwg97wxtyd5g9jhb                         the same bytes, or the first difference
  rerate plugin replay run_01m80hy4wgvwg97wxtyd5g9jhb --against my-rule.wasm  what this build would have made of it";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: String,
    /// Another version of a plugin in the run's chain: a component's file, or the digest of a stored one
    #[arg(long, value_name = "FILE|DIGEST")]
    against: Option<String>,
    /// Threads, without --against [default: half of the daemon's cores]
    #[arg(long, value_name = "N", conflicts_with = "against")]
    workers: Option<NonZero<usize>>,
    /// Charges of one call into a rule at most, without --against
    #[arg(long, value_name = "N", conflicts_with = "against")]
    batch_rows: Option<NonZero<usize>>,
    /// Lines shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let client = args.call.client()?;
    let Some(against) = &args.against else {
        return run::verify(&client, &args.run, args.workers, args.batch_rows, args.call.json);
    };
    let (name, digest) = preview::version_of(&client, against)?;
    let plugin = VersionChange { name, digest, against: None, pinned: true };
    let request = PreviewRequest { runs: vec![args.run.clone()], plugin: Some(plugin), top: Some(args.top), ..PreviewRequest::default() };
    preview::tell(&preview::compute(&client, &request)?, args.top, args.call.json)
}
