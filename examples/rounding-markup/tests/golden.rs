//! The folder `cases`, natively; `rerate plugin test` runs it in the sandbox.

rerate_rule::golden!(adjust rounding_markup::RoundingMarkup);
