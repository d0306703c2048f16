//! Every test of the store, on SQLite.

use super::*;

/// The address of a database that is not there yet.
fn empty() -> Option<(String, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    Some((format!("sqlite://{}", folder.path().join("rerate.db").display()), Some(folder)))
}

async fn fresh() -> Option<Fresh> {
    let (url, _folder) = empty()?;
    Some(Fresh { store: Store::open(&url, scripted()).await.unwrap(), url, _folder })
}

#[path = "../every.rs"]
mod every;
mod files;
