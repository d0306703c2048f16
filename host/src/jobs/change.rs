//! What has changed in the control data: a hint of where to look. Whoever gets it reads the store again, so that a lost or doubled hint
//! costs time and nothing else.

use crate::domain::period::Period;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A tenant is new, renamed or gone.
    Tenants,
    /// Subaccounts were discovered or changed hands.
    Subaccounts,
    Rules,
    Assignments,
    /// Another version of a plugin is active, or it was disabled or enabled.
    Plugins {
        name: String,
    },
    /// A period of an integration has a new snapshot.
    Snapshot {
        integration_id: String,
        period: Period,
    },
    /// An integration is new, changed or gone.
    Integrations,
    /// A failed run is to be tried again.
    Runs,
    /// Somebody asks to look for new bills.
    Refresh {
        integration_id: String,
    },
}
