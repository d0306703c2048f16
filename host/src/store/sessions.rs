//! Sessions: browsers that are signed in. A session hangs on a membership and ends with it; it ends as well when nobody uses it, or when its
//! person or an Owner ends it. Who has to do with whose sessions is the caller's to know.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::tenants::admitted;
use super::{Page, PageRequest, Result, Store, StoreError, User, list_tag, unchanged};
use crate::clock::Moment;
use crate::domain::access::Organisation;

/// A session that nobody used for so long has ended, in milliseconds: a working day.
pub(super) const IDLE_MILLIS: i64 = 8 * 60 * 60 * 1_000;

/// A session has ended so long after it began, however busy it was: a week.
const ABSOLUTE_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// A session's last use is noted this often.
const NOTED_EVERY_MILLIS: i64 = 60_000;

/// Sessions of one person: the oldest end when there are more.
const MAX_OF_USER: i64 = 50;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Session {
    pub id: String,
    pub user_id: String,
    /// In which of the person's organisations it is.
    pub organisation: Organisation,
    /// The tenant in which a person of the MSP acts as Manager User.
    pub entered: Option<String>,
    pub address: Option<String>,
    /// The provider that vouched for the person; null for their own password. Such a session stays in its organisation.
    pub issuer: Option<String>,
    pub created_at: Moment,
    pub seen_at: Moment,
    pub expires_at: Moment,
}

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub user_id: String,
    pub organisation: Organisation,
    /// SHA-256 of the cookie's secret, in hexadecimal.
    pub sha256: String,
    /// The provider that vouched for the person; none for their own password.
    pub issuer: Option<String>,
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionsOf {
    pub user_id: String,
    /// Only those in this organisation; none for all.
    pub organisation: Option<Organisation>,
}

impl SessionsOf {
    pub fn has(&self, session: &Session) -> bool {
        session.user_id == self.user_id && self.organisation.as_ref().is_none_or(|only| *only == session.organisation)
    }
}

impl Store {
    /// Begins a session; the store is the person's own, so that the log names them.
    pub async fn session_begin(&self, new: &NewSession) -> Result<Session> {
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        admitted(&mut tx, &new.organisation).await?;
        if new.issuer.is_none() {
            refuse_passwords(&mut tx, &new.organisation).await?;
        }
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR seen_at <= $2")
            .bind(now)
            .bind(Moment(now.0 - IDLE_MILLIS))
            .execute(&mut *tx)
            .await?;
        let session: Session = sqlx::query_as(
            "INSERT INTO sessions (id, sha256, user_id, organisation, address, created_at, seen_at, expires_at, issuer) \
             VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8) RETURNING *",
        )
        .bind(self.clock.id("ses"))
        .bind(&new.sha256)
        .bind(&new.user_id)
        .bind(&new.organisation)
        .bind(&self.actor.address)
        .bind(now)
        .bind(Moment(now.0 + ABSOLUTE_MILLIS))
        .bind(&new.issuer)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2)",
        )
        .bind(&new.user_id)
        .bind(MAX_OF_USER)
        .execute(&mut *tx)
        .await?;
        self.audit(&mut tx, "begin", "session", &session.id, NOTHING, Some(&session)).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// Those that have not ended, oldest first.
    pub async fn sessions(&self, of: &SessionsOf, page: &PageRequest) -> Result<Page<Session>> {
        let now = self.clock.now();
        let list = sqlx::query_as(
            "SELECT * FROM sessions WHERE user_id = $1 AND ($2 IS NULL OR organisation = $2) AND expires_at > $3 AND seen_at > $4 \
             AND id > $5 ORDER BY id LIMIT $6",
        );
        let items = list
            .bind(&of.user_id)
            .bind(of.organisation.as_ref().map(Organisation::name))
            .bind(now)
            .bind(Moment(now.0 - IDLE_MILLIS))
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        Ok(page.page(items, |session: &Session| session.id.clone()))
    }

    /// The tag of all of them.
    pub async fn sessions_tag(&self, of: &SessionsOf) -> Result<i64> {
        Ok(tag_of_all(&all_of(&mut self.read.begin().await?, of).await?))
    }

    pub async fn session(&self, id: &str) -> Result<Session> {
        open(&mut self.read.begin().await?, id).await
    }

    /// The session of this secret and its person, if it has not ended.
    pub async fn session_by_sha256(&self, sha256: &str) -> Result<Option<(Session, User)>> {
        let now = self.clock.now();
        let found: Option<Session> = sqlx::query_as("SELECT * FROM sessions WHERE sha256 = $1 AND expires_at > $2 AND seen_at > $3")
            .bind(sha256)
            .bind(now)
            .bind(Moment(now.0 - IDLE_MILLIS))
            .fetch_optional(&self.read)
            .await?;
        let Some(session) = found else { return Ok(None) };
        let user: Option<User> = sqlx::query_as("SELECT * FROM users WHERE id = $1 AND state = 'active'")
            .bind(&session.user_id)
            .fetch_optional(&self.read)
            .await?;
        Ok(user.map(|user| (session, user)))
    }

    /// Notes that a session was used, a minute at most after it was last noted.
    pub async fn session_used(&self, session: &Session) -> Result<()> {
        let now = self.clock.now();
        if session.seen_at.0 + NOTED_EVERY_MILLIS < now.0 {
            self.change(sqlx::query("UPDATE sessions SET seen_at = $2 WHERE id = $1").bind(&session.id).bind(now)).await?;
        }
        Ok(())
    }

    /// Goes into a tenant as Manager User, or leaves it (`None`).
    pub async fn session_enter(&self, id: &str, tenant_id: Option<&str>) -> Result<Session> {
        let mut tx = self.begin().await?;
        let before = open(&mut tx, id).await?;
        if let Some(tenant) = tenant_id {
            let known: Option<String> =
                sqlx::query_scalar("SELECT id FROM tenants WHERE id = $1").bind(tenant).fetch_optional(&mut *tx).await?;
            known.filter(|id| self.view.sees(id)).ok_or_else(|| StoreError::not_found("tenant", tenant))?;
        }
        let after: Session = sqlx::query_as("UPDATE sessions SET entered = $2 WHERE id = $1 RETURNING *")
            .bind(id)
            .bind(tenant_id)
            .fetch_one(&mut *tx)
            .await?;
        match (tenant_id, before.entered.as_deref()) {
            (Some(tenant), _) => self.audit(&mut tx, "enter", "tenant", tenant, NOTHING, NOTHING).await?,
            (None, Some(tenant)) => self.audit(&mut tx, "leave", "tenant", tenant, NOTHING, NOTHING).await?,
            (None, None) => {}
        }
        tx.commit().await?;
        Ok(after)
    }

    /// Goes on in another of the person's organisations.
    pub async fn session_switch(&self, id: &str, organisation: &Organisation) -> Result<Session> {
        let mut tx = self.begin().await?;
        let before = open(&mut tx, id).await?;
        if before.issuer.is_some() {
            let own = &before.organisation;
            return Err(StoreError::Conflict(format!("you came in through the provider of {own}, which vouches for you there only")));
        }
        let member: Option<String> = sqlx::query_scalar("SELECT user_id FROM memberships WHERE user_id = $1 AND organisation = $2")
            .bind(&before.user_id)
            .bind(organisation)
            .fetch_optional(&mut *tx)
            .await?;
        member.ok_or_else(|| StoreError::not_found("organisation of yours", organisation.name()))?;
        admitted(&mut tx, organisation).await?;
        refuse_passwords(&mut tx, organisation).await?;
        let after: Session = sqlx::query_as("UPDATE sessions SET organisation = $2, entered = NULL WHERE id = $1 RETURNING *")
            .bind(id)
            .bind(organisation)
            .fetch_one(&mut *tx)
            .await?;
        self.audit(&mut tx, "switch", "session", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Ends a session, at once.
    pub async fn session_end(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let before = open(&mut tx, id).await?;
        unchanged("session", id, before.tag(), expected)?;
        self.end_within(&mut tx, &before).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends all of them but the one that is named.
    pub async fn sessions_end(&self, of: &SessionsOf, keep: Option<&str>, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let all = all_of(&mut tx, of).await?;
        unchanged("sessions of", &of.user_id, tag_of_all(&all), expected)?;
        for session in all.iter().filter(|session| keep != Some(&*session.id)) {
            self.end_within(&mut tx, session).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn end_within(&self, tx: &mut super::Tx, session: &Session) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE id = $1").bind(&session.id).execute(&mut **tx).await?;
        self.audit(tx, "end", "session", &session.id, Some(session), NOTHING).await
    }
}

/// Those that ended because nobody used them may be among them, until they are cleared away.
async fn all_of(tx: &mut super::Tx, of: &SessionsOf) -> Result<Vec<Session>> {
    let all = sqlx::query_as("SELECT * FROM sessions WHERE user_id = $1 AND ($2 IS NULL OR organisation = $2) ORDER BY id");
    Ok(all.bind(&of.user_id).bind(of.organisation.as_ref().map(Organisation::name)).fetch_all(&mut **tx).await?)
}

fn tag_of_all(all: &[Session]) -> i64 {
    list_tag(&all.iter().map(|session| session.id.clone()).collect::<Vec<_>>())
}

/// Refuses an organisation whose people sign in through its provider alone.
async fn refuse_passwords(tx: &mut super::Tx, organisation: &Organisation) -> Result<()> {
    let enforced: Option<i64> =
        sqlx::query_scalar("SELECT enforced FROM sign_in WHERE organisation = $1").bind(organisation).fetch_optional(&mut **tx).await?;
    if enforced.is_some_and(|enforced| enforced != 0) {
        let begin = format!("/v1/sign-in/{organisation}");
        return Err(StoreError::Conflict(format!("{organisation} takes no passwords: sign in through its provider, at {begin}")));
    }
    Ok(())
}

async fn open(tx: &mut super::Tx, id: &str) -> Result<Session> {
    let found = sqlx::query_as("SELECT * FROM sessions WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
    found.ok_or_else(|| StoreError::not_found("session", id))
}
