//! `rerate whoami`: to whom a token belongs, and as what it calls.

use super::Failure;
use super::client::Call;
use super::shown::{text, text_or};

pub const EXAMPLES: &str = "\
Examples:
  rerate whoami --token-file data/admin.token
  rerate whoami --acting-in Acme                as Manager User in a tenant";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    call: Call,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let client = args.call.client()?;
    let who = client.get("/v1/whoami")?;
    args.call.answer(&who, || {
        let acting = who["acting_in"].as_str().map(|tenant| format!(", acting in {tenant} as Manager User")).unwrap_or_default();
        let tenants = match who["tenants"].as_array() {
            None => "every tenant".to_owned(),
            Some(seen) if seen.len() == 1 => "1 tenant".to_owned(),
            Some(seen) => format!("{} tenants", seen.len()),
        };
        let token = text_or(&who["token_id"], "no token");
        format!(
            "{} is {} of {}{acting}; sees {tenants}; {token} at {}",
            text(&who["name"]),
            text(&who["role"]),
            text(&who["organisation"]),
            client.server()
        )
    })
}
