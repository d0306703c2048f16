//! `rerate demo`: a sample reseller on a daemon of its own, from bills to margins.
//!
//! It starts the daemon that `rerate serve` starts and makes what a person would make over HTTP, by the same functions. What it knows of
//! a folder that it made is one small file there.

mod report;
mod setup;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::serve::{Daemon, Settings, refused_address};
use super::{Failure, output};
use crate::domain::progress::Progress;
use crate::generate::sample::Sample;

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate demo                              make the sample, rate it, keep serving on 127.0.0.1:8080
  rerate demo --data ~/rerate-demo         the same in a folder of your choice; a second time goes on with it
  rerate demo --exit --rows 20000          stop after the table";

/// The file by which a folder is known as a demo's.
const MARKER: &str = "rerate-demo.json";
/// A rule of an author's own, compiled from examples/rounding-markup, to be dropped into the plugins folder.
const EXAMPLE: &str = "try/rounding-markup.wasm";
const EXAMPLE_COMPONENT: &[u8] = include_bytes!("../../../../tests/fixtures/dist/rounding-markup.wasm");
/// Any other number makes another reseller.
const SEED: u64 = 20_260_901;
/// Below this the smallest of the six bills cannot hold every line type.
const LEAST_ROWS: u64 = 12_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stop after the table instead of serving on
    #[arg(long)]
    exit: bool,
    /// Where the sample and the daemon's data go [default: a fresh folder among the system's temporary ones]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Lines in all bills together
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(LEAST_ROWS..))]
    rows: u64,
}

/// What [`MARKER`] holds.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    rows: u64,
    /// Whether everything was made; a demo that was stopped before cannot be gone on with.
    complete: bool,
}

/// What lies in the folder.
enum Found {
    Nothing,
    Demo(Marker),
}

pub fn run(args: Args) -> Result<(), Failure> {
    // Known before anything is made; what takes the port between here and the daemon's start is refused there.
    drop(std::net::TcpListener::bind(args.listen).map_err(|error| refused_address(args.listen, &error))?);
    let folder = match args.data {
        Some(folder) => std::path::absolute(folder)?,
        None => tempfile::Builder::new().prefix("rerate-demo-").tempdir()?.keep(),
    };
    let found = look_into(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // First the daemon: a folder that another one uses is known before any work is done.
        let settings = Settings { data: folder.clone(), listen: args.listen, ..Settings::default() };
        let daemon = Daemon::start(settings).await?;
        let shown = match show(&daemon, &folder, found, args.rows).await {
            Ok(()) if args.exit => {
                output::print(&format!("to serve it: rerate demo --data {}", report::quoted(&folder)));
                Ok(())
            }
            Ok(()) => report::next_steps(&daemon, &folder).await,
            failed => failed,
        };
        match shown {
            Ok(()) if !args.exit => daemon.until_asked_to_stop().await,
            shown => {
                let stopped = daemon.stop().await;
                shown.and(stopped)
            }
        }
    })
}

async fn show(daemon: &Daemon, folder: &Path, found: Found, rows: u64) -> Result<(), Failure> {
    match found {
        Found::Demo(marker) => {
            output::print(&format!("going on with the demo of {} lines in {}", output::count(marker.rows), folder.display()));
            setup::settled(daemon, "Rating").await?;
            report::margins(daemon).await?;
        }
        Found::Nothing => {
            output::print(&format!("making a sample reseller in {}", folder.display()));
            mark(folder, &Marker { rows, complete: false })?;
            let started = Instant::now();
            let sample = Sample::new(rows, SEED);
            let progress = Progress::new();
            let bills = output::with_bar("Writing bills", &progress, false, || sample.write(folder, &progress))?;
            report::written(&sample, &bills, started.elapsed());
            let example = folder.join(EXAMPLE);
            std::fs::create_dir_all(example.parent().unwrap_or(folder))?;
            std::fs::write(example, EXAMPLE_COMPONENT)?;
            let times = setup::make(daemon, &sample, folder).await?;
            mark(folder, &Marker { rows, complete: true })?;
            report::margins(daemon).await?;
            report::speed(bills.iter().map(|bill| bill.rows).sum(), &times);
        }
    }
    Ok(())
}

/// Only an empty folder or a finished demo's will do: nobody's data is touched.
fn look_into(folder: &Path) -> Result<Found, Failure> {
    let marker = match std::fs::read_to_string(folder.join(MARKER)) {
        Ok(text) => serde_json::from_str::<Marker>(&text).ok(),
        Err(_) => None,
    };
    let shown = folder.display();
    match marker {
        Some(marker) if marker.complete => Ok(Found::Demo(marker)),
        Some(_) => Err(Failure::input(format!("a demo was stopped in {shown} before it was complete"))
            .next("remove that folder, or give --data another one")),
        None if folder.exists() && !is_empty(folder)? => {
            let next = if super::serve::is_used(folder) { format!("rerate serve --data {shown}, or") } else { String::new() };
            Err(Failure::input(format!("{shown} holds something else than a demo"))
                .next(format!("{next} give --data an empty or new folder").trim()))
        }
        None => Ok(Found::Nothing),
    }
}

fn is_empty(folder: &Path) -> Result<bool, Failure> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) => {
            Err(Failure::input(format!("{}: {error}", folder.display())).next("give --data a folder that you may read and write"))
        }
    }
}

fn mark(folder: &Path, marker: &Marker) -> Result<(), Failure> {
    std::fs::write(folder.join(MARKER), serde_json::to_string(marker)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Amount;
    use crate::sandbox::Compile;
    use crate::store::PageRequest;

    #[test]
    fn only_an_empty_folder_or_a_finished_demo_will_do() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(look_into(&folder.path().join("new")), Ok(Found::Nothing)));
        assert!(matches!(look_into(folder.path()), Ok(Found::Nothing)));
        mark(folder.path(), &Marker { rows: 1, complete: false }).unwrap();
        assert!(look_into(folder.path()).is_err_and(|failure| failure.to_string().contains("before it was complete")));
        mark(folder.path(), &Marker { rows: 1, complete: true }).unwrap();
        assert!(matches!(look_into(folder.path()), Ok(Found::Demo(Marker { rows: 1, .. }))));
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("thesis.txt"), "mine").unwrap();
        assert!(look_into(other.path()).is_err_and(|failure| failure.to_string().contains("something else")));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_sample_is_rated_for_every_tenant_and_month_and_its_sums_are_the_generators() {
        let folder = tempfile::tempdir().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings { data: folder.path().to_owned(), listen, compile: Compile::InProcess, ..Settings::default() };
        let daemon = Daemon::start(settings).await.unwrap();
        let sample = Sample::new(LEAST_ROWS, SEED);
        let bills = sample.write(folder.path(), &Progress::new()).unwrap();
        setup::make(&daemon, &sample, folder.path()).await.unwrap();
        let splits = daemon.store.splits(None).await.unwrap();
        assert_eq!(splits.len(), sample.periods.len());
        for split in &splits {
            let billed: i128 = bills.iter().filter(|bill| bill.period == split.period.to_string()).map(|bill| bill.billed.0).sum();
            assert_eq!(split.source, Amount(billed), "{}", split.period);
            assert!(split.balances() && !split.unassigned.is_zero());
            let runs = daemon.store.published_runs(None, Some(split.period)).await.unwrap();
            assert_eq!(runs.len(), sample.tenants.len());
            // Every tenant has a contract, so nobody is charged what was billed.
            assert!(runs.iter().all(|run| run.charged.is_some() && run.charged != run.billed));
        }
        // Every rule did something somewhere: none is there for show.
        let runs = daemon.store.published_runs(None, None).await.unwrap();
        for rule in daemon.store.rules(&PageRequest::largest()).await.unwrap().items {
            assert!(runs.iter().flat_map(|run| &run.by_rule).any(|effect| effect.title == rule.title && effect.rows > 0), "{}", rule.title);
        }
        daemon.stop().await.unwrap();
    }
}
