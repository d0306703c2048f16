//! What the author of a billing rule sees.
//!
//! A rule is a plain type: a configuration struct that serde reads, [`Rule::plan`] that says which columns the rule needs under a
//! configuration, and one or more of [`Adjust`] (changes charges), [`Charge`] (adds lines) and [`Check`] (reports findings). One line,
//! `rerate_rule::export!(adjust MyRule);`, makes it a component when it is compiled for wasm32; natively the same line only checks that
//! the traits are there, and [`testing::Table`] runs the rule over a table of charges.
//!
//! Nothing here does input or output, and no number is ever a float: a component imports nothing but, if it
//! writes them, lines for its author ([`log!`]), so a rule cannot do more than answer.

mod charge;
mod condition;
mod config;
mod decision;
mod exact;
mod json;
pub mod line;
mod log;
mod money;
mod month;
mod plan;
mod rate;
mod row;
mod rule;
pub mod schema;
pub mod session;
// Files and panics that are caught have no place in a component, not even unused.
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[path = "wasm/mod.rs"]
pub mod wasm;

pub use charge::{Earlier, Finding, Line, Severity};
pub use condition::{Condition, Test, Where};
pub use config::ConfigError;
pub use decision::{Amount, Decision, IfMissing, Treatment};
pub use exact::{Factor, Overflow, Rounding, Units};
pub use log::log;
pub use money::{Money, MoneyError};
pub use month::Month;
pub use plan::{Period, Plan, Total, TotalGroup, TotalRequest};
pub use rate::{Percent, Rate};
pub use row::{MoneyColumn, Row};
pub use rule::{About, Adjust, Charge, Check, Combination, Failure, Rule};
pub use schema::{Field, Kind};

/// The amount that a tenant is charged, as the rules before left it: what most rules read.
pub const CUSTOMER_COST: &str = "x_CustomerCost";

/// Exports a rule from its crate: `export!(adjust MyRule)`, `export!(charge MyRule)`, `export!(check MyRule)`, or several capabilities of
/// one rule, `export!(adjust charge MyRule)`.
#[macro_export]
macro_rules! export {
    (@natively adjust $rule:ty) => { const _: () = $crate::rule_is_complete::adjusts::<$rule>(); };
    (@natively charge $rule:ty) => { const _: () = $crate::rule_is_complete::charges::<$rule>(); };
    (@natively check $rule:ty) => { const _: () = $crate::rule_is_complete::checks::<$rule>(); };
    (adjust charge $rule:ty) => { $crate::export!(@all $rule, adjust charge); };
    (adjust charge check $rule:ty) => { $crate::export!(@all $rule, adjust charge check); };
    (adjust check $rule:ty) => { $crate::export!(@all $rule, adjust check); };
    (charge check $rule:ty) => { $crate::export!(@all $rule, charge check); };
    (adjust $rule:ty) => { $crate::export!(@all $rule, adjust); };
    (charge $rule:ty) => { $crate::export!(@all $rule, charge); };
    (check $rule:ty) => { $crate::export!(@all $rule, check); };
    (@all $rule:ty, $($capability:ident)+) => {
        $($crate::export!(@natively $capability $rule);)+
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, unreachable_pub, missing_docs)] // the exports of a component are raw functions
        const _: () = {
            type Exported = $crate::wasm::Component<$rule>;
            $crate::wasm::describing::export!(Exported with_types_in $crate::wasm::describing);
            $($crate::export!(@component $capability);)+
        };
    };
    (@component adjust) => { $crate::wasm::adjusting::export!(Exported with_types_in $crate::wasm::adjusting); };
    (@component charge) => { $crate::wasm::charging::export!(Exported with_types_in $crate::wasm::charging); };
    (@component check) => { $crate::wasm::checking::export!(Exported with_types_in $crate::wasm::checking); };
}

/// Lets [`export!`] fail at the author's line when a trait is missing.
#[doc(hidden)]
pub mod rule_is_complete {
    pub const fn adjusts<R: crate::Adjust>() {}
    pub const fn charges<R: crate::Charge>() {}
    pub const fn checks<R: crate::Check>() {}
}
