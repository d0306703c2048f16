//! `rerate token ...`: programs that may call a daemon.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, ServerArgs, encode};
use super::run::text;
use super::user::{Role, Where};
use super::{Failure, output};

pub const EXAMPLES: &str = "\
Examples:
  rerate token create \"nightly export\" --role viewer --service
  rerate token create laptop --role editor --expires 2027-01-01T00:00:00Z > token.txt
  rerate token create \"Acme's dashboards\" --role viewer --service --tenant Acme
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
    /// When it ends, as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
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
struct RevokeArgs {
    /// The token's id, as the list shows it
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create(args) => create(&args),
        Command::List(args) => list(&args),
        Command::Revoke(args) => revoke(&args),
    }
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let mut body = json!({ "name": args.name, "role": args.role.name(), "service": args.service, "expires_at": args.expires });
    let organisation = args.place.organisation(&client)?;
    if organisation != "msp" {
        body["organisation"] = organisation.into();
    }
    let made = client.post("/v1/tokens", &body)?;
    output::complain(&format!(
        "{} ({}): {} of {}",
        text(&made["name"]),
        text(&made["id"]),
        text(&made["role"]),
        text(&made["organisation"])
    ));
    output::print(&text(&made["text"]));
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let tokens = Client::new(&args.server)?.list("/v1/tokens")?;
    if args.json {
        output::print_json(&tokens)?;
        return Ok(());
    }
    let rows = tokens.iter().map(|token| {
        let shown = format!("{}...", text(&token["shown"]));
        let end = if token["expires_at"].is_null() { "-".to_owned() } else { text(&token["expires_at"]) };
        let used = if token["used_at"].is_null() { "never".to_owned() } else { text(&token["used_at"]) };
        vec![text(&token["id"]), text(&token["name"]), shown, text(&token["role"]), text(&token["created_by"]), used, end]
    });
    output::print(&output::table(&["token", "name", "begins", "role", "made by", "last used", "ends"], rows));
    Ok(())
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    Client::new(&args.server)?.delete(&format!("/v1/tokens/{}", encode(&args.id)))?;
    output::print(&format!("{} opens nothing any more", args.id));
    Ok(())
}
