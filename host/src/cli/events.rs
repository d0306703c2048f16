//! `rerate events`: what happens at a daemon, as it happens.

use clap::ValueEnum;
use serde_json::Value;

use super::client::Call;
use super::shown::text;
use super::{Failure, output};

pub const EXAMPLES: &str = "\
Examples:
  rerate events                                    until it is interrupted, or the daemon stops
  rerate events --kind run --kind withdrawn
  rerate events --kind snapshot --count 1          waits for the next bill to be imported
  rerate events --json | jq -c 'select(.state == \"failed\")'

An event is a hint, not a record: whoever falls behind is told so and reads again what they show.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only events of this kind; again for more of them
    #[arg(long = "kind", value_name = "KIND", value_enum)]
    kinds: Vec<Kind>,
    /// End after that many
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Run,
    Rating,
    Withdrawn,
    Integration,
    Import,
    Snapshot,
    PluginActivated,
    PluginDisabled,
    PluginRefused,
}

impl Kind {
    /// As events say it.
    fn is(self, kind: &str) -> bool {
        self.to_possible_value().is_some_and(|value| value.get_name() == kind)
    }
}

/// The kind of what says that events were missed, which every listener is told.
const MISSED: &str = "missed";

pub fn run(args: &Args) -> Result<(), Failure> {
    let client = args.call.client()?;
    let mut left = args.count;
    let mut named = String::new();
    client.follow("/v1/events", |line| {
        if let Some(name) = line.strip_prefix("event:") {
            name.trim().clone_into(&mut named);
            return Ok(left == Some(0));
        }
        let Some(data) = line.strip_prefix("data:") else { return Ok(left == Some(0)) };
        if named == MISSED {
            output::complain(&format!("events were missed: {}", data.trim()));
            return Ok(false);
        }
        if !args.kinds.is_empty() && !args.kinds.iter().any(|kind| kind.is(&named)) {
            return Ok(false);
        }
        let event: Value = serde_json::from_str(data)?;
        output::print(&if args.call.json { event.to_string() } else { told(&event) });
        left = left.map(|left| left.saturating_sub(1));
        Ok(left == Some(0))
    })
}

/// `run  id run_01m8  tenant tnt_01m8  period 2026-09  state done`
fn told(event: &Value) -> String {
    let fields = event.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
    let fields = fields.map(|(name, value)| format!("  {name} {}", text(value))).collect::<String>();
    format!("{}{fields}", text(&event["kind"]))
}
