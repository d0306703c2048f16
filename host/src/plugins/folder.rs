//! Deploys what is dropped into the plugins folder, and the built-in components at start.

use std::path::Path;
use std::sync::Arc;

use super::builtin::{BUILTINS, Builtin};
use super::watch::{Dropped, FolderWatch, WatchError};
use super::{DeployError, MAX_COMPONENT_BYTES, Plugins};
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

/// False where the database did not answer: then nothing can be said of the file yet.
async fn take(plugins: &Arc<Plugins>, file: Dropped) -> bool {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if file.at_start {
        match plugins.is_known(&file.bytes).await {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => return is_taken(&name, &error.into()),
        }
    }
    // The outcome is logged, remembered and told by `deploy`; the folder itself is the author's, nothing is written into it.
    match plugins.deploy(file.bytes, Origin::Folder, &name).await {
        Ok(_) => true,
        Err(error) => is_taken(&name, &error),
    }
}

fn is_taken(file: &str, error: &DeployError) -> bool {
    match error {
        DeployError::Store(failed) if failed.is_passing() => {
            tracing::warn!(file, error = %failed, "the database failed: the component is tried again");
            false
        }
        _ => true,
    }
}

/// Deploys the built-in rules of this version of the program. One that is known is left as it is, active or not, and so is a name whose
/// active version an administrator brought in.
pub async fn deploy_builtins(plugins: &Arc<Plugins>) {
    let deployments = BUILTINS.iter().map(|Builtin { name, component }| async move {
        let theirs = match plugins.store().plugin(name).await {
            Ok(plugin) => plugins.store().plugin_version(&plugin.active_digest).await.is_ok_and(|active| active.origin != Origin::Builtin),
            Err(_) => false,
        };
        if !theirs && matches!(plugins.is_known(component).await, Ok(false)) {
            // A refusal is logged and remembered by `deploy`, and the version before stays.
            let _ = plugins.deploy(component.to_vec(), Origin::Builtin, name).await;
        }
    });
    futures::future::join_all(deployments).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::depot::Depot;
    use crate::events::Events;
    use crate::sandbox::tests::guest::Guest;
    use crate::sandbox::{Limits, Sandbox, SandboxOptions};
    use crate::store::Store;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_component_that_comes_while_the_database_does_not_answer_is_not_taken_yet() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_file(&folder.path().join("rerate.db"), Clock::system()).await.unwrap();
        let sandbox = Sandbox::new(SandboxOptions { limits: Limits { instances: 2, ..Limits::default() }, ..SandboxOptions::default() });
        let depot = Depot::local(&folder.path().join("components"));
        let plugins = Plugins::open(depot, sandbox.unwrap(), store.clone(), Events::new(), || {}).await.unwrap();
        let file = |bytes: Vec<u8>, at_start| Dropped { path: folder.path().join("rule.wasm"), bytes, at_start };
        let good = Guest::adjustment().build();
        assert!(take(&plugins, file(b"no component".to_vec(), false)).await, "it was refused");
        assert!(take(&plugins, file(good.clone(), false)).await && take(&plugins, file(good.clone(), true)).await);
        store.close().await;
        for at_start in [false, true] {
            assert!(!take(&plugins, file(good.clone(), at_start)).await);
        }
    }
}
