//! `rerate shadow ...`: a candidate version beside the active one, on every later run.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, encode};
use super::shown::{money, text};
use super::{Failure, difference, output, preview};
use crate::jobs::shadow::ShadowSummary;

pub const EXAMPLES: &str = "\
Examples:
  rerate shadow start my-markup.wasm       pushed to the daemon, not activated, and looked at from now on
  rerate shadow show shd_01m8              what it would have changed so far
  rerate shadow promote shd_01m8           make it the active version
  rerate shadow drop shd_01m8              leave the active version as it is";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Rate every later run also under a candidate version
    Start(StartArgs),
    /// List shadows, oldest first
    List(ListArgs),
    /// Show what a candidate made of the runs since: how many come out otherwise, by tenant, rule and money
    Show(ShadowArgs),
    /// Make the candidate the active version and end its shadow
    Promote(ShadowArgs),
    /// End a shadow without making its version active
    Drop(ShadowArgs),
}

#[derive(Debug, clap::Args)]
struct StartArgs {
    /// A component's file, or the digest of a stored version
    #[arg(value_name = "FILE|DIGEST")]
    candidate: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ShadowArgs {
    /// The shadow's id
    #[arg(value_name = "SHADOW")]
    shadow: String,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Start(args) => {
            let client = args.call.client()?;
            let (plugin, digest) = preview::version_of(&client, &args.candidate)?;
            let shadow = client.post("/v1/shadows", &json!({ "plugin": plugin, "digest": digest }))?;
            args.call
                .answer(&shadow, || format!("{}: {plugin} {} beside the active version from now on", text(&shadow["id"]), short(&digest)))
        }
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
        Command::Promote(args) => {
            let promoted = end(&args, "promote")?;
            let digest = short(&text(&promoted["plugin"]["active_digest"]));
            args.call.answer(&promoted, || format!("{} runs on {digest} now", text(&promoted["plugin"]["name"])))
        }
        Command::Drop(args) => {
            let dropped = end(&args, "drop")?;
            args.call.answer(&dropped, || format!("{} is dropped; what it found stays readable", args.shadow))
        }
    }
}

fn end(args: &ShadowArgs, action: &str) -> Result<Value, Failure> {
    args.call.client()?.post(&format!("/v1/shadows/{}/{action}", encode(&args.shadow)), &json!({}))
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let shadows = args.call.client()?.list("/v1/shadows")?;
    if args.call.json {
        return Ok(output::print_json(&shadows)?);
    }
    let rows = shadows
        .iter()
        .map(|shadow| vec![text(&shadow["id"]), text(&shadow["plugin"]), short(&text(&shadow["digest"])), text(&shadow["state"])]);
    output::print(&output::table(&["Shadow", "Plugin", "Candidate", "State"], rows));
    Ok(())
}

fn show(args: &ShadowArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let shadow = client.get(&format!("/v1/shadows/{}", encode(&args.shadow)))?;
    if args.call.json {
        return Ok(output::print_json(&shadow)?);
    }
    let found: ShadowSummary = serde_json::from_value(shadow["found"].clone())?;
    let (plugin, digest, state) = (text(&shadow["plugin"]), short(&text(&shadow["digest"])), text(&shadow["state"]));
    output::print(&format!(
        "{plugin} {digest}, {state}: {} runs, {} the same, {} otherwise, {} fail, {} do not have it",
        found.runs, found.same, found.diverged, found.failed, found.untouched
    ));
    for total in &found.totals {
        let (before, after) = (output::money(total.before), output::money(total.after));
        output::print(&format!("all together: {before} -> {after} {}, {}", total.currency, difference::change(total.delta)));
    }
    let names = client.list("/v1/tenants")?;
    let name = |id: &str| names.iter().find(|tenant| tenant["id"] == *id).map_or_else(|| id.to_owned(), |tenant| text(&tenant["name"]));
    let rows = found.tenants.iter().map(|tenant| {
        let (diverged, failed) = (output::count(tenant.diverged), output::count(tenant.failed));
        vec![name(&tenant.tenant_id), tenant.currency.clone(), diverged, failed, difference::change(tenant.delta)]
    });
    if !found.tenants.is_empty() {
        output::print(&output::table(&["Tenant", "", ">Otherwise", ">Fails", ">Change"], rows));
    }
    if !found.by_rule.is_empty() {
        difference::print_rules(&found.by_rule);
    }
    let failed = found.samples.iter().filter_map(|sample| sample.failure.as_ref().map(|failure| (sample, failure)));
    for (sample, failure) in failed {
        output::print(&format!("{} {} fails: {failure}", name(&sample.tenant_id), sample.period));
    }
    let samples = found.samples.iter().filter(|sample| sample.difference.is_some());
    for sample in samples.take(SHOWN) {
        let money = |amount: Option<crate::domain::money::Amount>| money(&json!(amount));
        let (name, run) = (name(&sample.tenant_id), &sample.run_id);
        output::print(&format!("\n{name} {} ({run}): {} -> {}", sample.period, money(sample.before), money(sample.after)));
        if let Some(difference) = &sample.difference {
            difference::print_lines(&difference.top.iter().take(SHOWN).collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// Samples that are shown, and lines of each; `--json` has all that are kept.
const SHOWN: usize = 5;
