//! `rerate plugin push`: a component, or the project of one, into a running daemon, step by step.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::deployments::step_line;
use crate::cli::client::{Call, Client, encode, refused};
use crate::cli::{Failure, kept, output};
use crate::plugins::build::{BuildError, build_component};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin push my-rule                      build the project, upload it, leave the active version as it is
  rerate plugin push my-rule.wasm --activate      make it the active version as well
  rerate plugin push my-rule.wasm --dry-run       go through every step and keep nothing

The steps: uploaded, validated, compiled, tested (by the golden cases that it carries), ready, active.";

/// Between two looks at a deployment under way: a person sees steps come, and the daemon hardly notices.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How the daemon takes components.
const WASM: &str = "application/wasm";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A component, or the folder of a project, which is built first
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Go through every step but the last, and keep nothing
    #[arg(long, conflicts_with = "activate")]
    dry_run: bool,
    /// Make it the active version: the rules that follow the plugin run on it from then on
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let client = args.call.client()?;
    let component = component(&args.path)?;
    let shown = !args.call.json;
    let deployment = if args.dry_run { try_out(&client, component, shown)? } else { deploy(&client, component, args.activate, shown)? };
    if args.call.json {
        output::print_json(&deployment)?;
    }
    conclude(args, &deployment)
}

/// The component's bytes, built if it is a project.
fn component(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())));
    if !path.is_dir() {
        return read(path);
    }
    let folder = tempfile::tempdir()?;
    let built = folder.path().join("component.wasm");
    output::complain(&format!("building {}", path.display()));
    build_component(path, &built, kept::cache().as_ref()).map_err(|error| match error {
        BuildError::NotACrate(_) | BuildError::NoProject(_) | BuildError::File { .. } => Failure::input(error),
        error => Failure::run(error),
    })?;
    read(&built)
}

/// All steps at once: nothing is kept that could be watched.
fn try_out(client: &Client, component: Vec<u8>, shown: bool) -> Result<Value, Failure> {
    let answer = client.call(&reqwest::Method::POST, "/v1/plugins?dry_run=true", Some((WASM.to_owned(), component.into())))?;
    let deployment = answer.body["deployment"].clone();
    if !deployment.is_object() {
        return Err(refused(answer.status, &answer.body));
    }
    if shown {
        steps(&deployment).iter().for_each(|step| output::print(&step_line(step)));
    }
    Ok(deployment)
}

/// Starts the deployment and shows each step when it ends.
fn deploy(client: &Client, component: Vec<u8>, activate: bool, shown: bool) -> Result<Value, Failure> {
    let mut deployment = client.post_bytes(&format!("/v1/plugins?activate={activate}&wait=false"), WASM, component)?;
    let address = format!("/v1/deployments/{}", encode(deployment["id"].as_str().unwrap_or_default()));
    let mut told = 0;
    loop {
        if shown {
            steps(&deployment).iter().skip(told).for_each(|step| output::print(&step_line(step)));
            told = steps(&deployment).len();
        }
        if !deployment["finished_at"].is_null() {
            return Ok(deployment);
        }
        std::thread::sleep(LOOK_EVERY);
        deployment = client.get(&address)?;
    }
}

fn steps(deployment: &Value) -> &[Value] {
    deployment["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// What it came to, and what the person can do next.
fn conclude(args: &Args, deployment: &Value) -> Result<(), Failure> {
    let text = |field: &str| deployment[field].as_str().unwrap_or_default();
    let (name, digest) = (text("name"), text("digest"));
    match text("state") {
        "refused" => {
            let reason =
                steps(deployment).iter().find(|step| step["outcome"] == "refused").map_or("", |s| s["reason"].as_str().unwrap_or(""));
            Err(Failure::run(format!("refused: {reason}")).next("mend it and push again; the active version is what it was"))
        }
        "interrupted" => Err(Failure::run("the daemon stopped before the end").next("push it again")),
        _ if args.call.json => Ok(()),
        "unchanged" => {
            output::print(&format!("{name} {digest}: nothing to do"));
            Ok(())
        }
        "active" => {
            output::print(&format!("{name} {digest} is active"));
            Ok(())
        }
        _ if args.dry_run => {
            output::print(&format!("{name} {digest} would be accepted; nothing was kept"));
            Ok(())
        }
        _ => {
            output::print(&format!("{name} {digest} is ready"));
            output::complain(&format!("next: rerate plugin {} {name} {}", next_verb(deployment), super::versions::short(digest)));
            Ok(())
        }
    }
}

/// A warning at `ready` lists the rules that would stop working: activation would be refused.
fn next_verb(deployment: &Value) -> &'static str {
    let warned = steps(deployment).iter().any(|step| step["step"] == "ready" && step["outcome"] == "warned");
    if warned { "check" } else { "activate" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_that_cannot_be_activated_yet_is_looked_at_next() {
        let ended = |validated: &str, ready: &str| {
            let step = |step: &str, outcome: &str| json!({ "step": step, "outcome": outcome });
            json!({ "state": "ready", "steps": [step("validated", validated), step("ready", ready)] })
        };
        assert_eq!(next_verb(&ended("done", "done")), "activate");
        assert_eq!(next_verb(&ended("warned", "done")), "activate", "an unsigned one, where the policy only warns");
        assert_eq!(next_verb(&ended("done", "warned")), "check");
    }
}
