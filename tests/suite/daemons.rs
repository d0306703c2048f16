//! Daemons on PostgreSQL: one that restarts, and two that share the work.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::postgres::fresh_database;
use crate::run::rerate;
use crate::server::{Server, items};

/// Enough for a rating to last longer than it takes to see it and kill its daemon.
pub(crate) const ROWS: &str = "160000";
const CHAIN: &str = "[[rule]]\ntitle = \"Plus ten\"\nplugin = \"markup\"\nconfig = { percent = \"10\" }\n";

/// A bill of so many lines, and what one daemon makes of it: without a rule and with one.
pub(crate) fn bill(dir: &Path, rows: &str) -> (String, Value) {
    let (bills, chain) = (dir.join("bills"), dir.join("chain.toml"));
    std::fs::write(&chain, CHAIN).unwrap();
    let (bills, chain) = (bills.to_str().unwrap(), chain.to_str().unwrap());
    let generated = rerate(&["bill", "generate", "--rows", rows, "--format", "cur2", "--out", bills]);
    assert_eq!(generated.code, 0, "{}", generated.stderr);
    let out = dir.join("rated");
    let rated = rerate(&["rate", bills, "--chain", chain, "--out", out.to_str().unwrap(), "--format", "none", "--json"]).json();
    (bills.to_owned(), rated["tenants"][0].clone())
}

/// One tenant that holds every account of the bill.
pub(crate) fn on_board(server: &Server, bills: &str) {
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    server.wait("/v1/integrations", |page| items(page)[0]["status"] == "stable" && !items(page)[0]["last_refresh_at"].is_null());
    hold_all(server);
}

/// A tenant gets every account that is there.
pub(crate) fn hold_all(server: &Server) {
    let tenant = server.post("/v1/tenants", &json!({ "name": "all" }));
    server.post("/v1/subaccounts/assign", &json!({ "subaccounts": all_accounts(server), "tenant_id": tenant["id"] }));
}

pub(crate) fn plus_ten(server: &Server) {
    let rule = server.post("/v1/rules", &json!({ "title": "Plus ten", "plugin": "markup", "config": { "percent": "10" } }));
    server.post("/v1/assignments", &json!({ "rule_id": rule["id"] }));
}

#[test]
fn a_daemon_on_postgresql_imports_rates_and_restarts() {
    let Some(database) = fresh_database() else {
        return eprintln!("skipped: PostgreSQL's server is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (bills, expected) = bill(dir.path(), "20000");
    let server = Server::start_with(&data, &[("RERATE_DATABASE", &database)]);
    on_board(&server, &bills);
    server.charged(&[("all", expected["billed"].as_str().unwrap())]);
    plus_ten(&server);
    let report = server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    assert_eq!(report["tenants"][0]["by_rule"], expected["by_rule"]);
    let runs = server.get("/v1/runs");
    server.kill();
    let server = Server::start_with(&data, &[("RERATE_DATABASE", &database)]);
    assert_eq!(server.get("/v1/runs"), runs);
    // It can be the next to work only when the lease of the killed one has ended.
    server.post("/v1/subaccounts/assign", &json!({ "subaccounts": all_accounts(&server), "tenant_id": null }));
    server.wait("/v1/runs?published=true", |page| items(page).is_empty());
    assert!(!data.join("rerate.db").exists(), "nothing is kept in a file");
}

fn all_accounts(server: &Server) -> Vec<Value> {
    items(&server.get("/v1/subaccounts?limit=1000")).iter().map(|account| account["id"].clone()).collect()
}

#[test]
fn the_work_of_a_daemon_that_is_killed_while_it_rates_is_taken_over_and_done_once() {
    let Some(database) = fresh_database() else {
        return eprintln!("skipped: PostgreSQL's server is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (bills, expected) = bill(dir.path(), ROWS);
    let environment = [("RERATE_DATABASE", database.as_str())];
    let first = Server::start_with(&data, &environment);
    let second = Server::start_with(&data, &environment);
    // Everything is asked for at the one that stands by, which tells what the other does.
    let told = second.listen("run");
    on_board(&second, &bills);
    second.charged(&[("all", expected["billed"].as_str().unwrap())]);
    assert_eq!(items(&second.get("/v1/snapshots")).len(), 1, "imported once");
    told.until(|event| event["state"] == "running");
    told.until(|event| event["state"] == "done");
    plus_ten(&second);
    second.catch_rating(&expected["charged"]);
    first.kill();
    let killed = Instant::now();
    let report = second.charged(&[("all", expected["charged"].as_str().unwrap())]);
    eprintln!("taken over and rated {:?} after the kill", killed.elapsed());
    assert_eq!(report["tenants"][0]["by_rule"], expected["by_rule"]);
    let done = second.get("/v1/runs?state=done");
    assert_eq!(items(&done).len(), 2, "one run without the rule, one with it: {done:#}");
    assert_eq!(items(&second.get("/v1/runs?published=true")).len(), 1);
    let run = items(&done).iter().find(|run| run["charged"] == expected["charged"]).unwrap()["id"].as_str().unwrap();
    let verified = second.cli(&["run", "verify", run]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    // Had the first one done it before it was killed, it might have taken the news of it along.
    if !items(&second.get("/v1/runs?state=superseded")).is_empty() {
        told.until(|event| event["state"] == "done" && event["id"] == run);
    }
}

#[test]
fn a_daemon_that_was_stalled_while_it_rated_changes_nothing_when_it_wakes_up() {
    let Some(database) = fresh_database() else {
        return eprintln!("skipped: PostgreSQL's server is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (bills, expected) = bill(dir.path(), ROWS);
    let environment = [("RERATE_DATABASE", database.as_str())];
    let first = Server::start_with(&data, &environment);
    let second = Server::start_with(&data, &environment);
    on_board(&second, &bills);
    second.charged(&[("all", expected["billed"].as_str().unwrap())]);
    plus_ten(&second);
    second.catch_rating(&expected["charged"]);
    first.signal("STOP");
    second.charged(&[("all", expected["charged"].as_str().unwrap())]);
    let runs = second.get("/v1/runs");
    first.signal("CONT");
    // It had a rating to end and a lease to renew: both are refused.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(second.get("/v1/runs"), runs);
    assert!(!items(&runs).iter().any(|run| run["state"] == "failed"), "{runs:#}");
    // It stands by now: what is changed through it is done by the other.
    first.post("/v1/subaccounts/assign", &json!({ "subaccounts": all_accounts(&first), "tenant_id": null }));
    second.wait("/v1/runs?published=true", |page| items(page).is_empty());
}
