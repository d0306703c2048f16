//! A daemon killed in the middle of its work: nothing is lost, nothing happens twice.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::rerate;
use crate::server::Server;

const ROWS: &str = "60000";
const CHAIN: &str = "[[rule]]\ntitle = \"Plus ten\"\nplugin = \"markup\"\nconfig = { percent = \"10\" }\n";

/// Waits without a pause, so that what lasts for a tenth of a second is seen.
fn catch(server: &Server, path: &str, seen: impl Fn(&Value) -> bool) {
    let since = Instant::now();
    while !seen(&server.get(path)) {
        assert!(since.elapsed() < Duration::from_secs(60), "GET {path} never showed it");
    }
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

#[test]
fn a_daemon_killed_while_it_imports_and_while_it_rates_ends_where_an_undisturbed_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let (bills, data, chain) = (dir.path().join("bills"), dir.path().join("data"), dir.path().join("chain.toml"));
    std::fs::write(&chain, CHAIN).unwrap();
    let (bills, chain) = (bills.to_str().unwrap(), chain.to_str().unwrap());
    let generated = rerate(&["bill", "generate", "--rows", ROWS, "--format", "cur2", "--out", bills]);
    assert_eq!(generated.code, 0, "{}", generated.stderr);
    let expected = rerate(&["rate", bills, "--chain", chain, "--out", dir.path().join("rated").to_str().unwrap(), "--json"]).json();
    let expected = &expected["tenants"][0];

    let mut server = Server::start(&data);
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    for _ in 0..2 {
        catch(&server, "/v1/integrations", |page| items(page)[0]["status"] == "importing");
        std::thread::sleep(Duration::from_millis(150));
        server.kill();
        server = Server::start(&data);
    }
    server.wait("/v1/integrations", |page| items(page)[0]["status"] == "stable");
    let snapshots = server.get("/v1/snapshots");
    assert_eq!(items(&snapshots).len(), 1, "{snapshots:#}");

    let tenant = server.post("/v1/tenants", &json!({ "name": "all" }));
    let accounts = server.get("/v1/subaccounts?limit=1000");
    let accounts: Vec<&Value> = items(&accounts).iter().map(|account| &account["id"]).collect();
    server.post("/v1/subaccounts/assign", &json!({ "subaccounts": accounts, "tenant_id": tenant["id"] }));
    let rule = server.post("/v1/rules", &json!({ "title": "Plus ten", "plugin": "markup", "config": { "percent": "10" } }));
    server.charged(&[("all", expected["billed"].as_str().unwrap())]);
    server.post("/v1/assignments", &json!({ "rule_id": rule["id"] }));
    for _ in 0..2 {
        catch(&server, "/v1/runs?state=running", |page| !items(page).is_empty());
        server.kill();
        server = Server::start(&data);
    }
    let report = server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    assert_eq!(report["tenants"][0]["by_rule"], expected["by_rule"]);
    let done = server.get("/v1/runs?state=done");
    assert_eq!(items(&done).len(), 2, "one run without the rule, one with it: {done:#}");
    let overlays = walk(&data).into_iter().filter(|name| name.contains("overlay") || name.contains("run_")).count();
    assert_eq!(overlays, 2, "what the killed ratings wrote is gone: {:?}", walk(&data));
}

/// Names of all files below a folder.
fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { names.extend(walk(&entry)) } else { names.push(entry.display().to_string()) }
    }
    names
}
