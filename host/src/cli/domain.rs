//! `rerate domain ...`: the MSP's mail domains, on which the contacts of its tenants are.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::client::Call;
use super::shown::{items, text};

pub const EXAMPLES: &str = "\
Examples:
  rerate domain list
  rerate domain set msp.example msp.test
  rerate domain set                          none: any address passes

`set` sets all of them; it is refused while a tenant's contact is elsewhere.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the domains
    List(ListArgs),
    /// Set all of the domains
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[arg(value_name = "DOMAIN")]
    domains: Vec<String>,
    #[command(flatten)]
    call: Call,
}

const PATH: &str = "/v1/settings/domains";

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => told(&args.call, &args.call.client()?.get(PATH)?),
        Command::Set(args) => told(&args.call, &args.call.client()?.put(PATH, &json!({ "domains": args.domains }))?),
    }
}

fn told(call: &Call, answer: &Value) -> Result<(), Failure> {
    let domains = items(&answer["domains"]);
    call.answer(&answer["domains"], || {
        if domains.is_empty() { "none: any address passes".to_owned() } else { domains.iter().map(text).collect::<Vec<_>>().join("\n") }
    })
}
