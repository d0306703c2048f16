//! `rerate cost-center ...`: named groups of a tenant's subaccounts.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, encode};
use super::run::text;
use super::{Failure, output, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate cost-center set Research --tenant Acme --subaccount sub_01m8 --subaccount sub_01m9
  rerate cost-center list --tenant Acme
  rerate user invite eve@acme.example --role viewer --tenant Acme --cost-center cct_01m8

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
    /// Make a cost center, or set its subaccounts
    Set(SetArgs),
    /// Delete a cost center to which nobody is limited
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// The tenant's name or id
    #[arg(long)]
    tenant: String,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    name: String,
    /// The tenant's name or id
    #[arg(long)]
    tenant: String,
    /// Id of a subaccount that the tenant holds
    #[arg(long = "subaccount", value_name = "ID")]
    subaccounts: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    name: String,
    /// The tenant's name or id
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Set(args) => set(&args),
        Command::Delete(args) => delete(&args),
    }
}

fn address(client: &Client, tenant: &str) -> Result<String, Failure> {
    Ok(format!("/v1/tenants/{}/cost-centers", encode(&tenant::id_of(client, tenant)?)))
}

fn named(client: &Client, address: &str, name: &str) -> Result<Option<Value>, Failure> {
    let wanted = name.trim().to_lowercase();
    Ok(client.list(address)?.into_iter().find(|center| text(&center["name"]).to_lowercase() == wanted))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let centers = client.list(&address(&client, &args.tenant)?)?;
    if args.json {
        output::print_json(&centers)?;
        return Ok(());
    }
    let rows = centers.iter().map(|center| {
        let count = center["subaccounts"].as_array().map_or(0, Vec::len);
        vec![text(&center["id"]), text(&center["name"]), count.to_string(), text(&center["created_by"])]
    });
    output::print(&output::table(&["cost center", "name", ">subaccounts", "made by"], rows));
    Ok(())
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let address = address(&client, &args.tenant)?;
    let body = json!({ "name": args.name, "subaccounts": args.subaccounts });
    let center = match named(&client, &address, &args.name)? {
        Some(known) => client.put(&format!("/v1/cost-centers/{}", encode(&text(&known["id"]))), &body)?,
        None => client.post(&address, &body)?,
    };
    output::print(&format!("{} ({}): {} subaccounts", text(&center["name"]), text(&center["id"]), args.subaccounts.len()));
    Ok(())
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let known = named(&client, &address(&client, &args.tenant)?, &args.name)?;
    let center = known.ok_or_else(|| Failure::input(format!("{} has no cost center {}", args.tenant, args.name)))?;
    client.delete(&format!("/v1/cost-centers/{}", encode(&text(&center["id"]))))?;
    output::print(&format!("{} is deleted", text(&center["name"])));
    Ok(())
}
