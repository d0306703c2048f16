//! `rerate rule ...`: configured plugins, and the tenants whose charges they change.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{AsReviewed, Call, Client, encode, to_submit};
use super::shown::{find, items, money, name_of, text, text_or};
use super::tenant::id_among;
use super::{Failure, output};
use crate::domain::json;
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate rule create \"5 % more\" --plugin markup --config '{\"percent\": \"5\"}'
  rerate rule change \"5 % more\" --config '{\"percent\": \"7\"}' --review    what is rated again, before it is saved
  rerate rule assign \"5 % more\" --to Acme --to Bolt --from 2026-09
  rerate rule chain --tenant Acme
  rerate rule reassign asg_01m8 --from 2026-09 --until 2026-12
  rerate rule overlaps --period 2026-09                       rules that changed the same charges

What a change would charge: rerate preview.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List rules
    List(ListArgs),
    /// Make a rule; it applies to nobody until it is assigned
    Create(CreateArgs),
    /// Give a rule another title, plugin version or configuration
    Change(ChangeArgs),
    /// Delete a rule that is assigned to nobody
    Delete(DeleteArgs),
    /// Assign a rule to tenants, or to all of them
    Assign(AssignArgs),
    /// Give an assignment other periods
    Reassign(ReassignArgs),
    /// End an assignment
    Unassign(UnassignArgs),
    /// Put assignments in another order
    Order(OrderArgs),
    /// List assignments in the order in which their rules apply
    Chain(ChainArgs),
    /// Show rules that changed the same charges in a published month
    Overlaps(OverlapArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// What tenants' bills name as the reason
    title: String,
    #[arg(long)]
    plugin: String,
    /// JSON as the plugin's schema says
    #[arg(long, value_name = "JSON", default_value = "{}", conflicts_with = "config_file")]
    config: String,
    /// A file with it
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The plugin's version to stay with [default: the active one]
    #[arg(long, value_name = "DIGEST")]
    pin: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// The rule's title or id
    rule: String,
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
    /// JSON as the plugin's schema says
    #[arg(long, value_name = "JSON", conflicts_with = "config_file")]
    config: Option<String>,
    /// A file with it
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The plugin's version to stay with
    #[arg(long, value_name = "DIGEST", conflicts_with = "follow")]
    pin: Option<String>,
    /// Follow the plugin's active version
    #[arg(long)]
    follow: bool,
    /// Only tell which months would be rated again
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// The rule's title or id
    rule: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct AssignArgs {
    /// The rule's title or id
    rule: String,
    /// A tenant's name or id; again for more of them
    #[arg(long, value_name = "TENANT", required_unless_present = "all")]
    to: Vec<String>,
    /// Every tenant, those to come as well
    #[arg(long, conflicts_with = "to")]
    all: bool,
    /// First period in which it is effective
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<Period>,
    /// Last period in which it is effective
    #[arg(long, value_name = "YYYY-MM")]
    until: Option<Period>,
    /// Its place among all assignments, from 1 [default: last]
    #[arg(long)]
    position: Option<i64>,
    /// Only tell which months would be rated again
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ReassignArgs {
    /// The assignment's id, as `rerate rule chain` shows it
    assignment: String,
    /// First period in which it is effective [default: from the beginning]
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<Period>,
    /// Last period in which it is effective [default: without end]
    #[arg(long, value_name = "YYYY-MM")]
    until: Option<Period>,
    /// Only tell which months would be rated again
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct UnassignArgs {
    /// The assignment's id, as `rerate rule chain` shows it
    assignment: String,
    /// Only tell which months would be rated again
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OrderArgs {
    /// The assignments' ids in the order that they shall have; those that are not named stay where they are
    #[arg(required = true, num_args = 2..)]
    assignments: Vec<String>,
    /// Only tell which months would be rated again
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ChainArgs {
    /// Only what applies to this tenant, by name or id
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OverlapArgs {
    #[arg(long, value_name = "YYYY-MM")]
    period: Period,
    /// By name or id
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Create(args) => create(&args),
        Command::Change(args) => change(&args),
        Command::Delete(args) => {
            let client = args.call.client()?;
            let rule = named(&client, &args.rule)?;
            client.delete(&format!("/v1/rules/{}", text(&rule["id"])))?;
            args.call.answer(&rule, || format!("{} is deleted", text(&rule["title"])))
        }
        Command::Assign(args) => assign(&args),
        Command::Reassign(args) => reassign(&args),
        Command::Unassign(args) => {
            let client = args.call.client()?;
            if args.review {
                return review(&args.call, &client, "/v1/assignments/review", &json!({ "end": args.assignment }));
            }
            let path = format!("/v1/assignments/{}", encode(&args.assignment));
            client.submit(&Method::DELETE, &path, None, &args.reviewed)?;
            args.call.answer(&json!({ "ended": args.assignment }), || format!("{} is ended", args.assignment))
        }
        Command::Order(args) => {
            let (client, body) = (args.call.client()?, json!({ "assignments": args.assignments }));
            if args.review {
                return review(&args.call, &client, "/v1/assignments/review", &json!({ "order": body }));
            }
            let ordered = client.submit(&Method::PUT, "/v1/assignments/order", Some(&body), &args.reviewed)?;
            args.call.answer(&ordered, || "they are in that order".to_owned())
        }
        Command::Chain(args) => chain(&args),
        Command::Overlaps(args) => overlaps(&args),
    }
}

/// A rule by its title or id.
pub(super) fn named(client: &Client, rule: &str) -> Result<Value, Failure> {
    let found = find(&client.list("/v1/rules")?, rule, "title").cloned();
    found.ok_or_else(|| Failure::input(format!("there is no rule {rule}")).next("rerate rule list"))
}

fn config(inline: Option<&str>, file: Option<&PathBuf>) -> Result<Option<Value>, Failure> {
    let (what, read) = match (inline, file) {
        (_, Some(path)) => {
            let read = std::fs::read_to_string(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
            (path.display().to_string(), read)
        }
        (Some(inline), None) => ("--config".to_owned(), inline.to_owned()),
        (None, None) => return Ok(None),
    };
    json::read(read.as_bytes()).map(Some).map_err(|error| {
        let wrong = if error.is_data() { "" } else { " is not JSON" };
        let failure = Failure::input(format!("{what}{wrong}: {error}"));
        if file.is_none() && std::path::Path::new(&read).is_file() { failure.next(format!("--config-file {read}")) } else { failure }
    })
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let rules = args.call.client()?.list("/v1/rules")?;
    if args.call.json {
        return Ok(output::print_json(&rules)?);
    }
    let rows = rules.iter().map(|rule| {
        let version = rule["pinned_digest"].as_str().map_or("active", |digest| &digest[..12.min(digest.len())]).to_owned();
        vec![text(&rule["id"]), text(&rule["title"]), text(&rule["plugin"]), version, rule["config"].to_string()]
    });
    output::print(&output::table(&["rule", "title", "plugin", "version", "configuration"], rows));
    Ok(())
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let config = config(Some(&args.config), args.config_file.as_ref())?;
    let body = json!({ "title": args.title, "plugin": args.plugin, "pinned_digest": args.pin, "config": config });
    let rule = args.call.client()?.post("/v1/rules", &body)?;
    args.call.answer(&rule, || format!("{} {}", text(&rule["id"]), text(&rule["title"])))
}

fn change(args: &ChangeArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let rule = named(&client, &args.rule)?;
    let pinned = match &args.pin {
        Some(digest) => json!(digest),
        None if args.follow => Value::Null,
        None => rule["pinned_digest"].clone(),
    };
    let body = json!({
        "title": args.title.clone().unwrap_or_else(|| text(&rule["title"])),
        "plugin": rule["plugin"],
        "pinned_digest": pinned,
        "config": config(args.config.as_deref(), args.config_file.as_ref())?.unwrap_or_else(|| rule["config"].clone()),
    });
    let path = format!("/v1/rules/{}", text(&rule["id"]));
    if args.review {
        return review(&args.call, &client, &format!("{path}/review"), &body);
    }
    let changed = client.submit(&Method::PUT, &path, Some(&body), &args.reviewed)?;
    args.call.answer(&changed, || format!("{} is changed; its months are rated again", text(&body["title"])))
}

fn assign(args: &AssignArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let rule = named(&client, &args.rule)?;
    let mut body = json!({ "rule_id": rule["id"], "from_period": args.from, "to_period": args.until, "position": args.position });
    let (path, change) = if args.all {
        ("/v1/assignments", "assign")
    } else {
        let known = client.list("/v1/tenants")?;
        let tenants = args.to.iter().map(|tenant| id_among(&known, tenant)).collect::<Result<Vec<_>, _>>()?;
        body["tenant_ids"] = json!(tenants);
        ("/v1/assignments/batch", "assign_many")
    };
    if args.review {
        return review(&args.call, &client, "/v1/assignments/review", &json!({ change: body }));
    }
    let assigned = client.submit(&Method::POST, path, Some(&body), &args.reviewed)?;
    let reach = if args.all { "all tenants".to_owned() } else { args.to.join(", ") };
    args.call.answer(&assigned, || format!("{} applies to {reach}", text(&rule["title"])))
}

fn reassign(args: &ReassignArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let path = format!("/v1/assignments/{}", encode(&args.assignment));
    let before = client.get(&path)?;
    let body = json!({ "rule_id": before["rule_id"], "tenant_id": before["tenant_id"], "from_period": args.from, "to_period": args.until });
    if args.review {
        let change = json!({ "change": { "id": args.assignment, "to": body } });
        return review(&args.call, &client, "/v1/assignments/review", &change);
    }
    let changed = client.submit(&Method::PUT, &path, Some(&body), &args.reviewed)?;
    args.call.answer(&changed, || {
        let (from, until) = (text_or(&changed["from_period"], "the beginning"), text_or(&changed["to_period"], "further notice"));
        format!("{} is effective from {from} until {until}", args.assignment)
    })
}

/// Shows what a change would rate again.
fn review(call: &Call, client: &Client, path: &str, body: &Value) -> Result<(), Failure> {
    let review = client.review(path, body)?;
    if call.json {
        return Ok(output::print_json(&review)?);
    }
    let months = items(&review["months"]);
    if months.is_empty() {
        output::print("nothing would be rated again");
        output::print(&to_submit(&review));
        return Ok(());
    }
    let rows = months.iter().map(|month| {
        let tenant = text(&month["tenant"]["name"]);
        let (period, currency) = (text(&month["period"]), text(&month["currency"]));
        vec![tenant, period, currency, text(&month["effect"]), money(&month["billed_after"])]
    });
    output::print(&output::table(&["tenant", "period", "", "effect", ">billed"], rows));
    output::print(&format!("{} charges would be rated again; nothing is saved", output::count(review["charges"].as_u64().unwrap_or(0))));
    output::print(&to_submit(&review));
    Ok(())
}

fn chain(args: &ChainArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let known = client.list("/v1/tenants")?;
    let path = match &args.tenant {
        Some(tenant) => format!("/v1/assignments?tenant_id={}", id_among(&known, tenant)?),
        None => "/v1/assignments".to_owned(),
    };
    let assignments = client.list(&path)?;
    if args.call.json {
        return Ok(output::print_json(&assignments)?);
    }
    let rules = client.list("/v1/rules")?;
    let rows = assignments.iter().map(|assignment| {
        let tenant = if assignment["tenant_id"].is_null() { "all".to_owned() } else { name_of(&known, &assignment["tenant_id"], "name") };
        vec![
            assignment["position"].to_string(),
            text(&assignment["id"]),
            name_of(&rules, &assignment["rule_id"], "title"),
            tenant,
            text(&assignment["from_period"]),
            text(&assignment["to_period"]),
        ]
    });
    output::print(&output::table(&[">", "assignment", "rule", "tenant", "from", "until"], rows));
    Ok(())
}

fn overlaps(args: &OverlapArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let known = client.list("/v1/tenants")?;
    let mut path = format!("/v1/reports/overlaps?period={}", args.period);
    if let Some(tenant) = &args.tenant {
        path.push_str(&format!("&tenant_id={}", id_among(&known, tenant)?));
    }
    let report = client.get(&path)?;
    if args.call.json {
        return Ok(output::print_json(&report)?);
    }
    let months = items(&report["items"]);
    if months.is_empty() {
        output::print(&format!("no two rules changed the same charges in {}", args.period));
        return Ok(());
    }
    let rows = months.iter().flat_map(|month| {
        let tenant = name_of(&known, &month["tenant_id"], "name");
        items(&month["overlaps"]).iter().map(move |overlap| {
            let charges = output::count(overlap["charges"].as_u64().unwrap_or(0));
            let (first, second) = (text(&overlap["first"]), text(&overlap["second"]));
            vec![tenant.clone(), text(&month["currency"]), first, second, charges, money(&overlap["charged"])]
        })
    });
    output::print(&output::table(&["tenant", "", "first", "then", ">charges", ">charged"], rows));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_where_json_is_wanted_is_told_its_option() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let failure = config(Some(&path), None).unwrap_err();
        assert!(failure.message().starts_with("--config is not JSON: "), "{}", failure.message());
        assert_eq!(failure.next, Some(format!("--config-file {path}")));
        assert_eq!(config(Some("{"), None).unwrap_err().next, None);
    }
}
