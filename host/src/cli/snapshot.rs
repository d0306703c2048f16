//! `rerate snapshot ...`: what was imported, a snapshot for each integration and period.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Call, encode, query};
use super::shown::{items, money, name_of, text};
use super::{Failure, integration, output};
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate snapshot list --period 2026-09
  rerate snapshot list --integration aws-one --json | jq '.[] | {period, charges, totals}'
  rerate snapshot show snp_01m8              what the bill had that is worth knowing";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List snapshots, oldest first
    List(ListArgs),
    /// Show a snapshot with its import report
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of one integration, by name or id
    #[arg(long, value_name = "NAME|ID")]
    integration: Option<String>,
    /// Of one period
    #[arg(long, value_name = "YYYY-MM")]
    period: Option<Period>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The snapshot's id
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
    }
}

fn totals(snapshot: &Value) -> String {
    let total = |total: &Value| format!("{} {}", money(&total["billed"]), text(&total["currency"]));
    items(&snapshot["totals"]).iter().map(total).collect::<Vec<_>>().join(", ")
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let of = args.integration.as_deref().map(|name| integration::named(&client, name).map(|found| text(&found["id"]))).transpose()?;
    let period = args.period.map(|period| period.to_string());
    let snapshots = client.list(&query("/v1/snapshots", [("integration_id", of), ("period", period)]))?;
    let integrations = client.list("/v1/integrations")?;
    args.call.answer(&snapshots, || {
        let row = |snapshot: &Value| {
            let integration = name_of(&integrations, &snapshot["integration_id"], "name");
            let charges = output::count(snapshot["charges"].as_u64().unwrap_or_default());
            let [id, period, state, at] = ["id", "period", "state", "created_at"].map(|field| text(&snapshot[field]));
            vec![id, integration, period, state, charges, totals(snapshot), at]
        };
        output::table(&["Snapshot", "Integration", "Period", "State", ">Charges", ">Billed", "Imported"], snapshots.iter().map(row))
    })
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let snapshot = args.call.client()?.get(&format!("/v1/snapshots/{}", encode(&args.snapshot)))?;
    args.call.answer(&snapshot, || {
        let mut rows: Vec<Vec<String>> = ["id", "integration_id", "period", "state", "charges", "source_digest", "created_at"]
            .map(|field| vec![field.replace('_', " "), text(&snapshot[field])])
            .to_vec();
        rows.push(vec!["billed".to_owned(), totals(&snapshot)]);
        let report = snapshot["report"].as_object();
        rows.extend(report.into_iter().flatten().map(|(name, value)| vec![name.replace('_', " "), text(value)]));
        output::table(&["", ""], rows)
    })
}
