//! End-to-end tests through the real binary: what a person would type, and what comes out.

mod bucket;
mod cases;
mod daemon;
mod examples;
mod generate;
mod input;
mod layers;
mod run;
mod server;
