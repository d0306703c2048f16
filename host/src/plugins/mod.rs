//! Components from their bytes to the rules that run: deploying, the versions in use, the watched folder.
//!
//! It knows nothing of charges or runs: it hands out `Arc`s of loaded components, and who holds one keeps it for as long as it runs.

pub mod watch;
