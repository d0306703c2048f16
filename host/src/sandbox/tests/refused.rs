//! What is not accepted as a component, and what its author is told.

use proptest::prelude::*;

use super::*;

fn refusal(bytes: &[u8]) -> Refusal {
    sandbox().load(bytes).map(|_| ()).unwrap_err()
}

fn refusal_of_text(text: &str) -> Refusal {
    refusal(&wat::parse_str(text).unwrap())
}

#[test]
fn bytes_that_are_no_webassembly_are_refused_as_such() {
    for bytes in [&b""[..], b"\0as", b"PK\x03\x04", b"(component)", b"\x7fELF"] {
        assert_eq!(refusal(bytes), Refusal::NotWasm);
    }
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let refusal = refusal_of_text("(module)");
    assert_eq!(refusal, Refusal::CoreModule);
    assert!(refusal.to_string().contains("wasm-tools component new"));
}

#[test]
fn a_truncated_component_is_refused_wherever_it_was_cut() {
    let bytes = Guest::adjustment().build();
    let sandbox = sandbox();
    for length in (0..bytes.len()).step_by(7) {
        let refusal = sandbox.load(&bytes[..length]).map(|_| ()).unwrap_err();
        assert!(matches!(refusal, Refusal::NotWasm | Refusal::Malformed(_) | Refusal::NoCapability), "{length}: {refusal}");
    }
}

#[test]
fn wasi_is_refused_by_name_with_what_to_do() {
    let refusal = refusal_of_text(r#"(component (import "wasi:io/poll@0.2.0" (instance (export "poll" (func)))))"#);
    assert_eq!(refusal, Refusal::Wasi { name: "wasi:io/poll@0.2.0".to_owned() });
    assert!(refusal.to_string().contains("--stub-wasi"));
}

#[test]
fn any_other_import_is_refused_by_name() {
    for name in ["log", "acme:tools/log@1.0.0"] {
        let refusal = refusal_of_text(&format!(r#"(component (import "{name}" (instance (export "log" (func)))))"#));
        assert_eq!(refusal, Refusal::Import { name: name.to_owned() });
    }
    let function = refusal_of_text(r#"(component (import "random" (func (result u64))))"#);
    assert_eq!(function, Refusal::Import { name: "random".to_owned() });
}

#[test]
fn our_own_types_may_be_imported_as_types_only() {
    let name = "rerate:rule/types@1.0.0";
    let function = refusal_of_text(&format!(r#"(component (import "{name}" (instance (export "now" (func (result u64))))))"#));
    assert_eq!(function, Refusal::Import { name: name.to_owned() });
    let resource = refusal_of_text(&format!(r#"(component (import "{name}" (instance (export "file" (type (sub resource))))))"#));
    assert_eq!(resource, Refusal::Import { name: name.to_owned() });
    let types = refusal_of_text(&format!(
        r#"(component (import "{name}" (instance (type $t (record (field "a" u8))) (export "t" (type (eq $t))))))"#
    ));
    assert_eq!(types, Refusal::NoCapability);
}

#[test]
fn a_composition_is_refused() {
    assert_eq!(refusal_of_text("(component (component (core module)))"), Refusal::Composed);
}

#[test]
fn a_component_of_another_contract_version_is_told_which_are_supported() {
    for version in ["@2.0.0", "@0.9.0", "@1.1.0", "", "@1.0.0-rc.1"] {
        let name = format!("rerate:rule/describe{version}");
        let refusal =
            refusal_of_text(&format!(r#"(component (component $c) (instance $i (instantiate $c)) (export "{name}" (instance $i)))"#));
        assert_eq!(refusal, Refusal::Version { found: name });
        assert!(refusal.to_string().contains("rerate:rule 1.0"), "{refusal}");
    }
}

#[test]
fn a_component_that_can_do_nothing_is_refused() {
    assert_eq!(refusal_of_text("(component)"), Refusal::NoCapability);
    let export = |name: &str| {
        format!(
            r#"(component $c_{name}) (instance $i_{name} (instantiate $c_{name})) (export "rerate:rule/{name}@1.0.0" (instance $i_{name}))"#
        )
    };
    assert_eq!(refusal_of_text(&format!("(component {})", export("describe"))), Refusal::NoCapability);
    assert_eq!(refusal_of_text(&format!("(component {})", export("charge"))), Refusal::NotDescribed);
    let empty = refusal_of_text(&format!("(component {} {})", export("describe"), export("charge")));
    assert!(matches!(empty, Refusal::Contract(_)), "{empty}");
}

#[test]
fn a_component_beyond_the_size_limit_is_refused_unread() {
    assert_eq!(refusal(&vec![0; COMPONENT_BYTES + 1]), Refusal::TooLarge { bytes: COMPONENT_BYTES + 1 });
}

#[test]
fn what_would_differ_between_machines_is_refused() {
    let relaxed = r#"(component (core module (func (param v128 v128) (result v128)
        (i16x8.relaxed_q15mulr_s (local.get 0) (local.get 1)))))"#;
    assert!(matches!(refusal_of_text(relaxed), Refusal::Malformed(_)));
    let shared = "(component (core module (memory 1 1 shared)))";
    assert!(matches!(refusal_of_text(shared), Refusal::Malformed(_)));
    let large = "(component (core module (memory i64 1)))";
    assert!(matches!(refusal_of_text(large), Refusal::Malformed(_)));
}

#[test]
fn a_manifest_must_have_a_usable_name_and_a_schema() {
    let manifest = |name: &str, schema: &str| {
        let text = |text: &str| text.to_owned();
        accept(&Manifest { name: text(name), version: text("1"), title: text("T"), summary: String::new(), config_schema: text(schema) })
    };
    assert_eq!(manifest("public-price", "{}"), Ok(()));
    for (name, schema) in [("", "{}"), ("Public Price", "{}"), ("../x", "{}"), ("x", ""), ("x", "[]"), ("x", "{")] {
        assert!(matches!(manifest(name, schema), Err(Refusal::Manifest(_))), "{name:?} {schema:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_mutation_of_a_component_brings_the_host_down(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        thread_local! {
            static SHARED: (Vec<u8>, Sandbox) = (
                Guest::adjustment().build(),
                with_limits(Limits { fuel_base: 1_000_000, ..Limits::default() }),
            );
        }
        SHARED.with(|(bytes, sandbox)| {
            let mut bytes = bytes.clone();
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Ok(plugin) = sandbox.load(&bytes)
                && let Ok(mut rater) = plugin.open("{}", &september(), &[])
            {
                let _ = rater.decide(&[text(&["a"], &[0, NULL_CODE])]);
                let _ = rater.apply(&[0], &[RuleMoney::Wide { scale: 18, units: vec![1] }]);
            }
        });
    }

    #[test]
    fn no_bytes_bring_the_host_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let framed: Vec<u8> = b"\0asm\x0d\0\x01\0".iter().chain(&bytes).copied().collect();
        prop_assert!(validate::validate(&framed, &Limits::default()).is_err());
        prop_assert!(validate::validate(&bytes, &Limits::default()).is_err());
    }
}
