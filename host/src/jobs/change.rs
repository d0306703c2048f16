//! What has changed in the control data: a hint of where to look. Whoever gets it reads the store again, so that a lost or doubled hint
//! costs time and nothing else.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A tenant is new, renamed or gone.
    Tenants,
    /// Subaccounts were discovered or changed hands.
    Subaccounts,
    Rules,
    Assignments,
    /// An integration is new, changed or gone.
    Integrations,
    /// A failed run is to be tried again.
    Runs,
    /// Somebody asks to look for new bills.
    Refresh {
        integration_id: String,
    },
    /// A preview waits, or one was deleted and need not be computed any more.
    Previews {
        deleted: Option<String>,
    },
    /// A candidate is to be looked at.
    Shadows,
}
