//! Deploys what is dropped into the plugins folder, and the built-in components at start.

use std::path::Path;
use std::sync::Arc;

use super::builtin::{BUILTINS, Builtin};
use super::watch::{Dropped, FolderWatch, WatchError};
use super::{MAX_COMPONENT_BYTES, Plugins};
use crate::store::Origin;

/// Watches `folder` and deploys each component that appears in it. Must be called within the runtime that deploys.
///
/// A file that lay there at start and is known to the store is left alone: an administrator may have rolled back from it since. Dropping a
/// known file anew activates it.
pub fn watch_folder(plugins: &Arc<Plugins>, folder: &Path) -> Result<FolderWatch, WatchError> {
    let plugins = Arc::clone(plugins);
    let runtime = tokio::runtime::Handle::current();
    FolderWatch::start(folder, MAX_COMPONENT_BYTES as u64, move |file| runtime.block_on(take(&plugins, file)))
}

async fn take(plugins: &Arc<Plugins>, file: Dropped) {
    if file.at_start && plugins.is_known(&file.bytes).await {
        return;
    }
    let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The outcome is logged, remembered and told by `deploy`; the folder itself is the author's, nothing is written into it.
    let _ = plugins.deploy(file.bytes, Origin::Folder, &name).await;
}

/// Deploys the built-in rules of this version of the program. One that is known is left as it is, active or not, and so is a name whose
/// active version an administrator brought in.
pub async fn deploy_builtins(plugins: &Arc<Plugins>) {
    let deployments = BUILTINS.iter().map(|Builtin { name, component }| async move {
        let theirs = match plugins.store().plugin(name).await {
            Ok(plugin) => plugins.store().plugin_version(&plugin.active_digest).await.is_ok_and(|active| active.origin != Origin::Builtin),
            Err(_) => false,
        };
        if !theirs && !plugins.is_known(component).await {
            // A refusal is logged and remembered by `deploy`, and the version before stays.
            let _ = plugins.deploy(component.to_vec(), Origin::Builtin, name).await;
        }
    });
    futures::future::join_all(deployments).await;
}
