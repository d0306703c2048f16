//! A daemon killed in the middle of its work: nothing is lost, nothing happens twice.

use std::time::Duration;

use serde_json::json;

use crate::daemons::{bill, hold_all, plus_ten};
use crate::server::{Server, items};

const ROWS: &str = "120000";

#[test]
fn a_daemon_killed_while_it_imports_and_while_it_rates_ends_where_an_undisturbed_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (bills, expected) = bill(dir.path(), ROWS);

    let mut server = Server::start(&data);
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    for _ in 0..2 {
        let is_over = || !items(&server.get("/v1/snapshots")).is_empty();
        if server.catch("/v1/integrations", |page| items(page)[0]["status"] == "importing", is_over) {
            std::thread::sleep(Duration::from_millis(150)); // into the import; where exactly is all the same
        }
        server.kill();
        server = Server::start(&data);
    }
    server.wait("/v1/integrations", |page| items(page)[0]["status"] == "stable");
    let snapshots = server.get("/v1/snapshots");
    assert_eq!(items(&snapshots).len(), 1, "{snapshots:#}");

    hold_all(&server);
    server.charged(&[("all", expected["billed"].as_str().unwrap())]);
    plus_ten(&server);
    for _ in 0..2 {
        server.catch_rating(&expected["charged"]);
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
        if entry.is_dir() && !entry.is_symlink() { names.extend(walk(&entry)) } else { names.push(entry.display().to_string()) }
    }
    names
}
