//! Where the files are that this database names: in a bucket, or, without a row here, in the daemon's folder alone. Said once; a lake moves
//! by a backup.

use std::collections::BTreeSet;

use sqlx::FromRow;

use super::{Result, Store};
use crate::clock::Moment;

/// A bucket that this database has taken.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct LakePlace {
    pub id: String,
    /// `s3://bucket/prefix`.
    pub location: String,
    /// A known text as `secrets` has sealed it: whoever cannot open it has another key.
    pub key_check: String,
    /// When every file that was named was there; none while they are being put there.
    pub settled_at: Option<Moment>,
}

impl Store {
    pub async fn lake_place(&self) -> Result<Option<LakePlace>> {
        Ok(sqlx::query_as("SELECT * FROM lake_place").fetch_optional(&self.read).await?)
    }

    /// Takes a bucket, unless one is taken and used already; gives the one that is. One that is taken and not used yet may be exchanged by
    /// a daemon that is `alone`.
    pub async fn lake_take(&self, location: &str, key_check: &str, alone: bool) -> Result<LakePlace> {
        let mut tx = self.begin().await?;
        let known: Option<LakePlace> = sqlx::query_as("SELECT * FROM lake_place").fetch_optional(&mut *tx).await?;
        if let Some(known) = known.clone().filter(|known| known.settled_at.is_some() || !alone) {
            return Ok(known);
        }
        let taken: LakePlace = sqlx::query_as(
            "INSERT INTO lake_place (id, location, key_check) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET location = $2, key_check = $3 RETURNING *",
        )
        .bind(known.as_ref().map_or_else(|| self.clock.id("lake"), |known| known.id.clone()))
        .bind(location)
        .bind(key_check)
        .fetch_one(&mut *tx)
        .await?;
        let (before, after) = (known.map(|known| known.location), Some(&taken.location));
        self.audit(&mut tx, if before.is_none() { "create" } else { "update" }, "lake", &taken.id, before.as_ref(), after).await?;
        tx.commit().await?;
        Ok(taken)
    }

    /// Every file that is named is in the bucket.
    pub async fn lake_settle(&self) -> Result<()> {
        self.change(sqlx::query("UPDATE lake_place SET settled_at = $1 WHERE settled_at IS NULL").bind(self.clock.now())).await?;
        Ok(())
    }

    /// Seals the check value anew, as the other secrets are when the key changes.
    pub async fn lake_seal_again<E>(
        &self,
        again: impl FnOnce(&str) -> std::result::Result<String, E>,
    ) -> Result<std::result::Result<(), E>> {
        let mut tx = self.begin().await?;
        let Some(known) = sqlx::query_as::<_, LakePlace>("SELECT * FROM lake_place").fetch_optional(&mut *tx).await? else {
            return Ok(Ok(()));
        };
        match again(&known.key_check) {
            Ok(sealed) => sqlx::query("UPDATE lake_place SET key_check = $1").bind(sealed).execute(&mut *tx).await?,
            Err(error) => return Ok(Err(error)),
        };
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// How many daemons besides this one are on the database.
    pub async fn daemons_beside(&self) -> Result<i64> {
        let Some(daemon) = self.daemon() else { return Ok(0) };
        self.daemons_but(daemon).await
    }

    /// Digests of components that are being deployed, named by no version yet.
    pub async fn digests_under_way(&self) -> Result<BTreeSet<String>> {
        let digests: Vec<String> =
            sqlx::query_scalar("SELECT digest FROM deployments WHERE finished_at IS NULL").fetch_all(&self.read).await?;
        Ok(digests.into_iter().collect())
    }
}
