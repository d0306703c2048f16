//! `rerate report ...`: what was billed, what is charged for it, and what is left.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Call, Client, query};
use super::shown::{items, money, name_of, text};
use super::{Failure, output, tenant};
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate report margin --period 2026-09
  rerate report margin --tenant Acme --json | jq -r '.tenants[] | [.period, .margin] | @tsv'
  rerate report charged --period 2026-09             what each tenant is charged, as its people see it
  rerate report charged --acting-in Acme             as one of them";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what was billed, what is charged and what is left, by tenant and month
    Margin(ReportArgs),
    /// Show what tenants are charged, by month
    Charged(ReportArgs),
}

#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// Only this period
    #[arg(long, value_name = "YYYY-MM")]
    period: Option<Period>,
    /// Only this tenant, by name or id
    #[arg(long, value_name = "NAME|ID")]
    tenant: Option<String>,
    #[command(flatten)]
    call: Call,
}

impl ReportArgs {
    fn get(&self, client: &Client, path: &str) -> Result<Value, Failure> {
        let tenant = self.tenant.as_deref().map(|name| tenant::id_of(client, name)).transpose()?;
        client.get(&query(path, [("period", self.period.map(|period| period.to_string())), ("tenant_id", tenant)]))
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Margin(args) => margin(&args),
        Command::Charged(args) => charged(&args),
    }
}

fn margin(args: &ReportArgs) -> Result<(), Failure> {
    let report = args.get(&args.call.client()?, "/v1/reports/margin")?;
    args.call.answer(&report, || {
        let row = |title: &str, line: &Value, charges: &str| {
            let count = output::count(line[charges].as_u64().unwrap_or_default());
            let [period, currency, state] = ["period", "currency", "state"].map(|field| text(&line[field]));
            let [billed, charged, margin] = ["billed", "charged", "margin"].map(|field| money(&line[field]));
            vec![period, currency, title.to_owned(), count, billed, charged, margin, state]
        };
        let tenants = items(&report["tenants"]).iter().map(|line| row(&text(&line["tenant"]), line, "charges"));
        let months = items(&report["months"]).iter().map(|line| {
            let unassigned = format!("all tenants; {} unassigned", money(&line["unassigned"]));
            row(&unassigned, line, "source_charges")
        });
        output::table(&["Period", "", "Tenant", ">Charges", ">Billed", ">Charged", ">Margin", ""], tenants.chain(months))
    })
}

fn charged(args: &ReportArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let (report, tenants) = (args.get(&client, "/v1/reports/charged")?, client.list("/v1/tenants")?);
    args.call.answer(&report["items"], || {
        let row = |line: &Value| {
            let tenant = name_of(&tenants, &line["tenant_id"], "name");
            vec![text(&line["period"]), tenant, money(&line["charged"]), text(&line["currency"])]
        };
        output::table(&["Period", "Tenant", ">Charged", ""], items(&report["items"]).iter().map(row))
    })
}
