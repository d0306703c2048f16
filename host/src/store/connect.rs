//! How a database is opened: which kind an address names, how its connections are set up, and how a change begins.
//!
//! Either kind has one connection for changes and some for readers, and either lets one change happen at a time, in the order in which they
//! began: SQLite by its own lock, PostgreSQL by an advisory lock that every change takes first, so that two daemons queue as two tasks of
//! one daemon do.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use super::dialect::{Kind, migrations};
use super::{DbPool, Result, StoreError, Tx};

/// Readers at the same time; neither kind's readers block each other, and the console of a busy daemon asks a few things at once.
const READERS: u32 = 8;

/// How long a statement waits for another process's lock (a backup, a person's shell, another daemon) before it fails.
const BUSY: Duration = Duration::from_secs(10);

/// How long PostgreSQL lets a change that a stalled daemon began stand in everybody's way.
const STALLED: Duration = Duration::from_secs(8);

/// Where the data is.
pub(super) enum Address {
    File(PathBuf),
    Postgres(String),
}

impl FromStr for Address {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.to_owned())),
            Some(("sqlite", rest)) if rest.contains(":memory:") => {
                Err(StoreError::Invalid("a database in memory would be gone with the daemon: give --database a SQLite file".to_owned()))
            }
            Some(("sqlite", _)) => Ok(Self::File(SqliteConnectOptions::from_str(url)?.get_filename().to_owned())),
            Some((scheme, rest)) if rest.starts_with("//") => Err(StoreError::Invalid(format!(
                "{scheme}: is not a database that Rerate knows: give --database a SQLite file or postgres://user@host/name"
            ))),
            _ => Ok(Self::File(PathBuf::from(url))),
        }
    }
}

impl Kind {
    /// What an address names.
    pub fn of(url: &str) -> Result<Self> {
        Ok(url.parse::<Address>()?.kind())
    }
}

impl Address {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::Sqlite,
            Self::Postgres(_) => Kind::Postgres,
        }
    }

    fn options(&self, mode: &str) -> Result<AnyConnectOptions> {
        Ok(match self {
            Self::File(path) => sqlite_url(path, mode)?.parse()?,
            Self::Postgres(url) => url.parse()?,
        })
    }

    /// Readers alone, of a database that is there.
    pub(super) async fn readers(&self) -> Result<DbPool> {
        sqlx::any::install_default_drivers();
        Ok(pool_of_readers(self.kind()).connect_with(self.options("ro")?).await?)
    }

    /// A writer alone, of a database that may be new and is brought to no version.
    pub(super) async fn writers(&self) -> Result<DbPool> {
        sqlx::any::install_default_drivers();
        Ok(pool(self.kind().writer_settings()).max_connections(1).connect_with(self.options("rwc")?).await?)
    }

    /// Opens the database, makes it or brings it up to date, and gives its writer and its readers.
    pub(super) async fn connect(&self) -> Result<(Writer, DbPool)> {
        sqlx::any::install_default_drivers();
        let kind = self.kind();
        // The writer stays open: SQLite's last connection to close would fold the log up behind the readers' backs.
        let pool = pool(kind.writer_settings()).max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_with(self.options("rwc")?).await?;
        if kind == Kind::Postgres {
            let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(&pool).await?;
            if encoding != "UTF8" {
                return Err(StoreError::Invalid(format!("the database is encoded as {encoding}: make one with ENCODING 'UTF8'")));
            }
        }
        migrations(kind).run(&pool).await?;
        let read = pool_of_readers(kind).connect_with(self.options("ro")?).await?;
        let beats = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(self::pool(kind.writer_settings()).max_connections(1).connect_lazy_with(self.options("rwc")?)),
        };
        Ok((Writer { pool, beats, kind }, read))
    }
}

fn pool_of_readers(kind: Kind) -> AnyPoolOptions {
    pool(kind.reader_settings()).max_connections(READERS)
}

/// Connections that begin with these statements.
fn pool(settings: String) -> AnyPoolOptions {
    AnyPoolOptions::new().after_connect(move |connection, _| {
        let settings = AssertSqlSafe(settings.clone()).into_sql_str();
        Box::pin(async move { connection.execute(settings).await.map(|_| ()) })
    })
}

impl Kind {
    fn writer_settings(self) -> String {
        match self {
            // A committed change survives a power cut: few writes come here, and each of them matters.
            Self::Sqlite => format!(
                "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
                BUSY.as_millis()
            ),
            Self::Postgres => format!(
                "SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET synchronous_commit = on",
                BUSY.as_millis(),
                STALLED.as_millis()
            ),
        }
    }

    fn reader_settings(self) -> String {
        match self {
            Self::Sqlite => format!("PRAGMA busy_timeout = {}; PRAGMA foreign_keys = ON", BUSY.as_millis()),
            Self::Postgres => format!("SET default_transaction_read_only = on; SET lock_timeout = {}", BUSY.as_millis()),
        }
    }
}

/// The one connection that changes anything. A change is a transaction, also one of a single statement: what is returned before the
/// commit might not last, and a reader might not see it yet.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pool: DbPool,
    /// For leases alone: a long change must not be in the way of the next heartbeat.
    beats: Option<DbPool>,
    kind: Kind,
}

impl Writer {
    /// Takes the lock at once, so that a change cannot fail half way on a reader turned writer.
    pub(super) async fn begin(&self) -> Result<Tx> {
        Ok(self.pool.begin_with(self.kind.begin()).await?)
    }

    pub(super) async fn answers(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// How many there are, and how many of them do nothing.
    pub(super) fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// For statements that no change depends on and that depend on none.
    pub(super) fn beats(&self) -> &DbPool {
        self.beats.as_ref().unwrap_or(&self.pool)
    }

    pub(super) async fn close(&self) {
        if let Some(beats) = &self.beats {
            beats.close().await;
        }
        self.pool.close().await;
    }
}

impl Kind {
    /// The time in milliseconds, by the database's clock.
    pub(super) const fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS BIGINT)",
            Self::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Of a transaction for reading: every statement of it sees the same moment.
    pub(super) const fn begin_reading(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            // The number is the text "rerate"; the lock ends with the transaction. A statement sees what was committed before it began,
            // and thus all changes of those who had the lock before.
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(x'726572617465'::bigint)",
        }
    }
}

/// A file's address. Every byte that could mean something in an address is escaped.
fn sqlite_url(path: &Path, mode: &str) -> Result<String> {
    let text = path.to_str().ok_or_else(|| StoreError::Invalid(format!("the path {} is not UTF-8", path.display())))?;
    let mut url = String::from("sqlite:");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(format!("{url}?mode={mode}"))
}
