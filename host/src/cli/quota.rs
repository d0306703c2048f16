//! `rerate quota ...`: what one tenant's rules may use.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode};
use super::shown::text;
use super::{Failure, output, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate quota show \"Acme GmbH\"
  rerate quota set \"Acme GmbH\" --time-ms 60000 --concurrent-runs 2
  rerate quota reset \"Acme GmbH\"                    the defaults

It counts from the next run on. A run that failed on its quota is tried again by `rerate run retry`.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a tenant's rules may use
    Show(OneArgs),
    /// Set bounds; those that are not named stay as they are
    Set(SetArgs),
    /// Go back to the defaults
    Reset(OneArgs),
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// The tenant, by name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// The tenant, by name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Bounds {
    /// Instructions that all rules of one run may use together
    #[arg(long, value_name = "N")]
    fuel: Option<i64>,
    /// Milliseconds inside the rules of one run, added up over processors
    #[arg(long, value_name = "MS")]
    time_ms: Option<i64>,
    /// Memory of one instance of a rule
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<i64>,
    /// Runs that may be rated at the same time
    #[arg(long, value_name = "N")]
    concurrent_runs: Option<i64>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Show(args) => {
            let client = args.call.client()?;
            told(&args.call, &client.get(&path(&client, &args.tenant)?)?)
        }
        Command::Set(args) => set(&args),
        Command::Reset(args) => {
            let client = args.call.client()?;
            told(&args.call, &client.put(&path(&client, &args.tenant)?, &json!({}))?)
        }
    }
}

fn path(client: &Client, tenant: &str) -> Result<String, Failure> {
    Ok(format!("/v1/tenants/{}/quota", encode(&tenant::id_of(client, tenant)?)))
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let path = path(&client, &args.tenant)?;
    let (before, bounds) = (client.get(&path)?, &args.bounds);
    let or_before = |given: Option<i64>, field: &str| given.map_or_else(|| before[field].clone(), Value::from);
    let body = json!({ "fuel": or_before(bounds.fuel, "fuel"), "time_ms": or_before(bounds.time_ms, "time_ms"),
        "memory_mib": or_before(bounds.memory_mib, "memory_mib"),
        "concurrent_runs": or_before(bounds.concurrent_runs, "concurrent_runs") });
    told(&args.call, &client.put(&path, &body)?)
}

fn told(call: &Call, quota: &Value) -> Result<(), Failure> {
    call.answer(quota, || {
        let fields = [
            ("instructions of a run", "fuel"),
            ("milliseconds inside rules of a run", "time_ms"),
            ("MiB of an instance", "memory_mib"),
            ("runs at the same time", "concurrent_runs"),
        ];
        let count = |field: &str| quota[field].as_u64().map_or_else(|| text(&quota[field]), output::count);
        output::table(&[">", ""], fields.map(|(title, field)| vec![count(field), title.to_owned()]))
    })
}
