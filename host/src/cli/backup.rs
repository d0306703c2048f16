//! `rerate backup` and `rerate restore`: a daemon's data in one file, and back.

use std::path::PathBuf;
use std::time::Instant;

use super::lake::{LakeArgs, next_of};
use super::{Failure, output};
use crate::clock::Clock;
use crate::depot::Remote;
use crate::jobs::backup::{self, BackupError, Manifest};

pub const BACKUP_EXAMPLES: &str = "\
Examples:
  rerate backup --data /var/lib/rerate --out rerate-2026-10-01.backup
  rerate backup --data /mnt/rerate --database postgres://rerate@db/rerate --out rerate.backup
  rerate backup --data /var/lib/rerate --lake s3://msp/rerate --out rerate.backup

The daemon may go on running. The file is as secret as the data folder: it holds the administrator's token.";

pub const RESTORE_EXAMPLES: &str = "\
Examples:
  rerate restore rerate-2026-10-01.backup --data /var/lib/rerate-again
  rerate restore rerate.backup --data /mnt/rerate --database postgres://rerate@db/rerate

A backup of SQLite can be restored to PostgreSQL, and the other way. What was in a bucket is restored to the folder; `rerate serve --lake`
with a new prefix puts it into a bucket again.";

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The daemon's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// File to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The daemon's database, if it is not rerate.db in the data folder
    #[arg(long, value_name = "URL", env = "RERATE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    #[command(flatten)]
    lake: LakeArgs,
    /// Print what is in the file as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder to make; it must not be there, or be empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// An empty database to fill [default: rerate.db in the data folder]
    #[arg(long, value_name = "URL", env = "RERATE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Print what was in the file as JSON
    #[arg(long)]
    json: bool,
}

pub fn backup(args: BackupArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let data = std::fs::canonicalize(&args.data).map_err(|error| Failure::input(format!("{}: {error}", args.data.display())))?;
    let beside = data.join("rerate.db");
    if args.database.is_none() && !beside.exists() {
        return Err(Failure::input(format!("there is no {}", beside.display())).next("name the daemon's data folder, or its --database"));
    }
    let database = args.database.unwrap_or_else(|| beside.display().to_string());
    let bucket = args.lake.location().map(|location| Remote::connect(&location)).transpose();
    let bucket = bucket.map_err(|error| Failure::input(&error).next(next_of(&error)))?;
    let manifest = wait(backup::backup(&data, &database, bucket.as_ref(), &args.out, &Clock::system()))?;
    told(&manifest, args.json, &format!("wrote {}:", args.out.display()), begun)
}

pub fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    args.file.metadata().map_err(|error| Failure::input(format!("{}: {error}", args.file.display())))?;
    let manifest = wait(backup::restore(&args.file, &args.data, args.database.as_deref()))?;
    told(&manifest, args.json, &format!("restored {}:", args.data.display()), begun)
}

fn wait(work: impl Future<Output = Result<Manifest, BackupError>>) -> Result<Manifest, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work).map_err(|error| match &error {
        BackupError::InBucket(known) => {
            let next = format!("give --lake {known}, with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
            Failure::input(error).next(next)
        }
        BackupError::Depot(cause) => {
            let next = next_of(cause);
            Failure::run(error).next(next)
        }
        BackupError::Exists(_) => Failure::input(error).next("give --out another name"),
        BackupError::NotEmpty(_) => Failure::input(error).next("give --data a folder that is not there yet"),
        BackupError::Damaged { .. } | BackupError::Unreadable { .. } => {
            Failure::input(error).next("take another backup: nothing was restored")
        }
        _ => error.into(),
    })
}

fn told(manifest: &Manifest, json: bool, what: &str, begun: Instant) -> Result<(), Failure> {
    if manifest.lacks_its_key() {
        output::complain("note: the key of sealed credentials is not in it: start a restored daemon with the same RERATE_SECRET_KEY");
    }
    if json {
        return Ok(output::print_json(manifest)?);
    }
    let (files, bytes) = manifest.files();
    let (rows, tables) = (output::count(manifest.rows()), manifest.entries.iter().filter(|entry| entry.rows.is_some()).count());
    let (files, bytes, time) = (output::count(files), output::bytes(bytes), output::duration(begun.elapsed()));
    output::print(&format!("{what} {rows} rows of {tables} tables and {files} files ({bytes}), {time}"));
    Ok(())
}
