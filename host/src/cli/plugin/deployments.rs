//! `rerate plugin deployments`: what became of the components that came in.

use serde_json::Value;

use super::versions::short;
use crate::cli::client::{Call, encode};
use crate::cli::{Failure, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin deployments                          the latest, whoever brought them
  rerate plugin deployments --state refused          what was refused, and why
  rerate plugin deployments dep_01k9x3v0z8e4m6q2     one, step by step";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One deployment, with its steps
    #[arg(value_name = "DEPLOYMENT")]
    id: Option<String>,
    /// Of one plugin
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    plugin: Option<String>,
    /// That are so far, or ended so
    #[arg(long, conflicts_with = "id", value_parser = ["uploaded", "validated", "compiled", "tested", "ready", "active", "unchanged",
        "refused", "interrupted"])]
    state: Option<String>,
    /// How many, the latest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let client = args.call.client()?;
    if let Some(id) = &args.id {
        let deployment = client.get(&format!("/v1/deployments/{}", encode(id)))?;
        if args.call.json {
            output::print_json(&deployment)?;
            return Ok(());
        }
        output::print(&row(&deployment).join("  "));
        deployment["steps"].as_array().into_iter().flatten().for_each(|step| output::print(&step_line(step)));
        return Ok(());
    }
    let mut address = format!("/v1/deployments?limit={}", args.limit);
    for (name, value) in [("plugin", &args.plugin), ("state", &args.state)] {
        if let Some(value) = value {
            address.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    let page = client.get(&address)?;
    if args.call.json {
        output::print_json(&page["items"])?;
        return Ok(());
    }
    let rows = page["items"].as_array().into_iter().flatten().map(|deployment| {
        let mut row = row(deployment);
        let steps = deployment["steps"].as_array();
        let last = steps.and_then(|steps| steps.last()).filter(|step| step["outcome"] != "done");
        row.push(last.map_or("", |step| step["reason"].as_str().unwrap_or_default()).to_owned());
        row
    });
    output::print(&output::table(&["deployment", "at", "plugin", "digest", "from", "by", "state", "reason"], rows));
    Ok(())
}

fn row(deployment: &Value) -> Vec<String> {
    let text = |field: &str| deployment[field].as_str().unwrap_or("-").to_owned();
    vec![text("id"), text("created_at"), text("name"), short(&text("digest")).to_owned(), text("from"), text("actor"), text("state")]
}

/// A step on one line: `compiled   done      143 ms  ...`.
pub(super) fn step_line(step: &Value) -> String {
    let text = |field: &str| step[field].as_str().unwrap_or_default();
    let millis = output::count(step["millis"].as_u64().unwrap_or_default());
    format!("{:<10} {:<11} {millis:>7} ms  {}", text("step"), text("outcome"), text("reason"))
}
