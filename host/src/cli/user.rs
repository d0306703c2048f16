//! `rerate user ...`: people, and what they are in which organisation.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Call, Client, encode, query};
use super::cost_center::limits;
use super::shown::{find, items, text};
use super::{Failure, output, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate user invite ann@msp.example --role owner                        a link to hand over; it opens once, within a week
  rerate user invite eve@acme.example --role viewer --tenant Acme
  rerate user accept https://rerate.msp.example/v1/invitations/accept#rri_... --name Ann --password-file secret.txt
  rerate user add ci@msp.example --name CI --role viewer --password-file secret.txt
  rerate user role ann@msp.example editor
  rerate user role eve@acme.example viewer --tenant Acme --cost-center Research
  rerate user change ann@msp.example --password-file secret.txt          ends all of their sessions
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
    /// Invite somebody by a link that opens once
    Invite(InviteArgs),
    /// Accept an invitation, by its link or secret; needs no token
    Accept(AcceptArgs),
    /// List invitations that still open, or take one back
    Invitations(InvitationsArgs),
    /// Give somebody another name or password
    Change(ChangeArgs),
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

/// What somebody is, and where.
#[derive(Debug, clap::Args)]
struct As {
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    place: Where,
    /// A cost center that they are limited to, by name or id; again for more of them
    #[arg(long = "cost-center", value_name = "NAME|ID", requires = "tenant")]
    cost_centers: Vec<String>,
}

impl As {
    fn body(&self, client: &Client) -> Result<Value, Failure> {
        let cost_centers = limits(client, self.place.tenant.as_deref(), &self.cost_centers)?;
        Ok(json!({ "organisation": self.place.organisation(client)?, "role": self.role.name(), "cost_centers": cost_centers }))
    }
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    email: String,
    #[arg(long)]
    name: String,
    #[command(flatten)]
    what: As,
    /// File with a password; without one they get in by an invitation or single sign-on
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct InviteArgs {
    email: String,
    #[command(flatten)]
    what: As,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct AcceptArgs {
    /// The link of the invitation, or its secret
    #[arg(value_name = "LINK|SECRET")]
    link: String,
    /// One's own name; not needed by who has an account already
    #[arg(long)]
    name: Option<String>,
    /// File with a new password, or the one of the account that there is already
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct InvitationsArgs {
    /// Take this one back
    #[arg(long, value_name = "ID")]
    revoke: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    email: String,
    #[arg(long, required_unless_present = "password_file")]
    name: Option<String>,
    /// File with a new password; all of their sessions end
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct RoleArgs {
    email: String,
    role: Role,
    #[command(flatten)]
    place: Where,
    /// A cost center that they are limited to, by name or id; again for more of them
    #[arg(long = "cost-center", value_name = "NAME|ID", requires = "tenant")]
    cost_centers: Vec<String>,
    #[command(flatten)]
    call: Call,
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
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Add(args) => add(&args),
        Command::Invite(args) => invite(&args),
        Command::Accept(args) => accept(&args),
        Command::Invitations(args) => invitations(&args),
        Command::Change(args) => change(&args),
        Command::Role(args) => role(&args),
        Command::Remove(args) => remove(&args),
    }
}

/// A person's id by their address.
pub(super) fn id_of(client: &Client, email: &str) -> Result<String, Failure> {
    let found = find(&client.list("/v1/users")?, email, "email").map(|user| text(&user["id"]));
    found.ok_or_else(|| Failure::input(format!("nobody has the address {email}")).next("rerate user list"))
}

/// A password is read from a file: an argument would be seen by everybody on the machine.
pub(super) fn password_of(path: &Path) -> Result<String, Failure> {
    let read = std::fs::read_to_string(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let of = args.place.tenant.as_ref().map(|_| args.place.organisation(&client)).transpose()?;
    let people = client.list(&query("/v1/users", [("organisation", of)]))?;
    args.call.answer(&people, || {
        let row = |user: &Value| {
            let member = |member: &Value| {
                let limited = if member["cost_centers"].is_null() { "" } else { " (cost centers)" };
                format!("{} of {}{limited}", text(&member["role"]), text(&member["organisation"]))
            };
            let memberships = items(&user["memberships"]).iter().map(member).collect::<Vec<_>>();
            vec![text(&user["email"]), text(&user["name"]), memberships.join(", ")]
        };
        output::table(&["person", "name", "is"], people.iter().map(row))
    })
}

fn add(args: &AddArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let mut body = args.what.body(&client)?;
    body["email"] = args.email.as_str().into();
    body["name"] = args.name.as_str().into();
    if let Some(path) = &args.password_file {
        body["password"] = password_of(path)?.into();
    }
    let user = client.post("/v1/users", &body)?;
    args.call.answer(&user, || format!("{} is {}", text(&user["email"]), args.what.role.name()))
}

fn invite(args: &InviteArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let mut body = args.what.body(&client)?;
    body["email"] = args.email.as_str().into();
    let made = client.post("/v1/invitations", &body)?;
    if !args.call.json {
        let until = text(&made["expires_at"]);
        let told = match (made["mailed"] == true, made["mail_error"].as_str()) {
            (true, _) => format!("mailed to {}; it opens once, until {until}", args.email),
            (false, Some(error)) => format!("it could not be mailed ({error}); hand this to {}; it opens once, until {until}", args.email),
            (false, None) => format!("hand this to {}; it opens once, until {until}", args.email),
        };
        output::complain(&told);
        if made["link"].is_null() {
            output::complain("  for a link instead of a secret, tell the daemon how people reach it: rerate serve --public-url");
        }
    }
    args.call.answer(&made, || text(if made["link"].is_null() { &made["secret"] } else { &made["link"] }))
}

fn accept(args: &AcceptArgs) -> Result<(), Failure> {
    // Where a link leads is where its secret belongs.
    let (server, secret) = match args.link.split_once("/v1/invitations/accept#") {
        Some((server, secret)) => (Some(server), secret),
        None => (None, args.link.as_str()),
    };
    let mut client = args.call.visitor(server)?;
    let body = json!({ "secret": secret, "name": args.name, "password": password_of(&args.password_file)? });
    let session = client.begin_session("/v1/invitations/accept", &body)?;
    client.delete("/v1/session")?;
    args.call.answer(&session, || {
        let (email, role, of) = (text(&session["user"]["email"]), text(&session["role"]), text(&session["session"]["organisation"]));
        format!("{email} is {role} of {of}; for a token: rerate token create NAME --role {role} --email {email} --password-file FILE")
    })
}

fn invitations(args: &InvitationsArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    if let Some(id) = &args.revoke {
        client.delete(&format!("/v1/invitations/{}", encode(id)))?;
        return args.call.answer(&json!({ "revoked": id }), || format!("{id} opens nothing any more"));
    }
    let open = client.list("/v1/invitations")?;
    args.call.answer(&open, || {
        let row = |one: &Value| ["id", "email", "organisation", "role", "expires_at"].map(|field| text(&one[field])).to_vec();
        output::table(&["invitation", "person", "of", "as", "until"], open.iter().map(row))
    })
}

fn change(args: &ChangeArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let path = format!("/v1/users/{}", encode(&id_of(&client, &args.email)?));
    if let Some(name) = &args.name {
        client.put(&path, &json!({ "name": name }))?;
    }
    if let Some(file) = &args.password_file {
        client.put(&format!("{path}/password"), &json!({ "password": password_of(file)? }))?;
    }
    let user = client.get(&path)?;
    args.call.answer(&user, || match args.password_file {
        Some(_) => format!("{} has a new password, and no session any more", text(&user["email"])),
        None => format!("{} is {}", text(&user["email"]), text(&user["name"])),
    })
}

fn role(args: &RoleArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let (user, organisation) = (id_of(&client, &args.email)?, args.place.organisation(&client)?);
    let cost_centers = limits(&client, args.place.tenant.as_deref(), &args.cost_centers)?;
    let body = json!({ "role": args.role.name(), "cost_centers": cost_centers });
    let membership = client.put(&format!("/v1/users/{}/memberships/{}", encode(&user), encode(&organisation)), &body)?;
    args.call.answer(&membership, || format!("{} is {} of {organisation}", args.email, args.role.name()))
}

fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let user = encode(&id_of(&client, &args.email)?);
    if args.everywhere {
        client.delete(&format!("/v1/users/{user}"))?;
        return args.call.answer(&json!({ "removed": args.email }), || format!("{} is removed", args.email));
    }
    let organisation = args.place.organisation(&client)?;
    client.delete(&format!("/v1/users/{user}/memberships/{}", encode(&organisation)))?;
    args.call.answer(&json!({ "removed": args.email, "from": organisation }), || format!("{} is out of {organisation}", args.email))
}
