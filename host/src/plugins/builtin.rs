//! The built-in rules, as compiled: each is a component like any other and runs nowhere but in the sandbox.

/// A built-in rule.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// What a chain calls it.
    pub name: &'static str,
    pub component: &'static [u8],
}

macro_rules! builtin {
    ($name:literal) => {
        Builtin { name: $name, component: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist/", $name, ".wasm")) }
    };
}

/// All of them, by name.
pub const BUILTINS: &[Builtin] = &[
    builtin!("adjustment"),
    builtin!("charge"),
    builtin!("commitments"),
    builtin!("exclusion"),
    builtin!("formula"),
    builtin!("markup"),
    builtin!("public-price"),
];

/// A built-in rule by its name.
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
