//! Every test of the store, on SQLite.

use super::*;

async fn fresh() -> Option<Fresh> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("rerate.db").display());
    Some(Fresh { store: Store::open(&url, scripted()).await.unwrap(), url, _folder: Some(folder) })
}

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

mod files;

#[path = "../leases.rs"]
mod leases;
