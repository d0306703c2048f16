//! `rerate run ...`: what a daemon has rated, and whether it still comes out the same.

use std::num::NonZero;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode, query};
use super::shown::{items, money, text};
use super::{Failure, output, tenant};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rule::Treatment;
use crate::jobs::replay::{Provenance, Verdict, What};

const VERIFY: &str = "\
Examples:
  rerate run verify run_01m80hy4wgvwg97wxtyd5g9jhb --token-file data/admin.token
  rerate run verify RUN --workers 1 --batch-rows 100     other threads, other batches: the same bytes
  rerate run list --period 2026-09 --published --json | jq -r '.[].id' | xargs -n1 rerate run verify

Exit code 0 when identical, 1 when it is not.";

pub const EXAMPLES: &str = "\
Examples:
  rerate run list --period 2026-09
  rerate run show run_01m80hy4wgvwg97wxtyd5g9jhb       rule by rule, or why it failed
  rerate run retry run_01m80hy4wgvwg97wxtyd5g9jhb      after what it failed on is mended
  rerate run verify run_01m80hy4wgvwg97wxtyd5g9jhb     the same bytes again, or the first difference";

const LIST: &str = "\
Examples:
  rerate run list --period 2026-09
  rerate run list --state failed --json | jq '.[] | {tenant_id, failure}'";

const WHY: &str = "\
Examples:
  rerate run why 'li0001|2026-09-01T00:00:00Z/2026-09-02T00:00:00Z' --tenant Acme --period 2026-09
  rerate run why added:rul_01m8:1 --tenant Acme --period 2026-09     the first line that a rule added
  rerate run why KEY --tenant Acme --period 2026-09 --as-tenant      what the tenant may see of it

A line's key is in the list of lines (GET /v1/tenants/ID/lines) and in the differences of a preview.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List runs, oldest first
    #[command(after_help = LIST)]
    List(ListArgs),
    /// Show a run rule by rule, from what was billed to what is charged
    Show(ShowArgs),
    /// Walk one line of a tenant's published bill through its chain, from what was billed to what is charged
    #[command(after_help = WHY)]
    Why(WhyArgs),
    /// Rate a run again that failed, now that what it failed on is mended
    Retry(ShowArgs),
    /// Compute a run again from what was recorded of it and say identical, or show the first difference
    #[command(after_help = VERIFY)]
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of one tenant, by name or id
    #[arg(long, value_name = "NAME|ID")]
    tenant: Option<String>,
    /// Of one period
    #[arg(long, value_name = "YYYY-MM")]
    period: Option<String>,
    /// queued, running, done, failed or superseded
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those that readers are shown
    #[arg(long)]
    published: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct WhyArgs {
    /// The line's key
    #[arg(value_name = "KEY")]
    key: String,
    /// The tenant, by its name or id
    #[arg(long, value_name = "NAME|ID")]
    tenant: String,
    #[arg(long, value_name = "YYYY-MM")]
    period: Period,
    /// Where the tenant has bills in several
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// What the tenant may see of it, as JSON
    #[arg(long)]
    as_tenant: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: String,
    /// Threads [default: half of the daemon's cores]
    #[arg(long, value_name = "N")]
    workers: Option<NonZero<usize>>,
    /// Charges of one call into a rule at most [default: whole row groups]
    #[arg(long, value_name = "N")]
    batch_rows: Option<NonZero<usize>>,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
        Command::Why(args) => why(&args),
        Command::Retry(args) => {
            let run = args.call.client()?.post(&format!("/v1/runs/{}/retry", encode(&args.run)), &json!({}))?;
            args.call.answer(&run, || format!("{} is {}", text(&run["id"]), text(&run["state"])))
        }
        Command::Verify(args) => verify(&args.call.client()?, &args.run, args.workers, args.batch_rows, args.call.json),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let of = args.tenant.as_deref().map(|name| tenant::id_of(&client, name)).transpose()?;
    let published = Some(args.published.to_string());
    let fields = [("published", published), ("tenant_id", of), ("period", args.period.clone()), ("state", args.state.clone())];
    let runs = client.list(&query("/v1/runs", fields))?;
    if args.call.json {
        return Ok(output::print_json(&runs)?);
    }
    let tenants = client.list("/v1/tenants")?;
    let name = |id: &Value| tenants.iter().find(|tenant| tenant["id"] == *id).map_or_else(|| text(id), |tenant| text(&tenant["name"]));
    let rows = runs.iter().map(|run| {
        vec![
            text(&run["id"]),
            name(&run["tenant_id"]),
            text(&run["period"]),
            text(&run["state"]),
            money(&run["billed"]),
            money(&run["charged"]),
        ]
    });
    output::print(&output::table(&["Run", "Tenant", "Period", "State", ">Billed", ">Charged"], rows));
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let run = encode(&args.run);
    if args.call.json {
        return Ok(output::print_json(&client.get(&format!("/v1/runs/{run}"))?)?);
    }
    let explained = client.get(&format!("/v1/runs/{run}/explain"))?;
    if let Some(failure) = explained["failure"].as_str() {
        output::print(&format!("{}: {failure}", text(&explained["state"])));
    }
    let first = vec!["billed".to_owned(), String::new(), String::new(), String::new(), money(&explained["billed"])];
    let steps = items(&explained["steps"]).iter().map(|step| {
        let short: String = text(&step["digest"]).chars().take(12).collect();
        vec![
            text(&step["title"]),
            format!("{} {short}", text(&step["plugin"])),
            text(&step["rows"]),
            money(&step["delta"]),
            money(&step["charged"]),
        ]
    });
    output::print(&output::table(&["Rule", "Plugin", ">Charges", ">Changed by", ">Charged"], std::iter::once(first).chain(steps)));
    for finding in items(&explained["findings"]) {
        output::print(&format!("{}: {}", text(&finding["severity"]), text(&finding["message"])));
    }
    Ok(())
}

fn why(args: &WhyArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let tenant = tenant::id_of(&client, &args.tenant)?;
    let mut path = format!("/v1/charges/{}/provenance?tenant={}&period={}", encode(&args.key), encode(&tenant), args.period);
    if let Some(currency) = &args.currency {
        path.push_str(&format!("&currency={}", encode(currency)));
    }
    if args.as_tenant {
        path.push_str("&view=tenant");
    }
    let answer = client.get(&path)?;
    if args.call.json || args.as_tenant {
        return Ok(output::print_json(&answer)?);
    }
    let told: Provenance = serde_json::from_value(answer)?;
    let of = |name: &str| told.charge.get(name).map(text).unwrap_or_default();
    output::print(&format!("{} {} {}: {}", of("SubAccountId"), of("ServiceName"), of("ChargeCategory"), of("ChargeDescription")));
    let amount = |amount: Option<Amount>| amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string());
    let first = vec!["billed".to_owned(), String::new(), String::new(), amount(told.billed), String::new()];
    let steps = told.steps.iter().map(|step| {
        let digest: String = step.digest.chars().take(12).collect();
        let plugin = format!("{} {} {digest}", step.plugin, step.version.as_deref().unwrap_or("?"));
        let reason = step.reason.clone().unwrap_or_else(|| "(leaves it)".to_owned());
        vec![step.title.clone(), plugin, reason, amount(step.after), step.treatment.map_or("", Treatment::name).to_owned()]
    });
    output::print(&output::table(&["Rule", "Plugin", "Reason", ">After it", ""], std::iter::once(first).chain(steps)));
    output::print(&format!("charged {} {}", told.charged, told.currency));
    Ok(())
}

/// Also what `rerate plugin replay` does without another version.
pub(super) fn verify(
    client: &Client,
    run: &str,
    workers: Option<NonZero<usize>>,
    batch_rows: Option<NonZero<usize>>,
    as_json: bool,
) -> Result<(), Failure> {
    let body = json!({ "workers": workers.map(NonZero::get), "batch_rows": batch_rows.map(NonZero::get) });
    let verdict: Verdict = serde_json::from_value(client.post(&format!("/v1/runs/{}/verify", encode(run)), &body)?)?;
    if as_json {
        output::print_json(&verdict)?;
    } else if verdict.identical {
        let digest = verdict.bytes.computed.as_deref().unwrap_or_default();
        let charged = verdict.charged.map_or_else(String::new, |charged| format!(", charged {charged}"));
        output::print(&format!("identical: {} charges{charged}, sha256 {digest}", output::count(verdict.charges)));
    } else {
        print_difference(&verdict);
    }
    let taken = output::duration(Duration::from_millis(verdict.millis));
    let batches = verdict.batch_rows.map_or_else(String::new, |rows| format!(", batches of {rows}"));
    output::complain(&format!("computed in {taken} with {} threads{batches}", verdict.workers));
    if verdict.identical {
        return Ok(());
    }
    let failure = Failure::run(format!("the run {run} does not come out as it is stored"));
    Err(if verdict.engine == verdict.engine_recorded {
        failure.next("bring the stored file back from a backup; until then do not invoice from it")
    } else {
        failure.next(format!(
            "nothing: it was rated by engine {}, this daemon has {}, which may come out otherwise",
            verdict.engine_recorded, verdict.engine
        ))
    })
}

fn print_difference(verdict: &Verdict) {
    let Some(first) = &verdict.first else { return };
    let place = match first.what {
        What::Row => {
            let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
            format!("part {}, row group {}, row {}", number(first.part), number(first.group), number(first.row))
        }
        What::Run => "the run".to_owned(),
        What::File => "the stored file".to_owned(),
        What::Total => "a total".to_owned(),
        What::Rule => "what a rule did".to_owned(),
        What::Line => "an added line".to_owned(),
        What::Finding => "a finding".to_owned(),
        What::Log => "a line that a rule wrote".to_owned(),
        What::Bytes => "the file's bytes".to_owned(),
    };
    output::print(&format!("different: first in {place}"));
    let rows = [vec![first.column.clone(), first.stored.clone(), first.computed.clone()]];
    output::print(&output::table(&["", "Stored", "Computed"], rows));
}
