//! What the daemon tells whoever watches it: progress, runs, imports, plugins.
//!
//! Events are hints, never state: a subscriber that falls behind loses the oldest ones and reads the store again. Nothing in the daemon
//! works only because an event arrived.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::domain::period::Period;
use crate::domain::progress::Progress;

/// Events kept for a slow subscriber. Progress of one job comes a few times a second, so this is minutes.
const KEPT: usize = 1_024;

/// How far a job is: source bytes of an import, charges of a rating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub done: u64,
    pub total: u64,
    pub rows: u64,
}

impl Position {
    pub fn of(progress: &Progress) -> Self {
        Self { done: progress.done(), total: progress.total(), rows: progress.rows() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The daemon stops; streams of events end.
    Stopping,
    /// A run changed its state.
    Run {
        id: String,
        tenant: String,
        period: Period,
        currency: String,
        state: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The charges of a period are being rated for these runs.
    Rating {
        runs: Vec<String>,
        period: Period,
        position: Position,
    },
    /// A tenant holds no charges of a month any more, so nothing is published for it.
    Withdrawn {
        tenant: String,
        period: Period,
        currency: String,
    },
    /// An integration changed its state: `importing`, `stable` or `error`.
    Integration {
        id: String,
        state: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An integration's bills are being read.
    Import {
        integration: String,
        position: Position,
    },
    /// A period of an integration has a new snapshot.
    Snapshot {
        integration: String,
        period: Period,
        rows: u64,
    },
    PluginActivated {
        name: String,
        version: String,
        digest: String,
    },
    PluginDisabled {
        name: String,
    },
    PluginRefused {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        origin: String,
        reason: String,
    },
}

impl Event {
    /// Whether nothing comes after it.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Stopping)
    }

    /// The name under which a server-sent event carries it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Run { .. } => "run",
            Self::Rating { .. } => "rating",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Integration { .. } => "integration",
            Self::Import { .. } => "import",
            Self::Snapshot { .. } => "snapshot",
            Self::PluginActivated { .. } => "plugin_activated",
            Self::PluginDisabled { .. } => "plugin_disabled",
            Self::PluginRefused { .. } => "plugin_refused",
        }
    }
}

/// Hands every event to every subscriber of the moment.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Event>,
    /// What happened here, without what other daemons told.
    own: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    pub fn new() -> Self {
        Self { sender: broadcast::channel(KEPT).0, own: broadcast::channel(KEPT).0 }
    }

    /// Sends to nobody when nobody listens.
    pub fn send(&self, event: Event) {
        if self.own.receiver_count() > 0 {
            let _ = self.own.send(event.clone());
        }
        self.relay(event);
    }

    /// Sends what happened in another daemon.
    pub fn relay(&self, event: Event) {
        let _ = self.sender.send(event);
    }

    /// What happens in this daemon alone.
    pub fn subscribe_own(&self) -> broadcast::Receiver<Event> {
        self.own.subscribe()
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}
