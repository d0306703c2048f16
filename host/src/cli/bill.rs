//! `rerate bill ...`: work with bill files.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::Failure;
use crate::domain::period::Period;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a bill with every line type, as real files in the provider's folder layout; the same arguments give the same bytes
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(Generate),
}

const GENERATE_EXAMPLES: &str = "\
Examples:
  rerate bill generate --rows 100000 --out bills
  rerate bill generate --rows 10000000 --files 8 --format cur2 --compression parquet --out big
  rerate bill generate --rows 50000 --format focus --period 2026-09 --seed 7 --out azure";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// AWS Cost and Usage Report 2.0 (Data Exports)
    Cur2,
    /// AWS Cost and Usage Report, legacy
    Cur,
    /// FOCUS 1.2, as Azure exports it
    Focus,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compression {
    #[value(name = "csv.gz")]
    CsvGz,
    Parquet,
}

#[derive(Debug, clap::Args)]
struct Generate {
    /// How many lines
    #[arg(long)]
    rows: u64,
    /// Where to write: the folder that stands for the bucket
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value = "cur2")]
    format: Format,
    #[arg(long, value_enum, default_value = "csv.gz")]
    compression: Compression,
    /// The month that the bill is for
    #[arg(long, value_name = "YYYY-MM", default_value = "2026-09")]
    period: Period,
    /// How many files the lines are spread over [default: one for each million lines]
    #[arg(long)]
    files: Option<u32>,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let Command::Generate(args) = args.command;
    Err(Failure::run(format!("generating {args:?} is not built yet")))
}
