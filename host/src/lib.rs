//! Rerate: turns the bills that a cloud reseller receives into the bills it sends, by rules that are sandboxed WebAssembly components.
//!
//! ARCHITECTURE.md is the map. The crate is a library so that the daemon, the command line, the tests and the benchmarks run the same
//! code; it promises no stable Rust interface.

pub mod bills;
pub mod cli;
pub mod clock;
pub mod depot;
pub mod domain;
pub mod events;
pub mod generate;
pub mod http;
pub mod jobs;
pub mod lake;
pub mod plugins;
pub mod rating;
pub mod sandbox;
pub mod secrets;
pub mod signin;
pub mod store;
pub mod telemetry;
