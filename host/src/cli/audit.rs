//! `rerate audit ...`: who changed what, and whether the log of it is what was written down.

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::client::{Call, Client, ServerArgs, query};
use super::shown::text;
use super::{Failure, output};

pub const EXAMPLES: &str = "\
Examples:
  rerate audit list --noun rule
  rerate audit list --actor ann@msp.example --from 2026-09-01T00:00:00Z
  rerate audit export --format csv > audit.csv
  rerate audit verify                      exit code 0 when the log is intact, 1 when it is not";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List changes, the latest first
    List(ListArgs),
    /// Write every change that is asked for to the standard output
    Export(ExportArgs),
    /// Compute the log's chain of hashes again
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Changes of one kind of thing: rule, user, tenant, ...
    #[arg(long)]
    noun: Option<String>,
    /// Changes of one thing, by its id or name
    #[arg(long)]
    subject: Option<String>,
    /// Changes by one person or token, by e-mail address, name or id
    #[arg(long)]
    actor: Option<String>,
    /// Changes of what is this tenant's, by its id
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Not before, as 2026-09-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Filter {
    fn address(&self) -> String {
        let fields = [
            ("noun", &self.noun),
            ("subject", &self.subject),
            ("actor", &self.actor),
            ("tenant_id", &self.tenant),
            ("from", &self.from),
            ("until", &self.until),
        ];
        query("/v1/audit", fields.map(|(name, value)| (name, value.clone())))
    }
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// Changes that are shown
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
    Csv,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    filter: Filter,
    #[arg(long, default_value = "jsonl")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    call: Call,
}

/// What of a change is a column.
const FIELDS: [&str; 12] =
    ["id", "at", "actor", "actor_id", "acting_in", "address", "action", "noun", "subject", "tenant_id", "before", "after"];

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Export(args) => export(&args),
        Command::Verify(args) => verify(&args),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let address = args.filter.address();
    let joint = if address.contains('?') { '&' } else { '?' };
    let page = args.call.client()?.get(&format!("{address}{joint}limit={}", args.limit))?;
    if args.call.json {
        output::print_json(&page["items"])?;
        return Ok(());
    }
    let rows = page["items"].as_array().into_iter().flatten().map(|change| {
        let who = match &change["acting_in"] {
            Value::String(tenant) => format!("{} in {tenant}", text(&change["actor"])),
            _ => text(&change["actor"]),
        };
        vec![text(&change["at"]), who, text(&change["action"]), text(&change["noun"]), text(&change["subject"])]
    });
    output::print(&output::table(&["at", "who", "did", "to a", "which"], rows));
    Ok(())
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    let changes = Client::new(&args.server)?.list(&args.filter.address())?;
    match args.format {
        Format::Jsonl => changes.iter().for_each(|change| output::print(&change.to_string())),
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(FIELDS)?;
            for change in &changes {
                writer.write_record(FIELDS.map(|field| text(&change[field])))?;
            }
            let bytes = writer.into_inner().map_err(|error| Failure::run(error.to_string()))?;
            output::print(String::from_utf8_lossy(&bytes).trim_end());
        }
    }
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let verdict = args.call.client()?.get("/v1/audit/verify")?;
    if args.call.json {
        output::print_json(&verdict)?;
    }
    let changes = text(&verdict["changes"]);
    if verdict["intact"] == true {
        if !args.call.json {
            output::print(&format!("intact: {changes} changes, the last with the hash {}", text(&verdict["hash"])));
        }
        return Ok(());
    }
    let (broken, reason) = (text(&verdict["broken"]), text(&verdict["reason"]));
    Err(Failure::run(format!("the log is not what was written down: {broken}: {reason}; {changes} changes before it are intact"))
        .next("a backup from before, and who had access to the database"))
}
