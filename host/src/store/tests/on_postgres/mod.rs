//! Every test of the store, on PostgreSQL.

use super::*;

/// The address of a database that has no tables yet.
fn empty() -> Option<(String, Option<tempfile::TempDir>)> {
    let Some(url) = server::fresh_database() else {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        eprintln!("skipped: {test}: PostgreSQL's server is not installed");
        return None;
    };
    Some((url, None))
}

async fn fresh() -> Option<Fresh> {
    let (url, _folder) = empty()?;
    Some(Fresh { store: Store::open(&url, scripted()).await.unwrap(), url, _folder })
}

#[path = "../every.rs"]
mod every;
mod tls;
