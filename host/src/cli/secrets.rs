//! `rerate secrets ...`: the key under which a daemon keeps credentials.

use clap::Subcommand;
use serde_json::json;

use super::client::Call;
use super::{Failure, output};

pub const EXAMPLES: &str = "\
Example:
  rerate secrets rotate      encrypts the credentials of integrations and of sign-in providers with a new key

The old keys stay in secrets.key behind the new one and open backups, until somebody takes them out. With RERATE_SECRET_KEY, put the new
key in front of the old one, start the daemon, and rotate.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Encrypt all stored credentials with a new key
    Rotate(RotateArgs),
}

#[derive(Debug, clap::Args)]
struct RotateArgs {
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let Command::Rotate(args) = args.command;
    let done = args.call.client()?.post("/v1/secrets/rotate", &json!({}))?;
    args.call.answer(&done, || {
        let count = output::count(done["sealed_again"].as_u64().unwrap_or_default());
        format!("{count} credentials are encrypted with the new key")
    })
}
