//! `rerate session ...`: where people are signed in.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, encode, query};
use super::shown::{text, text_or};
use super::user::id_of;
use super::{Failure, output};

pub const EXAMPLES: &str = "\
Examples:
  rerate session list                                where one is signed in
  rerate session list --user ann@msp.example         where somebody else is, for an Owner
  rerate session end ses_01m8
  rerate session end --user ann@msp.example          everywhere

Tokens are not sessions: rerate token list.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the browsers in which somebody is signed in
    List(ListArgs),
    /// Sign a browser out, or somebody everywhere; at once
    End(EndArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Somebody else, by their address [default: oneself]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct EndArgs {
    /// The session's id, as the list shows it
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    id: Option<String>,
    /// All sessions of this person, by their address
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::List(args) => list(args),
        Command::End(args) => end(args),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let user = args.user.as_deref().map(|email| id_of(&client, email)).transpose()?;
    let sessions = client.list(&query("/v1/sessions", [("user_id", user)]))?;
    args.call.answer(&sessions, || {
        let row = |session: &Value| {
            let (from, by) = (text_or(&session["address"], "-"), text_or(&session["issuer"], "password"));
            let times = ["created_at", "seen_at"].map(|field| text(&session[field]));
            let first = [text(&session["id"]), text(&session["organisation"]), from, by];
            first.into_iter().chain(times).collect()
        };
        output::table(&["session", "of", "from", "by", "since", "last used"], sessions.iter().map(row))
    })
}

fn end(args: &EndArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    match (&args.id, &args.user) {
        (_, Some(email)) => {
            client.delete(&query("/v1/sessions", [("user_id", Some(id_of(&client, email)?))]))?;
            args.call.answer(&json!({ "ended": email }), || format!("{email} is signed out everywhere"))
        }
        (id, None) => {
            let id = id.as_deref().unwrap_or_default();
            client.delete(&format!("/v1/sessions/{}", encode(id)))?;
            args.call.answer(&json!({ "ended": id }), || format!("{id} is signed out"))
        }
    }
}
