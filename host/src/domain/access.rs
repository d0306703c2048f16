//! Who may do what: organisations and the roles that people and tokens have in them.

use std::fmt;
use std::str::FromStr;

/// How an organisation of the MSP itself is called.
const MSP: &str = "msp";

/// What a person of the MSP is called where a tenant's people look.
pub const MANAGER_USER: &str = "Manager User";

/// Whose people: the MSP's own, or a tenant's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Organisation {
    Msp,
    /// By its id.
    Tenant(String),
}

impl Organisation {
    pub fn name(&self) -> &str {
        match self {
            Self::Msp => MSP,
            Self::Tenant(id) => id,
        }
    }

    /// The tenant's id; none for the MSP.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Msp => None,
            Self::Tenant(id) => Some(id),
        }
    }
}

impl fmt::Display for Organisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an organisation; write msp or a tenant's id, tnt_...")]
pub struct NotAnOrganisation(String);

impl FromStr for Organisation {
    type Err = NotAnOrganisation;

    fn from_str(text: &str) -> Result<Self, NotAnOrganisation> {
        match text {
            MSP => Ok(Self::Msp),
            id if id.starts_with("tnt_") => Ok(Self::Tenant(id.to_owned())),
            _ => Err(NotAnOrganisation(text.to_owned())),
        }
    }
}

/// What somebody is in an organisation. Each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks, changes nothing.
    Viewer,
    /// Makes and changes what belongs to the organisation.
    Editor,
    /// Also adds and removes tenants and integrations, and works in tenants.
    IntegrationOwner,
    /// Everything: people, teams, signing in, billing options.
    Owner,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Editor, Self::IntegrationOwner, Self::Owner];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::IntegrationOwner => "integration-owner",
            Self::Owner => "owner",
        }
    }

    /// As people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::IntegrationOwner => "Integration Owner",
            Self::Owner => "Owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role; write owner, integration-owner, editor or viewer")]
pub struct NotARole(String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| NotARole(text.to_owned()))
    }
}

macro_rules! written_as_its_name {
    ($($value:ty),*) => {$(
        impl serde::Serialize for $value {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $value {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

written_as_its_name!(Organisation, Role);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        for organisation in [Organisation::Msp, Organisation::Tenant("tnt_1".to_owned())] {
            assert_eq!(organisation.to_string().parse(), Ok(organisation));
        }
        assert!("admin".parse::<Role>().is_err());
        assert!("acme".parse::<Organisation>().is_err());
    }

    #[test]
    fn an_owner_may_most_and_a_viewer_least() {
        let mut roles = Role::ALL;
        roles.sort_unstable();
        assert_eq!(roles.map(Role::name), ["viewer", "editor", "integration-owner", "owner"]);
    }
}
