//! Every test of the store, once for each database: whose `fresh` they see is where they run.

use super::*;

mod chain;
mod customers;
mod deploying;
mod leases;
mod opening;
mod organisation;
mod rating;
mod rows;
mod signing_in;
mod sources;
mod tenants;
mod told;
