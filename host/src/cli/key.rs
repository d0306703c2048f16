//! `rerate key ...`: keys that sign components, and which of them a daemon trusts.

use std::io::Write;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Call, encode};
use super::shown::text;
use super::{Failure, output};
use crate::clock::Clock;
use crate::plugins::signature::{self, PrivateKey};

pub const EXAMPLES: &str = "\
Examples:
  rerate key new --out release.key
  rerate key trust ed25519:d75a98...511a --name \"Release team\"
  rerate key list
  rerate key revoke 6e673713dbd7c294913782e75d208787     what is active stays active
  rerate key policy require";

const NEW: &str = "\
Example:
  rerate key new --out release.key

The file is the private key: whoever has it signs in your name. The public key is printed; a daemon trusts it by `rerate key trust`.";

const TRUST: &str = "\
Examples:
  rerate key trust ed25519:d75a98...511a --name \"Release team\"
  rerate key trust release.pub --name \"Release team\"            a file that holds the public key";

const POLICY: &str = "\
Examples:
  rerate key policy               what the policy is
  rerate key policy require       refuse components that no trusted key has signed

off: signatures are shown, nothing more; warn: a deployment without one has a warning; require: it is refused. The built-in rules are part
of the program and need none. What is active stays active.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key that signs
    #[command(after_help = NEW)]
    New(NewArgs),
    /// Have a daemon trust a public key
    #[command(after_help = TRUST)]
    Trust(TrustArgs),
    /// List the keys that a daemon trusts or trusted
    List(ListArgs),
    /// End a daemon's trust in a key
    Revoke(RevokeArgs),
    /// Show or choose what a daemon does with a component that no trusted key has signed
    #[command(after_help = POLICY)]
    Policy(PolicyArgs),
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Where to write the private key; a file that is there is left alone
    #[arg(long, value_name = "FILE", default_value = "rerate-signing.key")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct TrustArgs {
    /// The public key, or a file with it
    #[arg(value_name = "PUBLIC-KEY")]
    key: String,
    /// Whose it is
    #[arg(long)]
    name: String,
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
    /// The key's id, as signatures and `rerate key list` show it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct PolicyArgs {
    /// The policy from now on [default: show it]
    policy: Option<Policy>,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    Off,
    Warn,
    Require,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::New(args) => new(&args),
        Command::Trust(args) => trust(&args),
        Command::List(args) => list(&args),
        Command::Revoke(args) => revoke(&args),
        Command::Policy(args) => policy(&args),
    }
}

fn new(args: &NewArgs) -> Result<(), Failure> {
    let (key, text) = PrivateKey::new(&Clock::system())?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // nobody else may read it at any moment
    let refused = |error: std::io::Error| {
        let failure = Failure::input(format!("{}: {error}", args.out.display()));
        if error.kind() == std::io::ErrorKind::AlreadyExists { failure.next("--out with a name that is free") } else { failure }
    };
    let mut file = options.open(&args.out).map_err(refused)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(refused)?;
    output::print(&format!("private key  {}", args.out.display()));
    output::print(&format!("key id       {}", key.id()));
    output::print(&format!("public key   {}", key.public()));
    Ok(())
}

fn trust(args: &TrustArgs) -> Result<(), Failure> {
    let given = if args.key.starts_with("ed25519:") {
        args.key.clone()
    } else {
        std::fs::read_to_string(&args.key)
            .map_err(|error| Failure::input(format!("{}: neither a public key nor a file with one: {error}", args.key)))?
    };
    // A private key in the wrong place must not leave this machine.
    let (_, public) = signature::public_key(&given).map_err(Failure::input)?;
    let key = args.call.client()?.post("/v1/keys", &json!({ "name": args.name, "public_key": public }))?;
    args.call.answer(&key, || format!("{} of {} is trusted", text(&key["id"]), text(&key["name"])))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let keys = args.call.client()?.list("/v1/keys")?;
    args.call.answer(&keys, || {
        let row = |key: &Value| {
            let state = key["revoked_at"].as_str().map_or_else(|| "trusted".to_owned(), |at| format!("revoked {at}"));
            vec![text(&key["id"]), text(&key["name"]), text(&key["created_at"]), state]
        };
        output::table(&["key", "name", "since", "state"], keys.iter().map(row))
    })
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let key = args.call.client()?.delete(&format!("/v1/keys/{}", encode(&args.id)))?;
    args.call.answer(&key, || format!("{} of {} is revoked", text(&key["id"]), text(&key["name"])))
}

fn policy(args: &PolicyArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let answer = match args.policy {
        None => client.get("/v1/signing-policy")?,
        Some(policy) => {
            let name = match policy {
                Policy::Off => "off",
                Policy::Warn => "warn",
                Policy::Require => "require",
            };
            client.put("/v1/signing-policy", &json!({ "policy": name }))?
        }
    };
    args.call.answer(&answer, || text(&answer["policy"]))
}
