//! The change of a preview, and what it makes of a chain.

use std::collections::{BTreeMap, BTreeSet};

use super::{PreviewRequest, RuleChange, VersionChange};
use crate::jobs::replay::ReplayError;
use crate::store::{ChainEntry, MAX_PAGE, PageRequest, Rule, Store, StoreError};

#[derive(Clone, Debug)]
pub(in crate::jobs) enum Candidate {
    Version {
        change: VersionChange,
        /// Rules that stay with a version of their own.
        pinned: BTreeSet<String>,
    },
    Rules(BTreeMap<String, RuleChange>),
    Chain(Vec<ChainEntry>),
}

impl Candidate {
    pub(in crate::jobs) async fn of(request: &PreviewRequest, store: &Store) -> Result<Self, ReplayError> {
        if let Some(change) = &request.plugin {
            check_version(store, &change.name, &change.digest).await?;
            if let Some(against) = &change.against {
                check_version(store, &change.name, against).await?;
            }
            return Self::version(change.clone(), store).await;
        }
        if let Some(changes) = &request.rules {
            let mut by_rule = BTreeMap::new();
            for change in changes {
                let rule = store.rule(&change.rule_id).await?;
                if let Some(digest) = &change.digest {
                    check_version(store, &rule.plugin, digest).await?;
                }
                if change.config.is_none() && change.digest.is_none() {
                    return Err(ReplayError::Invalid(format!("the rule {} is to change: say its config or its digest", rule.title)));
                }
                by_rule.insert(change.rule_id.clone(), change.clone());
            }
            return Ok(Self::Rules(by_rule));
        }
        let mut entries = Vec::new();
        for (number, rule) in request.chain.iter().flatten().enumerate() {
            let digest = match &rule.digest {
                Some(digest) => {
                    check_version(store, &rule.plugin, digest).await?;
                    digest.clone()
                }
                None => store.plugin(&rule.plugin).await?.active_digest,
            };
            entries.push(ChainEntry {
                rule_id: rule.rule_id.clone().unwrap_or_else(|| format!("preview-{}", number + 1)),
                title: rule.title.clone(),
                plugin: rule.plugin.clone(),
                digest,
                config: rule.config.clone(),
            });
        }
        Ok(Self::Chain(entries))
    }

    /// Another version for the rules that follow the plugin's active one.
    pub(in crate::jobs) async fn version(change: VersionChange, store: &Store) -> Result<Self, ReplayError> {
        let pinned = if change.pinned { BTreeSet::new() } else { pinned_rules(store).await? };
        Ok(Self::Version { change, pinned })
    }

    /// The chain under the change.
    pub(in crate::jobs) fn after(&self, chain: &[ChainEntry]) -> Vec<ChainEntry> {
        match self {
            Self::Version { change, pinned } => with_version(chain, &change.name, &change.digest, pinned),
            Self::Rules(changes) => {
                let changed = chain.iter().map(|entry| {
                    let mut entry = entry.clone();
                    if let Some(change) = changes.get(&entry.rule_id) {
                        entry.config = change.config.clone().unwrap_or(entry.config);
                        entry.digest = change.digest.clone().unwrap_or(entry.digest);
                    }
                    entry
                });
                changed.collect()
            }
            Self::Chain(entries) => entries.clone(),
        }
    }

    /// Whether the chain has what changes.
    pub(in crate::jobs) fn concerns(&self, chain: &[ChainEntry]) -> bool {
        match self {
            Self::Version { change, pinned } => chain.iter().any(|entry| entry.plugin == change.name && !pinned.contains(&entry.rule_id)),
            Self::Rules(changes) => chain.iter().any(|entry| changes.contains_key(&entry.rule_id)),
            Self::Chain(_) => true,
        }
    }

    /// What it is compared with: the chain as it ran, unless another version is asked for.
    pub(in crate::jobs) fn before(&self, chain: &[ChainEntry]) -> Vec<ChainEntry> {
        match self {
            Self::Version { change: VersionChange { name, against: Some(against), .. }, pinned } => {
                with_version(chain, name, against, pinned)
            }
            _ => chain.to_vec(),
        }
    }
}

fn with_version(chain: &[ChainEntry], plugin: &str, digest: &str, pinned: &BTreeSet<String>) -> Vec<ChainEntry> {
    let changed = chain.iter().map(|entry| {
        let mut entry = entry.clone();
        if entry.plugin == plugin && !pinned.contains(&entry.rule_id) {
            entry.digest = digest.to_owned();
        }
        entry
    });
    changed.collect()
}

async fn check_version(store: &Store, plugin: &str, digest: &str) -> Result<(), ReplayError> {
    match store.plugin_version(digest).await {
        Ok(version) if version.manifest.name == plugin => Ok(()),
        Ok(_) | Err(StoreError::NotFound { .. }) => {
            Err(ReplayError::Invalid(format!("the plugin {plugin} has no version {digest}: push it first, it need not be active")))
        }
        Err(error) => Err(error.into()),
    }
}

async fn pinned_rules(store: &Store) -> Result<BTreeSet<String>, ReplayError> {
    let mut pinned = BTreeSet::new();
    let mut page = PageRequest::largest();
    loop {
        let found = store.rules(&page).await?;
        pinned.extend(found.items.into_iter().filter(|rule: &Rule| rule.pinned_digest.is_some()).map(|rule| rule.id));
        match found.next {
            Some(next) => page = PageRequest::new(Some(MAX_PAGE), Some(next)),
            None => return Ok(pinned),
        }
    }
}
