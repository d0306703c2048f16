//! `rerate plugin list`, `check`, `activate`, `rollback`, `disable`, `enable`, `remove` and `schema`: which version of a plugin runs.

use serde_json::{Value, json};

use crate::cli::client::{Call, Client, encode};
use crate::cli::{Failure, output};

pub(super) const LIST: &str = "\
Examples:
  rerate plugin list               every plugin and the version that runs
  rerate plugin list markup        every version of one";

pub(super) const CHECK: &str = "\
Example:
  rerate plugin check markup 4f2c9a     which rules' configurations this version would refuse

A digest may be shortened as long as only one version of the plugin begins so.";

pub(super) const ACTIVATE: &str = "\
Example:
  rerate plugin activate markup 4f2c9a     the rules that follow markup run on this version from now on

A digest may be shortened as long as only one version of the plugin begins so. Runs under way end on the version before.";

pub(super) const ROLLBACK: &str = "\
Example:
  rerate plugin rollback markup     the version that was active before the present one is active again";

pub(super) const REMOVE: &str = "\
Example:
  rerate plugin remove markup 4f2c9a     for good; the active version and those that rules are pinned to stay

A digest may be shortened as long as only one version of the plugin begins so.";

pub(super) const SCHEMA: &str = "\
Example:
  rerate plugin schema markup | jq .properties";

pub(super) const DISABLE: &str = "\
Examples:
  rerate plugin disable markup     runs with a rule on it fail from now on; what is published stays
  rerate plugin enable markup";

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The versions of one plugin
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
pub(super) struct NameArgs {
    /// The plugin
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
pub(super) struct VersionArgs {
    /// The plugin
    #[arg(value_name = "NAME")]
    name: String,
    /// A version of it, by the beginning of its SHA-256
    #[arg(value_name = "DIGEST")]
    digest: String,
    #[command(flatten)]
    call: Call,
}

/// Digits of a digest that people are shown: enough to tell all versions that an MSP will ever have apart.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let Some(name) = &args.name else { return list_all(&client, args.call.json) };
    let versions = versions(&client, name)?;
    if args.call.json {
        output::print_json(&versions)?;
        return Ok(());
    }
    // A plugin of which no version was active yet is no plugin to the daemon.
    let active = client.get(&plugin(name)).map(|plugin| plugin["active_digest"].clone()).unwrap_or_default();
    let rows = versions.iter().map(|version| {
        let is_active = if version["digest"] == active { "active" } else { "" };
        vec![text(version, "digest"), text(version, "version"), text(version, "origin"), text(version, "created_at"), is_active.to_owned()]
    });
    output::print(&output::table(&["digest", "version", "origin", "since", ""], rows));
    Ok(())
}

fn list_all(client: &Client, json: bool) -> Result<(), Failure> {
    let names = client.list("/v1/plugins")?;
    let plugins = names.iter().map(|item| client.get(&plugin(&text(item, "name")))).collect::<Result<Vec<_>, _>>()?;
    if json {
        output::print_json(&plugins)?;
        return Ok(());
    }
    let rows = plugins.iter().map(|plugin| {
        let active = &plugin["active"];
        let state = if plugin["disabled"] == true { "disabled" } else { "" };
        let digest = text(plugin, "active_digest");
        vec![
            text(plugin, "name"),
            text(active, "version"),
            short(&digest).to_owned(),
            text(active, "origin"),
            text(plugin, "updated_at"),
            state.to_owned(),
        ]
    });
    output::print(&output::table(&["plugin", "version", "digest", "origin", "since", ""], rows));
    Ok(())
}

pub(super) fn check(args: &VersionArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let digest = resolve(&client, &args.name, &args.digest)?;
    let check = client.get(&format!("{}/versions/{digest}/check", plugin(&args.name)))?;
    if args.call.json {
        output::print_json(&check)?;
    }
    let refused = check["refused"].as_array().map_or(&[][..], Vec::as_slice);
    let rules = check["rules"].as_u64().unwrap_or_default();
    if refused.is_empty() {
        if !args.call.json {
            output::print(&format!("{} takes the configuration of every rule that would run on it ({rules})", short(&digest)));
        }
        return Ok(());
    }
    if !args.call.json {
        let rows =
            refused.iter().map(|rule| vec![text(rule, "title"), text(rule, "pointer"), text(rule, "message"), text(rule, "rule_id")]);
        output::print(&output::table(&["rule", "at", "what", "id"], rows));
    }
    Err(Failure::run(format!("{} refuses the configuration of rules that would run on it", short(&digest)))
        .next("change those rules, or pin them to the version that they have, before this one is activated"))
}

pub(super) fn activate(args: &VersionArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let digest = resolve(&client, &args.name, &args.digest)?;
    let activated = client.post(&format!("{}/activate", plugin(&args.name)), &json!({ "digest": digest }))?;
    tell(&args.call, &activated, "is active")
}

pub(super) fn rollback(args: &NameArgs) -> Result<(), Failure> {
    let activated = act(args, "rollback")?;
    tell(&args.call, &activated, "is active again")
}

pub(super) fn disable(args: &NameArgs) -> Result<(), Failure> {
    let plugin = act(args, "disable")?;
    tell(&args.call, &plugin, "is disabled: runs with a rule on it fail")
}

pub(super) fn enable(args: &NameArgs) -> Result<(), Failure> {
    let plugin = act(args, "enable")?;
    tell(&args.call, &plugin, "is enabled")
}

pub(super) fn remove(args: &VersionArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let digest = resolve(&client, &args.name, &args.digest)?;
    client.delete(&format!("{}/versions/{digest}", plugin(&args.name)))?;
    args.call.answer(&json!({ "removed": digest }), || format!("{} {} is deleted", args.name, short(&digest)))
}

/// JSON for people as well: there is no other way of writing it.
pub(super) fn schema(args: &NameArgs) -> Result<(), Failure> {
    Ok(output::print_json(&args.call.client()?.get(&format!("{}/schema", plugin(&args.name)))?)?)
}

fn act(args: &NameArgs, what: &str) -> Result<Value, Failure> {
    args.call.client()?.post(&format!("{}/{what}", plugin(&args.name)), &json!({}))
}

fn tell(call: &Call, plugin: &Value, what: &str) -> Result<(), Failure> {
    call.answer(plugin, || format!("{} {} {what}", text(plugin, "name"), text(plugin, "active_digest")))
}

fn plugin(name: &str) -> String {
    format!("/v1/plugins/{}", encode(name))
}

fn versions(client: &Client, name: &str) -> Result<Vec<Value>, Failure> {
    client.list(&format!("{}/versions", plugin(name)))
}

/// The whole digest of a version that a person named by its beginning.
fn resolve(client: &Client, name: &str, beginning: &str) -> Result<String, Failure> {
    let versions = versions(client, name)?;
    let digests: Vec<&str> = versions.iter().filter_map(|version| version["digest"].as_str()).collect();
    let matching: Vec<&str> = digests.iter().copied().filter(|digest| digest.starts_with(&beginning.to_lowercase())).collect();
    match matching.as_slice() {
        [digest] => Ok((*digest).to_owned()),
        [] => Err(Failure::input(format!("{name} has no version {beginning}")).next(format!("rerate plugin list {name}"))),
        several => {
            let several = several.iter().map(|digest| short(digest)).collect::<Vec<_>>().join(", ");
            Err(Failure::input(format!("more than one version of {name} begins with {beginning}: {several}")).next("more of its digits"))
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
