//! `rerate plugin ...`: the author's kit, one file a command.

mod build;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile a rule's crate to a component, and try whether the sandbox takes it
    #[command(after_help = build::EXAMPLES)]
    Build(build::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Build(args) => build::run(&args),
    }
}
