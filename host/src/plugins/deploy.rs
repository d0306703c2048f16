//! From a component's bytes to the active version of its name, step by step, or to a reason that its author can act on.
//!
//! `uploaded -> validated -> compiled -> tested -> ready -> active`. Each step is written down when it ends, so that anyone can watch and a
//! crash leaves a trace; nothing before the last step changes what runs, and the last one is one transaction. A refusal leaves the active
//! version as it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::active::{Plugins, in_background, refusal_text, signature_text};
use super::cases::{self, SelfTest};
use super::check::{RefusedRule, schema_of, told};
use super::signature::{self, Verdict};
use crate::clock::Moment;
use crate::depot::DepotError;
use crate::events::Event;
use crate::sandbox::{ConfigureError, Meter, Plugin, Quota, Refusal};
use crate::store::{
    Actor, Deployment, DeploymentState, NewVersion, Origin, PluginVersion, SigningPolicy, Step, StepOutcome, StepResult, Store, StoreError,
};

/// A component of a JavaScript or Python rule has 12 to 18 MB; twice that is room enough.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;

/// What the golden cases of one component may take inside the rule together. Thousands of honest cases take a second; a component whose every
/// case loops must not keep a thread for hours.
const SELF_TEST_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the component has more than {} MiB", MAX_COMPONENT_BYTES >> 20)]
    TooLarge,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{}", signature_text(.0))]
    Signature(Verdict),
    #[error("the component's configuration schema is not usable: {0}")]
    Schema(String),
    #[error("the component fails when it is asked about a configuration: {0}")]
    SelfTest(String),
    #[error("the component's own golden cases do not pass: {0}")]
    Cases(SelfTest),
    #[error("{}", told(.0))]
    Rules(Vec<RefusedRule>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error("the stored component {0} is not what it was: its file has changed")]
    Damaged(String),
    #[error("the daemon is stopping")]
    Stopping,
}

/// A component that comes in.
#[derive(Clone, Debug)]
pub struct Submission {
    pub bytes: Vec<u8>,
    pub origin: Origin,
    /// The file's name, or `upload`.
    pub from: String,
    /// Whom the log of changes names.
    pub by: Actor,
    /// Whether it shall be the active version in the end; if not, it ends as `ready`.
    pub activate: bool,
    /// Goes through every step but the last and keeps nothing.
    pub dry_run: bool,
}

/// What became of a deployment.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub version: PluginVersion,
    /// It was what it should be already.
    pub unchanged: bool,
}

/// A deployment to its end, and what came of it.
pub type Outcome = (Deployment, Result<Deployed, DeployError>);

/// A deployment under way, and where it is written down.
struct Record {
    deployment: Deployment,
    /// None for a dry run.
    store: Option<Store>,
    /// The step under way, and since when.
    step: Step,
    since: Instant,
}

impl Record {
    fn add(&mut self, outcome: StepOutcome, reason: String) {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.deployment.steps.push(StepResult { step: self.step, outcome, reason, millis });
        self.deployment.state = self.step.into();
        self.since = Instant::now();
    }

    /// Ends the step under way and begins the next.
    async fn done(&mut self, outcome: StepOutcome, reason: impl Into<String>, next: Step) -> Result<(), StoreError> {
        self.add(outcome, reason.into());
        self.step = next;
        self.save().await
    }

    async fn end(&mut self, state: DeploymentState, at: Moment) -> Result<(), StoreError> {
        self.close(state, at);
        self.save().await
    }

    fn close(&mut self, state: DeploymentState, at: Moment) {
        self.deployment.state = state;
        self.deployment.finished_at = Some(at);
    }

    async fn save(&self) -> Result<(), StoreError> {
        match &self.store {
            Some(store) => store.deployment_save(&self.deployment).await,
            None => Ok(()),
        }
    }
}

impl Plugins {
    /// Deploys and activates a component that came in through `origin`, named for people by `from` (a file's name).
    pub async fn deploy(self: &Arc<Self>, bytes: Vec<u8>, origin: Origin, from: &str) -> Result<Deployed, DeployError> {
        let by = if origin == Origin::Folder { Actor::named("folder") } else { self.store().actor().clone() };
        let submission = Submission { bytes, origin, from: from.to_owned(), by, activate: true, dry_run: false };
        self.submit(submission).await?.1
    }

    /// Takes a component through all steps. Ends even if the caller goes away.
    pub async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Outcome, DeployError> {
        let record = self.begin(&submission).await?;
        let this = Arc::clone(self);
        match tokio::spawn(async move { this.finish(submission, record).await }).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(DeployError::Stopping),
            },
        }
    }

    /// Begins a deployment and returns it as it is; the rest goes on by itself and can be watched in the store.
    pub async fn start(self: &Arc<Self>, submission: Submission) -> Result<Deployment, DeployError> {
        let record = self.begin(&submission).await?;
        let (this, begun) = (Arc::clone(self), record.deployment.clone());
        drop(tokio::spawn(async move { this.finish(submission, record).await }));
        Ok(begun)
    }

    async fn begin(&self, submission: &Submission) -> Result<Record, StoreError> {
        let since = Instant::now();
        let store = self.store().by_actor(&submission.by);
        let deployment = Deployment {
            id: if submission.dry_run { String::new() } else { store.clock().id("dep") },
            digest: super::digest_of(&submission.bytes),
            name: None,
            origin: submission.origin,
            from: submission.from.clone(),
            state: DeploymentState::Uploaded,
            steps: Vec::new(),
            actor: submission.by.name.clone(),
            created_at: store.clock().now(),
            finished_at: None,
        };
        let record = Record { deployment, store: (!submission.dry_run).then_some(store), step: Step::Uploaded, since };
        record.save().await?;
        Ok(record)
    }

    async fn finish(self: &Arc<Self>, submission: Submission, mut record: Record) -> Outcome {
        let outcome = self.steps(submission, &mut record).await;
        if let Err(error) = &outcome {
            record.add(StepOutcome::Refused, refusal_text(error));
            if let Err(error) = record.end(DeploymentState::Refused, self.store().clock().now()).await {
                tracing::error!(error = %error, "a refused deployment could not be written down");
            }
            if record.store.is_some() {
                self.tell_refused(&record.deployment);
            }
        }
        (record.deployment, outcome)
    }

    async fn steps(self: &Arc<Self>, submission: Submission, record: &mut Record) -> Result<Deployed, DeployError> {
        let Submission { bytes, origin, activate, dry_run, .. } = submission;
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(DeployError::TooLarge);
        }
        let bytes: Arc<[u8]> = bytes.into();
        let known = known(self.store().plugin_version(&record.deployment.digest).await)?;
        if let Some(known) = &known
            && let Some(found) = self.nothing_to_do(known, activate).await?
        {
            record.deployment.name = Some(known.manifest.name.clone());
            self.restore(known, &bytes).await?;
            record.add(StepOutcome::Done, found);
            record.end(DeploymentState::Unchanged, self.store().clock().now()).await?;
            return Ok(Deployed { version: known.clone(), unchanged: true });
        }
        record.done(StepOutcome::Done, format!("{} bytes", bytes.len()), Step::Validated).await?;

        let is_ours = origin == Origin::Builtin || known.as_ref().is_some_and(|known| known.origin == Origin::Builtin);
        let (outcome, reason) = self.validate(&bytes, is_ours).await?;
        record.done(outcome, reason, Step::Compiled).await?;

        let plugin = self.compile(&bytes).await?;
        let manifest = plugin.manifest().clone();
        record.deployment.name = Some(manifest.name.clone());
        record
            .done(StepOutcome::Done, format!("{} {}; compiled {}", manifest.name, manifest.version, self.sandbox.compiling()), Step::Tested)
            .await?;

        let tested = self.self_test(&plugin, &bytes).await?;
        record.done(StepOutcome::Done, tested, Step::Ready).await?;

        // Alone from here, so that no rule and no other version comes between the check and the swap.
        let alone = self.activating.lock().await;
        let check = self.check_rules(&plugin).await?;
        if activate && !check.refused.is_empty() {
            return Err(DeployError::Rules(check.refused));
        }
        let (outcome, reason) = match check.refused.as_slice() {
            [] => (StepOutcome::Done, format!("takes the configuration of every rule that would run on it ({})", check.rules)),
            refused => (StepOutcome::Warned, format!("cannot be activated yet: {}", told(refused))),
        };
        let now = self.store().clock().now();
        let new = NewVersion {
            digest: plugin.digest(),
            manifest: &manifest,
            capabilities: plugin.capabilities(),
            size: u64::try_from(plugin.size()).unwrap_or(u64::MAX),
            origin,
        };
        record.add(outcome, reason);
        let store = match &record.store {
            Some(store) => store.clone(),
            None => {
                record.close(DeploymentState::Ready, now);
                return Ok(Deployed { version: would_be(&new, now), unchanged: known.is_some() });
            }
        };
        let (files, digest, content) = (self.files.clone(), plugin.digest().to_owned(), Arc::clone(&bytes));
        in_background(move || files.keep(&digest, &content)).await?;
        if activate {
            record.step = Step::Active;
            record.add(StepOutcome::Done, "new runs use it; runs under way end on the version that they began with".to_owned());
        }
        record.close(if activate { DeploymentState::Active } else { DeploymentState::Ready }, now);
        store.plugin_deploy(new, activate, (!dry_run).then_some(&record.deployment)).await?;
        // It is deployed, whether it can be read now or not.
        let version = self.store().plugin_version(plugin.digest()).await.unwrap_or_else(|_| would_be(&new, now));
        if activate {
            self.registry.insert(&plugin);
            self.forget_unused().await;
            self.tell_activated(&version);
        }
        drop(alone);
        Ok(Deployed { version, unchanged: false })
    }

    /// Why there is nothing to do for a version that is known, if so.
    async fn nothing_to_do(&self, known: &PluginVersion, activate: bool) -> Result<Option<String>, DeployError> {
        let is_active = match self.store().plugin(&known.manifest.name).await {
            Ok(plugin) => plugin.active_digest == known.digest,
            Err(StoreError::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        Ok(match (is_active, activate) {
            (true, _) => Some("unchanged: this content is the active version already".to_owned()),
            (false, false) => Some("unchanged: this version is here already, and is not the active one".to_owned()),
            (false, true) => None,
        })
    }

    /// A version that is known has its file again after this, and is at hand if it is in use.
    async fn restore(self: &Arc<Self>, known: &PluginVersion, bytes: &Arc<[u8]>) -> Result<(), DeployError> {
        let (files, digest, content) = (self.files.clone(), known.digest.clone(), Arc::clone(bytes));
        in_background(move || files.keep(&digest, &content)).await
    }

    /// Parses every byte and looks at the signature.
    async fn validate(self: &Arc<Self>, bytes: &Arc<[u8]>, is_ours: bool) -> Result<(StepOutcome, String), DeployError> {
        let (policy, keys) = (self.store().signing_policy().await?, self.store().keys().await?);
        let (this, content) = (Arc::clone(self), Arc::clone(bytes));
        let verdict = in_background(move || {
            this.sandbox.validate(&content)?;
            Ok(signature::verdict(&content, &keys))
        })
        .await?;
        if is_ours {
            return Ok((StepOutcome::Done, "part of the program, which needs no signature".to_owned()));
        }
        match (policy, verdict.is_trusted()) {
            (_, true) | (SigningPolicy::Off, _) => Ok((StepOutcome::Done, verdict.to_string())),
            (SigningPolicy::Warn, false) => Ok((StepOutcome::Warned, verdict.to_string())),
            (SigningPolicy::Require, false) => Err(DeployError::Signature(verdict)),
        }
    }

    async fn compile(self: &Arc<Self>, bytes: &Arc<[u8]>) -> Result<Arc<Plugin>, DeployError> {
        let (this, content) = (Arc::clone(self), Arc::clone(bytes));
        in_background(move || {
            let plugin = this.sandbox.load(&content)?;
            schema_of(&plugin)?;
            Ok(plugin)
        })
        .await
    }

    /// Asks about a configuration, to which any answer will do, and runs the golden cases that the component carries.
    async fn self_test(&self, plugin: &Arc<Plugin>, bytes: &Arc<[u8]>) -> Result<String, DeployError> {
        let (plugin, content, period) = (Arc::clone(plugin), Arc::clone(bytes), self.reference_period());
        in_background(move || {
            let quota = Quota { time: Some(SELF_TEST_WITHIN), ..Quota::default() };
            let plugin = plugin.with(plugin.limits().clone(), Some(Arc::new(Meter::new(quota))));
            if let Err(ConfigureError::Failed(failure)) = plugin.configure("{}", &period) {
                return Err(DeployError::SelfTest(failure.to_string()));
            }
            let test = cases::self_test(&plugin, &content);
            if test.passes() { Ok(test.to_string()) } else { Err(DeployError::Cases(test)) }
        })
        .await
    }

    fn tell_refused(&self, deployment: &Deployment) {
        let (from, reason) = (deployment.from.clone(), deployment.refusal().to_owned());
        tracing::warn!(from, reason, "plugin refused; the active version stays");
        self.events.send(Event::PluginRefused { name: deployment.name.clone(), origin: from, reason });
    }
}

fn known(found: Result<PluginVersion, StoreError>) -> Result<Option<PluginVersion>, StoreError> {
    match found {
        Ok(version) => Ok(Some(version)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The version that a dry run would have made.
fn would_be(new: &NewVersion<'_>, now: Moment) -> PluginVersion {
    PluginVersion {
        digest: new.digest.to_owned(),
        manifest: new.manifest.clone(),
        capabilities: new.capabilities.to_vec(),
        size: new.size,
        origin: new.origin,
        created_at: now,
    }
}

/// SHA-256 of a component, in hex: its identity.
pub fn digest_of(bytes: &[u8]) -> String {
    use sha2::Digest;
    super::hex(&sha2::Sha256::digest(bytes))
}
