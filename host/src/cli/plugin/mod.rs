//! `rerate plugin ...`: the author's kit, one file a command.

mod build;
mod inspect;
mod new;
mod portrait;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile a rule's project to a component, and try whether the sandbox takes it
    #[command(after_help = build::EXAMPLES)]
    Build(build::Args),
    /// Tell what a component is: its digest, what it may do, its configuration, what travels in it
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(inspect::Args),
    /// Start a rule's project: it builds as it is, and has tests and golden cases
    #[command(after_help = new::EXAMPLES)]
    New(new::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::New(args) => new::run(&args),
    }
}
