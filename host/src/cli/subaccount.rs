//! `rerate subaccount ...`: who holds what the bills name.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{AsReviewed, Call, Client, encode, query, to_submit};
use super::shown::{items, money, name_of, text};
use super::{Failure, integration, output, tenant};
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate subaccount list --unassigned --search prod
  rerate subaccount assign --to \"Acme GmbH\" 222222222222 333333333333 --from-period 2026-09 --review
  rerate subaccount assign --to \"Acme GmbH\" 222222222222 333333333333 --from-period 2026-09 --reviewed 224253785733669845
  rerate subaccount assign --to \"Acme GmbH\" 222222222222 --from-tenant \"Bolt Ltd\" --from-period 2026-09
  rerate subaccount release 222222222222
  rerate subaccount history 222222222222";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the subaccounts that bills have named
    List(ListArgs),
    /// Give subaccounts to a tenant; with --review, tell what that would do
    Assign(AssignArgs),
    /// Have nobody hold subaccounts; with --review, tell what that would do
    Release(ReleaseArgs),
    /// Tell who holds and held a subaccount
    History(HistoryArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// A part of the name or of an id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Of one integration, by name or id
    #[arg(long, value_name = "NAME|ID")]
    integration: Option<String>,
    /// AWS, Microsoft, ...
    #[arg(long)]
    provider: Option<String>,
    /// Of one tenant, by name or id
    #[arg(long, value_name = "NAME|ID")]
    tenant: Option<String>,
    /// Only those that nobody holds
    #[arg(long)]
    unassigned: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct AssignArgs {
    /// Who gets them, by name or id
    #[arg(long, value_name = "NAME|ID")]
    to: String,
    /// As the bills name them, or by our ids
    #[arg(value_name = "SUBACCOUNT", required = true)]
    subaccounts: Vec<String>,
    /// The first billing period of it [default: always]
    #[arg(long, value_name = "YYYY-MM")]
    from_period: Option<Period>,
    /// The tenant that gives them up, by name or id
    #[arg(long, value_name = "NAME|ID")]
    from_tenant: Option<String>,
    /// Only tell what would move, from whom, what is rated again and how much money changes hands
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ReleaseArgs {
    /// As the bills name them, or by our ids
    #[arg(value_name = "SUBACCOUNT", required = true)]
    subaccounts: Vec<String>,
    /// The first billing period of it [default: always]
    #[arg(long, value_name = "YYYY-MM")]
    from_period: Option<Period>,
    /// Only tell what that would do
    #[arg(long)]
    review: bool,
    #[command(flatten)]
    reviewed: AsReviewed,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct HistoryArgs {
    /// As the bills name it, or by our id
    #[arg(value_name = "SUBACCOUNT")]
    subaccount: String,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Assign(args) => {
            let client = args.call.client()?;
            let to = tenant::id_of(&client, &args.to)?;
            let from = args.from_tenant.as_deref().map(|from| tenant::id_of(&client, from)).transpose()?;
            let body = json!({ "tenant_id": to, "from_tenant_id": from, "from_period": args.from_period });
            submit(&args.call, &client, body, &args.subaccounts, (!args.review).then_some(&args.reviewed))
        }
        Command::Release(args) => {
            let body = json!({ "tenant_id": null, "from_period": args.from_period });
            submit(&args.call, &args.call.client()?, body, &args.subaccounts, (!args.review).then_some(&args.reviewed))
        }
        Command::History(args) => history(&args),
    }
}

fn names(tenants: &Value) -> String {
    let names: Vec<&str> = items(tenants).iter().filter_map(|tenant| tenant["name"].as_str()).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let holder = args.tenant.as_deref().map(|name| tenant::id_of(&client, name)).transpose()?;
    let from = args.integration.as_deref().map(|name| integration::named(&client, name).map(|found| text(&found["id"]))).transpose()?;
    let fields = [
        ("unassigned", Some(args.unassigned.to_string())),
        ("search", args.search.clone()),
        ("integration_id", from),
        ("provider", args.provider.clone()),
        ("tenant_id", holder),
    ];
    let found = client.list(&query("/v1/subaccounts", fields))?;
    let tenants = client.list("/v1/tenants")?;
    args.call.answer(&found, || {
        let row = |account: &Value| {
            let holder = name_of(&tenants, &account["tenant_id"], "name");
            let first = ["id", "sub_account_id", "name", "provider"].map(|field| text(&account[field]));
            first.into_iter().chain([holder, text(&account["from_period"])]).collect()
        };
        output::table(&["Subaccount", "Account", "Name", "Provider", "Held by", "From"], found.iter().map(row))
    })
}

/// Our id of a subaccount that is named as its bill does, or by our id.
pub(super) fn ids_of(client: &Client, subaccounts: &[String]) -> Result<Vec<String>, Failure> {
    let known = client.list("/v1/subaccounts")?;
    let id = |wanted: &String| {
        let found: Vec<&Value> = known.iter().filter(|s| [&s["id"], &s["sub_account_id"]].contains(&&json!(wanted))).collect();
        match found.as_slice() {
            [one] => Ok(text(&one["id"])),
            [] => Err(Failure::input(format!("no bill has named the subaccount {wanted}")).next("rerate subaccount list --search TEXT")),
            several => {
                let ids: Vec<String> = several.iter().map(|s| text(&s["id"])).collect();
                Err(Failure::input(format!("{wanted} is an account of several integrations")).next(format!("one of {}", ids.join(", "))))
            }
        }
    };
    subaccounts.iter().map(id).collect()
}

/// Reviews the change where it is not to be made.
fn submit(call: &Call, client: &Client, mut body: Value, subaccounts: &[String], make: Option<&AsReviewed>) -> Result<(), Failure> {
    body["subaccounts"] = ids_of(client, subaccounts)?.into();
    let Some(reviewed) = make else {
        let review = client.review("/v1/subaccounts/review", &body)?;
        return if call.json { Ok(output::print_json(&review)?) } else { told(&review) };
    };
    let answer = client.submit(&Method::POST, "/v1/subaccounts/assign", Some(&body), reviewed)?;
    call.answer(&answer, || format!("{} subaccounts moved", items(&answer["moved"]).len()))
}

fn told(review: &Value) -> Result<(), Failure> {
    let to = review["tenant"]["name"].as_str().unwrap_or("nobody");
    let from = review["from_period"].as_str().map_or_else(|| "for always".to_owned(), |period| format!("from {period} on"));
    let moves = items(&review["moves"]);
    output::print(&format!("{} subaccounts go to {to} {from}; {} are there already", moves.len(), items(&review["unchanged"]).len()));
    if !moves.is_empty() {
        let rows = moves.iter().map(|m| vec![text(&m["sub_account_id"]), text(&m["name"]), text(&m["provider"]), names(&m["from"])]);
        output::print(&output::table(&["Account", "Name", "Provider", "Held by"], rows));
    }
    if !items(&review["money"]).is_empty() {
        let rows = items(&review["money"]).iter().map(|m| {
            let from = m["from"]["name"].as_str().unwrap_or("nobody").to_owned();
            vec![text(&m["period"]), from, m["charges"].to_string(), format!("{} {}", money(&m["billed"]), text(&m["currency"]))]
        });
        output::print(&output::table(&["Money moved in", "From", ">Charges", ">Billed"], rows));
    }
    if !items(&review["months"]).is_empty() {
        let rows = items(&review["months"]).iter().map(|m| {
            let (before, after) = (money(&m["billed_before"]), money(&m["billed_after"]));
            vec![text(&m["period"]), text(&m["tenant"]["name"]), text(&m["effect"]), before, after, text(&m["currency"])]
        });
        output::print(&output::table(&["Rated again", "Tenant", "", ">Billed before", ">Billed after", ""], rows));
    }
    let refused = items(&review["refused"]);
    if refused.is_empty() {
        if !moves.is_empty() {
            output::print(&to_submit(review));
        }
        return Ok(());
    }
    let rows = refused.iter().map(|m| vec![text(&m["sub_account_id"]), text(&m["name"]), names(&m["held_by"])]);
    output::print(&output::table(&["Refused", "Name", "Held by"], rows));
    Err(Failure::run(format!("{} subaccounts are held by another tenant", refused.len())).next("release them there, or give --from-tenant"))
}

fn history(args: &HistoryArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let id = ids_of(&client, std::slice::from_ref(&args.subaccount))?.remove(0);
    let history = client.list(&format!("/v1/subaccounts/{}/history", encode(&id)))?;
    if args.call.json {
        return Ok(output::print_json(&history)?);
    }
    let rows = history.iter().map(|held| {
        let or = |value: &Value, otherwise: &str| value.as_str().unwrap_or(otherwise).to_owned();
        let until = if held["in_effect"] == true { or(&held["until_period"], "") } else { "overridden".to_owned() };
        vec![or(&held["tenant"], "nobody"), or(&held["from_period"], "always"), until, text(&held["assigned_by"]), text(&held["at"])]
    });
    output::print(&output::table(&["Held by", "From", "Until before", "Assigned by", "At"], rows));
    Ok(())
}
