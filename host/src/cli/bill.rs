//! `rerate bill ...`: work with bill files.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Subcommand, ValueEnum};

use super::{Failure, output};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::generate::{self, Discounts, GenerateError, Organisation, Provider, Spec};

/// Whose accounts a generated bill has.
const CUSTOMERS: [&str; 5] = ["Blue Harbor Retail", "Kestrel Robotics", "Tidewater Health", "Larkspur Media", "Quarry Street Games"];

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a bill with every line type, as real files in the provider's folder layout; the same arguments give the same bytes
    Generate(Generate),
}

pub const EXAMPLES: &str = "\
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Encoding {
    /// Lines of their own with a negative cost
    Lines,
    /// Net columns beside the undiscounted cost
    Columns,
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
    files: Option<usize>,
    /// How the provider grants its enterprise discount [default: lines, for FOCUS columns]
    #[arg(long, value_enum)]
    discounts: Option<Encoding>,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let Command::Generate(args) = args.command;
    generate_bill(&args)
}

fn generate_bill(args: &Generate) -> Result<(), Failure> {
    let (format, provider, discounts) = match args.format {
        Format::Cur2 => (generate::Format::Cur2, Provider::Aws, Discounts::Lines),
        Format::Cur => (generate::Format::Cur, Provider::Aws, Discounts::Lines),
        Format::Focus => (generate::Format::Focus, Provider::Azure, Discounts::Columns),
    };
    let discounts = match args.discounts {
        Some(Encoding::Lines) if provider == Provider::Azure => {
            return Err(Failure::input("FOCUS has no discount lines").next("leave out --discounts"));
        }
        Some(Encoding::Lines) => Discounts::Lines,
        Some(Encoding::Columns) => Discounts::Columns,
        None => discounts,
    };
    // Bigger organisations have more accounts: about 20,000 lines each, within what is usual.
    let accounts = usize::try_from(args.rows / 20_000).unwrap_or(usize::MAX).clamp(12, 400);
    let organisation = Organisation::invent(provider, args.seed, "northgate", &CUSTOMERS, accounts, discounts);
    let spec = Spec {
        rows: args.rows,
        seed: args.seed,
        format,
        compression: match args.compression {
            Compression::CsvGz => generate::Compression::CsvGz,
            Compression::Parquet => generate::Compression::Parquet,
        },
        period: args.period,
        files: args.files,
        organisation,
        name: "sample-bill".to_owned(),
        purchases: true,
        closed: true,
    };
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let progress = Progress::new();
    let start = Instant::now();
    let generated = output::with_bar("Writing the bill", &progress, false, || generate::generate(&spec, &args.out, workers, &progress))
        .map_err(failure)?;
    let time = start.elapsed();
    if args.json {
        return Ok(output::print_json(&generated)?);
    }
    let rows = generated.by_type.iter().map(|(kind, sum)| vec![(*kind).to_owned(), output::count(sum.rows), output::money(sum.billed)]);
    output::print(&output::table(&["line type", ">lines", ">billed"], rows));
    output::print(&format!(
        "\n{} lines for {}, {} {} billed, in {} ({}), in {} ({} lines/s)",
        output::count(generated.rows),
        generated.period,
        output::money(generated.billed),
        generated.currency,
        if generated.files.len() == 1 { "1 file".to_owned() } else { format!("{} files", generated.files.len()) },
        output::bytes(generated.bytes),
        output::duration(time),
        output::count(output::per_second(generated.rows, time)),
    ));
    let shown = generated.manifest.as_ref().or(generated.files.first());
    output::print(&shown.map_or_else(String::new, |path| path.display().to_string()));
    Ok(())
}

fn failure(error: GenerateError) -> Failure {
    match error {
        GenerateError::TooFewLines { least } => Failure::input(&error).next(format!("--rows {least}")),
        GenerateError::TooManyFiles { most } => Failure::input(&error).next(format!("--files {most}, or more --rows")),
        GenerateError::Exists { .. } => Failure::input(&error).next("another --out, or remove that folder"),
        GenerateError::Write { .. } | GenerateError::Parquet { .. } | GenerateError::Stopped => Failure::from(error),
    }
}
