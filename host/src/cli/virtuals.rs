//! `rerate virtual ...`: virtual integrations, views of some subaccounts or of the charges that meet conditions.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode, query};
use super::shown::{find, items, money, text};
use super::{Failure, output, subaccount};
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate virtual create \"Web team\" --where '{\"column\": \"Tags.team\", \"is_in\": [\"web\"]}'
  rerate virtual create \"Labs\" --subaccount 222222222222 --subaccount 333333333333
  rerate virtual show \"Web team\"                                what was billed, month by month
  rerate virtual lines \"Web team\" --period 2026-09 --columns SubAccountId,ServiceName,BilledCost
  rerate virtual change \"Web team\" --name \"Web\"
  rerate virtual delete \"Web\"

A view holds nothing and is charged to nobody.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List virtual integrations
    List(ListArgs),
    /// Show what a virtual integration selects, and what was billed for it and outside it
    Show(ShowArgs),
    /// Make a virtual integration
    Create(CreateArgs),
    /// Give a virtual integration another name or selection
    Change(ChangeArgs),
    /// Delete a virtual integration; nothing is left of it
    Delete(OneArgs),
    /// List the charges of a virtual integration in a period, as they were billed
    Lines(LinesArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// A part of the name
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    view: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    view: String,
    /// Only this period
    #[arg(long, value_name = "YYYY-MM")]
    period: Option<Period>,
    #[command(flatten)]
    call: Call,
}

/// Subaccounts or conditions.
#[derive(Debug, clap::Args)]
struct Selection {
    /// A subaccount, as the bills name it or by our id; again for more of them
    #[arg(long = "subaccount", value_name = "SUBACCOUNT", conflicts_with = "conditions")]
    subaccounts: Vec<String>,
    /// A condition as rules have them, as JSON; again for more, which must all hold
    #[arg(long = "where", id = "conditions", value_name = "JSON")]
    conditions: Vec<String>,
}

impl Selection {
    const fn is_given(&self) -> bool {
        !self.subaccounts.is_empty() || !self.conditions.is_empty()
    }

    fn put(&self, client: &Client, body: &mut Value) -> Result<(), Failure> {
        let condition = |text: &String| {
            serde_json::from_str(text).map_err(|error| {
                Failure::input(format!("--where {text}: {error}")).next(r#"--where '{"column": "Tags.team", "is_in": ["web"]}'"#)
            })
        };
        body["subaccounts"] = subaccount::ids_of(client, &self.subaccounts)?.into();
        body["where"] = self.conditions.iter().map(condition).collect::<Result<Vec<Value>, _>>()?.into();
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    name: String,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    view: String,
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct LinesArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    view: String,
    #[arg(long, value_name = "YYYY-MM")]
    period: Period,
    /// Columns with commas between
    #[arg(
        long,
        value_name = "COLUMNS",
        default_value = "SubAccountId,ChargePeriodStart,ServiceName,ChargeDescription,BilledCost,BillingCurrency"
    )]
    columns: String,
    /// Charges at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
        Command::Create(args) => {
            let client = args.call.client()?;
            let mut body = json!({ "name": args.name });
            args.selection.put(&client, &mut body)?;
            let made = client.post("/v1/virtual-integrations", &body)?;
            args.call.answer(&made, || format!("{} is {}", text(&made["name"]), text(&made["id"])))
        }
        Command::Change(args) => change(&args),
        Command::Delete(args) => {
            let client = args.call.client()?;
            let found = named(&client, &args.view)?;
            client.delete(&path(&found))?;
            args.call.answer(&found, || format!("{} is deleted", text(&found["name"])))
        }
        Command::Lines(args) => lines(&args),
    }
}

fn path(view: &Value) -> String {
    format!("/v1/virtual-integrations/{}", encode(&text(&view["id"])))
}

fn named(client: &Client, wanted: &str) -> Result<Value, Failure> {
    let found = find(&client.list("/v1/virtual-integrations")?, wanted, "name").cloned();
    found.ok_or_else(|| Failure::input(format!("there is no virtual integration {wanted}")).next("rerate virtual list"))
}

/// What a view selects, in a line.
fn selected(view: &Value) -> String {
    match items(&view["where"]) {
        [] => format!("{} subaccounts", items(&view["subaccounts"]).len()),
        conditions => conditions.iter().map(Value::to_string).collect::<Vec<_>>().join(" and "),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let views = args.call.client()?.list(&query("/v1/virtual-integrations", [("search", args.search.clone())]))?;
    args.call.answer(&views, || {
        let row = |view: &Value| vec![text(&view["id"]), text(&view["name"]), selected(view)];
        output::table(&["View", "Name", "Selects"], views.iter().map(row))
    })
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let mut view = named(&client, &args.view)?;
    let period = args.period.map(|period| period.to_string());
    view["months"] = client.get(&query(&format!("{}/months", path(&view)), [("period", period)]))?["items"].take();
    args.call.answer(&view, || {
        let row = |month: &Value| {
            let count = |field: &str| output::count(month[field].as_u64().unwrap_or_default());
            let (inside, outside) = (money(&month["billed"]), money(&month["outside_billed"]));
            vec![text(&month["period"]), text(&month["currency"]), count("charges"), inside, count("outside_charges"), outside]
        };
        let titles = ["Period", "", ">Charges", ">Billed", ">Outside", ">Billed"];
        let months = output::table(&titles, items(&view["months"]).iter().map(row));
        format!("{} ({}): {}\n{months}", text(&view["name"]), text(&view["id"]), selected(&view))
    })
}

fn change(args: &ChangeArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let before = named(&client, &args.view)?;
    let mut body = json!({ "name": before["name"], "subaccounts": before["subaccounts"], "where": before["where"] });
    if let Some(name) = &args.name {
        body["name"] = name.as_str().into();
    }
    if args.selection.is_given() {
        args.selection.put(&client, &mut body)?;
    }
    let changed = client.put(&path(&before), &body)?;
    args.call.answer(&changed, || format!("{} selects {}", text(&changed["name"]), selected(&changed)))
}

fn lines(args: &LinesArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let path = format!("{}/lines", path(&named(&client, &args.view)?));
    let mut found = Vec::new();
    let mut cursor = None;
    // A page may be empty and have a next one all the same.
    while found.len() < args.limit {
        let left = (args.limit - found.len()).min(1_000);
        let fields = [
            ("period", Some(args.period.to_string())),
            ("columns", Some(args.columns.clone())),
            ("limit", Some(left.to_string())),
            ("cursor", cursor.take()),
        ];
        let mut page = client.get(&query(&path, fields))?;
        found.append(page["items"].as_array_mut().unwrap_or(&mut Vec::new()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    args.call.answer(&found, || {
        let columns: Vec<&str> = args.columns.split(',').map(str::trim).collect();
        output::table(&columns, found.iter().map(|line| columns.iter().map(|column| text(&line[*column])).collect()))
    })
}
