//! An admin's questions before and after a change: does a published result still come out the same, and what would another version, or
//! another configuration, make of it?

use std::path::Path;

use serde_json::{Value, json};

use crate::run::{Ran, rerate, root};
use crate::server::Server;

const BILL: &str = "tests/cases/edge/cur2_all_line_types.csv";

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

/// A daemon with one tenant under a markup of ten percent; its rule's id.
fn daemon(dir: &Path) -> (Server, String) {
    let bills = dir.join("bills");
    std::fs::create_dir_all(&bills).unwrap();
    std::fs::copy(root().join(BILL), bills.join("cur.csv")).unwrap();
    let server = Server::start(&dir.join("data"));
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    let found = server.wait("/v1/subaccounts?search=222222222222", |page| !page["items"].as_array().unwrap().is_empty());
    let tenant = id(&server.post("/v1/tenants", &json!({ "name": "Northwind" })));
    server.put(&format!("/v1/subaccounts/{}/tenant", id(&found["items"][0])), &json!({ "tenant_id": tenant }));
    let rule = id(&server.post("/v1/rules", &json!({ "title": "Plus ten", "plugin": "markup", "config": { "percent": "10" } })));
    server.post("/v1/assignments", &json!({ "rule_id": rule, "tenant_id": tenant }));
    server.charged(&[("Northwind", "634.75808")]);
    (server, rule)
}

/// Calls the command line on the daemon.
fn on(server: &Server, dir: &Path, arguments: &[&str]) -> Ran {
    let token = dir.join("data/admin.token");
    let all: Vec<&str> = [arguments, &["--server", server.address(), "--token-file", token.to_str().unwrap()]].concat();
    rerate(&all)
}

/// The same component under another digest: a custom section that says nothing.
fn another_build(component: &[u8]) -> Vec<u8> {
    [component, &[0, 5, 4], b"none"].concat()
}

#[test]
fn a_published_run_is_verified_previewed_and_held_against_another_build() {
    let dir = tempfile::tempdir().unwrap();
    let (server, rule) = daemon(dir.path());
    let runs = server.get("/v1/runs?published=true");
    let run = id(&runs["items"][0]);

    let listed = on(&server, dir.path(), &["run", "list", "--published"]);
    assert!(
        listed.code == 0 && listed.stdout.contains(&run) && listed.stdout.contains("634.76") && listed.stdout.contains("Northwind"),
        "{}{}",
        listed.stdout,
        listed.stderr
    );
    let shown = on(&server, dir.path(), &["run", "show", &run]);
    assert!(shown.stdout.contains("Plus ten") && shown.stdout.contains("57.71"), "{}", shown.stdout);

    for arguments in [vec![], vec!["--workers", "1", "--batch-rows", "3"]] {
        let verified = on(&server, dir.path(), &[&["run", "verify", &run], &arguments[..]].concat());
        assert!(verified.code == 0 && verified.stdout.starts_with("identical: "), "{}{}", verified.stdout, verified.stderr);
    }

    // The rule under another configuration, before anybody is charged by it.
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"percent": "20"}"#).unwrap();
    let preview = ["preview", "--rule", "Plus ten", "--config", config.to_str().unwrap(), "--tenant", "Northwind", "--period", "2026-09"];
    let told = on(&server, dir.path(), &preview);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for part in ["Northwind", "634.76", "692.46", "+57.71", "Plus ten", "Lines that change most"] {
        assert!(told.stdout.contains(part), "{part:?} is not in\n{}", told.stdout);
    }
    let exact = on(&server, dir.path(), &[&preview[..], &["--json"]].concat()).json();
    assert_eq!(exact["totals"][0]["delta"], "57.70528");
    assert_eq!(exact["months"][0]["difference"]["by_rule"][0]["after"], "115.41056");
    assert_eq!(server.get("/v1/runs?published=true"), runs, "a preview publishes nothing");
    assert_eq!(server.get("/v1/previews")["items"], json!([]), "the command line leaves no preview behind");

    // A chain without a rule is rather a mistake in the file than a month at cost.
    let chain = dir.path().join("chain.toml");
    for (text, told) in [
        ("", "has no [[rule]]"),
        ("[[rules]]\ntitle = \"a\"\n", "line 1, column 3"),
        ("[[rule]]\nplugin = \"markup\"\n", "missing field `title`"),
        ("[[rule]]\ntitle = \"a\"\nplugin = \"markup\"\nconfg = {}\n", "line 4, column 1"),
    ] {
        std::fs::write(&chain, text).unwrap();
        let refused = on(&server, dir.path(), &["preview", "--chain", chain.to_str().unwrap()]);
        assert!(refused.code == 2 && refused.stderr.contains(told), "{text}: {}", refused.stderr);
    }
    let nothing = on(&server, dir.path(), &["preview", "--period", "2026-09"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("--plugin") && nothing.stderr.contains("--rule"), "{}", nothing.stderr);

    // One that was asked for over HTTP stays until it is deleted.
    let asked = json!({"rules": [{"rule_id": rule, "config": {"percent": "20"}}], "periods": ["2026-09"]});
    let made = id(&server.post("/v1/previews", &asked));
    let listed = on(&server, dir.path(), &["preview", "list"]);
    assert!(listed.code == 0 && listed.stdout.contains(&made) && listed.stdout.contains(&format!("rule {rule}")), "{}", listed.stdout);
    server.wait(&format!("/v1/previews/{made}"), |preview| preview["state"] == "done");
    let shown = on(&server, dir.path(), &["preview", "show", &made, "--json"]).json();
    assert_eq!(shown["totals"][0]["delta"], "57.70528");
    let deleted = on(&server, dir.path(), &["preview", "delete", &made]);
    assert!(deleted.code == 0 && deleted.stdout.contains("is deleted"), "{}{}", deleted.stdout, deleted.stderr);
    assert_eq!(on(&server, dir.path(), &["preview", "list", "--json"]).json(), json!([]));
    assert_eq!(on(&server, dir.path(), &["preview", "show", &made]).code, 2);

    // Another build, pushed and not active.
    let build = dir.path().join("markup.wasm");
    std::fs::write(&build, another_build(&std::fs::read(root().join("plugins/dist/markup.wasm")).unwrap())).unwrap();
    let replayed = on(&server, dir.path(), &["plugin", "replay", &run, "--against", build.to_str().unwrap(), "--json"]).json();
    assert_eq!((&replayed["months"][0]["delta"], &replayed["same"]), (&json!("0"), &json!(1)));
    assert_eq!(server.get("/v1/runs?published=true"), runs, "nor does a pushed version that is not active");

    let active = server.get("/v1/plugins/markup")["active_digest"].as_str().unwrap().to_owned();
    let already = on(&server, dir.path(), &["preview", "--plugin", &active[..12]]);
    assert!(already.code == 0 && already.stdout.contains("were rated just so already"), "{}{}", already.stdout, already.stderr);

    // A version of a plugin that has no active one is known too, and has nothing to run beside.
    let rounding = root().join("tests/fixtures/dist/rounding-markup.wasm").display().to_string();
    let pushed = on(&server, dir.path(), &["plugin", "push", &rounding, "--json"]).json();
    let digest = pushed["digest"].as_str().unwrap();
    let unused = on(&server, dir.path(), &["preview", "--plugin", &digest[..12]]);
    assert!(unused.code == 0 && unused.stdout.contains("no chain of these months has it"), "{}{}", unused.stdout, unused.stderr);
    let beside = on(&server, dir.path(), &["shadow", "start", &digest[..12]]);
    assert!(beside.code == 1 && beside.stderr.contains("rounding-markup has no active version"), "{}", beside.stderr);
    let diff = ["plugin", "diff", &active[..12], build.to_str().unwrap(), "--period", "2026-09", "--tenant", "Northwind", "--json"];
    let same = on(&server, dir.path(), &diff).json();
    assert_eq!(
        (&same["same"], &same["months"][0]["before"], &same["months"][0]["after"]),
        (&json!(1), &json!("634.75808"), &json!("634.75808"))
    );

    // A stored result that is damaged is found.
    let stored = server.get(&format!("/v1/runs/{run}"))["overlay"].as_str().unwrap().to_owned();
    let stored = dir.path().join("data/lake").join(stored);
    let mut bytes = std::fs::read(&stored).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&stored, bytes).unwrap();
    let broken = on(&server, dir.path(), &["run", "verify", &run]);
    assert!(broken.code == 1 && broken.stdout.starts_with("different: first in the stored file"), "{}{}", broken.stdout, broken.stderr);
    let unknown = on(&server, dir.path(), &["run", "verify", "run_none"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("there is no run run_none"), "{}", unknown.stderr);
}

#[test]
fn two_versions_are_compared_over_a_bill_without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"percent": "7"}"#).unwrap();
    let diff = |b: &str, more: &[&str]| {
        rerate(&[&["plugin", "diff", "markup", b, "--bill", BILL, "--config", config.to_str().unwrap()], more].concat())
    };
    let other = diff("tests/fixtures/dist/rounding-markup.wasm", &[]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert!(other.stdout.contains("charges change") && other.stdout.contains("Lines that change most"), "{}", other.stdout);
    let exact = diff("tests/fixtures/dist/rounding-markup.wasm", &["--json"]).json();
    let amount = |value: &Value| value.as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
    let delta: rust_decimal::Decimal = exact[0]["by_service"].as_array().unwrap().iter().map(|service| amount(&service["delta"])).sum();
    assert_eq!(delta, amount(&exact[0]["delta"]));
    assert!(delta.abs() > rust_decimal::Decimal::ZERO && delta.abs() < rust_decimal::Decimal::ONE, "rounding by the row moves cents");

    let build = dir.path().join("same.wasm");
    std::fs::write(&build, another_build(&std::fs::read(root().join("plugins/dist/markup.wasm")).unwrap())).unwrap();
    let same = diff(build.to_str().unwrap(), &[]);
    assert!(same.code == 0 && same.stdout.contains("the same: "), "{}{}", same.stdout, same.stderr);
    // What cannot be compared is said before anything is rated.
    std::fs::write(&config, r#"{"percent": 7}"#).unwrap();
    let refused = diff("markup", &[]);
    assert!(refused.code == 2 && refused.stderr.contains("A: /percent of the configuration: "), "{}", refused.stderr);
    std::fs::write(&config, "{}").unwrap();
    let refused = diff("tests/fixtures/dist/rounding-markup.wasm", &[]);
    assert!(refused.code == 2 && refused.stderr.contains(": the configuration: "), "{}", refused.stderr);
    let empty = dir.path().join("empty.csv");
    let header = std::fs::read_to_string(root().join(BILL)).unwrap().lines().next().unwrap().to_owned();
    std::fs::write(&empty, header + "\n").unwrap();
    let over = |bill: &[&str]| rerate(&[&["plugin", "diff", "markup", "markup"], bill].concat());
    let nothing = over(&["--bill", empty.to_str().unwrap()]);
    assert!(nothing.code == 2 && nothing.stderr.contains("empty.csv has no charges"), "{}{}", nothing.stdout, nothing.stderr);
    let neither = over(&[]);
    assert!(neither.code == 2 && neither.stderr.contains("--bill") && neither.stderr.contains("--period"), "{}", neither.stderr);
    let refused = diff("Cargo.toml", &[]);
    assert!(refused.code == 2 && refused.stderr.contains("Cargo.toml is refused"), "{}", refused.stderr);
}

/// A key as a part of an address.
fn encoded(key: &str) -> String {
    key.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[test]
fn every_listed_line_can_be_walked_through_its_chain_by_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (server, rule) = daemon(dir.path());
    let tenant = id(&server.get("/v1/tenants")["items"][0]);
    let lines = server.get(&format!("/v1/tenants/{tenant}/lines?period=2026-09&columns=BilledCost,x_CustomerCost,x_Treatment"));
    let lines = lines["items"].as_array().unwrap();
    assert!(lines.len() > 10);
    let mut walked = 0;
    for line in lines {
        assert_eq!(line.as_object().unwrap().len(), 4, "the key and what was asked for: {line}");
        let path = format!("/v1/charges/{}/provenance?tenant={tenant}&period=2026-09", encoded(line["key"].as_str().unwrap()));
        let told = server.get(&path);
        assert_eq!((&told["billed"], &told["charged"]), (&line["BilledCost"], &line["x_CustomerCost"]), "{told:#}");
        let steps = told["steps"].as_array().unwrap();
        assert_eq!((steps.len(), &steps[0]["rule_id"], &steps[0]["plugin"]), (1, &json!(rule), &json!("markup")));
        assert_eq!((&steps[0]["before"], &steps[0]["after"]), (&line["BilledCost"], &line["x_CustomerCost"]));
        let seen = server.get(&format!("{path}&view=tenant"));
        assert_eq!(seen["charged"], line["x_CustomerCost"]);
        assert!(seen["steps"].is_null() && seen["billed"].is_null() && seen["charge"]["BilledCost"].is_null(), "{seen:#}");
        if walked == 0 {
            let why = ["run", "why", line["key"].as_str().unwrap(), "--tenant", "Northwind", "--period", "2026-09"];
            let shown = on(&server, dir.path(), &why);
            assert_eq!(shown.code, 0, "{}", shown.stderr);
            let charged = format!("charged {} USD", line["x_CustomerCost"].as_str().unwrap());
            assert!(shown.stdout.contains("Plus ten") && shown.stdout.contains(&charged), "{}", shown.stdout);
        }
        walked += usize::from(steps[0]["before"] != steps[0]["after"]);
    }
    assert!(walked > 5, "the rule touches lines");
}

#[test]
fn a_candidate_runs_in_the_shadow_of_the_active_version_until_it_is_promoted() {
    let dir = tempfile::tempdir().unwrap();
    let (server, rule) = daemon(dir.path());
    let build = dir.path().join("markup.wasm");
    std::fs::write(&build, another_build(&std::fs::read(root().join("plugins/dist/markup.wasm")).unwrap())).unwrap();
    let started = on(&server, dir.path(), &["shadow", "start", build.to_str().unwrap(), "--json"]).json();
    let shadow = id(&started);
    server.put(&format!("/v1/rules/{rule}"), &json!({ "title": "Plus twenty", "plugin": "markup", "config": { "percent": "20" } }));
    server.charged(&[("Northwind", "692.46336")]);
    let found = server.wait(&format!("/v1/shadows/{shadow}"), |shadow| shadow["found"]["runs"] == 1);
    assert_eq!((&found["found"]["same"], &found["found"]["totals"][0]["delta"]), (&json!(1), &json!("0")), "{found:#}");
    let shown = on(&server, dir.path(), &["shadow", "show", &shadow]);
    assert!(shown.code == 0 && shown.stdout.contains("running: 1 runs, 1 the same, 0 otherwise"), "{}{}", shown.stdout, shown.stderr);
    let promoted = on(&server, dir.path(), &["shadow", "promote", &shadow]);
    assert!(promoted.code == 0 && promoted.stdout.starts_with("markup runs on "), "{}{}", promoted.stdout, promoted.stderr);
    assert_eq!(server.get("/v1/plugins/markup")["active_digest"], started["digest"]);
    let again = on(&server, dir.path(), &["shadow", "drop", &shadow]);
    assert!(again.code == 1 && again.stderr.contains("has ended already"), "{}", again.stderr);
    let changes = server.get("/v1/audit?noun=shadow")["items"].to_string();
    assert!(changes.contains("\"create\"") && changes.contains("\"promote\""), "{changes}");
}
