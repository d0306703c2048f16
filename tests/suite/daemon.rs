//! The daemon as an admin meets it: bills in, contracts over HTTP, and what happens when something goes wrong.

use std::path::Path;

use serde_json::{Value, json};

use crate::run::{rerate, root};
use crate::server::Server;

const CASE: &str = "tests/cases/edge-two-tenants-full-chain";

/// What each is billed, and charged without rules.
const NORTHWIND: (&str, &str) = ("Northwind", "577.0528");
const CONTOSO: (&str, &str) = ("Contoso", "5.6425678908");

/// The golden bill in a folder of its own.
fn bills(dir: &Path) -> String {
    let bills = dir.join("bills");
    std::fs::create_dir_all(&bills).unwrap();
    std::fs::copy(root().join("tests/cases/edge/cur2_all_line_types.csv"), bills.join("cur.csv")).unwrap();
    bills.to_str().unwrap().to_owned()
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

/// An integration on the bill, imported, and a tenant holding one of its subaccounts.
fn with_tenant(server: &Server, dir: &Path, name: &str, account: &str) -> String {
    if server.get("/v1/integrations")["items"].as_array().unwrap().is_empty() {
        server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills(dir) }));
    }
    let found = server.wait(&format!("/v1/subaccounts?search={account}"), |page| !page["items"].as_array().unwrap().is_empty());
    let tenant = id(&server.post("/v1/tenants", &json!({ "name": name })));
    server.put(&format!("/v1/subaccounts/{}/tenant", id(&found["items"][0])), &json!({ "tenant_id": tenant }));
    tenant
}

fn assign(server: &Server, tenant: Option<&str>, title: &str, plugin: &str, config: &Value) -> String {
    let rule = id(&server.post("/v1/rules", &json!({ "title": title, "plugin": plugin, "config": config })));
    server.post("/v1/assignments", &json!({ "rule_id": rule, "tenant_id": tenant }));
    rule
}

/// A bill, a tenant of it, and a rule of this plugin on the tenant's chain, rated once.
pub(crate) fn rated_by(server: &Server, dir: &Path, plugin: &str, config: &Value) {
    let tenant = with_tenant(server, dir, "Northwind", "222222222222");
    server.charged(&[NORTHWIND]);
    assign(server, Some(&tenant), "Ours", plugin, config);
    server.wait("/v1/reports/margin", |report| of_tenant(report, "Northwind")["by_rule"][0]["title"] == "Ours");
}

fn of_tenant<'a>(report: &'a Value, name: &str) -> &'a Value {
    let tenants = report["tenants"].as_array().unwrap();
    tenants.iter().find(|t| t["tenant"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

fn amounts_of(expected: &Value) -> Vec<(&str, &str)> {
    let tenants = expected["tenants"].as_array().unwrap().iter();
    tenants.map(|tenant| (tenant["name"].as_str().unwrap(), tenant["charged"].as_str().unwrap())).collect()
}

/// The golden case's tenants with its whole chain, rated: Northwind's and Contoso's ids, what is expected, and the margin report.
pub(crate) fn full_chain(server: &Server, dir: &Path) -> (String, String, Value, Value) {
    let northwind = with_tenant(server, dir, "Northwind", "222222222222");
    let contoso = with_tenant(server, dir, "Contoso", "012345678901");
    let chain: toml::Table = std::fs::read_to_string(root().join(CASE).join("chain.toml")).unwrap().parse().unwrap();
    for rule in chain["rule"].as_array().unwrap() {
        let only = rule.get("tenants").map(|t| if t[0].as_str() == Some("Contoso") { contoso.as_str() } else { northwind.as_str() });
        let config = serde_json::to_value(&rule["config"]).unwrap();
        assign(server, only, rule["title"].as_str().unwrap(), rule["plugin"].as_str().unwrap(), &config);
    }
    let expected: Value = serde_json::from_slice(&std::fs::read(root().join(CASE).join("expected.json")).unwrap()).unwrap();
    let report = server.charged(&amounts_of(&expected));
    (northwind, contoso, expected, report)
}

#[test]
fn the_daemon_and_the_command_line_charge_the_same_and_a_crash_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    assert_eq!(server.status_without_token("/v1/health"), 200);
    assert_eq!(server.status_without_token("/v1/tenants"), 401);
    assert_eq!(server.status_without_token("/v1/openapi.json"), 401);

    let (northwind, _, expected, report) = full_chain(&server, dir.path());
    for tenant in expected["tenants"].as_array().unwrap() {
        let row = of_tenant(&report, tenant["name"].as_str().unwrap());
        for field in ["billed", "charged", "by_rule"] {
            assert_eq!(row[field], tenant[field], "{field} of {}", tenant["name"]);
        }
    }
    assert_eq!(report["months"][0]["unassigned"], expected["unassigned"]);
    assert_eq!(report["months"][0]["source"], expected["source"]);

    let lines = server.get(&format!("/v1/tenants/{northwind}/lines?period=2026-09&limit=5"));
    assert_eq!(lines["items"].as_array().unwrap().len(), 5);

    let runs = server.get("/v1/runs?limit=1000");
    server.kill();
    let server = Server::start(&dir.path().join("data"));
    assert_eq!(server.charged(&amounts_of(&expected)), report);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(server.get("/v1/runs?limit=1000"), runs, "a restart rates nothing again");
}

#[test]
fn a_changed_rule_rates_its_tenant_again_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let northwind = with_tenant(&server, dir.path(), "Northwind", "222222222222");
    with_tenant(&server, dir.path(), "Contoso", "012345678901");
    let rule = assign(&server, Some(&northwind), "Plus ten", "markup", &json!({ "percent": "10" }));
    let before = server.charged(&[("Northwind", "634.75808"), CONTOSO]);
    server.put(&format!("/v1/rules/{rule}"), &json!({ "title": "Plus twenty", "plugin": "markup", "config": { "percent": "20" } }));
    let after = server.charged(&[("Northwind", "692.46336"), CONTOSO]);
    assert_ne!(of_tenant(&before, "Northwind")["run_id"], of_tenant(&after, "Northwind")["run_id"]);
    assert_eq!(of_tenant(&before, "Contoso")["run_id"], of_tenant(&after, "Contoso")["run_id"]);
}

#[test]
fn a_bad_bill_is_told_with_its_line_and_the_last_snapshot_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    with_tenant(&server, dir.path(), "Northwind", "222222222222");
    let before = server.charged(&[NORTHWIND]);
    let bill = dir.path().join("bills/cur.csv");
    let text = std::fs::read_to_string(&bill).unwrap().replacen(",2.304,", ",2.30.4,", 1);
    std::fs::write(&bill, text).unwrap();
    let integration = id(&server.get("/v1/integrations")["items"][0]);
    server.post(&format!("/v1/integrations/{integration}/refresh"), &json!({}));
    let failed = server.wait(&format!("/v1/integrations/{integration}"), |i| i["status"] == "error");
    let reason = failed["error"].as_str().unwrap();
    for part in ["cur.csv", "line 2", "line_item_unblended_cost", "2.30.4"] {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    assert_eq!(server.charged(&[NORTHWIND]), before);
}

#[test]
fn a_hostile_rule_fails_its_tenants_run_with_the_reason_and_the_last_good_result_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let tenant = with_tenant(&server, dir.path(), "Northwind", "222222222222");
    with_tenant(&server, dir.path(), "Contoso", "012345678901");
    let good = server.charged(&[NORTHWIND, CONTOSO]);
    for (fixture, reason) in [
        ("loops", "loops"),
        ("allocates", "memory"),
        ("traps", "crashed"),
        ("wrong-row-count", "16 amounts"),
        ("wrong-decision-count", "decisions"),
        ("writes-outside-plan", "plan"),
        ("writes-billed-cost", "BilledCost"),
        ("beyond-range", "range"),
    ] {
        let component = std::fs::read(root().join(format!("tests/fixtures/dist/{fixture}.wasm"))).unwrap();
        let (status, answer) = server.deploy(&component);
        if status >= 400 {
            assert!(answer.to_string().contains(reason), "{fixture} is refused for another reason: {answer:#}");
            continue;
        }
        let plugin = answer["plugin"]["name"].as_str().or(answer["name"].as_str()).unwrap_or_else(|| panic!("{answer:#}")).to_owned();
        let rule = json!({ "title": fixture, "plugin": plugin, "config": {} });
        let (status, rule) = server.call_as(server.token(), "POST", "/v1/rules", Some(&rule));
        // One whose plan shows it already is no rule at all.
        assert_eq!(status >= 400, fixture == "writes-billed-cost", "{fixture}: {rule:#}");
        if status >= 400 {
            assert!(rule.to_string().contains(reason), "{fixture} is refused for another reason: {rule:#}");
            continue;
        }
        let assignment = id(&server.post("/v1/assignments", &json!({ "rule_id": id(&rule), "tenant_id": tenant })));
        let failed = |report: &Value| of_tenant(report, "Northwind")["state"] == "failed";
        let report = server.wait("/v1/reports/margin", failed);
        let row = of_tenant(&report, "Northwind");
        let why = row["failure"].as_str().unwrap();
        assert!(why.contains(fixture) && why.contains(reason), "{fixture}: {why}");
        assert_eq!(row["charged"], of_tenant(&good, "Northwind")["charged"], "{fixture}: the last good result is gone");
        assert_eq!(of_tenant(&report, "Contoso"), of_tenant(&good, "Contoso"), "{fixture}: it reached another tenant");
        server.delete(&format!("/v1/assignments/{assignment}"));
        server.charged(&[NORTHWIND, CONTOSO]);
    }
    let (status, answer) = server.deploy(&std::fs::read(root().join("tests/fixtures/dist/imports-wasi.wasm")).unwrap());
    assert!((400..500).contains(&status) && answer.to_string().contains("wasi"), "{status} {answer:#}");
    let (status, answer) = server.deploy(b"no component");
    assert!((400..500).contains(&status), "{status} {answer:#}");
}

#[test]
fn a_component_dropped_into_the_folder_rates_the_next_charge() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let tenant = with_tenant(&server, dir.path(), "Northwind", "222222222222");
    server.charged(&[NORTHWIND]);
    std::fs::copy(root().join("tests/fixtures/dist/rounding-markup.wasm"), data.join("plugins/mine.wasm")).unwrap();
    server.wait("/v1/plugins", |page| page.to_string().contains("\"rounding-markup\""));
    assign(&server, Some(&tenant), "Seven percent, by the row", "rounding-markup", &json!({ "percent": "7", "digits": 2 }));
    let report = server.wait("/v1/reports/margin", |r| of_tenant(r, "Northwind")["by_rule"][0]["title"] == "Seven percent, by the row");
    assert_ne!(of_tenant(&report, "Northwind")["charged"], of_tenant(&report, "Northwind")["billed"]);
}

#[test]
fn a_taken_port_and_a_folder_in_use_are_told_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let _server = Server::start(&data);
    let second = rerate(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert_eq!(second.code, 2);
    assert!(second.stderr.contains("--data"), "{}", second.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let third = rerate(&["serve", "--listen", &address, "--data", dir.path().join("other").to_str().unwrap()]);
    assert_eq!(third.code, 2);
    assert!(third.stderr.contains(&address) && third.stderr.contains("--listen"), "{}", third.stderr);
}
