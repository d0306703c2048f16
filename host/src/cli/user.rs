//! `rerate user ...`: people, and what they are in which organisation.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, encode};
use super::run::text;
use super::{Failure, output, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate user invite ann@msp.example --role owner                        a secret to hand over; it opens once, within a week
  rerate user invite eve@acme.example --role viewer --tenant Acme
  rerate user add ci@msp.example --name CI --role viewer --password-file secret.txt
  rerate user role ann@msp.example editor
  rerate user remove eve@acme.example --tenant Acme                      out of this tenant only
  rerate user list --json";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Role {
    Owner,
    IntegrationOwner,
    Editor,
    Viewer,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::IntegrationOwner => "integration-owner",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List people and what they are
    List(ListArgs),
    /// Make somebody a member without asking them
    Add(AddArgs),
    /// Invite somebody by a one-time secret
    Invite(InviteArgs),
    /// List invitations that still open, or take one back
    Invitations(InvitationsArgs),
    /// Set what somebody is in an organisation
    Role(RoleArgs),
    /// Remove somebody, from one organisation or altogether; their sessions and tokens end at once
    Remove(RemoveArgs),
}

/// The MSP, or a tenant.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// A tenant's name or id [default: the MSP]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

impl Where {
    pub(super) fn organisation(&self, client: &Client) -> Result<String, Failure> {
        self.tenant.as_ref().map_or_else(|| Ok("msp".to_owned()), |tenant| tenant::id_of(client, tenant))
    }
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    place: Where,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    email: String,
    #[arg(long)]
    name: String,
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    place: Where,
    /// Ids of the cost centers that they are limited to
    #[arg(long = "cost-center", value_name = "ID")]
    cost_centers: Vec<String>,
    /// File with a password; without one they get in by an invitation or single sign-on
    #[arg(long, value_name = "FILE")]
    password_file: Option<std::path::PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct InviteArgs {
    email: String,
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    place: Where,
    /// Ids of the cost centers that they are limited to
    #[arg(long = "cost-center", value_name = "ID")]
    cost_centers: Vec<String>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct InvitationsArgs {
    /// Take this one back
    #[arg(long, value_name = "ID")]
    revoke: Option<String>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct RoleArgs {
    email: String,
    role: Role,
    #[command(flatten)]
    place: Where,
    /// Ids of the cost centers that they are limited to
    #[arg(long = "cost-center", value_name = "ID")]
    cost_centers: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    email: String,
    #[command(flatten)]
    place: Where,
    /// From every organisation
    #[arg(long, conflicts_with = "tenant")]
    everywhere: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Add(args) => add(&args),
        Command::Invite(args) => invite(&args),
        Command::Invitations(args) => invitations(&args),
        Command::Role(args) => role(&args),
        Command::Remove(args) => remove(&args),
    }
}

/// Null where nothing is named: all of the organisation.
fn centers(named: &[String]) -> Option<&[String]> {
    (!named.is_empty()).then_some(named)
}

/// A person's id by their address.
pub(super) fn id_of(client: &Client, email: &str) -> Result<String, Failure> {
    let wanted = email.trim().to_lowercase();
    let known = client.list("/v1/users")?;
    let found = known.iter().find(|user| text(&user["email"]).to_lowercase() == wanted || user["id"] == email);
    found.map(|user| text(&user["id"])).ok_or_else(|| Failure::input(format!("nobody has the address {email}")).next("rerate user list"))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let query = match &args.place.tenant {
        Some(_) => format!("/v1/users?organisation={}", encode(&args.place.organisation(&client)?)),
        None => "/v1/users".to_owned(),
    };
    let people = client.list(&query)?;
    if args.json {
        output::print_json(&people)?;
        return Ok(());
    }
    let rows = people.iter().map(|user| {
        let member = |member: &Value| {
            let limited = if member["cost_centers"].is_null() { "" } else { " (cost centers)" };
            format!("{} of {}{limited}", text(&member["role"]), text(&member["organisation"]))
        };
        let memberships = user["memberships"].as_array().into_iter().flatten().map(member).collect::<Vec<_>>();
        vec![text(&user["email"]), text(&user["name"]), memberships.join(", ")]
    });
    output::print(&output::table(&["person", "name", "is"], rows));
    Ok(())
}

fn add(args: &AddArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let password = match &args.password_file {
        None => None,
        Some(path) => {
            let read = std::fs::read_to_string(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
            Some(read.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    let body = json!({ "email": args.email, "name": args.name, "organisation": args.place.organisation(&client)?,
        "role": args.role.name(), "cost_centers": centers(&args.cost_centers), "password": password });
    let user = client.post("/v1/users", &body)?;
    output::print(&format!("{} is {}", text(&user["email"]), args.role.name()));
    Ok(())
}

fn invite(args: &InviteArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let body = json!({ "email": args.email, "organisation": args.place.organisation(&client)?, "role": args.role.name(),
        "cost_centers": centers(&args.cost_centers) });
    let made = client.post("/v1/invitations", &body)?;
    if args.json {
        output::print_json(&made)?;
        return Ok(());
    }
    output::print(&format!("{} is invited as {}, until {}", text(&made["email"]), args.role.name(), text(&made["expires_at"])));
    output::print(&format!("secret  {}", text(&made["secret"])));
    Ok(())
}

fn invitations(args: &InvitationsArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    if let Some(id) = &args.revoke {
        client.delete(&format!("/v1/invitations/{}", encode(id)))?;
        output::print(&format!("{id} opens nothing any more"));
        return Ok(());
    }
    let open = client.list("/v1/invitations")?;
    if args.json {
        output::print_json(&open)?;
        return Ok(());
    }
    let rows = open.iter().map(|one| ["id", "email", "organisation", "role", "expires_at"].map(|field| text(&one[field])).to_vec());
    output::print(&output::table(&["invitation", "person", "of", "as", "until"], rows));
    Ok(())
}

fn role(args: &RoleArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let (user, organisation) = (id_of(&client, &args.email)?, args.place.organisation(&client)?);
    let body = json!({ "role": args.role.name(), "cost_centers": centers(&args.cost_centers) });
    client.put(&format!("/v1/users/{}/memberships/{}", encode(&user), encode(&organisation)), &body)?;
    output::print(&format!("{} is {} of {organisation}", args.email, args.role.name()));
    Ok(())
}

fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let user = encode(&id_of(&client, &args.email)?);
    if args.everywhere {
        client.delete(&format!("/v1/users/{user}"))?;
        output::print(&format!("{} is removed", args.email));
        return Ok(());
    }
    let organisation = args.place.organisation(&client)?;
    client.delete(&format!("/v1/users/{user}/memberships/{}", encode(&organisation)))?;
    output::print(&format!("{} is out of {organisation}", args.email));
    Ok(())
}
