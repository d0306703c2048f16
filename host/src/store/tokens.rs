//! Tokens: programs that may call, each in one organisation, for a person or for a service. Only a token's SHA-256 is stored, so that a
//! stolen database opens nothing; its first characters are kept for recognition.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::{Page, PageRequest, Result, Store, StoreError, checked_name, unchanged, unique};
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};

/// A token's last use is noted this often, in milliseconds: reading a list must not write for each call.
const NOTED_EVERY_MILLIS: i64 = 60_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Token {
    pub id: String,
    pub name: String,
    /// The first characters of its text.
    pub shown: String,
    /// Whose it is; null for a service.
    pub user_id: Option<String>,
    pub organisation: Organisation,
    /// What it may do at most; a person's token never more than the person.
    pub role: Role,
    /// It shows this virtual integration and nothing else, and ends with it; null for all that its role may.
    pub virtual_integration_id: Option<String>,
    pub created_by: String,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
    /// When it was last used, to a minute.
    pub used_at: Option<Moment>,
}

/// A token to be kept.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    pub shown: String,
    pub user_id: Option<String>,
    pub organisation: Organisation,
    pub role: Role,
    /// All that it shows; none for all that its role may.
    pub virtual_integration_id: Option<String>,
    pub expires_at: Option<Moment>,
}

impl Store {
    pub async fn token_create(&self, new: &NewToken) -> Result<Token> {
        self.see_organisation(&new.organisation)?;
        let (name, _) = checked_name("a token's name", &new.name)?;
        let now = self.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(StoreError::Invalid("a token cannot expire before it begins".to_owned()));
        }
        let mut tx = self.begin().await?;
        if let Some(tenant) = new.organisation.tenant() {
            let known: Option<String> =
                sqlx::query_scalar("SELECT id FROM tenants WHERE id = $1").bind(tenant).fetch_optional(&mut *tx).await?;
            known.ok_or_else(|| StoreError::not_found("tenant", tenant))?;
        }
        if let Some(id) = &new.virtual_integration_id {
            if (&new.organisation, new.role) != (&Organisation::Msp, Role::Viewer) {
                return Err(StoreError::Invalid("a token for a virtual integration is a Viewer's of the MSP".to_owned()));
            }
            super::virtuals::find(&mut tx, id).await?;
        }
        let insert = sqlx::query_as(
            "INSERT INTO tokens (id, name, sha256, shown, user_id, holder, organisation, tenant_id, role, created_by, created_at, \
             expires_at, virtual_integration_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING *",
        );
        let token: Token = insert
            .bind(self.clock.id("tok"))
            .bind(&name)
            .bind(&new.sha256)
            .bind(&new.shown)
            .bind(&new.user_id)
            .bind(new.user_id.as_deref().unwrap_or_default())
            .bind(&new.organisation)
            .bind(new.organisation.tenant())
            .bind(new.role)
            .bind(self.actor.creator_in(&new.organisation))
            .bind(now)
            .bind(new.expires_at)
            .bind(&new.virtual_integration_id)
            .fetch_one(&mut *tx)
            .await
            .map_err(|error| unique(error, |_| format!("a token named {name} exists already")))?;
        self.audit(&mut tx, "create", "token", &token.id, NOTHING, Some(&token)).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// The token with this hash, if it has not expired. Looking it up by an index takes no longer for a hash that shares a beginning with a
    /// stored one in any way that helps to guess a token: the caller's text is hashed before it comes here.
    pub async fn token_by_sha256(&self, sha256: &str) -> Result<Option<Token>> {
        let found = sqlx::query_as("SELECT * FROM tokens WHERE sha256 = $1 AND (expires_at IS NULL OR expires_at > $2)");
        Ok(found.bind(sha256).bind(self.clock.now()).fetch_optional(&self.read).await?)
    }

    /// Notes that a token was used, a minute at most after it was last noted.
    pub async fn token_used(&self, token: &Token) -> Result<()> {
        let now = self.clock.now();
        if token.used_at.is_none_or(|noted| noted.0 + NOTED_EVERY_MILLIS < now.0) {
            self.change(sqlx::query("UPDATE tokens SET used_at = $2 WHERE id = $1").bind(&token.id).bind(now)).await?;
        }
        Ok(())
    }

    /// Tokens of an organisation, oldest first; of one person only if asked.
    pub async fn tokens_page(&self, organisation: &Organisation, user_id: Option<&str>, page: &PageRequest) -> Result<Page<Token>> {
        self.see_organisation(organisation)?;
        let list = sqlx::query_as(
            "SELECT * FROM tokens WHERE organisation = $1 AND ($2 IS NULL OR user_id = $2) AND id > $3 ORDER BY id LIMIT $4",
        );
        let items = list.bind(organisation).bind(user_id).bind(page.after()).bind(page.fetch()).fetch_all(&self.read).await?;
        Ok(page.page(items, |token: &Token| token.id.clone()))
    }

    /// All tokens of an organisation; of one person only if asked.
    pub async fn tokens(&self, organisation: &Organisation, user_id: Option<&str>) -> Result<Vec<Token>> {
        self.see_organisation(organisation)?;
        let list = sqlx::query_as("SELECT * FROM tokens WHERE organisation = $1 AND ($2 IS NULL OR user_id = $2) ORDER BY id");
        Ok(list.bind(organisation).bind(user_id).fetch_all(&self.read).await?)
    }

    pub async fn token(&self, id: &str) -> Result<Token> {
        let found: Option<Token> = sqlx::query_as("SELECT * FROM tokens WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        let token = found.filter(|token| self.see_organisation(&token.organisation).is_ok());
        token.ok_or_else(|| StoreError::not_found("token", id))
    }

    /// Ends a token, at once.
    pub async fn token_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let found: Option<Token> = sqlx::query_as("SELECT * FROM tokens WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let token = found.filter(|token| self.see_organisation(&token.organisation).is_ok());
        let token = token.ok_or_else(|| StoreError::not_found("token", id))?;
        unchanged("token", id, token.tag(), expected)?;
        sqlx::query("DELETE FROM tokens WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "token", id, Some(&token), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }
}
