//! `rerate serve`: the daemon, put together and taken apart.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::lake::{LakeArgs, refused_place};
use super::logging::LogFormat;
use super::{Failure, output};
use crate::clock::Clock;
use crate::events::{Event, Events};
use crate::http::{self, AppState};
use crate::jobs::place::{self, BucketLake};
use crate::jobs::{DataDir, DataDirError, Jobs, Options, Wake};
use crate::plugins::watch::FolderWatch;
use crate::plugins::{Plugins, deploy_builtins, watch_folder};
use crate::sandbox::{Compile, Limits, Sandbox, SandboxOptions};
use crate::signin::mail::Mailer;
use crate::store::{Kind, Store, StoreError};
use crate::telemetry::Traces;

/// How long the work under way may take to stop: a batch of charges, a chunk of a bill.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long other daemons take this one for starting, in milliseconds: compiling the built-in rules takes seconds.
const STARTS_WITHIN_MILLIS: i64 = 120_000;

pub const EXAMPLES: &str = "\
Examples:
  rerate serve --data /var/lib/rerate                              an empty folder will do; the token is in admin.token there
  rerate serve --data /var/lib/rerate --listen 0.0.0.0:8080        for others, behind a proxy that ends TLS
  rerate serve --data node1 --database postgres://db/rerate --lake s3://bucket/rerate     one of several daemons";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for everything that the daemon keeps; made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address on which metrics are answered without a token; elsewhere GET /metrics wants one
    #[arg(long, value_name = "ADDR", env = "RERATE_METRICS")]
    metrics: Option<SocketAddr>,
    /// How people reach the daemon: links and redirects begin with it [default: http:// and the address that it listens on]
    #[arg(long, value_name = "URL", env = "RERATE_PUBLIC_URL")]
    public_url: Option<String>,
    /// Mail server for invitations: smtps://USER:PASSWORD@HOST, or smtp://HOST:PORT?tls=required
    #[arg(long, value_name = "URL", env = "RERATE_SMTP", hide_env_values = true, requires = "mail_from")]
    smtp: Option<String>,
    /// Sender of mail: Billing <billing@msp.example>
    #[arg(long, value_name = "ADDRESS", env = "RERATE_MAIL_FROM")]
    mail_from: Option<String>,
    /// Requests a second of one caller; 0 for no limit
    #[arg(long, value_name = "NUMBER", env = "RERATE_RATE_LIMIT", default_value_t = http::PER_SECOND)]
    rate_limit: u32,
    /// How log messages are written to stderr
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, env = "RERATE_LOG_FORMAT")]
    log_format: LogFormat,
    /// Collector to send traces to, by OTLP over HTTP; the other OTEL_ variables count as well [default: no traces]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp: Option<String>,
    /// Database of the control data: a SQLite file, or postgres://user@host/name [default: rerate.db in the data folder]
    #[arg(long, value_name = "URL", env = "RERATE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    #[command(flatten)]
    lake: LakeArgs,
    /// Disk space for copies of charges that are in a bucket, in GiB
    #[arg(long, value_name = "GIB", env = "RERATE_LAKE_COPIES", default_value_t = 50)]
    lake_copies: u64,
    /// A proxy in front of the daemon: what its X-Forwarded-For says is where a call comes from. May be given several times
    #[arg(long = "trusted-proxy", value_name = "ADDR")]
    proxies: Vec<IpAddr>,
}

impl Args {
    pub(super) const fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// What is done is sent to a collector from now on, if one is named.
    pub(super) fn traces(&self) -> Result<Option<Traces>, Failure> {
        let address = self.otlp.as_deref().filter(|address| !address.is_empty());
        Traces::start(address).map_err(|error| Failure::input(error).next("--otlp http://127.0.0.1:4318"))
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mailer = match (&args.smtp, &args.mail_from) {
            (Some(url), Some(from)) => Some(Mailer::new(url, from).map_err(|error| Failure::input(error).next("see rerate serve --help"))?),
            _ => None,
        };
        let lake = args.lake.bucket(args.lake_copies);
        let Args { data, listen, database, metrics, proxies, public_url, rate_limit, .. } = args;
        let settings = Settings { data, listen, database, lake, metrics, proxies, public_url, rate_limit, mailer, ..Settings::default() };
        let daemon = Daemon::start(settings).await?;
        output::print(&format!("listening on http://{}", daemon.address));
        output::print(&format!("token in     {}", daemon.token_file.display()));
        output::print(&format!("plugins from {}", daemon.data.plugins().display()));
        if let Some(bucket) = daemon.data.bucket() {
            output::print(&format!("lake in      {}", bucket.url()));
        }
        if let Some((address, _)) = &daemon.metrics {
            output::print(&format!("metrics on   http://{address}/metrics"));
        }
        daemon.until_asked_to_stop().await
    })
}

/// How a daemon is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub database: Option<String>,
    /// None for the data folder alone.
    pub lake: Option<BucketLake>,
    pub metrics: Option<SocketAddr>,
    pub proxies: Vec<IpAddr>,
    pub public_url: Option<String>,
    pub mailer: Option<Mailer>,
    pub rate_limit: u32,
    pub compile: Compile,
    pub limits: Limits,
    pub jobs: Options,
}

impl Default for Settings {
    /// Components are compiled by a child of this very program, if it is known where that is.
    fn default() -> Self {
        let compile = std::env::current_exe().map_or(Compile::InProcess, Compile::Child);
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        Self {
            data: PathBuf::from("rerate-data"),
            listen,
            database: None,
            lake: None,
            metrics: None,
            proxies: Vec::new(),
            public_url: None,
            mailer: None,
            rate_limit: http::PER_SECOND,
            compile,
            limits: Limits::default(),
            jobs: Options::default(),
        }
    }
}

/// A running daemon.
pub struct Daemon {
    pub address: SocketAddr,
    /// Holds the administrator's token.
    pub token_file: PathBuf,
    pub data: Arc<DataDir>,
    pub store: Store,
    pub events: Events,
    pub jobs: Arc<Jobs>,
    pub plugins: Arc<Plugins>,
    watch: Watch,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    metrics: Option<(SocketAddr, JoinHandle<std::io::Result<()>>)>,
}

impl Daemon {
    /// Opens everything, takes up the work that a stopped daemon left, and begins to answer.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        // Daemons on one PostgreSQL share the folder, and start one after the other; unless they share a bucket, and have a folder each.
        let is_one_of_many = settings.database.as_deref().map(Kind::of).transpose()? == Some(Kind::Postgres);
        let is_shared = is_one_of_many && settings.lake.is_none();
        let open = if is_shared { DataDir::open_shared } else { DataDir::open };
        let data = open(&settings.data).map_err(|error| refused_data(error, is_one_of_many))?;
        let starting = is_shared.then(|| data.starting()).transpose().map_err(|error| refused_data(error, false))?;
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| refused_address(settings.listen, &error))?;
        let address = listener.local_addr()?;
        let database = settings.database.unwrap_or_else(|| data.database().display().to_string());
        let store = Store::open(&database, Clock::system()).await.map_err(refused_database)?;
        let data = Arc::new(place::settle(&store, data, settings.lake.as_ref()).await.map_err(refused_place)?);
        store.daemon_renew(STARTS_WITHIN_MILLIS).await?;
        store.idempotency_release_all().await?;
        let sandbox =
            Sandbox::new(SandboxOptions { cache_dir: Some(data.compiled()), limits: settings.limits, compile: settings.compile })?;
        let (events, wake) = (Events::new(), Wake::default());
        let woken = wake.clone();
        let plugins = Plugins::open(data.component_files().clone(), sandbox, store.clone(), events.clone(), move || woken.now()).await?;
        deploy_builtins(&plugins).await;
        let jobs = Jobs::start(store.clone(), Arc::clone(&plugins), Arc::clone(&data), events.clone(), wake, settings.jobs).await?;
        let watch = if is_shared {
            Watch::OnDuty(tokio::spawn(watch_on_duty(Arc::clone(&plugins), data.plugins(), jobs.on_duty())))
        } else {
            Watch::Always(watch_folder(&plugins, &data.plugins())?)
        };
        let token_file = http::auth::ensure_admin_token(&store, data.root(), is_one_of_many && !is_shared).await?;
        drop(starting);
        let poked = Arc::clone(&jobs);
        let state = AppState::new(store.clone(), Arc::clone(&plugins), events.clone(), move |change| poked.poke(change));
        let state = state.with_data(Arc::clone(&data)).with_jobs(Arc::clone(&jobs)).with_proxies(&settings.proxies);
        let public_url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
        let state = state.with_public_url(&public_url);
        let state = state.with_mailer(settings.mailer).with_rate_limit(settings.rate_limit);
        let metrics = match settings.metrics {
            Some(address) => {
                let listener = TcpListener::bind(address).await.map_err(|error| refused_address(address, &error))?;
                let address = listener.local_addr()?;
                Some((address, tokio::spawn(http::serve_metrics(listener, state.clone()))))
            }
            None => None,
        };
        let (shutdown, stopping) = oneshot::channel::<()>();
        let server = tokio::spawn(http::serve(listener, state, async move {
            let _ = stopping.await;
        }));
        Ok(Self { address, token_file, data, store, events, jobs, plugins, watch, shutdown, server, metrics })
    }

    /// The administrator's token.
    pub fn token(&self) -> std::io::Result<String> {
        Ok(std::fs::read_to_string(&self.token_file)?.trim().to_owned())
    }

    /// Serves until ctrl-c or the system's request to end.
    pub async fn until_asked_to_stop(self) -> Result<(), Failure> {
        asked_to_stop().await;
        output::complain("stopping; work under way is taken up at the next start");
        self.stop().await
    }

    pub async fn stop(self) -> Result<(), Failure> {
        let Self { store, events, jobs, watch, shutdown, server, metrics, .. } = self;
        let _ = shutdown.send(());
        events.send(Event::Stopping);
        if tokio::time::timeout(STOP_WITHIN, jobs.stop()).await.is_err() {
            tracing::warn!("work under way did not stop in time; it is taken up at the next start");
        }
        // Its thread may be deploying, which needs this runtime: wait for it elsewhere.
        match watch {
            Watch::Always(watch) => drop(tokio::task::spawn_blocking(move || drop(watch)).await),
            Watch::OnDuty(task) => task.abort(),
        }
        server.await??;
        if let Some((_, serving)) = metrics {
            serving.abort();
        }
        store.close().await;
        Ok(())
    }
}

/// Who looks at the folder into which components are dropped.
enum Watch {
    Always(FolderWatch),
    /// Of several daemons the one that works.
    OnDuty(JoinHandle<()>),
}

async fn watch_on_duty(plugins: Arc<Plugins>, folder: PathBuf, mut duty: watch::Receiver<bool>) {
    let mut watched: Option<FolderWatch> = None;
    loop {
        let on_duty = *duty.borrow_and_update();
        if on_duty && watched.is_none() {
            match watch_folder(&plugins, &folder) {
                Ok(watch) => watched = Some(watch),
                Err(error) => tracing::error!(%error, "components in the folder are not deployed"),
            }
        } else if !on_duty {
            let over = watched.take();
            let _ = tokio::task::spawn_blocking(move || drop(over)).await;
        }
        if duty.changed().await.is_err() {
            return;
        }
    }
}

async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = interrupted.await;
}

fn refused_database(error: StoreError) -> Failure {
    let cause = match &error {
        StoreError::Database(cause) => cause.to_string(),
        _ => return error.into(),
    };
    Failure::input(format!("the database cannot be opened: {cause}"))
        .next("look whether the server is there, and at the address, the user and the password of --database")
}

fn refused_data(error: DataDirError, is_one_of_many: bool) -> Failure {
    match error {
        DataDirError::InUse(_) if is_one_of_many => {
            Failure::input(error).next("give each daemon a --data folder of its own: what they share is in the bucket of --lake")
        }
        DataDirError::InUse(_) => Failure::input(error).next("stop the other one, or give --data another folder"),
        DataDirError::Io { .. } => Failure::input(error).next("give --data a folder that you may write to"),
    }
}

pub(super) fn refused_address(address: SocketAddr, error: &std::io::Error) -> Failure {
    let failure = Failure::input(format!("cannot listen on {address}: {error}"));
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let free = SocketAddr::new(address.ip(), if address.port() == 8080 { 8081 } else { 8080 });
            Failure::input(format!("{address} is taken by another program"))
                .next(format!("stop that, or listen elsewhere: --listen {free}"))
        }
        std::io::ErrorKind::PermissionDenied => failure.next("ports below 1024 are the system's; --listen 127.0.0.1:8080"),
        _ => failure.next("--listen 127.0.0.1:8080"),
    }
}

/// Whether a data folder has been used before.
pub fn is_used(data: &Path) -> bool {
    data.join("rerate.db").exists()
}

#[cfg(test)]
mod tests;
