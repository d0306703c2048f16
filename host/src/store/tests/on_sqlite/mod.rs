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

#[path = "../chain.rs"]
mod chain;
#[path = "../customers.rs"]
mod customers;
#[path = "../deploying.rs"]
mod deploying;
#[path = "../opening.rs"]
mod opening;
#[path = "../organisation.rs"]
mod organisation;
#[path = "../rating.rs"]
mod rating;
#[path = "../signing_in.rs"]
mod signing_in;
#[path = "../sources.rs"]
mod sources;
#[path = "../tenants.rs"]
mod tenants;
#[path = "../told.rs"]
mod told;

mod files;

#[path = "../leases.rs"]
mod leases;

#[path = "../rows.rs"]
mod rows;
