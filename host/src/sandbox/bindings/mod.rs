//! One module for each major version of the contract, each converting to and from `domain::rule`, so that nothing above knows a version.

pub(super) mod v1;
