//! `rerate team ...`: which tenants people of the MSP see.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, encode};
use super::run::text;
use super::{Failure, output, tenant, user};

pub const EXAMPLES: &str = "\
Examples:
  rerate team set North --member ann@msp.example --tenant Acme --tenant Globex
  rerate team list
  rerate team delete North

Who is in a team sees only the tenants of their teams; Owners see all. `set` makes the team or sets it as a whole.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List teams
    List(ListArgs),
    /// Make a team, or set who is in it and what it sees
    Set(SetArgs),
    /// Delete a team without members
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    name: String,
    /// A person of the MSP, by e-mail address
    #[arg(long = "member", value_name = "EMAIL")]
    members: Vec<String>,
    /// A tenant's name or id
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    name: String,
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

fn named(client: &Client, name: &str) -> Result<Option<Value>, Failure> {
    let wanted = name.trim().to_lowercase();
    Ok(client.list("/v1/teams")?.into_iter().find(|team| text(&team["name"]).to_lowercase() == wanted))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let teams = client.list("/v1/teams")?;
    if args.json {
        output::print_json(&teams)?;
        return Ok(());
    }
    let people = client.list("/v1/users")?;
    let tenants = client.list("/v1/tenants")?;
    let names = |ids: &Value, known: &[Value], field: &str| {
        let name = |id: &Value| known.iter().find(|one| one["id"] == *id).map_or_else(|| text(id), |one| text(&one[field]));
        ids.as_array().into_iter().flatten().map(name).collect::<Vec<_>>().join(", ")
    };
    let rows = teams
        .iter()
        .map(|team| vec![text(&team["name"]), names(&team["members"], &people, "email"), names(&team["tenants"], &tenants, "name")]);
    output::print(&output::table(&["team", "people", "tenants"], rows));
    Ok(())
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let members = args.members.iter().map(|email| user::id_of(&client, email)).collect::<Result<Vec<_>, _>>()?;
    let tenants = args.tenants.iter().map(|name| tenant::id_of(&client, name)).collect::<Result<Vec<_>, _>>()?;
    let body = json!({ "name": args.name, "members": members, "tenants": tenants });
    let team = match named(&client, &args.name)? {
        Some(known) => client.put(&format!("/v1/teams/{}", encode(&text(&known["id"]))), &body)?,
        None => client.post("/v1/teams", &body)?,
    };
    output::print(&format!("{}: people {}, tenants {}", text(&team["name"]), members.len(), tenants.len()));
    Ok(())
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let team =
        named(&client, &args.name)?.ok_or_else(|| Failure::input(format!("there is no team {}", args.name)).next("rerate team list"))?;
    client.delete(&format!("/v1/teams/{}", encode(&text(&team["id"]))))?;
    output::print(&format!("{} is deleted", text(&team["name"])));
    Ok(())
}
