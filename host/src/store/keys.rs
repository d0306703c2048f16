//! Whose signatures count, and what becomes of a component without one. What a signature is, is for `plugins`.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::page::moment_key;
use super::{Page, PageRequest, Result, Store, StoreError, checked_name, unchanged};
use crate::clock::Moment;

/// A public key whose signatures count until it is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, ToSchema)]
pub struct TrustedKey {
    /// Named by every signature of the key.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// `ed25519:` and 64 hexadecimal digits.
    pub public_key: String,
    pub created_at: Moment,
    pub revoked_at: Option<Moment>,
}

/// What becomes of a component that no trusted key has signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SigningPolicy {
    /// Signatures are looked at and told, nothing more.
    #[default]
    Off,
    /// It is deployed with a warning.
    Warn,
    /// It is refused.
    Require,
}

impl SigningPolicy {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Require => "require",
        }
    }
}

const POLICY: &str = "signing_policy";

impl Store {
    /// Trusts a key; one that was revoked is trusted again.
    pub async fn key_trust(&self, id: &str, name: &str, public_key: &str) -> Result<TrustedKey> {
        let (name, _) = checked_name("a key's name", name)?;
        let mut tx = self.begin().await?;
        let before: Option<TrustedKey> =
            sqlx::query_as("SELECT * FROM signing_keys WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        if let Some(known) = before.as_ref().filter(|known| known.revoked_at.is_none()) {
            return Err(StoreError::Conflict(format!("the key {id} is trusted already, as {}", known.name)));
        }
        let key: TrustedKey = sqlx::query_as(
            "INSERT INTO signing_keys (id, name, public_key, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (id) DO UPDATE SET name = $2, public_key = $3, revoked_at = NULL RETURNING *",
        )
        .bind(id)
        .bind(name)
        .bind(public_key)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await?;
        self.audit(&mut tx, "trust", "key", id, before.as_ref(), Some(&key)).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// Ends the trust in a key. What it signed and is active stays active; nothing that it signed is activated again under `require`.
    pub async fn key_revoke(&self, id: &str, expected: Option<i64>) -> Result<TrustedKey> {
        let mut tx = self.begin().await?;
        let found: Option<TrustedKey> =
            sqlx::query_as("SELECT * FROM signing_keys WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let before = found.ok_or_else(|| StoreError::not_found("key", id))?;
        unchanged("key", id, before.tag(), expected)?;
        if before.revoked_at.is_some() {
            return Ok(before);
        }
        let key: TrustedKey = sqlx::query_as("UPDATE signing_keys SET revoked_at = $2 WHERE id = $1 RETURNING *")
            .bind(id)
            .bind(self.clock.now())
            .fetch_one(&mut *tx)
            .await?;
        self.audit(&mut tx, "revoke", "key", id, Some(&before), Some(&key)).await?;
        tx.commit().await?;
        Ok(key)
    }

    pub async fn key(&self, id: &str) -> Result<TrustedKey> {
        let found = sqlx::query_as("SELECT * FROM signing_keys WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("key", id))
    }

    /// Keys, revoked ones too, oldest first.
    pub async fn keys_page(&self, page: &PageRequest) -> Result<Page<TrustedKey>> {
        let (at, id) = page.after_moment()?;
        let items = sqlx::query_as(
            "SELECT * FROM signing_keys WHERE created_at > $1 OR (created_at = $1 AND id > $2) ORDER BY created_at, id LIMIT $3",
        );
        let items = items.bind(at).bind(id).bind(page.fetch()).fetch_all(&self.read).await?;
        Ok(page.page(items, |key: &TrustedKey| moment_key(key.created_at, &key.id)))
    }

    /// All keys, for checking a signature: an MSP has a handful.
    pub async fn keys(&self) -> Result<Vec<TrustedKey>> {
        Ok(sqlx::query_as("SELECT * FROM signing_keys ORDER BY created_at, id").fetch_all(&self.read).await?)
    }

    pub async fn signing_policy(&self) -> Result<SigningPolicy> {
        let found: Option<SigningPolicy> =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(POLICY).fetch_optional(&self.read).await?;
        Ok(found.unwrap_or_default())
    }

    pub async fn signing_policy_set(&self, policy: SigningPolicy, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let before: Option<SigningPolicy> =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(POLICY).fetch_optional(&mut *tx).await?;
        unchanged("setting", POLICY, before.unwrap_or_default().tag(), expected)?;
        sqlx::query(
            "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET value = $2, updated_at = $3",
        )
        .bind(POLICY)
        .bind(policy)
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        match before {
            Some(before) => self.audit(&mut tx, "update", "setting", POLICY, Some(&before), Some(&policy)).await?,
            None => self.audit(&mut tx, "update", "setting", POLICY, NOTHING, Some(&policy)).await?,
        }
        tx.commit().await?;
        Ok(())
    }
}
