//! The control data: tenants, integrations, subaccounts, plugins, rules, assignments, snapshots, runs, tokens. The only user of sqlx.
//!
//! One file a noun; the tables are in `migrations`. Charges are not here but in the lake: a snapshot or a run names its files. A function
//! that changes more than one row does so in one transaction, and what belongs to a tenant is asked for with the tenant. Who may call is
//! not decided here, and what follows from a change is not either: that is for `http` and `jobs`.
//!
//! SQLite or PostgreSQL, by the database's address. Statements are written once, in what both understand: `$n` placeholders that are each
//! bound with their own type, columns of TEXT, BIGINT and BOOLEAN, `RETURNING`, `ON CONFLICT`, `LIKE .. ESCAPE`. Changes go through `begin`,
//! `change` or `change_one`, never to the pool of readers.

mod accounts;
mod assignments;
mod audit;
mod audit_chain;
mod condition;
mod connect;
mod cost_centers;
mod credentials;
mod customers;
mod deployments;
mod dialect;
mod domains;
mod exclude;
mod failures;
mod feeds;
mod holders;
mod idempotency;
mod inputs;
mod integrations;
mod invitations;
mod keys;
mod lake_place;
mod leases;
mod memberships;
mod messages;
mod page;
mod plugins;
mod previews;
mod quotas;
mod removal;
mod roster;
mod rows;
mod rules;
mod run_failures;
mod run_heads;
mod run_logs;
mod runs;
mod sessions;
mod shadows;
mod sign_in;
mod snapshots;
mod splits;
mod subaccounts;
mod tags;
mod teams;
mod tenants;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod users;
mod values;
mod view;
mod virtuals;

use std::path::Path;
use std::sync::Arc;

use sqlx::FromRow;

use self::connect::{Address, Writer};
use crate::clock::Clock;

pub use assignments::{AssignedRule, Assignment, AssignmentFields, ChainLink};
pub use audit::{AuditEntry, AuditFilter};
pub use audit_chain::ChainVerdict;
pub use condition::Connections;
pub use cost_centers::{CostCenter, CostCenterFields};
pub use customers::{BilledCustomer, CUSTOMERS, CustomersAdmitted};
pub use deployments::{Deployment, DeploymentFilter, DeploymentState, Step, StepOutcome, StepResult};
pub use dialect::Kind;
pub use failures::{FailureKey, KnownFailures};
pub use feeds::TenantIntegration;
pub use holders::Held;
pub use idempotency::{Reserved, StoredResponse};
pub use inputs::{AccountOwner, Recorded, RunInputs, SourceInputs};
pub use integrations::{
    CredentialsHint, DEFAULT_REFRESH_MINUTES, Integration, IntegrationFields, IntegrationFilter, IntegrationKind, IntegrationStatus,
};
pub use invitations::{Invitation, InvitationFields, NewPerson};
pub use keys::{SigningPolicy, TrustedKey};
pub use lake_place::LakePlace;
pub use leases::Term;
pub use memberships::{Membership, MembershipFields};
pub use page::{MAX_PAGE, Page, PageRequest};
pub use plugins::{NewVersion, Origin, Plugin, PluginVersion};
pub use previews::{Preview, PreviewState};
pub use quotas::{DEFAULT_CONCURRENT_RUNS, DEFAULT_FUEL, DEFAULT_MEMORY_MIB, DEFAULT_TIME_MS, QuotaFields, TenantQuota};
pub use removal::{Named, TenantRemoval, TenantRemoved};
pub use roster::{MAX_FAULTS, Roster, RosterAction, RosterChange, RosterFault, RosterOutcome, RosterTenant};
pub use rows::{Columns, Dump, Fill};
pub use rules::{Rule, RuleFields};
pub use run_heads::{PublishedRun, RunHead};
pub use runs::{ChainEntry, FoundRun, NewRun, Run, RunFilter, RunResult, RunState};
pub use sessions::{NewSession, Session, SessionsOf};
pub use shadows::{Shadow, ShadowOutcome, ShadowRun, ShadowState};
pub use sign_in::{Admission, ClientSecret, GroupRole, SignIn, SignInFields, Vouched};
pub use snapshots::{CurrencyTotal, Holding, HoldingFilter, Import, Part, PeriodContent, Snapshot, SnapshotState, SubaccountContent};
pub use splits::{PeriodSplit, TenantShare};
pub use subaccounts::{Assign, Considered, Moved, Subaccount, SubaccountFilter, TenantName};
pub use tags::{ABSENT, list_tag};
pub use teams::{Team, TeamFields};
pub use tenants::{SUSPENDED, Tenant, TenantFields, TenantFilter, TenantKind, TenantState};
pub use tokens::{NewToken, Token};
pub use users::{User, UserFields, UserState};
pub use view::{AccountKey, Actor, TenantView, View};
pub use virtuals::{VirtualFields, VirtualIntegration};

/// The database behind the store, named once: SQLite or PostgreSQL, by its address.
type Db = sqlx::Any;
type DbPool = sqlx::Pool<Db>;
type DbRow = <Db as sqlx::Database>::Row;
type Tx = sqlx::Transaction<'static, Db>;
type Statement<'q> = sqlx::query::Query<'q, Db, <Db as sqlx::Database>::Arguments>;
type StatementAs<'q, T> = sqlx::query::QueryAs<'q, Db, T, <Db as sqlx::Database>::Arguments>;

/// Bytes of a name or title: more is a mistake, and would break every table that shows it.
pub const MAX_NAME: usize = 200;

/// Bytes of a location, error text or description.
pub const MAX_TEXT: usize = 4_096;

/// Who changed what nobody asked for.
const OURSELVES: &str = "rerate";

/// What went wrong, in words for the caller. Only `Database` and `Corrupt` are not the caller's doing; their cause is for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no {noun} {id}")]
    NotFound { noun: &'static str, id: String },
    /// The data as it is does not allow the change.
    #[error("{0}")]
    Conflict(String),
    /// The change makes no sense by itself.
    #[error("{0}")]
    Invalid(String),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// Somebody changed it since the caller read it.
    #[error("the {noun} {id} has changed since you read it: it is at version {current}")]
    Changed { noun: &'static str, id: String, current: i64 },
    /// Another daemon does the work now.
    #[error("another daemon has taken the work over: nothing was changed")]
    TakenOver,
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("the database cannot be brought to this version of the program")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
}

impl StoreError {
    pub(crate) fn not_found(noun: &'static str, id: &str) -> Self {
        Self::NotFound { noun, id: id.to_owned() }
    }

    /// Whether the same may be done a moment later: the database did not answer, or had no room. What it refuses for what it was given, it
    /// refuses again.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(cause)) => matches!(cause.kind(), sqlx::error::ErrorKind::Other) && !self.is_of_text(),
            Self::Database(cause) => {
                use sqlx::Error::{BeginFailed, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
                matches!(cause, BeginFailed | Io(_) | PoolClosed | PoolTimedOut | Protocol(_) | Tls(_) | WorkerCrashed)
            }
            _ => false,
        }
    }

    /// Whether PostgreSQL was given a text that it cannot hold: one with a NUL character. SQLite holds it.
    pub fn is_of_text(&self) -> bool {
        const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
        matches!(self, Self::Database(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(CHARACTER_NOT_IN_REPERTOIRE))
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// The control data of one daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    read: DbPool,
    /// Changes queue here, in order, instead of failing on each other's locks.
    write: Writer,
    kind: Kind,
    clock: Clock,
    /// Whom the log of changes names.
    actor: Arc<Actor>,
    /// What they see of the tenants.
    view: View,
    /// Which of several daemons this is; none where there can be only one.
    daemon: Option<Arc<str>>,
    /// Changes are made during this term of the work only.
    term: Option<Term>,
}

impl Store {
    /// Opens, and makes or brings up to date, the database of an address: `sqlite:///path/to/rerate.db`, a plain path, or
    /// `postgres://user@host/name`.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        Self::connect(url.parse()?, clock).await
    }

    pub async fn open_file(path: &Path, clock: Clock) -> Result<Self> {
        Self::connect(Address::File(path.to_owned()), clock).await
    }

    async fn connect(address: Address, clock: Clock) -> Result<Self> {
        let (write, read) = address.connect().await?;
        let kind = address.kind();
        let daemon = (kind == Kind::Postgres).then(|| clock.id(leases::DAEMON).into());
        let actor = Arc::new(Actor::named(OURSELVES));
        let store = Self { read, write, kind, clock, actor, view: View::Everything, daemon, term: None };
        store.audit_chain_begin().await?;
        store.follow_ids().await?;
        Ok(store)
    }

    /// What is new sorts behind what is there, also where the clock was set back meanwhile: of two runs the one with the greater id counts as
    /// the later.
    async fn follow_ids(&self) -> Result<()> {
        let newest: Vec<Option<String>> =
            sqlx::query_scalar("SELECT MAX(id) FROM runs UNION ALL SELECT MAX(id) FROM audit").fetch_all(&self.read).await?;
        newest.iter().flatten().for_each(|id| self.clock.follow(id));
        Ok(())
    }

    /// Waits for running statements and closes the files.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the database is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// A transaction that will write, with the lock that makes it the only one.
    async fn begin(&self) -> Result<Tx> {
        let mut tx = self.write.begin().await?;
        self.check_term(&mut tx).await?;
        Ok(tx)
    }

    /// A change of one statement, in a transaction of its own. Gives the number of rows.
    async fn change(&self, statement: Statement<'_>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let changed = statement.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(changed)
    }

    /// A change of one statement that returns at most one row, in a transaction of its own.
    async fn change_one<T: for<'r> FromRow<'r, DbRow> + Send + Unpin>(&self, statement: StatementAs<'_, T>) -> Result<Option<T>> {
        let mut tx = self.begin().await?;
        let changed = statement.fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// A name as given, trimmed; and as compared.
fn checked_name(what: &str, text: &str) -> Result<(String, String)> {
    let name = text.trim();
    if name.is_empty() {
        return Err(StoreError::Invalid(format!("{what} is empty")));
    }
    if name.len() > MAX_NAME {
        return Err(StoreError::Invalid(format!("{what} is longer than {MAX_NAME} bytes")));
    }
    if name.chars().any(char::is_control) {
        return Err(StoreError::Invalid(format!("{what} has control characters")));
    }
    Ok((name.to_owned(), name.to_lowercase()))
}

/// A text to be found anywhere, whatever its case, as `LIKE .. ESCAPE '!'` takes it.
fn containing(text: &str) -> String {
    format!("%{}%", values::literally(&text.trim().to_lowercase()))
}

/// Turns a broken uniqueness constraint into a sentence.
fn unique(error: sqlx::Error, message: impl FnOnce(&str) -> String) -> StoreError {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => StoreError::Conflict(message(cause.message())),
        _ => StoreError::Database(error),
    }
}

/// Checks the version that the caller read, if it names one. A change does so in its own transaction; by itself this is for what changes
/// nothing here.
pub fn unchanged(noun: &'static str, id: &str, current: i64, expected: Option<i64>) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(StoreError::Changed { noun, id: id.to_owned(), current }),
        _ => Ok(()),
    }
}
