//! What tells whether a thing is as its reader saw it, where it counts no versions: a number made of what a change of it would change.
//!
//! What the daemon does to a thing by itself is left out (progress, the time of the last use), so that a caller who read it a moment ago is
//! not refused for nothing. The same state has the same tag, however often it changed in between.

use sha2::{Digest, Sha256};

use super::{Invitation, Membership, Preview, Run, Session, Shadow, SigningPolicy, Subaccount, Token, TrustedKey};

/// Tags have 18 digits at most, as versions would.
const TAGS: i64 = 1_000_000_000_000_000_000;

/// What is not there: a membership before somebody is made a member.
pub const ABSENT: i64 = 0;

/// Never [`ABSENT`].
pub(super) fn tag_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]); // no text that is stored has one
    }
    let mut first = [0; size_of::<i64>()];
    first.copy_from_slice(&hash.finalize()[..size_of::<i64>()]);
    i64::from_be_bytes(first).rem_euclid(TAGS - 1) + 1
}

/// The tag of a list: the domains, or assignments in their order.
pub fn list_tag(items: &[String]) -> i64 {
    tag_of(items.iter().map(String::as_str))
}

impl TrustedKey {
    pub fn tag(&self) -> i64 {
        tag_of([&*self.id, &*self.name, if self.revoked_at.is_some() { "revoked" } else { "trusted" }])
    }
}

impl SigningPolicy {
    pub fn tag(self) -> i64 {
        tag_of([self.name()])
    }
}

impl Token {
    pub fn tag(&self) -> i64 {
        tag_of([&*self.id]) // nothing of it changes
    }
}

impl Session {
    pub fn tag(&self) -> i64 {
        tag_of([&*self.id, self.organisation.name(), self.entered.as_deref().unwrap_or_default()])
    }
}

impl Invitation {
    pub fn tag(&self) -> i64 {
        tag_of([&*self.id]) // nothing of it changes
    }
}

impl Membership {
    pub fn tag(&self) -> i64 {
        let limit = if self.cost_centers.is_some() { "limited" } else { "all" };
        let centers = self.cost_centers.iter().flatten().map(String::as_str);
        tag_of([&*self.user_id, self.organisation.name(), self.role.name(), limit].into_iter().chain(centers))
    }
}

impl Subaccount {
    pub fn tag(&self) -> i64 {
        let from = self.from_period.map(|period| period.to_string()).unwrap_or_default();
        tag_of([&*self.id, self.tenant_id.as_deref().unwrap_or_default(), &*from])
    }
}

impl Shadow {
    pub fn tag(&self) -> i64 {
        tag_of([&*self.id, self.state.name()])
    }
}

impl Preview {
    pub fn tag(&self) -> i64 {
        tag_of([&*self.id, self.state.name()])
    }
}

impl Run {
    pub fn tag(&self) -> i64 {
        let ended = self.finished_at.map(|at| at.0.to_string()).unwrap_or_default();
        tag_of([&*self.id, self.state.name(), &*ended])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_parts_and_their_order_apart_and_fits_an_etag() {
        let tags = [tag_of([]), tag_of(["ab"]), tag_of(["a", "b"]), tag_of(["b", "a"]), tag_of(["a", "b", ""])];
        for (n, tag) in tags.iter().enumerate() {
            assert!((1..TAGS).contains(tag), "{tag}");
            assert!(!tags[..n].contains(tag), "{tags:?}");
        }
        assert_eq!(tag_of(["a", "b"]), list_tag(&["a".to_owned(), "b".to_owned()]));
    }
}
