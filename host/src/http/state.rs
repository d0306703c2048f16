//! What handlers work with.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::doorkeeper::Doorkeeper;
use super::errors::{ApiError, ApiResult};
use super::limits::Limits;
use super::metrics::Metrics;
use crate::events::Events;
use crate::jobs::replay::Replayer;
use crate::jobs::review::ReviewError;
use crate::jobs::rule_review::{RuleChange, RuleReview, review_rules};
use crate::jobs::{Change, DataDir, Jobs, litter};
use crate::plugins::{CheckError, Plugins};
use crate::secrets::Secrets;
use crate::signin::mail::Mailer;
use crate::signin::oidc::Relying;
use crate::store::{Store, StoreError};

type Poke = dyn Fn(Change) + Send + Sync;

#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub plugins: Arc<Plugins>,
    pub events: Events,
    poke: Arc<Poke>,
    pub(super) metrics: Metrics,
    jobs: Option<Arc<Jobs>>,
    data: Option<Arc<DataDir>>,
    replayer: Option<Replayer>,
    proxies: Arc<[IpAddr]>,
    pub(super) doorkeeper: Doorkeeper,
    pub(super) limits: Limits,
    pub(super) mailer: Option<Mailer>,
    relying: Relying,
    public_url: Arc<str>,
}

impl AppState {
    /// `poke` is told of every change; it must return at once.
    pub fn new(store: Store, plugins: Arc<Plugins>, events: Events, poke: impl Fn(Change) + Send + Sync + 'static) -> Self {
        Self {
            store,
            plugins,
            events,
            poke: Arc::new(poke),
            metrics: Metrics::new(None),
            jobs: None,
            data: None,
            replayer: None,
            proxies: Arc::new([]),
            doorkeeper: Doorkeeper::default(),
            limits: Limits::default(),
            mailer: None,
            relying: Relying::default(),
            public_url: "http://127.0.0.1:8080".into(),
        }
    }

    /// Whose work readiness and metrics tell of.
    #[must_use]
    pub fn with_jobs(self, jobs: Arc<Jobs>) -> Self {
        Self { metrics: Metrics::new(Some(jobs.tally())), jobs: Some(jobs), ..self }
    }

    /// Whether bills are read and rated; true for a service without jobs.
    pub(super) fn is_working(&self) -> bool {
        self.jobs.as_ref().is_none_or(|jobs| jobs.is_working())
    }

    /// Where charges are read from; without it, calls that show charges fail.
    #[must_use]
    pub fn with_data(self, data: Arc<DataDir>) -> Self {
        let replayer = Replayer::new(self.store.clone(), Arc::clone(&self.plugins), Arc::clone(&data));
        Self { data: Some(data), replayer: Some(replayer), ..self }
    }

    /// How many requests a second a caller may make; none at all for no limit.
    #[must_use]
    pub fn with_rate_limit(self, per_second: u32) -> Self {
        Self { limits: Limits::new(per_second), ..self }
    }

    /// What invitations are sent with; without it, whoever invites hands them on.
    #[must_use]
    pub fn with_mailer(self, mailer: Option<Mailer>) -> Self {
        Self { mailer, ..self }
    }

    /// How people reach the daemon, without a slash at the end: links and redirects begin with it.
    #[must_use]
    pub fn with_public_url(self, url: &str) -> Self {
        Self { public_url: url.trim_end_matches('/').into(), ..self }
    }

    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The same, unless nobody said and it listens on every address, which is none to go to.
    pub(super) fn reached_at(&self) -> Option<&str> {
        let everywhere = match url::Url::parse(&self.public_url).ok()?.host()? {
            url::Host::Ipv4(address) => address.is_unspecified(),
            url::Host::Ipv6(address) => address.is_unspecified(),
            url::Host::Domain(_) => false,
        };
        (!everywhere).then_some(&*self.public_url)
    }

    pub(super) fn relying(&self) -> &Relying {
        &self.relying
    }

    /// Proxies whose word counts for where a call comes from.
    #[must_use]
    pub fn with_proxies(self, proxies: &[IpAddr]) -> Self {
        Self { proxies: proxies.into(), ..self }
    }

    pub(super) fn proxies(&self) -> &[IpAddr] {
        &self.proxies
    }

    pub(super) fn data(&self) -> ApiResult<&Arc<DataDir>> {
        self.data.as_ref().ok_or_else(|| ApiError::internal("this service has no data folder"))
    }

    pub(super) fn replayer(&self) -> ApiResult<&Replayer> {
        self.replayer.as_ref().ok_or_else(|| ApiError::internal("this service has no data folder"))
    }

    /// Removes what deleted integrations and runs left: files of the lake by their names there, and copies of buckets.
    pub(super) async fn remove_files(&self, files: Vec<String>, integrations: Vec<String>) {
        let Some(data) = self.data.clone() else { return };
        data.charges().remove(&files).await;
        let paths: Vec<PathBuf> = integrations.into_iter().map(|id| data.spool().join(id)).collect();
        let _ = tokio::task::spawn_blocking(move || litter::remove_all(&paths)).await; // what stays is litter of the next start
    }

    /// Where credentials are sealed.
    pub(super) fn secrets(&self) -> ApiResult<Secrets> {
        let data = self.data.as_ref().ok_or_else(|| ApiError::conflict("this service has no folder for the key of its secrets"))?;
        Secrets::of(data.root(), self.store.clock().clone()).map_err(ApiError::internal)
    }

    pub(super) fn poke(&self, change: Change) {
        (self.poke)(change);
    }

    /// What a change of rules would rate again.
    pub(super) async fn review_rules(&self, viewer: &Store, change: RuleChange) -> ApiResult<RuleReview> {
        review_rules(&self.store, viewer, &self.plugins, change).await.map_err(|error| match error {
            ReviewError::Store(error) => error.into(),
            ReviewError::Sum(_) | ReviewError::Panicked => ApiError::internal(error),
        })
    }

    /// Asks the plugin whether it takes a configuration. Problems point into a rule's body.
    pub(super) async fn check_rule(&self, plugin: &str, pinned: Option<&str>, config: &Value) -> ApiResult<()> {
        match self.store.plugin(plugin).await {
            Err(StoreError::NotFound { .. }) => return Err(ApiError::invalid_at("/plugin", format!("there is no plugin {plugin}"))),
            known => known?,
        };
        if let Some(digest) = pinned
            && !self.store.plugin_versions(plugin).await?.iter().any(|version| version.digest == digest)
        {
            return Err(ApiError::invalid_at("/pinned_digest", format!("the plugin {plugin} has no version {digest}")));
        }
        match self.plugins.configure(plugin, pinned, config).await {
            Ok(_) => Ok(()),
            Err(CheckError::Refused(faults)) => {
                Err(ApiError::invalid_places(faults.into_iter().map(|fault| (format!("/config{}", fault.pointer), fault.message))))
            }
            Err(CheckError::Failed(failure)) => {
                Err(ApiError::invalid_at("/config", format!("the plugin fails on this configuration: {failure}")))
            }
            Err(CheckError::Unavailable(error)) => Err(ApiError::internal(error)),
        }
    }
}
