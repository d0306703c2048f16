//! Tokens: who may call. Only a token's SHA-256 is stored, so that a stolen database opens nothing.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{Result, Store, StoreError, checked_name, unique};
use crate::clock::Moment;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub created_at: Moment,
}

impl Store {
    /// Stores a token by the SHA-256 (hex) of its text.
    pub async fn token_create(&self, name: &str, sha256: &str) -> Result<Token> {
        let (name, _) = checked_name("a token's name", name)?;
        let mut tx = self.begin().await?;
        let token =
            sqlx::query_as("INSERT INTO tokens (id, name, sha256, created_at) VALUES ($1, $2, $3, $4) RETURNING id, name, created_at")
                .bind(self.clock.id("tok"))
                .bind(&name)
                .bind(sha256)
                .bind(self.clock.now())
                .fetch_one(&mut *tx)
                .await
                .map_err(|error| unique(error, |_| format!("a token named {name} exists already")))?;
        tx.commit().await?;
        Ok(token)
    }

    /// The token with this hash. Looking it up by an index takes no longer for a hash that shares a beginning with a stored one in any way
    /// that helps to guess a token: the caller's text is hashed before it comes here.
    pub async fn token_by_sha256(&self, sha256: &str) -> Result<Option<Token>> {
        let found = sqlx::query_as("SELECT id, name, created_at FROM tokens WHERE sha256 = $1").bind(sha256);
        Ok(found.fetch_optional(&self.read).await?)
    }

    pub async fn tokens(&self) -> Result<Vec<Token>> {
        Ok(sqlx::query_as("SELECT id, name, created_at FROM tokens ORDER BY id").fetch_all(&self.read).await?)
    }

    pub async fn token_delete(&self, id: &str) -> Result<()> {
        let gone = self.change(sqlx::query("DELETE FROM tokens WHERE id = $1").bind(id)).await?;
        if gone == 0 { Err(StoreError::not_found("token", id)) } else { Ok(()) }
    }
}
