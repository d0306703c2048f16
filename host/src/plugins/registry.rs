//! The components at hand, by digest.
//!
//! Which of them is active under a name is said by the store alone. Taking one is a reference count: a run that holds a component keeps
//! it, whatever is deployed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::sandbox::Plugin;

type Loaded = BTreeMap<String, Arc<Plugin>>;

/// Readers take the whole map's `Arc` and never wait for a compilation.
#[derive(Default)]
pub(super) struct Registry {
    loaded: RwLock<Arc<Loaded>>,
}

impl Registry {
    pub(super) fn get(&self, digest: &str) -> Option<Arc<Plugin>> {
        self.all().get(digest).cloned()
    }

    fn all(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn insert(&self, plugin: &Arc<Plugin>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut loaded).insert(plugin.digest().to_owned(), Arc::clone(plugin));
    }

    /// Lets go of every component but these; runs under way keep theirs.
    pub(super) fn keep(&self, digests: &BTreeSet<String>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut loaded).retain(|digest, _| digests.contains(digest));
    }
}
