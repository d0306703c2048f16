//! The compiled components belong to the sources beside them.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails here

use std::collections::BTreeSet;

use rerate::plugins::builtin;
use rerate::plugins::digest_of;
use rerate_tests::components::{BUILTINS, FIXTURES, sources_digest};

#[test]
fn no_component_is_older_than_its_sources() {
    for set in [&BUILTINS, &FIXTURES] {
        let lock = set.lock().unwrap();
        for (name, dir) in set.crates {
            let locked = lock.get(*name).unwrap_or_else(|| panic!("{name} is not locked: run build-components"));
            let component = std::fs::read(set.component(name)).unwrap();
            assert_eq!(locked.component, digest_of(&component), "{name} is not the component that was locked");
            assert_eq!(locked.sources, sources_digest(dir).unwrap(), "{name} is older than its sources: run build-components");
        }
        assert_eq!(lock.len(), set.crates.len(), "{}/lock.json names what is not built", set.dist);
    }
}

#[test]
fn every_built_in_rule_is_embedded() {
    let embedded: BTreeSet<_> = builtin::BUILTINS.iter().map(|builtin| builtin.name).collect();
    let built: BTreeSet<_> = BUILTINS.crates.iter().map(|(name, _)| *name).collect();
    assert_eq!(embedded, built);
}
