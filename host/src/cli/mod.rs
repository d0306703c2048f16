//! The command line: one file a command, the same functions as the daemon behind each.
//!
//! Answers go to stdout, everything else to stderr. Exit codes: 0 done, 1 the run failed, 2 bad usage or bad input.

pub mod apply;
pub mod audit;
pub mod backup;
pub mod bill;
pub mod client;
pub mod cost_center;
pub mod demo;
mod difference;
pub mod domain;
pub mod events;
pub mod integration;
mod kept;
pub mod key;
mod lake;
mod logging;
pub mod output;
pub mod plugin;
pub mod preview;
pub mod quota;
pub mod rate;
pub mod report;
pub mod roles;
pub mod rule;
pub mod run;
pub mod secrets;
pub mod serve;
pub mod session;
pub mod shadow;
mod shown;
pub mod sign_in;
pub mod snapshot;
pub mod subaccount;
pub mod team;
pub mod tenant;
pub mod token;
pub mod user;
pub mod virtuals;
pub mod whoami;

use std::fmt;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::sandbox;

const EXAMPLES: &str = "\
Examples:
  rerate demo                                         a sample reseller, rated and served
  rerate rate bills --chain chain.toml --out rated    rate bills without a daemon
  rerate serve --data /var/lib/rerate                 the daemon
  rerate bill generate --rows 100000 --out bills      a bill to try things on

Log messages: RUST_LOG=info (or debug, or rerate=trace).";

#[derive(Debug, Parser)]
#[command(name = "rerate", version, about = "Turns the cloud bills a reseller receives into the bills it sends", after_help = EXAMPLES)]
#[command(arg_required_else_help = true, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a sample reseller with bills, tenants and rules, rate it, and serve it
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Args),
    /// Write everything that a daemon keeps to one file, while it runs
    #[command(after_help = backup::BACKUP_EXAMPLES)]
    Backup(backup::BackupArgs),
    /// Make a data folder of a backup
    #[command(after_help = backup::RESTORE_EXAMPLES)]
    Restore(backup::RestoreArgs),
    /// See who changed what, and verify that the log of it is intact
    #[command(arg_required_else_help = true, after_help = audit::EXAMPLES)]
    Audit(audit::Args),
    /// Work with a tenant's cost centers: named groups of its subaccounts
    #[command(arg_required_else_help = true, after_help = cost_center::EXAMPLES)]
    CostCenter(cost_center::Args),
    /// Work with teams: which tenants people of the MSP see
    #[command(arg_required_else_help = true, after_help = team::EXAMPLES)]
    Team(team::Args),
    /// Work with tokens: programs that may call a daemon
    #[command(arg_required_else_help = true, after_help = token::EXAMPLES)]
    Token(token::Args),
    /// See where people are signed in, and sign them out
    #[command(arg_required_else_help = true, after_help = session::EXAMPLES)]
    Session(session::Args),
    /// Work with people: invite them, and set what they are where
    #[command(arg_required_else_help = true, after_help = user::EXAMPLES)]
    User(user::Args),
    /// Show or set how an organisation's people sign in: an OpenID Connect provider
    #[command(arg_required_else_help = true, after_help = sign_in::EXAMPLES)]
    SignIn(sign_in::Args),
    /// Show who calls, and as what
    #[command(after_help = whoami::EXAMPLES)]
    Whoami(whoami::Args),
    /// Work with bills: generate one
    #[command(arg_required_else_help = true, after_help = bill::EXAMPLES)]
    Bill(bill::Args),
    /// Work with the keys that sign components, and with a daemon's trust in them
    #[command(arg_required_else_help = true, after_help = key::EXAMPLES)]
    Key(key::Args),
    /// Work with plugins: start, build and try one; bring it into a daemon, activate and roll back
    #[command(arg_required_else_help = true, after_help = plugin::EXAMPLES)]
    Plugin(plugin::Args),
    /// See what a change would do to published months before it is made; list and delete previews
    #[command(after_help = preview::EXAMPLES)]
    Preview(preview::Args),
    /// Run the daemon
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::Args),
    /// Rate bills by a chain of rules, without a daemon
    Rate(rate::Args),
    /// Show who may do what: the roles, and every route with what it needs
    #[command(after_help = roles::EXAMPLES)]
    Roles(roles::Args),
    /// Work with rules: configure, assign, order; what a change rates again, and which overlap
    #[command(arg_required_else_help = true, after_help = rule::EXAMPLES)]
    Rule(rule::Args),
    /// Bring a daemon's organisation to what a file says, after showing what that takes
    #[command(after_help = apply::APPLY)]
    Apply(apply::ApplyArgs),
    /// Write a daemon's organisation as such a file
    #[command(after_help = apply::EXPORT)]
    Export(apply::ExportArgs),
    /// Show what was billed, what is charged for it, and what is left
    #[command(arg_required_else_help = true, after_help = report::EXAMPLES)]
    Report(report::Args),
    /// Follow what happens at a daemon, as it happens
    #[command(after_help = events::EXAMPLES)]
    Events(events::Args),
    /// Work with what a daemon has rated: list, show, compute again and compare
    #[command(arg_required_else_help = true, after_help = run::EXAMPLES)]
    Run(run::Args),
    /// Let a candidate version of a plugin run beside the active one
    #[command(arg_required_else_help = true, after_help = shadow::EXAMPLES)]
    Shadow(shadow::Args),
    /// Work with a daemon's tenants: list, make, suspend, unlink, delete, import a list
    #[command(arg_required_else_help = true, after_help = tenant::EXAMPLES)]
    Tenant(tenant::Args),
    /// Show or set what one tenant's rules may use
    #[command(arg_required_else_help = true, after_help = quota::EXAMPLES)]
    Quota(quota::Args),
    /// Show or set the MSP's mail domains, on which its tenants' contacts are
    #[command(arg_required_else_help = true, after_help = domain::EXAMPLES)]
    Domain(domain::Args),
    /// Work with where a daemon's bills come from
    #[command(arg_required_else_help = true, after_help = integration::EXAMPLES)]
    Integration(integration::Args),
    /// Work with virtual integrations: views of some subaccounts, or of the charges that meet conditions
    #[command(arg_required_else_help = true, after_help = virtuals::EXAMPLES)]
    Virtual(virtuals::Args),
    /// See what was imported
    #[command(arg_required_else_help = true, after_help = snapshot::EXAMPLES)]
    Snapshot(snapshot::Args),
    /// Give a daemon a new key for the credentials that it keeps
    #[command(arg_required_else_help = true, after_help = secrets::EXAMPLES)]
    Secrets(secrets::Args),
    /// Work with the subaccounts that bills name: list, review, assign, release, history
    #[command(arg_required_else_help = true, after_help = subaccount::EXAMPLES)]
    Subaccount(subaccount::Args),
}

/// Why a command did not do its work: one line, and what to do next.
#[derive(Debug)]
pub struct Failure {
    message: String,
    next: Option<String>,
    code: u8,
}

impl Failure {
    /// The run failed: exit code 1.
    pub fn run(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), next: None, code: 1 }
    }

    /// What the caller gave is wrong, an argument or a file: exit code 2.
    pub fn input(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), next: None, code: 2 }
    }

    /// What went wrong, without what can be done about it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Says what it happened in.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error that a command did not classify is a failed run; its causes follow in the same line.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::run(format!("{:#}", error.into()))
    }
}

/// Reads the arguments, does the command, reports.
pub fn main() -> ExitCode {
    if let Some(code) = compile_if_asked() {
        return code;
    }
    let cli = read_arguments(); // clap itself ends with 2 on bad usage
    let (format, traces) = match &cli.command {
        Command::Serve(args) => (args.log_format(), args.traces()),
        _ => (logging::LogFormat::Text, Ok(None)),
    };
    let traces = match traces {
        Ok(traces) => traces,
        Err(failure) => return told(Err(failure)),
    };
    logging::start(format, traces.as_ref());
    let done = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Backup(args) => backup::backup(args),
        Command::Restore(args) => backup::restore(args),
        Command::Audit(args) => audit::run(args),
        Command::CostCenter(args) => cost_center::run(args),
        Command::Team(args) => team::run(args),
        Command::Token(args) => token::run(args),
        Command::Session(args) => session::run(&args),
        Command::User(args) => user::run(args),
        Command::SignIn(args) => sign_in::run(args),
        Command::Whoami(args) => whoami::run(&args),
        Command::Bill(args) => bill::run(args),
        Command::Key(args) => key::run(args),
        Command::Plugin(args) => plugin::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Rate(args) => rate::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Roles(args) => roles::run(&args),
        Command::Rule(args) => rule::run(args),
        Command::Apply(args) => apply::apply(&args),
        Command::Export(args) => apply::export(&args),
        Command::Report(args) => report::run(args),
        Command::Events(args) => events::run(&args),
        Command::Run(args) => run::run(args),
        Command::Shadow(args) => shadow::run(args),
        Command::Tenant(args) => tenant::run(args),
        Command::Quota(args) => quota::run(args),
        Command::Domain(args) => domain::run(args),
        Command::Integration(args) => integration::run(args),
        Command::Virtual(args) => virtuals::run(args),
        Command::Snapshot(args) => snapshot::run(args),
        Command::Secrets(args) => secrets::run(args),
        Command::Subaccount(args) => subaccount::run(args),
    };
    if let Some(traces) = traces {
        traces.end();
    }
    told(done)
}

fn read_arguments() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command()).exit())
}

/// The whole command line; a verb without examples of its own shows those of its noun.
fn command() -> clap::Command {
    fn with_examples(command: clap::Command, of_noun: Option<StyledStr>) -> clap::Command {
        let own = command.get_after_help().cloned().or(of_noun);
        let command = match own.clone() {
            Some(examples) => command.after_help(examples),
            None => command,
        };
        command.mut_subcommands(|verb| with_examples(verb, own.clone()))
    }
    Cli::command().mut_subcommands(|noun| with_examples(noun, None))
}

/// Says why something failed, and how that exits.
fn told(done: Result<(), Failure>) -> ExitCode {
    let lost = || Failure::run("not all could be written to the standard output").next("where it goes: is that disk full?");
    match done.and_then(|()| if output::is_written() { Ok(()) } else { Err(lost()) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&format!("error: {}", failure.message));
            if let Some(next) = failure.next {
                output::complain(&format!("  try: {next}"));
            }
            ExitCode::from(failure.code)
        }
    }
}

/// The daemon starts itself with this hidden command to compile a component where that can be stopped.
fn compile_if_asked() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (command, rest) = arguments.split_first()?;
    if command.as_os_str() != sandbox::CHILD_COMMAND {
        return None;
    }
    Some(match sandbox::compile_child_main(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            output::complain(&message);
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_is_declared_without_contradiction() {
        command().debug_assert();
    }

    #[test]
    fn every_command_that_does_something_shows_examples() {
        fn without(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            let has = command.get_after_help().is_some_and(|help| help.to_string().contains("Example"));
            if !has && !path.is_empty() {
                found.push(path.to_owned());
            }
            command.get_subcommands().for_each(|verb| without(verb, format!("{path} {}", verb.get_name()).trim_start(), found));
        }
        let mut found = Vec::new();
        without(&command(), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn an_unclassified_error_is_a_failed_run_with_its_causes_in_one_line() {
        let failure = Failure::from(anyhow::anyhow!("disk full").context("cannot write the bill"));
        assert_eq!((failure.message.as_str(), failure.code), ("cannot write the bill: disk full", 1));
    }
}
