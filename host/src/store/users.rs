//! People. What they are in which organisation is in `memberships`; a password is here as its argon2id hash only.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::domains::checked_email;
use super::memberships::{insert_membership, keep_an_owner, memberships_of};
use super::{DbRow, Membership, MembershipFields, Page, PageRequest, Result, Store, StoreError, Tx, checked_name, unchanged, unique};
use crate::clock::Moment;
use crate::domain::access::Organisation;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    Active,
    /// May not sign in any more and belongs to no organisation; kept for the log's sake.
    Removed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    pub id: String,
    pub email: String,
    pub name: String,
    pub state: UserState,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

impl FromRow<'_, DbRow> for User {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            name: row.try_get("name")?,
            state: row.try_get("state")?,
            has_password: row.try_get::<Option<String>, _>("password_hash")?.is_some(),
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// Somebody to be made a member.
#[derive(Clone, Debug)]
pub struct UserFields {
    pub email: String,
    pub name: String,
    /// Kept for somebody who is not known yet; a known person's own stays.
    pub password_hash: Option<String>,
}

impl Store {
    /// Makes somebody a member of an organisation. A person who is known by the address already keeps name and password, and becomes one
    /// of the MSP's by an invitation only: whoever gave themselves the address elsewhere must not be let in by mistake.
    pub async fn user_add(&self, fields: &UserFields, membership: &MembershipFields) -> Result<(User, Membership)> {
        let mut tx = self.begin().await?;
        if membership.organisation == Organisation::Msp {
            let known: Option<String> = sqlx::query_scalar("SELECT id FROM users WHERE email_key = $1 AND state = 'active'")
                .bind(fields.email.trim().to_lowercase())
                .fetch_optional(&mut *tx)
                .await?;
            if known.is_some() {
                return Err(known_already(fields.email.trim()));
            }
        }
        let added = self.user_add_in(&mut tx, fields, membership).await?;
        tx.commit().await?;
        Ok(added)
    }

    pub(super) async fn user_add_in(&self, tx: &mut Tx, fields: &UserFields, membership: &MembershipFields) -> Result<(User, Membership)> {
        self.see_organisation(&membership.organisation)?;
        let email = checked_email(fields.email.trim())?;
        let (name, _) = checked_name("a person's name", &fields.name)?;
        let now = self.clock.now();
        let known: Option<User> =
            sqlx::query_as("SELECT * FROM users WHERE email_key = $1").bind(email.to_lowercase()).fetch_optional(&mut **tx).await?;
        let user = match known {
            Some(user) if user.state == UserState::Active => user,
            Some(removed) => {
                let back: User = sqlx::query_as(
                    "UPDATE users SET state = $2, name = $3, password_hash = $4, version = version + 1, updated_at = $5 \
                     WHERE id = $1 RETURNING *",
                )
                .bind(&removed.id)
                .bind(UserState::Active)
                .bind(&name)
                .bind(&fields.password_hash)
                .bind(now)
                .fetch_one(&mut **tx)
                .await?;
                self.audit(tx, "return", "user", &back.id, Some(&removed), Some(&back)).await?;
                back
            }
            None => {
                let user: User = sqlx::query_as(
                    "INSERT INTO users (id, email, email_key, name, password_hash, state, version, created_at, updated_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) RETURNING *",
                )
                .bind(self.clock.id("usr"))
                .bind(&email)
                .bind(email.to_lowercase())
                .bind(&name)
                .bind(&fields.password_hash)
                .bind(UserState::Active)
                .bind(now)
                .fetch_one(&mut **tx)
                .await
                .map_err(|error| unique(error, |_| format!("a person with the address {email} exists already")))?;
                self.audit(tx, "create", "user", &user.id, NOTHING, Some(&user)).await?;
                user
            }
        };
        let membership = insert_membership(self, tx, &user, membership).await?;
        Ok((user, membership))
    }

    /// A person that the caller may know of: the MSP everybody, a tenant's people their own.
    pub async fn user(&self, id: &str) -> Result<User> {
        let tenant = self.view.tenant().map(|tenant| tenant.id.to_string());
        let found = sqlx::query_as(
            "SELECT * FROM users WHERE id = $1 \
             AND ($2 IS NULL OR EXISTS (SELECT 1 FROM memberships m WHERE m.user_id = users.id AND m.organisation = $2))",
        );
        let found = found.bind(id).bind(tenant).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("user", id))
    }

    /// People of one organisation or of all, oldest first; without those who were removed.
    pub async fn users(&self, organisation: Option<&Organisation>, page: &PageRequest) -> Result<Page<User>> {
        let asked = match (organisation, self.view.tenant()) {
            (Some(organisation), _) => {
                self.see_organisation(organisation)?;
                Some(organisation.name().to_owned())
            }
            (None, own) => own.map(|tenant| tenant.id.to_string()),
        };
        let items = sqlx::query_as(
            "SELECT * FROM users WHERE id > $1 AND state = 'active' \
             AND ($2 IS NULL OR EXISTS (SELECT 1 FROM memberships m WHERE m.user_id = users.id AND m.organisation = $2)) \
             ORDER BY id LIMIT $3",
        )
        .bind(page.after())
        .bind(asked)
        .bind(page.fetch())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |user: &User| user.id.clone()))
    }

    /// Who has this address, and the hash of their password: for signing in only.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<(User, Option<String>)>> {
        let row = sqlx::query("SELECT * FROM users WHERE email_key = $1 AND state = 'active'")
            .bind(email.trim().to_lowercase())
            .fetch_optional(&self.read)
            .await?;
        match row {
            Some(row) => Ok(Some((User::from_row(&row)?, row.try_get("password_hash")?))),
            None => Ok(None),
        }
    }

    /// The hash of a person's password: for comparing only.
    pub async fn user_password(&self, id: &str) -> Result<Option<String>> {
        let hash: Option<Option<String>> = sqlx::query_scalar("SELECT password_hash FROM users WHERE id = $1 AND state = 'active'")
            .bind(id)
            .fetch_optional(&self.read)
            .await?;
        Ok(hash.flatten())
    }

    pub async fn user_rename(&self, id: &str, name: &str, expected: Option<i64>) -> Result<User> {
        let (name, _) = checked_name("a person's name", name)?;
        let mut tx = self.begin().await?;
        let before = active(&mut tx, id).await?;
        unchanged("user", id, before.version, expected)?;
        let after: User = sqlx::query_as("UPDATE users SET name = $2, version = version + 1, updated_at = $3 WHERE id = $1 RETURNING *")
            .bind(id)
            .bind(name)
            .bind(self.clock.now())
            .fetch_one(&mut *tx)
            .await?;
        self.audit(&mut tx, "update", "user", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Sets a person's password and ends their sessions but the one that is named. The log says that it was set, nothing of what it is.
    pub async fn user_set_password(&self, id: &str, hash: &str, keep_session: Option<&str>, expected: Option<i64>) -> Result<User> {
        let mut tx = self.begin().await?;
        let before = active(&mut tx, id).await?;
        unchanged("user", id, before.version, expected)?;
        let after: User =
            sqlx::query_as("UPDATE users SET password_hash = $2, version = version + 1, updated_at = $3 WHERE id = $1 RETURNING *")
                .bind(id)
                .bind(hash)
                .bind(self.clock.now())
                .fetch_one(&mut *tx)
                .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND id <> $2")
            .bind(id)
            .bind(keep_session.unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        self.audit(&mut tx, "set-password", "user", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes a person from every organisation; their sessions and tokens end with it.
    pub async fn user_remove(&self, id: &str, expected: Option<i64>) -> Result<User> {
        let mut tx = self.begin().await?;
        let before = active(&mut tx, id).await?;
        unchanged("user", id, before.version, expected)?;
        let memberships = memberships_of(&mut tx, id).await?;
        for membership in &memberships {
            keep_an_owner(&mut tx, membership, None).await?;
            self.audit(&mut tx, "delete", "membership", id, Some(membership), NOTHING).await?;
        }
        sqlx::query("DELETE FROM memberships WHERE user_id = $1").bind(id).execute(&mut *tx).await?;
        let after = end(self, &mut tx, &before).await?;
        tx.commit().await?;
        Ok(after)
    }
}

/// Why a known person does not become one of the MSP's without their doing.
pub(super) fn known_already(email: &str) -> StoreError {
    StoreError::Conflict(format!("{email} is known already: invite them, so that they come in with their own password"))
}

async fn active(tx: &mut Tx, id: &str) -> Result<User> {
    let found = sqlx::query_as("SELECT * FROM users WHERE id = $1 AND state = 'active'").bind(id).fetch_optional(&mut **tx).await?;
    found.ok_or_else(|| StoreError::not_found("user", id))
}

/// Ends somebody who belongs to no organisation any more.
pub(super) async fn end(store: &Store, tx: &mut Tx, user: &User) -> Result<User> {
    sqlx::query("DELETE FROM team_members WHERE user_id = $1").bind(&user.id).execute(&mut **tx).await?;
    let after: User = sqlx::query_as(
        "UPDATE users SET state = $2, password_hash = NULL, version = version + 1, updated_at = $3 WHERE id = $1 RETURNING *",
    )
    .bind(&user.id)
    .bind(UserState::Removed)
    .bind(store.clock.now())
    .fetch_one(&mut **tx)
    .await?;
    store.audit(tx, "remove", "user", &user.id, Some(user), Some(&after)).await?;
    Ok(after)
}

/// Ends whoever belonged to nothing but the tenant that has just been deleted.
pub(super) async fn end_without_organisation(store: &Store, tx: &mut Tx) -> Result<()> {
    let left: Vec<User> = sqlx::query_as(
        "SELECT * FROM users WHERE state = 'active' AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.user_id = users.id) ORDER BY id",
    )
    .fetch_all(&mut **tx)
    .await?;
    for user in &left {
        end(store, tx, user).await?;
    }
    Ok(())
}
