//! From a component's bytes to the active version of its name, or to a reason that its author can act on.
//!
//! Load (validate, compile, describe), self-test, ask it about every rule that would run on it, keep its bytes, activate it in one
//! transaction. Nothing before the last step changes what runs; a refusal leaves the active version as it is.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::registry::Registry;
use crate::clock::Moment;
use crate::domain::period::Period;
use crate::domain::rule::{BillPeriod, ConfigError, Plan};
use crate::events::{Event, Events};
use crate::sandbox::{ConfigureError, Plugin, Refusal, Sandbox};
use crate::store::{self, Origin, PageRequest, PluginVersion, Rule, Store, StoreError};

/// A component of a JavaScript or Python rule has 12 to 18 MB; twice that is room enough.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;

/// Refusals that are remembered for whoever asks later.
const KEPT_REFUSALS: usize = 100;

/// Rules named in one refusal; the rest is a number.
const NAMED_RULES: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the component has more than {} MiB", MAX_COMPONENT_BYTES >> 20)]
    TooLarge,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the component fails when it is asked about a configuration: {0}")]
    SelfTest(String),
    #[error("{} of this plugin would stop working: {}", count(.0.len()), list(.0))]
    Rules(Vec<RefusedRule>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the stored component {0} is not what it was: its file has changed")]
    Damaged(String),
}

/// A rule whose configuration a version does not accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRule {
    pub rule_id: String,
    pub title: String,
    /// JSON pointer into the rule's configuration.
    pub pointer: String,
    pub message: String,
}

fn count(rules: usize) -> String {
    if rules == 1 { "one rule".to_owned() } else { format!("{rules} rules") }
}

fn list(rules: &[RefusedRule]) -> String {
    let named = rules.iter().take(NAMED_RULES).map(|rule| match rule.pointer.as_str() {
        "" => format!("{:?}: {}", rule.title, rule.message),
        pointer => format!("{:?} at {pointer}: {}", rule.title, rule.message),
    });
    let mut text = named.collect::<Vec<_>>().join("; ");
    if rules.len() > NAMED_RULES {
        text.push_str(&format!("; and {} more", rules.len() - NAMED_RULES));
    }
    text
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Refused(#[from] ConfigError),
    #[error("the plugin fails on this configuration: {0}")]
    Failed(String),
    #[error(transparent)]
    Unavailable(#[from] DeployError),
}

/// A component that was not deployed.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Refused {
    pub at: Moment,
    /// The file's name, or `upload`.
    pub origin: String,
    /// What the component calls itself, if it got that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub reason: String,
}

/// What became of a deployment.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub version: PluginVersion,
    /// It was the active version already.
    pub unchanged: bool,
}

/// The plugins of one daemon.
pub struct Plugins {
    sandbox: Sandbox,
    store: Store,
    registry: Registry,
    /// `<digest>.wasm`, each written once.
    components: PathBuf,
    events: Events,
    /// Called after every change of what is active.
    changed: Box<dyn Fn() + Send + Sync>,
    refusals: Mutex<VecDeque<Refused>>,
    /// One activation at a time; compiling happens outside.
    activating: tokio::sync::Mutex<()>,
}

impl Plugins {
    /// Keeps components in `folder`, and loads those in use.
    pub async fn open(
        folder: &Path,
        sandbox: Sandbox,
        store: Store,
        events: Events,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Result<Arc<Self>, DeployError> {
        std::fs::create_dir_all(folder).map_err(|source| DeployError::File { path: folder.to_path_buf(), source })?;
        let plugins = Arc::new(Self {
            sandbox,
            store,
            registry: Registry::default(),
            components: folder.to_path_buf(),
            events,
            changed: Box::new(changed),
            refusals: Mutex::new(VecDeque::new()),
            activating: tokio::sync::Mutex::new(()),
        });
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
        let path = self.component_path(digest);
        let bytes = std::fs::read(&path).map_err(|source| DeployError::File { path, source })?;
        let plugin = self.sandbox.load(&bytes)?;
        if plugin.digest() != digest {
            return Err(DeployError::Damaged(digest.to_owned()));
        }
        self.registry.insert(&plugin);
        Ok(plugin)
    }

    async fn load(self: &Arc<Self>, bytes: Vec<u8>) -> Result<(Arc<Plugin>, Vec<u8>), DeployError> {
        let this = Arc::clone(self);
        in_background(move || Ok((this.sandbox.load(&bytes)?, bytes))).await
    }

    fn component_path(&self, digest: &str) -> PathBuf {
        self.components.join(format!("{digest}.wasm"))
    }

    /// Deploys a component that came in through `origin`, named for people by `from` (a file's name). A refusal is remembered and told.
    pub async fn deploy(self: &Arc<Self>, bytes: Vec<u8>, origin: Origin, from: &str) -> Result<Deployed, DeployError> {
        let mut name = None;
        let outcome = self.try_deploy(bytes, origin, &mut name).await;
        match &outcome {
            Ok(deployed) if !deployed.unchanged => self.tell_activated(&deployed.version),
            Ok(_) => {}
            Err(error) => self.remember(from, name, error),
        }
        outcome
    }

    async fn try_deploy(self: &Arc<Self>, bytes: Vec<u8>, origin: Origin, name: &mut Option<String>) -> Result<Deployed, DeployError> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(DeployError::TooLarge);
        }
        let (plugin, bytes) = self.load(bytes).await?;
        let manifest = plugin.manifest().clone();
        *name = Some(manifest.name.clone());
        let _alone = self.activating.lock().await;
        let active = self.active_digest(&manifest.name).await?;
        if active.as_deref() == Some(plugin.digest()) {
            self.registry.insert(&plugin);
            return Ok(Deployed { version: self.store.plugin_version(plugin.digest()).await?, unchanged: true });
        }
        self.check_rules(&plugin).await?;
        self.keep_component(plugin.digest(), bytes).await?;
        let size = u64::try_from(plugin.size()).unwrap_or(u64::MAX);
        self.store.plugin_deploy(plugin.digest(), &manifest, plugin.capabilities(), size, origin).await?;
        self.registry.insert(&plugin);
        self.forget_unused().await?;
        Ok(Deployed { version: self.store.plugin_version(plugin.digest()).await?, unchanged: false })
    }

    async fn active_digest(&self, name: &str) -> Result<Option<String>, DeployError> {
        match self.store.plugin(name).await {
            Ok(plugin) => Ok(Some(plugin.active_digest)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an older version active again.
    pub async fn activate(self: &Arc<Self>, name: &str, digest: &str) -> Result<store::Plugin, DeployError> {
        let version = self.store.plugin_version(digest).await?;
        if version.manifest.name != name {
            return Err(StoreError::NotFound { noun: "plugin version", id: digest.to_owned() }.into());
        }
        let plugin = self.loaded(digest).await?;
        let _alone = self.activating.lock().await;
        self.check_rules(&plugin).await?;
        let activated = self.store.plugin_activate(name, digest).await?;
        self.registry.insert(&plugin);
        self.forget_unused().await?;
        self.tell_activated(&version);
        Ok(activated)
    }

    /// Disables a plugin, or enables it again. Runs of a disabled plugin's rules fail rather than go on without them.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<store::Plugin, DeployError> {
        let plugin = self.store.plugin_set_disabled(name, disabled).await?;
        if disabled {
            self.events.send(Event::PluginDisabled { name: name.to_owned() });
        } else {
            self.tell_activated(&self.store.plugin_version(&plugin.active_digest).await?);
        }
        (self.changed)();
        Ok(plugin)
    }

    /// Removes a version that nothing uses.
    pub async fn delete_version(&self, name: &str, digest: &str) -> Result<(), DeployError> {
        let _alone = self.activating.lock().await;
        if self.store.plugin_version(digest).await?.manifest.name != name {
            return Err(StoreError::NotFound { noun: "plugin version", id: digest.to_owned() }.into());
        }
        self.store.plugin_version_delete(digest).await?;
        self.forget_unused().await?;
        let path = self.component_path(digest);
        tokio::fs::remove_file(&path).await.map_err(|source| DeployError::File { path, source })
    }

    /// Asks the pinned version, or the active one, about a rule's configuration.
    pub async fn configure(self: &Arc<Self>, name: &str, pinned: Option<&str>, config: &Value) -> Result<Plan, CheckError> {
        let digest = match pinned {
            Some(digest) => digest.to_owned(),
            None => self.store.plugin(name).await.map_err(DeployError::from)?.active_digest,
        };
        let plugin = self.loaded(&digest).await?;
        let (config, period) = (config.to_string(), self.reference_period());
        let answer = in_background(move || Ok::<_, DeployError>(plugin.configure(&config, &period))).await?;
        answer.map_err(|error| match error {
            ConfigureError::Refused(refused) => CheckError::Refused(refused),
            ConfigureError::Failed(failure) => CheckError::Failed(failure.to_string()),
        })
    }

    /// The latest refusals, newest first.
    pub fn refusals(&self) -> Vec<Refused> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Whether the store knows this content already, active or not.
    pub async fn is_known(&self, bytes: &[u8]) -> bool {
        self.store.plugin_version(&digest_of(bytes)).await.is_ok()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Configurations are checked against the current month; a rule's answer may not depend on which month it is.
    fn reference_period(&self) -> BillPeriod {
        let micros = self.store.clock().now_millis().saturating_mul(1_000);
        let period = Period::of_micros(micros).unwrap_or_else(|| Period::of(jiff::civil::date(2026, 1, 1)));
        BillPeriod { period, currency: "USD".to_owned() }
    }

    async fn check_rules(&self, plugin: &Arc<Plugin>) -> Result<(), DeployError> {
        let rules = self.rules_following(&plugin.manifest().name).await?;
        let (plugin, period) = (Arc::clone(plugin), self.reference_period());
        let refused = in_background(move || {
            if let Err(ConfigureError::Failed(failure)) = plugin.configure("{}", &period) {
                return Err(DeployError::SelfTest(failure.to_string()));
            }
            Ok(rules.iter().filter_map(|rule| refused_rule(&plugin, rule, &period)).collect::<Vec<_>>())
        })
        .await?;
        if refused.is_empty() { Ok(()) } else { Err(DeployError::Rules(refused)) }
    }

    /// The rules that run on whatever version of the plugin is active.
    async fn rules_following(&self, name: &str) -> Result<Vec<Rule>, DeployError> {
        let mut rules = Vec::new();
        let mut page = PageRequest::largest();
        loop {
            let found = self.store.rules(&page).await?;
            rules.extend(found.items.into_iter().filter(|rule| rule.plugin == name && rule.pinned_digest.is_none()));
            match found.next {
                Some(next) => page = PageRequest::new(Some(store::MAX_PAGE), Some(next)),
                None => return Ok(rules),
            }
        }
    }

    /// Written beside its place and renamed into it, so that a file with a digest's name is always whole.
    async fn keep_component(&self, digest: &str, bytes: Vec<u8>) -> Result<(), DeployError> {
        let path = self.component_path(digest);
        let written = path.clone();
        in_background(move || write_whole(&written, &bytes).map_err(|source| DeployError::File { path, source })).await
    }

    async fn forget_unused(&self) -> Result<(), DeployError> {
        let used: BTreeSet<String> = self.store.plugin_digests_in_use().await?.into_iter().collect();
        self.registry.keep(&used);
        Ok(())
    }

    fn tell_activated(&self, version: &PluginVersion) {
        let (name, number, digest) = (&version.manifest.name, &version.manifest.version, &version.digest);
        tracing::info!(plugin = name, version = number, digest, "plugin activated");
        self.events.send(Event::PluginActivated { name: name.clone(), version: number.clone(), digest: digest.clone() });
        (self.changed)();
    }

    fn remember(&self, from: &str, name: Option<String>, error: &DeployError) {
        let reason = error.to_string();
        tracing::warn!(from, reason, "plugin refused; the active version stays");
        self.events.send(Event::PluginRefused { name: name.clone(), origin: from.to_owned(), reason: reason.clone() });
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() == KEPT_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(Refused { at: self.store.clock().now(), origin: from.to_owned(), name, reason });
    }
}

fn refused_rule(plugin: &Plugin, rule: &Rule, period: &BillPeriod) -> Option<RefusedRule> {
    let (pointer, message) = match plugin.configure(&rule.config.to_string(), period) {
        Ok(_) => return None,
        Err(ConfigureError::Refused(ConfigError { pointer, message })) => (pointer, message),
        Err(ConfigureError::Failed(failure)) => (String::new(), failure.to_string()),
    };
    Some(RefusedRule { rule_id: rule.id.clone(), title: rule.title.clone(), pointer, message })
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

/// SHA-256 of a component, in hex: its identity.
pub fn digest_of(bytes: &[u8]) -> String {
    use sha2::Digest;
    super::hex(&sha2::Sha256::digest(bytes))
}

/// Runs what blocks on a thread of its own. A panic there is a fault of ours and goes on here.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T, DeployError> + Send + 'static) -> Result<T, DeployError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(DeployError::SelfTest("the daemon is stopping".to_owned())),
        },
    }
}
