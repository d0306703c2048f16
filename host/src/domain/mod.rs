//! The product's nouns as plain values: no input or output, no async, no clock. Everything else in the crate speaks in these types.

pub mod access;
pub mod charge;
pub mod chunk;
pub mod columns;
pub mod id;
pub mod json;
pub mod money;
pub mod period;
pub mod progress;
pub mod rated;
pub mod rule;
