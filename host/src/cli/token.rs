//! `rerate token ...`: programs that may call a daemon.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, encode};
use super::shown::{text, text_or};
use super::user::{Role, Where, password_of};
use super::{Failure, output};

pub const EXAMPLES: &str = "\
Examples:
  rerate token create \"nightly export\" --role viewer --service
  rerate token create laptop --role editor --expires 2027-01-01T00:00:00Z > token.txt
  rerate token create \"Acme's dashboards\" --role viewer --service --tenant Acme
  rerate token create laptop --role editor --email ann@msp.example --password-file secret.txt     the first one: no token needed
  rerate token create \"web team\" --role viewer --service --virtual-integration vin_01m8
  rerate token list
  rerate token revoke tok_01m8

The token is printed once and kept nowhere.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it
    Create(CreateArgs),
    /// List tokens: one's own, or all of the organisation for an Owner
    List(ListArgs),
    /// End a token, at once
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    name: String,
    /// What it may do at most
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    place: Where,
    /// Of a service rather than one's own; it stays when its maker goes
    #[arg(long)]
    service: bool,
    /// Shows this virtual integration and nothing else: an isolated view for whom it is given to
    #[arg(long, value_name = "ID")]
    virtual_integration: Option<String>,
    /// When it ends, as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Sign in with a password, only for this, instead of showing a token
    #[arg(long, requires = "password_file", conflicts_with = "token_file")]
    email: Option<String>,
    /// File with the password
    #[arg(long, value_name = "FILE", requires = "email")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// The token's id, as the list shows it
    id: String,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create(args) => create(&args),
        Command::List(args) => list(&args),
        Command::Revoke(args) => {
            args.call.client()?.delete(&format!("/v1/tokens/{}", encode(&args.id)))?;
            args.call.answer(&json!({ "revoked": args.id }), || format!("{} opens nothing any more", args.id))
        }
    }
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let client = match (&args.email, &args.password_file) {
        (Some(email), Some(file)) => {
            let mut client = args.call.visitor(None)?;
            client.begin_session("/v1/sessions", &json!({ "email": email, "password": password_of(file)? }))?;
            client
        }
        _ => args.call.client()?,
    };
    let mut body = json!({ "name": args.name, "role": args.role.name(), "service": args.service, "expires_at": args.expires });
    if let Some(id) = &args.virtual_integration {
        body["virtual_integration_id"] = id.clone().into();
    }
    let organisation = args.place.organisation(&client)?;
    if organisation != "msp" {
        body["organisation"] = organisation.into();
    }
    let made = client.post("/v1/tokens", &body);
    if args.email.is_some() {
        client.delete("/v1/session")?; // also when it was refused: nothing is left open
    }
    let made = made?;
    if !args.call.json {
        let (name, id, role, organisation) = (text(&made["name"]), text(&made["id"]), text(&made["role"]), text(&made["organisation"]));
        output::complain(&format!("{name} ({id}): {role} of {organisation}"));
    }
    args.call.answer(&made, || text(&made["text"]))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let tokens = args.call.client()?.list("/v1/tokens")?;
    args.call.answer(&tokens, || {
        let row = |token: &Value| {
            let shown = format!("{}...", text(&token["shown"]));
            let (used, end) = (text_or(&token["used_at"], "never"), text_or(&token["expires_at"], "-"));
            vec![text(&token["id"]), text(&token["name"]), shown, text(&token["role"]), text(&token["created_by"]), used, end]
        };
        let titles = ["token", "name", "begins", "role", "made by", "last used", "ends"];
        output::table(&titles, tokens.iter().map(row))
    })
}
