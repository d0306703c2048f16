//! Credentials of integrations, as `secrets` has sealed them: the store never sees the plain text, and the log of changes neither.

use super::audit::NOTHING;
use super::integrations::find;
use super::{Integration, IntegrationKind, Result, Store, StoreError, Tx, unchanged};
use crate::clock::Moment;

impl Store {
    /// Sets an integration's credentials in place of those before. `hint` is the end of the access key's id.
    pub async fn credentials_set(&self, integration_id: &str, sealed: &str, hint: &str, expected: Option<i64>) -> Result<Integration> {
        let mut tx = self.begin().await?;
        let before = self.find_seen(&mut tx, integration_id).await?;
        unchanged("integration", integration_id, before.version, expected)?;
        if before.kind != IntegrationKind::S3 {
            return Err(StoreError::Invalid("a folder has no credentials".to_owned()));
        }
        sqlx::query(
            "INSERT INTO integration_credentials (integration_id, sealed, hint, set_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (integration_id) DO UPDATE SET sealed = $2, hint = $3, set_at = $4",
        )
        .bind(integration_id)
        .bind(sealed)
        .bind(hint)
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        count_change(&mut tx, integration_id, self.clock.now()).await?;
        let after = find(&mut tx, integration_id).await?;
        let (old, new) = (before.credentials.as_ref(), after.credentials.as_ref());
        self.audit(&mut tx, "set", "credentials", integration_id, old, new).await?;
        tx.commit().await?;
        Ok(after)
    }

    pub async fn credentials_delete(&self, integration_id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let before = self.find_seen(&mut tx, integration_id).await?;
        unchanged("integration", integration_id, before.version, expected)?;
        let Some(hint) = &before.credentials else {
            return Err(StoreError::Conflict(format!("the integration {} has no credentials", before.name)));
        };
        sqlx::query("DELETE FROM integration_credentials WHERE integration_id = $1").bind(integration_id).execute(&mut *tx).await?;
        count_change(&mut tx, integration_id, self.clock.now()).await?;
        self.audit(&mut tx, "delete", "credentials", integration_id, Some(hint), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }

    /// As they were sealed; none where there are none.
    pub async fn credentials_sealed(&self, integration_id: &str) -> Result<Option<String>> {
        let found = sqlx::query_scalar("SELECT sealed FROM integration_credentials WHERE integration_id = $1").bind(integration_id);
        Ok(found.fetch_optional(&self.read).await?)
    }

    /// Seals all of them anew, all or none; gives how many. `again` takes an integration's id and the sealed text.
    pub async fn credentials_seal_again<E>(
        &self,
        again: impl Fn(&str, &str) -> std::result::Result<String, E>,
    ) -> Result<std::result::Result<u64, E>> {
        let mut tx = self.begin().await?;
        let all: Vec<(String, String)> =
            sqlx::query_as("SELECT integration_id, sealed FROM integration_credentials ORDER BY integration_id")
                .fetch_all(&mut *tx)
                .await?;
        let mut done = 0;
        for (id, sealed) in all {
            let sealed = match again(&id, &sealed) {
                Ok(sealed) => sealed,
                Err(error) => return Ok(Err(error)),
            };
            sqlx::query("UPDATE integration_credentials SET sealed = $2 WHERE integration_id = $1")
                .bind(&id)
                .bind(sealed)
                .execute(&mut *tx)
                .await?;
            done += 1;
        }
        self.audit(&mut tx, "rotate", "credentials", "all", NOTHING, Some(&done)).await?;
        tx.commit().await?;
        Ok(Ok(done))
    }
}

/// The integration shows whether it has credentials: they are a part of it.
async fn count_change(tx: &mut Tx, integration_id: &str, now: Moment) -> Result<()> {
    let counted = sqlx::query("UPDATE integrations SET version = version + 1, updated_at = $2 WHERE id = $1");
    counted.bind(integration_id).bind(now).execute(&mut **tx).await?;
    Ok(())
}
