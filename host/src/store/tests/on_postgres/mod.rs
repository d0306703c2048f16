//! Every test of the store, on PostgreSQL.

use super::*;

async fn fresh() -> Option<Fresh> {
    let Some(url) = server::fresh_database() else {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        eprintln!("skipped: {test}: PostgreSQL's server is not installed");
        return None;
    };
    Some(Fresh { store: Store::open(&url, scripted()).await.unwrap(), url, _folder: None })
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

#[path = "../leases.rs"]
mod leases;
