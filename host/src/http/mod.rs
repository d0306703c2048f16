//! The HTTP interface: `/v1/...`, JSON, described by its own OpenAPI document.
//!
//! `router` is the index; one file a noun. A handler extracts, calls the store or the jobs, responds. Every change pokes the jobs, which
//! find out themselves what follows from it. Nothing here computes an amount or reads a bill.

mod assignments;
pub mod auth;
mod errors;
mod extract;
mod idempotency;
mod integrations;
mod openapi;
mod reply;
mod router;
mod rules;
mod serve;
mod session;
mod snapshots;
mod state;
mod subaccounts;
mod tenants;
#[cfg(test)]
mod tests;
mod trace;

pub use router::{document, router};
pub use serve::serve;
pub use state::AppState;
