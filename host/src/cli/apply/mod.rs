//! `rerate apply` and `rerate export`: the whole organisation as one file.
//!
//! A client of the daemon like any other: it reads, compares, shows the plan and calls. Passwords, tokens, credentials and plugins'
//! components are not in the file.

mod carry_out;
mod current;
mod file;
mod plan;

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde_json::json;

use self::carry_out::Worker;
use self::file::{Held, key};
use self::plan::Step;
use super::client::{Client, ServerArgs};
use super::{Failure, output};

pub const APPLY: &str = "\
Examples:
  rerate apply -f msp.toml --dry-run     what would be done
  rerate apply -f msp.toml               shows it, asks, does it
  rerate apply -f msp.toml --yes         for scripts
  rerate apply -f msp.toml --prune       also ends what the file does not name

`rerate export` writes such a file. Applying a file twice changes nothing the second time.";

pub const EXPORT: &str = "\
Examples:
  rerate export > msp.toml
  rerate export --out msp.toml

What is secret (passwords, tokens, credentials of buckets) is not in it, nor are plugins' components.";

#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The organisation: tenants, subaccounts, integrations, rules, assignments, people and their roles, teams
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Also end what the daemon has and the file does not name
    #[arg(long)]
    prune: bool,
    /// Print the steps as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Where to write it [default: the standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let current = current::read(&Client::new(&args.server)?)?;
    let text = toml::to_string(&current.organisation).map_err(|error| Failure::run(error.to_string()))?;
    match &args.out {
        Some(path) => std::fs::write(path, text).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?,
        None => output::print(text.trim_end()),
    }
    Ok(())
}

pub fn apply(args: &ApplyArgs) -> Result<(), Failure> {
    let wanted = file::read(&args.file)?;
    let client = Client::new(&args.server)?;
    let current = current::read(&client)?;
    let accounts = &current.accounts;
    let holder = |held: &Held| accounts.get(&(key(&held.integration), held.account.clone())).and_then(|account| account.holder.clone());
    let steps = plan::plan(&current.organisation, &wanted, &holder, args.prune);
    if !args.json {
        show(&steps);
    }
    let go_on = !args.dry_run && !steps.is_empty() && (args.yes || asked(&steps)?);
    let mut worker = Worker { client: &client, current };
    for (number, step) in steps.iter().enumerate().filter(|_| go_on) {
        worker.carry_out(step).map_err(|failure| {
            let (sign, noun, name, _) = step.told();
            failure.during(&format!("{sign} {noun} {name} ({number} of {} steps are done)", steps.len()))
        })?;
    }
    if args.json {
        let told = steps.iter().map(|step| {
            let (sign, noun, name, detail) = step.told();
            json!({ "sign": sign, "noun": noun, "name": name, "detail": detail })
        });
        output::print_json(&json!({ "steps": told.collect::<Vec<_>>(), "applied": go_on }))?;
    } else if go_on {
        output::print("done");
    }
    Ok(())
}

fn show(steps: &[Step]) {
    if steps.is_empty() {
        return output::print("nothing to do: the daemon has what the file says");
    }
    let rows = steps.iter().map(|step| {
        let (sign, noun, name, detail) = step.told();
        vec![sign.to_string(), noun.to_owned(), name, detail]
    });
    output::print(&output::table(&["", "what", "name", ""], rows));
    let count = |wanted: char| steps.iter().filter(|step| step.told().0 == wanted).count();
    output::print(&format!("{} to make, {} to change, {} to end", count('+'), count('~'), count('-')));
}

/// Asks on a terminal; elsewhere nobody can answer.
fn asked(steps: &[Step]) -> Result<bool, Failure> {
    use std::io::IsTerminal;
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::input("nobody can be asked whether to go on").next("--yes to do it, --dry-run to only look"));
    }
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "Do these {} steps? [y/N] ", steps.len()).and_then(|()| terminal.flush())?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
