//! `rerate plugin ...`: the author's kit, one file a command.

mod bench;
mod build;
mod deployments;
mod diff;
mod inspect;
mod logs;
mod new;
mod portrait;
mod push;
mod replay;
mod run;
mod sign;
mod target;
mod test;
mod versions;

use clap::Subcommand;

use super::Failure;

pub const EXAMPLES: &str = "\
Examples:
  rerate plugin new my-rule --lang rust          a project that builds; or js, python
  rerate plugin test my-rule                     its golden cases, natively and in the sandbox
  rerate plugin run my-rule -i bills             what it does to a bill
  rerate plugin push my-rule --activate          into a daemon, and live
  rerate plugin rollback my-rule                 the version before again";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a version the active one: the rules that follow the plugin run on it from then on
    #[command(after_help = versions::ACTIVATE)]
    Activate(versions::VersionArgs),
    /// Measure a rule on a bill, against the build before
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Compile a rule's project to a component, and try whether the sandbox takes it
    #[command(after_help = build::EXAMPLES)]
    Build(build::Args),
    /// Ask a version which rules' configurations it would refuse, before it is activated
    #[command(after_help = versions::CHECK)]
    Check(versions::VersionArgs),
    /// List what became of the components that came in, with reasons
    #[command(after_help = deployments::EXAMPLES)]
    Deployments(deployments::Args),
    /// Compare two versions of a rule over a bill, or over what a daemon has published
    #[command(after_help = diff::EXAMPLES)]
    Diff(diff::Args),
    /// Disable a plugin: runs with a rule on it fail rather than go on without it
    #[command(after_help = versions::DISABLE)]
    Disable(versions::NameArgs),
    /// Enable a disabled plugin again
    #[command(after_help = versions::DISABLE)]
    Enable(versions::NameArgs),
    /// Tell what a component is: its digest, what it may do, its configuration, what travels in it
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(inspect::Args),
    /// List plugins and the versions that run, or the versions of one
    #[command(after_help = versions::LIST)]
    List(versions::ListArgs),
    /// Show what the rules of a run wrote
    #[command(after_help = logs::EXAMPLES)]
    Logs(logs::Args),
    /// Start a rule's project: it builds as it is, and has tests and golden cases
    #[command(after_help = new::EXAMPLES)]
    New(new::Args),
    /// Rate a bill by this one rule, and tell what it changes
    #[command(after_help = run::EXAMPLES)]
    Run(run::Args),
    /// Run a project's golden cases, natively and in the sandbox
    #[command(after_help = test::EXAMPLES)]
    Test(test::Args),
    /// Bring a component into a running daemon, step by step
    #[command(after_help = push::EXAMPLES)]
    Push(push::Args),
    /// Compute a daemon's run again, as it was or under another version
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Args),
    /// Delete a version that is not active and that no rule is pinned to
    #[command(after_help = versions::REMOVE)]
    Remove(versions::VersionArgs),
    /// Make the version active again that was active before the present one
    #[command(after_help = versions::ROLLBACK)]
    Rollback(versions::NameArgs),
    /// Show what a plugin's configuration must look like, as JSON Schema
    #[command(after_help = versions::SCHEMA)]
    Schema(versions::NameArgs),
    /// Sign a component with a private key
    #[command(after_help = sign::EXAMPLES)]
    Sign(sign::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Activate(args) => versions::activate(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Check(args) => versions::check(&args),
        Command::Deployments(args) => deployments::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Disable(args) => versions::disable(&args),
        Command::Enable(args) => versions::enable(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::List(args) => versions::list(&args),
        Command::Logs(args) => logs::run(&args),
        Command::New(args) => new::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Push(args) => push::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Remove(args) => versions::remove(&args),
        Command::Schema(args) => versions::schema(&args),
        Command::Rollback(args) => versions::rollback(&args),
        Command::Sign(args) => sign::run(&args),
    }
}
