//! Work that takes time: importing bills and rating months.
//!
//! [`ingest`] and [`rate`] are blocking functions without a store, shared by the daemon and the command line.

pub mod change;
pub mod ingest;
pub mod rate;
