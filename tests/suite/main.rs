//! End-to-end tests through the real binary: what a person would type, and what comes out.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on says where, a skipped one why

mod access;
mod apply;
mod author;
mod backup;
mod bucket;
mod cases;
mod commands;
mod compare;
mod crash;
mod daemon;
mod daemons;
mod deploy;
mod examples;
mod generate;
mod input;
mod issuer;
mod kit;
mod lake;
mod layers;
mod log_lines;
mod logs;
mod native;
mod organisation;
mod plugin_test;
#[path = "../../host/src/store/tests/server.rs"]
mod postgres;
mod run;
mod server;
mod sign_in;
mod stop;
mod stories;
mod traces;
