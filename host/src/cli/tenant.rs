//! `rerate tenant ...`: the managed customers of a daemon.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, encode};
use super::{Failure, output};
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate tenant create \"Acme GmbH\" --contact cloud+acme@msp.example
  rerate tenant list --state suspended --json
  rerate tenant suspend \"Acme GmbH\"              nothing new is published for it; its data stays
  rerate tenant import tenants.csv --dry-run     what the list would make and assign
  rerate tenant delete \"Acme GmbH\"               what goes with it
  rerate tenant delete \"Acme GmbH\" --name \"Acme GmbH\"";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List tenants
    List(ListArgs),
    /// Make a tenant, or an organisation that tenants belong to
    Create(CreateArgs),
    /// Stop publishing for a tenant and keep its people out; its data stays
    Suspend(OneArgs),
    /// End the management of a tenant; it keeps its data and its access
    Unlink(OneArgs),
    /// Manage a suspended or unlinked tenant again
    Activate(OneArgs),
    /// Delete a tenant for good; without --name, tell what goes with it
    Delete(DeleteArgs),
    /// Make or update tenants from a CSV file, and give them their subaccounts
    Import(ImportArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Customer,
    Organisation,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Active,
    Suspended,
    Unlinked,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A part of the name or of the contact
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[arg(long)]
    state: Option<State>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[arg(value_name = "NAME")]
    name: String,
    /// E-mail address, on one of the MSP's domains if any are set
    #[arg(long, value_name = "EMAIL")]
    contact: Option<String>,
    /// A customer, or an organisation that others belong to
    #[arg(long, default_value = "customer")]
    kind: Kind,
    /// The organisation that it belongs to, by name or id; chosen once
    #[arg(long, value_name = "NAME|ID")]
    parent: Option<String>,
    /// Print the tenant as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    /// Print the tenant as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    /// The tenant's name again, as it is written
    #[arg(long)]
    name: Option<String>,
    /// Print what goes with it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Columns name, contact, subaccounts (separated by ;), external_id; or a partner's usage file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// The first billing period in which they hold their subaccounts [default: always]
    #[arg(long, value_name = "YYYY-MM")]
    from_period: Option<Period>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Create(args) => create(&args),
        Command::Suspend(args) => set_state(&args, "suspended"),
        Command::Unlink(args) => set_state(&args, "unlinked"),
        Command::Activate(args) => set_state(&args, "active"),
        Command::Delete(args) => delete(&args),
        Command::Import(args) => import(&args),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The id of a tenant that is named by its id or name.
pub(super) fn id_of(client: &Client, tenant: &str) -> Result<String, Failure> {
    super::preview::tenant_of(&client.list("/v1/tenants")?, tenant)
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let mut path = "/v1/tenants?".to_owned();
    if let Some(search) = &args.search {
        path.push_str(&format!("search={}&", encode(search)));
    }
    if let Some(state) = args.state {
        path.push_str(&format!("state={}&", format!("{state:?}").to_lowercase()));
    }
    let tenants = Client::new(&args.server)?.list(path.trim_end_matches(['?', '&']))?;
    if args.json {
        return Ok(output::print_json(&tenants)?);
    }
    let rows = tenants.iter().map(|t| {
        ["id", "name", "kind", "state", "parent", "contact_email"].iter().map(|field| text(&t[*field]).to_owned()).collect::<Vec<_>>()
    });
    output::print(&output::table(&["Tenant", "Name", "Kind", "State", "Parent organisation", "Contact"], rows));
    Ok(())
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let parent = args.parent.as_deref().map(|parent| id_of(&client, parent)).transpose()?;
    let kind = format!("{:?}", args.kind).to_lowercase();
    let made =
        client.post("/v1/tenants", &json!({ "name": args.name, "contact_email": args.contact, "kind": kind, "parent_id": parent }))?;
    if args.json {
        return Ok(output::print_json(&made)?);
    }
    output::print(&format!("{} is {}", text(&made["name"]), text(&made["id"])));
    Ok(())
}

fn set_state(args: &OneArgs, state: &str) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let id = id_of(&client, &args.tenant)?;
    let tenant = client.put(&format!("/v1/tenants/{}/state", encode(&id)), &json!({ "state": state }))?;
    if args.json {
        return Ok(output::print_json(&tenant)?);
    }
    output::print(&format!("{} is {}", text(&tenant["name"]), text(&tenant["state"])));
    Ok(())
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let id = id_of(&client, &args.tenant)?;
    let removal = client.get(&format!("/v1/tenants/{}/removal", encode(&id)))?;
    if args.json && args.name.is_none() {
        return Ok(output::print_json(&removal)?);
    }
    let name = text(&removal["tenant"]["name"]).to_owned();
    let Some(again) = &args.name else {
        let count =
            |field: &str| removal[field].as_array().map_or_else(|| removal[field].as_u64().unwrap_or_default(), |list| list.len() as u64);
        let rows = [
            ("integrations of its own, with their bills", "integrations"),
            ("subaccounts that nobody holds then", "released"),
            ("assignments of rules to it alone", "assignments"),
            ("runs with their charges", "runs"),
            ("periods with a published result", "published"),
            ("previews that show something of it", "previews"),
            ("people who may do something in it", "people"),
        ];
        output::print(&format!("deleting {name} ({id}) removes for good:"));
        output::print(&output::table(&[">", ""], rows.iter().map(|(title, field)| vec![output::count(count(field)), (*title).to_owned()])));
        return match removal["refused"].as_str() {
            Some(reason) => Err(Failure::run(reason)),
            None => {
                output::print(&format!("nothing is changed; to do it: rerate tenant delete {id} --name {name:?}"));
                Ok(())
            }
        };
    };
    client.delete(&format!("/v1/tenants/{}?name={}", encode(&id), encode(again)))?;
    if args.json {
        return Ok(output::print_json(&removal)?);
    }
    output::print(&format!("{name} ({id}) is deleted"));
    Ok(())
}

fn import(args: &ImportArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::input(format!("{}: {error}", args.file.display())))?;
    let from = args.from_period.map(|period| format!("&from_period={period}")).unwrap_or_default();
    let path = format!("/v1/tenants/import?dry_run={}{from}", args.dry_run);
    let done = Client::new(&args.server)?.post_bytes(&path, "text/csv", bytes)?;
    if args.json {
        return Ok(output::print_json(&done)?);
    }
    let empty = Vec::new();
    let tenants = done["tenants"].as_array().unwrap_or(&empty);
    let rows = tenants.iter().map(|change| {
        let assigned: Vec<&str> = change["assigned"].as_array().unwrap_or(&empty).iter().map(text).collect();
        let held = output::count(change["held"].as_u64().unwrap_or_default());
        vec![text(&change["action"]).to_owned(), text(&change["tenant"]["name"]).to_owned(), assigned.join(" "), held]
    });
    output::print(&output::table(&["", "Tenant", "Gets", ">Holds already"], rows));
    let counted = |field: &str| output::count(done[field].as_u64().unwrap_or_default());
    let (made, updated, kept, assigned) = (counted("created"), counted("updated"), counted("kept"), counted("assigned"));
    let sentence = format!("{made} made, {updated} updated, {kept} as they were; {assigned} subaccounts assigned");
    output::print(&if args.dry_run { format!("{sentence} (a trial: nothing is changed)") } else { sentence });
    Ok(())
}
