//! How the database is doing: for an operator and whatever watches the daemon.

use super::{Result, Store};

/// Connections of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    pub open: u64,
    pub idle: u64,
}

impl Store {
    /// Whether the database answers a reader and a writer.
    pub async fn answers(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        self.write.answers().await
    }

    pub fn connections(&self) -> Connections {
        let (open, idle) = self.write.connections();
        Connections { open: u64::from(self.read.size() + open), idle: (self.read.num_idle() + idle) as u64 }
    }

    /// How many runs are in each state.
    pub async fn runs_by_state(&self) -> Result<Vec<(String, i64)>> {
        Ok(sqlx::query_as("SELECT state, COUNT(*) FROM runs GROUP BY state ORDER BY state").fetch_all(&self.read).await?)
    }
}
