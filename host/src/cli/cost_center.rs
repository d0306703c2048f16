//! `rerate cost-center ...`: named groups of a tenant's subaccounts.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode};
use super::shown::{find, items, text};
use super::{Failure, output, subaccount, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate cost-center set Research --tenant Acme --subaccount 222222222222 --subaccount 333333333333
  rerate cost-center list --tenant Acme
  rerate cost-center show Research --tenant Acme
  rerate user invite eve@acme.example --role viewer --tenant Acme --cost-center Research

`set` makes the cost center or sets it as a whole.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List a tenant's cost centers
    List(ListArgs),
    /// Show a cost center with its subaccounts
    Show(OneArgs),
    /// Make a cost center, or set its subaccounts
    Set(SetArgs),
    /// Delete a cost center to which nobody is limited
    Delete(OneArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// The tenant's name or id
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    name: String,
    /// The tenant's name or id
    #[arg(long)]
    tenant: String,
    /// A subaccount that the tenant holds, as the bills name it or by our id
    #[arg(long = "subaccount", value_name = "SUBACCOUNT")]
    subaccounts: Vec<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// The cost center's name or id
    name: String,
    /// The tenant's name or id
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
        Command::Set(args) => set(&args),
        Command::Delete(args) => delete(&args),
    }
}

fn address(client: &Client, tenant: &str) -> Result<String, Failure> {
    Ok(format!("/v1/tenants/{}/cost-centers", encode(&tenant::id_of(client, tenant)?)))
}

fn all(client: &Client, tenant: &str) -> Result<Vec<Value>, Failure> {
    client.list(&address(client, tenant)?)
}

fn one(client: &Client, tenant: &str, name: &str) -> Result<Value, Failure> {
    let found = find(&all(client, tenant)?, name, "name").cloned();
    found.ok_or_else(|| Failure::input(format!("{tenant} has no cost center {name}")).next("rerate cost-center list --tenant TENANT"))
}

/// Null where nothing is named: all of the organisation. By name or id, of the tenant that is named.
pub(super) fn limits(client: &Client, tenant: Option<&str>, named: &[String]) -> Result<Option<Vec<String>>, Failure> {
    if named.is_empty() {
        return Ok(None);
    }
    let Some(tenant) = tenant else {
        return Err(Failure::input("the MSP has no cost centers").next("--tenant, the tenant whose cost centers these are"));
    };
    let known = all(client, tenant)?;
    let id = |name: &String| {
        let found = find(&known, name, "name").map(|center| text(&center["id"]));
        found.ok_or_else(|| Failure::input(format!("{tenant} has no cost center {name}")).next("rerate cost-center list --tenant TENANT"))
    };
    named.iter().map(id).collect::<Result<_, _>>().map(Some)
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let centers = all(&args.call.client()?, &args.tenant)?;
    args.call.answer(&centers, || {
        let row = |center: &Value| {
            let count = items(&center["subaccounts"]).len().to_string();
            vec![text(&center["id"]), text(&center["name"]), count, text(&center["created_by"])]
        };
        output::table(&["cost center", "name", ">subaccounts", "made by"], centers.iter().map(row))
    })
}

fn show(args: &OneArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let center = one(&client, &args.tenant, &args.name)?;
    let known = client.list("/v1/subaccounts")?;
    args.call.answer(&center, || {
        let held = known.iter().filter(|account| items(&center["subaccounts"]).contains(&account["id"]));
        let rows = held.map(|account| ["id", "sub_account_id", "name", "provider"].map(|field| text(&account[field])).to_vec());
        output::table(&["subaccount", "account", "name", "provider"], rows)
    })
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let body = json!({ "name": args.name, "subaccounts": subaccount::ids_of(&client, &args.subaccounts)? });
    let center = match find(&all(&client, &args.tenant)?, &args.name, "name") {
        Some(known) => client.put(&format!("/v1/cost-centers/{}", encode(&text(&known["id"]))), &body)?,
        None => client.post(&address(&client, &args.tenant)?, &body)?,
    };
    args.call.answer(&center, || format!("{} ({}): {} subaccounts", text(&center["name"]), text(&center["id"]), args.subaccounts.len()))
}

fn delete(args: &OneArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let center = one(&client, &args.tenant, &args.name)?;
    client.delete(&format!("/v1/cost-centers/{}", encode(&text(&center["id"]))))?;
    args.call.answer(&center, || format!("{} is deleted", text(&center["name"])))
}
