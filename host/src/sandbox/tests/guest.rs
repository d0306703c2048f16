//! Components written by hand for tests: a core module in text whose functions can be replaced one by one, made a component by the same
//! encoder that builds real rules.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

const WIT: &str = include_str!("../wit-released/rule-1.0.0.wit");
const LOG: &str = include_str!("../../../../wit/deps/log.wit");

/// A well-behaved rule: it keeps every charge, echoes the first column of `custom` rows, adds no line and finds nothing.
pub(crate) struct Guest {
    world: &'static str,
    memory_pages: u32,
    about: String,
    configure: String,
    open: String,
    decide: String,
    apply: String,
    charge: String,
    check: String,
    extra: String,
    logs: bool,
}

/// A list of zeroed elements: (`$count`, bytes of one) as `result<list<_>, failure>`.
const LIST: &str = "
    (local.set $ret (call $zeroed (i32.const 12)))
    (i32.store offset=4 (local.get $ret) (call $zeroed (i32.mul (local.get $count) (i32.const SIZE))))
    (i32.store offset=8 (local.get $ret) (local.get $count))
    (local.get $ret)";

/// Bytes of a decision in the canonical ABI.
const DECISION: &str = "80";

impl Guest {
    fn new(world: &'static str) -> Self {
        Self {
            world,
            memory_pages: 2,
            about: "
                (local $ret i32)
                (local.set $ret (call $zeroed (i32.const 40)))
                (i32.store offset=0 (local.get $ret) (i32.const 2048)) (i32.store offset=4 (local.get $ret) (i32.const 7))
                (i32.store offset=8 (local.get $ret) (i32.const 2064)) (i32.store offset=12 (local.get $ret) (i32.const 5))
                (i32.store offset=16 (local.get $ret) (i32.const 2048)) (i32.store offset=20 (local.get $ret) (i32.const 7))
                (i32.store offset=32 (local.get $ret) (i32.const 2080)) (i32.store offset=36 (local.get $ret) (i32.const 2))
                (local.get $ret)"
                .to_owned(),
            configure: "(call $zeroed (i32.const 64))".to_owned(),
            open: "
                (local $ret i32)
                (local.set $ret (call $zeroed (i32.const 16)))
                (i32.store offset=4 (local.get $ret) (call $new (i32.const 1)))
                (local.get $ret)"
                .to_owned(),
            decide: Self::decisions("(if (result i32) (local.get 2) (then (i32.load offset=12 (local.get 1))) (else (i32.const 1)))"),
            apply: "
                (local $ret i32)
                (local.set $ret (call $zeroed (i32.const 20)))
                (memory.copy (i32.add (local.get $ret) (i32.const 4)) (local.get 3) (i32.const 16))
                (local.get $ret)"
                .to_owned(),
            charge: "(call $zeroed (i32.const 12))".to_owned(),
            check: "(call $zeroed (i32.const 12))".to_owned(),
            extra: String::new(),
            logs: false,
        }
    }

    pub(crate) fn adjustment() -> Self {
        Self::new("adjustment")
    }

    pub(crate) fn charging() -> Self {
        Self::new("charging")
    }

    pub(crate) fn checking() -> Self {
        Self::new("checking")
    }

    /// A body of `decide` that returns this many zeroed decisions, whatever it is asked.
    pub(crate) fn decisions(count: &str) -> String {
        format!("(local $ret i32) (local $count i32) (local.set $count {count}) {}", LIST.replace("SIZE", DECISION))
    }

    /// A rule that takes no configuration at all: `/percent` is missing in each.
    #[allow(dead_code)] // for those that include this file
    pub(crate) fn refusing() -> Self {
        let configure = "
            (local $ret i32)
            (local.set $ret (call $zeroed (i32.const 64)))
            (i32.store8 (local.get $ret) (i32.const 1))
            (i32.store offset=4 (local.get $ret) (i32.const 3000)) (i32.store offset=8 (local.get $ret) (i32.const 8))
            (i32.store offset=12 (local.get $ret) (i32.const 3008)) (i32.store offset=16 (local.get $ret) (i32.const 10))
            (local.get $ret)";
        Self::adjustment().configure(configure).extra(r#"(data (i32.const 3000) "/percentis missing")"#)
    }

    pub(crate) fn memory_pages(mut self, pages: u32) -> Self {
        self.memory_pages = pages;
        self
    }

    pub(crate) fn about(mut self, body: &str) -> Self {
        body.clone_into(&mut self.about);
        self
    }

    pub(crate) fn configure(mut self, body: &str) -> Self {
        body.clone_into(&mut self.configure);
        self
    }

    #[allow(dead_code)] // for the fuzzers, which include this file
    pub(crate) fn open(mut self, body: &str) -> Self {
        body.clone_into(&mut self.open);
        self
    }

    pub(crate) fn decide(mut self, body: &str) -> Self {
        body.clone_into(&mut self.decide);
        self
    }

    pub(crate) fn apply(mut self, body: &str) -> Self {
        body.clone_into(&mut self.apply);
        self
    }

    pub(crate) fn charge(mut self, body: &str) -> Self {
        body.clone_into(&mut self.charge);
        self
    }

    pub(crate) fn check(mut self, body: &str) -> Self {
        body.clone_into(&mut self.check);
        self
    }

    /// Imports the log as `$log`, a function of a text's place and length.
    pub(crate) fn logs(mut self) -> Self {
        self.logs = true;
        self
    }

    /// More fields of the module.
    pub(crate) fn extra(mut self, fields: &str) -> Self {
        fields.clone_into(&mut self.extra);
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap();
        let mut resolve = Resolve::default();
        resolve.push_source("rule.wit", WIT).unwrap();
        resolve.push_source("log.wit", LOG).unwrap();
        let import = if self.logs { "import rerate:log/log@1.0.0;" } else { "" };
        let capability = match self.world {
            "adjustment" => "adjust",
            "charging" => "charge",
            _ => "check",
        };
        let world = format!(
            "package rerate:guest; world guest {{ {import} export rerate:rule/describe@1.0.0; export rerate:rule/{capability}@1.0.0; }}"
        );
        let package = resolve.push_source("guest.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
    }

    fn text(&self) -> String {
        let adjust = self.world == "adjustment";
        let new = r#"(import "[export]rerate:rule/adjust@1.0.0" "[resource-new]rater" (func $new (param i32) (result i32)))"#;
        let export = |name: &str, params: usize, body: &str| {
            let params = " i32".repeat(params);
            format!(
                "(func $body_{} (export \"rerate:rule/{name}\") (param{params}) (result i32) {body})\n",
                name.rsplit(['#', '.']).next().unwrap()
            )
        };
        let mut functions = export("describe@1.0.0#about", 0, &self.about) + &export("describe@1.0.0#configure", 8, &self.configure);
        match self.world {
            "adjustment" => {
                functions += &export("adjust@1.0.0#[static]rater.open", 10, &self.open);
                functions += &export("adjust@1.0.0#[method]rater.decide", 3, &self.decide);
                functions += &export("adjust@1.0.0#[method]rater.apply", 5, &self.apply);
            }
            "charging" => functions += &export("charge@1.0.0#charge", 12, &self.charge),
            _ => functions += &export("check@1.0.0#check", 10, &self.check),
        }
        let log = r#"(import "rerate:log/log@1.0.0" "line" (func $log (param i32 i32)))"#;
        format!(
            r#"(module $fixture
                {}
                {}
                (memory (export "memory") {})
                (data (i32.const 2048) "fixture")
                (data (i32.const 2064) "1.2.3")
                (data (i32.const 2080) "{{}}")
                (global $top (mut i32) (i32.const 65536))
                (func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                    (local $start i32)
                    (local.set $start (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                    (global.set $top (i32.add (local.get $start) (local.get $size)))
                    (block $fits
                        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16))))))
                    (local.get $start))
                (func $zeroed (param $size i32) (result i32)
                    (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (local.get $size)))
                {functions}
                {})"#,
            if adjust { new } else { "" },
            if self.logs { log } else { "" },
            self.memory_pages,
            self.extra,
        )
    }
}
