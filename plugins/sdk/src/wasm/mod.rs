//! The component's side of the contract: generated bindings, and the conversions between them and [`session`](crate::session).
//!
//! One world for each interface, so that a component exports exactly what its author names.

#![allow(unsafe_code, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction)] // generated bindings

mod adjust;
mod charge;
mod convert;
mod describe;

use std::marker::PhantomData;

/// Stands for the rule `R` where the bindings want a type of this crate.
pub struct Component<R>(PhantomData<R>);

pub mod describing {
    wit_bindgen::generate!({
        path: "../../wit/rule.wit",
        inline: "package rerate:sdk-describing; world describing { export rerate:rule/describe@1.0.0; }",
        world: "rerate:sdk-describing/describing",
        pub_export_macro: true,
        generate_all,
    });
}

pub mod adjusting {
    wit_bindgen::generate!({
        path: "../../wit/rule.wit",
        inline: "package rerate:sdk-adjusting; world adjusting { export rerate:rule/adjust@1.0.0; }",
        world: "rerate:sdk-adjusting/adjusting",
        pub_export_macro: true,
        with: { "rerate:rule/types@1.0.0": super::describing::rerate::rule::types },
    });
}

pub mod charging {
    wit_bindgen::generate!({
        path: "../../wit/rule.wit",
        inline: "package rerate:sdk-charging; world charging { export rerate:rule/charge@1.0.0; }",
        world: "rerate:sdk-charging/charging",
        pub_export_macro: true,
        with: { "rerate:rule/types@1.0.0": super::describing::rerate::rule::types },
    });
}

pub mod checking {
    wit_bindgen::generate!({
        path: "../../wit/rule.wit",
        inline: "package rerate:sdk-checking; world checking { export rerate:rule/check@1.0.0; }",
        world: "rerate:sdk-checking/checking",
        pub_export_macro: true,
        with: { "rerate:rule/types@1.0.0": super::describing::rerate::rule::types },
    });
}

/// The one import there is. A rule that writes no lines does not use it, and the encoder leaves out of a component what is not used.
pub(crate) mod logging {
    wit_bindgen::generate!({
        path: "../../wit/deps/log.wit",
        inline: "package rerate:sdk-logging; world logging { import rerate:log/log@1.0.0; }",
        world: "rerate:sdk-logging/logging",
        generate_all,
    });
}
