//! The versions in use: loading them, and the changes that need no new bytes. Activating, rolling back and disabling are one swap of a
//! pointer in the store; who holds the component from before keeps it for as long as it runs.

use std::sync::Arc;

use super::check::told;
use super::deploy::{DeployError, digest_of};
use super::files::Files;
use super::registry::Registry;
use super::signature::{self, Verdict};
use crate::depot::Depot;
use crate::events::{Event, Events};
use crate::sandbox::{Plugin, Sandbox};
use crate::store::{self, Actor, Origin, PluginVersion, Shadow, SigningPolicy, Store, StoreError};

/// The plugins of one daemon.
pub struct Plugins {
    pub(super) sandbox: Sandbox,
    store: Store,
    pub(super) registry: Registry,
    pub(super) files: Files,
    pub(super) events: Events,
    /// Called after every change of what is active.
    changed: Box<dyn Fn() + Send + Sync>,
    /// One activation at a time; compiling happens outside.
    pub(super) activating: tokio::sync::Mutex<()>,
}

impl Plugins {
    /// Keeps components in a depot, clears up after a process that stopped in the middle of a deployment, and loads those in use.
    pub async fn open(
        depot: Depot,
        sandbox: Sandbox,
        store: Store,
        events: Events,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Result<Arc<Self>, DeployError> {
        let is_shared = store.daemon().is_some() && depot.remote().is_none();
        let files = Files::open(depot)?;
        let interrupted = store.deployments_interrupt().await?;
        let strays = files.remove_strays(&store.plugin_digests().await?.into_iter().collect(), is_shared)?;
        if interrupted > 0 || strays > 0 {
            tracing::warn!(interrupted, strays, "deployments were interrupted when the daemon stopped; what they left is removed");
        }
        let (registry, activating) = (Registry::default(), tokio::sync::Mutex::new(()));
        let plugins = Arc::new(Self { sandbox, store, registry, files, events, changed: Box::new(changed), activating });
        for digest in plugins.store.plugin_digests_in_use().await? {
            if let Err(error) = plugins.loaded(&digest).await {
                tracing::error!(digest, error = %error, "a component in use cannot be loaded; its rules will fail");
            }
        }
        Ok(plugins)
    }

    /// The component of a digest, from memory or from its file.
    pub async fn loaded(self: &Arc<Self>, digest: &str) -> Result<Arc<Plugin>, DeployError> {
        if let Some(plugin) = self.registry.get(digest) {
            return Ok(plugin);
        }
        let (this, digest) = (Arc::clone(self), digest.to_owned());
        in_background(move || this.load_stored(&digest)).await
    }

    /// As [`Plugins::loaded`], for threads that may block.
    pub fn load_stored(&self, digest: &str) -> Result<Arc<Plugin>, DeployError> {
        if let Some(plugin) = self.registry.get(digest) {
            return Ok(plugin);
        }
        let plugin = self.sandbox.load(&self.files.read(digest)?)?;
        if plugin.digest() != digest {
            return Err(DeployError::Damaged(digest.to_owned()));
        }
        self.registry.insert(&plugin);
        Ok(plugin)
    }

    /// The bytes of a version, as they came in.
    pub async fn component(&self, digest: &str) -> Result<Vec<u8>, DeployError> {
        self.store.plugin_version(digest).await?;
        let (files, digest) = (self.files.clone(), digest.to_owned());
        in_background(move || {
            let bytes = files.read(&digest)?;
            if digest_of(&bytes) == digest { Ok(bytes) } else { Err(DeployError::Damaged(digest)) }
        })
        .await
    }

    /// Makes a stored version the active one, on behalf of `by`. Refused when a rule would stop working or the policy wants a signature
    /// that is not there.
    pub async fn activate(
        self: &Arc<Self>,
        name: &str,
        digest: &str,
        by: &Actor,
        expected: Option<i64>,
    ) -> Result<store::Plugin, DeployError> {
        let store = self.store.by_actor(by);
        self.swap(name, digest, store.plugin_activate(name, digest, expected)).await
    }

    /// Makes a shadow's candidate the active version, with every check of an activation, and ends the shadow.
    pub async fn promote(
        self: &Arc<Self>,
        shadow: &Shadow,
        by: &Actor,
        expected: Option<i64>,
    ) -> Result<(store::Plugin, Shadow), DeployError> {
        let store = self.store.by_actor(by);
        self.swap(&shadow.plugin, &shadow.digest, store.shadow_promote(&shadow.id, expected)).await
    }

    /// Checks that a version can be the active one, lets `change` make it that, and does what follows.
    async fn swap<T>(
        self: &Arc<Self>,
        name: &str,
        digest: &str,
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, DeployError> {
        let version = self.version_of(name, digest).await?;
        let plugin = self.loaded(digest).await?;
        if version.origin != Origin::Builtin && self.store.signing_policy().await? == SigningPolicy::Require {
            let (files, keys, digest) = (self.files.clone(), self.store.keys().await?, digest.to_owned());
            let verdict = in_background(move || Ok(signature::verdict(&files.read(&digest)?, &keys))).await?;
            if !verdict.is_trusted() {
                return Err(DeployError::Signature(verdict));
            }
        }
        let _alone = self.activating.lock().await;
        let check = self.check_rules(&plugin).await?;
        if !check.refused.is_empty() {
            return Err(DeployError::Rules(check.refused));
        }
        let activated = change.await?;
        self.registry.insert(&plugin);
        self.forget_unused().await;
        self.tell_activated(&version);
        Ok(activated)
    }

    /// Makes the version active again that was active before the present one.
    pub async fn roll_back(self: &Arc<Self>, name: &str, by: &Actor, expected: Option<i64>) -> Result<store::Plugin, DeployError> {
        let plugin = self.store.plugin(name).await?;
        let Some(previous) = plugin.previous_digest else {
            let text = format!("there is no version of {name} to roll back to: none was active before the present one, or it was deleted");
            return Err(StoreError::Conflict(text).into());
        };
        self.activate(name, &previous, by, expected).await
    }

    /// Disables a plugin, or enables it again. Runs of a disabled plugin's rules fail rather than go on without them.
    pub async fn set_disabled(&self, name: &str, disabled: bool, by: &Actor, expected: Option<i64>) -> Result<store::Plugin, DeployError> {
        let plugin = self.store.by_actor(by).plugin_set_disabled(name, disabled, expected).await?;
        if disabled {
            self.events.send(Event::PluginDisabled { name: name.to_owned() });
        } else {
            match self.store.plugin_version(&plugin.active_digest).await {
                Ok(version) => self.tell_activated(&version),
                Err(error) => tracing::warn!(name, %error, "the plugin is enabled; its version cannot be read now"),
            }
        }
        (self.changed)();
        Ok(plugin)
    }

    /// Removes a version that nothing refers to.
    pub async fn delete_version(&self, name: &str, digest: &str, by: &Actor, expected: Option<i64>) -> Result<(), DeployError> {
        let _alone = self.activating.lock().await;
        self.version_of(name, digest).await?;
        self.store.by_actor(by).plugin_version_delete(digest, expected).await?;
        self.forget_unused().await;
        self.files.remove(digest).await;
        Ok(())
    }

    /// A stored version, if it is one of this plugin.
    pub(super) async fn version_of(&self, name: &str, digest: &str) -> Result<PluginVersion, StoreError> {
        let version = self.store.plugin_version(digest).await?;
        if version.manifest.name == name {
            Ok(version)
        } else {
            Err(StoreError::NotFound { noun: "plugin version", id: digest.to_owned() })
        }
    }

    /// Whether the store knows this content already, active or not.
    pub async fn is_known(&self, bytes: &[u8]) -> Result<bool, StoreError> {
        match self.store.plugin_version(&super::digest_of(bytes)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where it cannot be told which are used, all stay at hand: what was changed before this is changed, and must be told.
    pub(super) async fn forget_unused(&self) {
        match self.store.plugin_digests_in_use().await {
            Ok(used) => self.registry.keep(&used.into_iter().collect()),
            Err(error) => tracing::warn!(%error, "components that are not used any more stay in memory"),
        }
    }

    pub(super) fn tell_activated(&self, version: &PluginVersion) {
        let (name, number, digest) = (&version.manifest.name, &version.manifest.version, &version.digest);
        tracing::info!(plugin = name, version = number, digest, "plugin activated");
        self.events.send(Event::PluginActivated { name: name.clone(), version: number.clone(), digest: digest.clone() });
        (self.changed)();
    }
}

/// What people are told of a refusal, by its kind.
pub(super) fn refusal_text(error: &DeployError) -> String {
    match error {
        DeployError::Rules(refused) => told(refused),
        error => error.to_string(),
    }
}

/// A signature that is not good enough for activating, in words.
pub(super) fn signature_text(verdict: &Verdict) -> String {
    format!("the signing policy wants the signature of a trusted key, and the component is {verdict}")
}

/// Runs what blocks on a thread of its own. A panic there is a fault of ours and goes on here.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeployError> + Send + 'static,
) -> Result<T, DeployError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(DeployError::Stopping),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use super::*;
    use crate::clock::Clock;
    use crate::sandbox::tests::guest::Guest;
    use crate::sandbox::{Compile, Limits, SandboxOptions};

    #[tokio::test(flavor = "multi_thread")]
    async fn an_activation_that_was_made_is_told_whatever_fails_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_file(&folder.path().join("rerate.db"), Clock::system()).await.unwrap();
        let limits = Limits { instances: 2, ..Limits::default() };
        let sandbox = Sandbox::new(SandboxOptions { cache_dir: None, limits, compile: Compile::InProcess }).unwrap();
        let changed = Arc::new(AtomicBool::new(false));
        let woken = Arc::clone(&changed);
        let depot = Depot::local(&folder.path().join("components"));
        let plugins = Plugins::open(depot, sandbox, store.clone(), Events::new(), move || woken.store(true, SeqCst)).await.unwrap();
        let version = |number: &str| Guest::adjustment().extra(&format!("(data (i32.const 2064) \"1.0.{number}\")")).build();
        let first = plugins.deploy(version("1"), Origin::Upload, "upload").await.unwrap().version;
        plugins.deploy(version("2"), Origin::Upload, "upload").await.unwrap();
        changed.store(false, SeqCst);
        let name = &first.manifest.name;
        let change = async {
            let activated = store.plugin_activate(name, &first.digest, None).await;
            store.close().await; // from here on the database does not answer
            activated
        };
        let activated = plugins.swap(name, &first.digest, change).await.unwrap();
        assert_eq!(activated.active_digest, first.digest);
        assert!(changed.load(SeqCst), "what follows from it is looked for");
    }
}
