//! `rerate plugin inspect`: what a component is.

use std::path::PathBuf;

use serde_json::Value;

use super::portrait;
use crate::cli::client::{Client, ServerArgs, encode};
use crate::cli::{Failure, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin inspect my-rule.wasm
  rerate plugin inspect my-rule.wasm --json | jq -r .digest
  rerate plugin inspect 4f2c9a         a version that a daemon has; a digest may be shortened";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's file, or the digest of a version that a daemon has
    #[arg(value_name = "FILE|DIGEST")]
    component: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A shorter text is rather a name of a file.
const DIGEST_LETTERS_MIN: usize = 6;

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.component.display().to_string();
    let is_digest = shown.len() >= DIGEST_LETTERS_MIN && shown.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest && !args.component.exists() {
        return deployed(&shown.to_lowercase(), args);
    }
    let component = std::fs::read(&args.component).map_err(|error| Failure::input(format!("{shown}: {error}")))?;
    let portrait = portrait::paint(&component)?.map_err(|refusal| Failure::input(format!("{shown}: {refusal}")))?;
    if args.json {
        output::print_json(&portrait)?;
        return Ok(());
    }
    portrait::show(&portrait, &shown);
    portrait::show_fields(&portrait.config);
    Ok(())
}

/// What a daemon knows of a version; the component itself stays there.
fn deployed(digest: &str, args: &Args) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let mut found = Vec::new();
    for plugin in client.list("/v1/plugins")? {
        let name = plugin["name"].as_str().unwrap_or_default();
        let versions = client.get(&format!("/v1/plugins/{}/versions", encode(name)))?;
        let versions = versions.as_array().cloned().unwrap_or_default();
        found.extend(versions.into_iter().filter(|version| version["digest"].as_str().is_some_and(|text| text.starts_with(digest))));
    }
    let version = match found.as_slice() {
        [version] => version,
        [] => return Err(Failure::input(format!("no file and no version of a plugin of {} is {digest}", client.server()))),
        several => return Err(Failure::input(format!("{} versions begin with {digest}; write more of the digest", several.len()))),
    };
    if args.json {
        output::print_json(version)?;
        return Ok(());
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    output::print(&format!("{} {}: {}", text(&version["name"]), text(&version["version"]), text(&version["summary"])));
    for field in ["digest", "size", "capabilities", "origin", "created_at"] {
        output::print(&format!("  {field:12}  {}", text(&version[field])));
    }
    portrait::show_fields(&crate::plugins::portrait::fields(version["config_schema"].as_str().unwrap_or_default()));
    Ok(())
}
