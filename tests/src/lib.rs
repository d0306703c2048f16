//! What the end-to-end tests and the build of the components share.

pub mod components;
