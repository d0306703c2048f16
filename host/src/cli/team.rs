//! `rerate team ...`: which tenants people of the MSP see.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode};
use super::shown::{find, items, name_of, text};
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
    #[command(flatten)]
    call: Call,
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
    call: Call,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// The team's name or id
    name: String,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Set(args) => set(&args),
        Command::Delete(args) => delete(&args),
    }
}

fn named(client: &Client, name: &str) -> Result<Option<Value>, Failure> {
    Ok(find(&client.list("/v1/teams")?, name, "name").cloned())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let (teams, people, tenants) = (client.list("/v1/teams")?, client.list("/v1/users")?, client.list("/v1/tenants")?);
    args.call.answer(&teams, || {
        let names = |ids: &Value, known: &[Value], field: &str| {
            items(ids).iter().map(|id| name_of(known, id, field)).collect::<Vec<_>>().join(", ")
        };
        let row =
            |team: &Value| vec![text(&team["name"]), names(&team["members"], &people, "email"), names(&team["tenants"], &tenants, "name")];
        output::table(&["team", "people", "tenants"], teams.iter().map(row))
    })
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let members = args.members.iter().map(|email| user::id_of(&client, email)).collect::<Result<Vec<_>, _>>()?;
    let tenants = args.tenants.iter().map(|name| tenant::id_of(&client, name)).collect::<Result<Vec<_>, _>>()?;
    let body = json!({ "name": args.name, "members": members, "tenants": tenants });
    let team = match named(&client, &args.name)? {
        Some(known) => client.put(&format!("/v1/teams/{}", encode(&text(&known["id"]))), &body)?,
        None => client.post("/v1/teams", &body)?,
    };
    args.call.answer(&team, || format!("{}: people {}, tenants {}", text(&team["name"]), members.len(), tenants.len()))
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let known = named(&client, &args.name)?;
    let team = known.ok_or_else(|| Failure::input(format!("there is no team {}", args.name)).next("rerate team list"))?;
    client.delete(&format!("/v1/teams/{}", encode(&text(&team["id"]))))?;
    args.call.answer(&team, || format!("{} is deleted", text(&team["name"])))
}
