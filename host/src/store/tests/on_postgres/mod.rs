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

mod tls;

#[path = "../leases.rs"]
mod leases;

#[path = "../rows.rs"]
mod rows;
