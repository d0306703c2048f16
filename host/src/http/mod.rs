//! The HTTP interface: `/v1/...`, JSON, described by its own OpenAPI document.
//!
//! `router` is the index; one file a noun. A handler extracts, calls the store or the jobs, responds. Every change pokes the jobs, which
//! find out themselves what follows from it. Nothing here computes an amount or reads a bill.

pub mod access;
mod assignments;
mod audit;
pub mod auth;
mod charged;
mod charges;
mod conditional;
mod cost_centers;
mod deployments;
mod described;
mod domains;
mod doorkeeper;
mod errors;
mod events;
mod extract;
mod idempotency;
mod integrations;
mod invitations;
mod keys;
mod limits;
mod lines;
mod metrics;
mod once;
mod openapi;
mod openid;
mod overlaps;
mod plugins;
mod previews;
mod quotas;
mod ready;
mod reply;
mod reports;
mod roster;
mod router;
mod rules;
mod runs;
mod secrets;
mod serve;
mod session;
mod sessions;
mod shadows;
mod signing_in;
mod snapshots;
mod state;
mod subaccounts;
mod teams;
mod tenant_import;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;
mod trace;
mod users;
mod verify;
mod virtuals;

pub use limits::PER_SECOND;
pub use openid::{usual_claim, usual_scopes};
pub use router::{document, router};
pub use serve::{serve, serve_metrics};
pub use state::AppState;
pub use virtuals::Where;
