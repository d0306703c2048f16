//! A published contract does not change.

use sha2::{Digest, Sha256};

use super::hex;

const RELEASED: &str = include_str!("../wit-released/rule-1.0.0.wit");
const CURRENT: &str = include_str!("../../../../wit/rule.wit");

/// SHA-256 of the released text.
const DIGEST: &str = "99113a982b24dc1cb5dcaac05ccf780218751a51a9c557274494fade00c6b908";

const HOW_TO_EVOLVE: &str = "rerate:rule@1.0.0 is published and frozen: components out there were built with it, and the runtime refuses \
them when a record gains a field, a variant a case, or a mandatory import appears.\n\
To add something: prefer a named column or a new optional export (probed, not required). If a type must change, publish a new version: \
raise the version in wit/rule.wit, keep wit-released/rule-1.0.0.wit as it is, add the new text beside it, add a bindings module for a new \
major version, and extend the range in validate.rs.";

#[test]
fn the_released_contract_is_frozen() {
    assert_eq!(hex(&Sha256::digest(RELEASED)), DIGEST, "{HOW_TO_EVOLVE}");
    assert_eq!(CURRENT, RELEASED, "{HOW_TO_EVOLVE}");
}
