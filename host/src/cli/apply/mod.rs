//! `rerate apply` and `rerate export`: the whole organisation as one file.
//!
//! A client of the daemon like any other: it reads, compares, shows the plan and calls. What is secret (passwords, tokens, credentials of
//! buckets, secrets of sign-in clients) and plugins' components are not in the file.

mod carry_out;
mod current;
mod file;
mod plan;
mod references;
mod text;

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde_json::json;

use self::carry_out::Worker;
use self::plan::Step;
use self::text::Format;
use super::client::{Client, ServerArgs};
use super::{Failure, output};

pub const APPLY: &str = "\
Examples:
  rerate apply -f msp.toml --dry-run     what would be done
  rerate apply -f msp.toml               shows it, asks, does it
  rerate apply -f msp.toml --yes         for scripts
  rerate apply -f msp.yaml --prune       also ends what the file does not name

`rerate export` writes such a file, TOML or YAML by its ending. Applying a file twice changes nothing the second time. The secret of a
sign-in client is taken from the environment's variable that client_secret_env names, when there is none yet or the client is another one.";

pub const EXPORT: &str = "\
Examples:
  rerate export > msp.toml
  rerate export --out msp.yaml
  rerate export --format yaml | diff msp.yaml -

What is secret (passwords, tokens, credentials of buckets, secrets of sign-in clients) is not in it, nor are plugins' components.";

#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The organisation as TOML or YAML, by the file's ending
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
    /// How to write it [default: by the file's ending, else toml]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    server: ServerArgs,
}

pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let current = current::read(&Client::new(&args.server)?)?;
    let by_name = || args.out.as_deref().and_then(Format::of);
    let text = text::write(&current.organisation, args.format.or_else(by_name).unwrap_or(Format::Toml))?;
    match &args.out {
        Some(path) => std::fs::write(path, text).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?,
        None => output::print(text.trim_end()),
    }
    Ok(())
}

pub fn apply(args: &ApplyArgs) -> Result<(), Failure> {
    let wanted = text::read(&args.file)?;
    if let Some(what) = args.prune.then(|| references::dangling(&wanted)).flatten() {
        let failure = Failure::input(format!("{}: {what}: --prune would end it", args.file.display()));
        return Err(failure.next("write it into the file (rerate export shows how), or leave --prune out"));
    }
    let client = Client::new(&args.server)?;
    let current = current::read(&client)?;
    let steps = plan::plan(&current.organisation, &wanted, &current, args.prune);
    if !args.json {
        show(&steps);
    }
    let go_on = !args.dry_run && !steps.is_empty() && (args.yes || asked(&steps)?);
    if go_on {
        // Before anything is done, not in the middle of it.
        steps.iter().filter_map(Step::secret_env).try_for_each(|name| carry_out::secret(name).map(drop))?;
    }
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
