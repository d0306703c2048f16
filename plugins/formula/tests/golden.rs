//! The folders of `cases`, natively; `rerate plugin test` runs them in the sandbox.

rerate_rule::golden!(adjust rerate_rule_formula::Formula);
