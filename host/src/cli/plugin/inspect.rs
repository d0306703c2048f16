//! `rerate plugin inspect`: what a component is.

use std::path::PathBuf;

use super::portrait;
use crate::cli::client::{Call, Client};
use crate::cli::preview::{self, DIGEST_LETTERS_MIN};
use crate::cli::{Failure, output};
use crate::store::TrustedKey;

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin inspect my-rule.wasm
  rerate plugin inspect my-rule.wasm --json | jq -r .digest
  rerate plugin inspect 4f2c9a         a version that a daemon has; a digest may be shortened

Whether a signature is by a trusted key is a daemon's to say: with a token (--token-file or RERATE_TOKEN) it is asked for a file, too.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's file, or the digest of a version that a daemon has
    #[arg(value_name = "FILE|DIGEST")]
    component: PathBuf,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.component.display().to_string();
    let is_digest = shown.len() >= DIGEST_LETTERS_MIN && shown.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (component, shown, keys) = if is_digest && !args.component.exists() {
        let client = args.call.client()?;
        let digest = digest_of(&client, &shown.to_lowercase())?;
        let component = client.get_bytes(&format!("/v1/plugins/versions/{digest}/component"))?;
        (component, format!("of {}", client.server()), Some(keys(&client)?))
    } else {
        let component = std::fs::read(&args.component).map_err(|error| {
            let failure = Failure::input(format!("{shown}: {error}"));
            match args.component.is_dir() {
                true => failure.next("rerate plugin build makes the component of a project's folder"),
                false => failure.next(format!("a component's file, or {DIGEST_LETTERS_MIN} letters of a digest or more")),
            }
        })?;
        (component, shown, keys_if_asked(&args.call))
    };
    let portrait = portrait::paint(&component, keys.as_deref())?.map_err(|refusal| Failure::input(format!("{shown}: {refusal}")))?;
    if args.call.json {
        output::print_json(&portrait)?;
        return Ok(());
    }
    portrait::show(&portrait, &shown);
    portrait::show_fields(&portrait.config);
    Ok(())
}

/// Letters of a whole digest.
const DIGEST_LETTERS: usize = 64;

/// The digest of the one version that begins so, active or not.
fn digest_of(client: &Client, begins: &str) -> Result<String, Failure> {
    if begins.len() == DIGEST_LETTERS {
        return Ok(begins.to_owned());
    }
    let mut found = preview::versions_that_begin(client, begins)?;
    match found.len() {
        1 => Ok(found.pop_first().unwrap_or_default().1),
        0 => Err(Failure::input(format!("no file and no version of a plugin of {} is {begins}", client.server()))),
        several => Err(Failure::input(format!("{several} versions begin with {begins}; write more of the digest"))),
    }
}

/// The keys that a daemon trusts, and those that it does not any more.
fn keys(client: &Client) -> Result<Vec<TrustedKey>, Failure> {
    Ok(serde_json::from_value(client.list("/v1/keys")?.into())?)
}

/// For a file, which can be looked at without a daemon: none where no token is given or no daemon answers.
fn keys_if_asked(call: &Call) -> Option<Vec<TrustedKey>> {
    let client = call.client().ok()?;
    keys(&client).inspect_err(|failure| output::complain(&format!("note: whom the daemon trusts is not known: {failure}"))).ok()
}
