//! Components from their bytes to the rules that run: deploying, the versions in use, the watched folder.
//!
//! It knows nothing of charges or runs: it hands out `Arc`s of loaded components, and who holds one keeps it for as long as it runs.

mod active;
pub mod build;
pub mod builtin;
pub mod cases;
mod check;
mod deploy;
mod files;
mod folder;
pub mod portrait;
mod registry;
pub mod scaffold;
mod schema;
pub mod signature;
pub mod watch;

pub use active::Plugins;
pub use check::{CheckError, RefusedRule, VersionCheck};
pub use deploy::{DeployError, Deployed, MAX_COMPONENT_BYTES, Outcome, Submission, digest_of};
pub(crate) use files::name_of;
pub use folder::{deploy_builtins, watch_folder};

/// Bytes as small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
