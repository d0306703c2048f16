//! Which files of a folder are copies of objects, which of them are being opened, and which go first when there are too many.

use std::collections::{BTreeMap, BTreeSet};

/// The copies, by their names.
#[derive(Debug, Default)]
pub(super) struct Cache {
    copies: BTreeMap<String, Copy>,
    bytes: u64,
    /// Counts the uses.
    now: u64,
}

#[derive(Debug)]
struct Copy {
    bytes: u64,
    used: u64,
    /// How many are between asking for its path and having it open.
    holds: u32,
}

impl Cache {
    /// Notes a copy, used now.
    pub(super) fn add(&mut self, name: &str, bytes: u64) {
        self.now += 1;
        let copy = self.copies.entry(name.to_owned()).or_insert(Copy { bytes: 0, used: 0, holds: 0 });
        self.bytes = self.bytes - copy.bytes + bytes;
        (copy.bytes, copy.used) = (bytes, self.now);
    }

    /// Uses a copy and keeps it until [`Cache::release`].
    pub(super) fn hold(&mut self, name: &str) {
        self.now += 1;
        if let Some(copy) = self.copies.get_mut(name) {
            copy.used = self.now;
            copy.holds += 1;
        }
    }

    pub(super) fn release(&mut self, name: &str) {
        if let Some(copy) = self.copies.get_mut(name) {
            copy.holds = copy.holds.saturating_sub(1);
        }
    }

    /// Forgets a name, and everything in a folder of this name.
    pub(super) fn forget(&mut self, name: &str) {
        let folder = format!("{name}/");
        let gone: Vec<String> = self.copies.keys().filter(|known| *known == name || known.starts_with(&folder)).cloned().collect();
        for name in gone {
            self.bytes -= self.copies.remove(&name).map_or(0, |copy| copy.bytes);
        }
    }

    /// Takes out what is not kept and not held.
    pub(super) fn take_unkept(&mut self, keep: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let unkept: BTreeSet<String> =
            self.copies.iter().filter(|(name, copy)| copy.holds == 0 && !keep(name)).map(|(name, _)| name.clone()).collect();
        unkept.iter().for_each(|name| self.forget(name));
        unkept
    }

    /// Where there is more than `limit`, takes out the copies that were not used for longest, until the others come to at most `down_to`.
    pub(super) fn take_surplus(&mut self, limit: u64, down_to: u64) -> Vec<String> {
        if self.bytes <= limit {
            return Vec::new();
        }
        let mut free: Vec<(u64, String, u64)> =
            self.copies.iter().filter(|(_, copy)| copy.holds == 0).map(|(name, copy)| (copy.used, name.clone(), copy.bytes)).collect();
        free.sort_unstable();
        let mut surplus = self.bytes.saturating_sub(down_to);
        let mut taken = Vec::new();
        for (_, name, bytes) in free {
            if surplus == 0 {
                break;
            }
            surplus = surplus.saturating_sub(bytes);
            taken.push(name);
        }
        taken.iter().for_each(|name| self.forget(name));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_what_is_held_stays() {
        let mut cache = Cache::default();
        for name in ["a", "b", "c", "d"] {
            cache.add(name, 10);
        }
        cache.hold("a"); // and used after d
        cache.hold("b");
        cache.release("b"); // used last of all
        assert_eq!(cache.take_surplus(40, 0), [""; 0]);
        assert_eq!(cache.take_surplus(39, 25), ["c", "d"]);
        assert_eq!(cache.take_surplus(0, 0), ["b"]);
        cache.release("a");
        assert_eq!(cache.take_surplus(9, 9), ["a"]);
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn a_copy_that_comes_again_is_counted_once() {
        let mut cache = Cache::default();
        cache.add("snp_1/a", 10);
        cache.add("snp_1/a", 7);
        cache.add("snp_10/a", 5);
        assert_eq!(cache.bytes, 12);
        cache.forget("snp_1");
        assert_eq!(cache.bytes, 5);
        cache.hold("snp_10/a");
        assert!(cache.take_unkept(|_| false).is_empty(), "it is held");
        cache.release("snp_10/a");
        assert_eq!(cache.take_unkept(|name| name == "other").len(), 1);
    }
}
