//! The folders of `cases`, natively; `rerate plugin test` runs them in the sandbox.

rerate_rule::golden!(charge rerate_rule_charge::AddedCharge);
