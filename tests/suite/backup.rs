//! A backup of a daemon that is rating, and what is made of it.

use std::path::Path;

use serde_json::Value;

use crate::daemons::{ROWS, bill, on_board, plus_ten};
use crate::postgres::fresh_database;
use crate::run::{Ran, rerate};
use crate::server::{Server, items};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran
}

#[track_caller]
fn refused(ran: Ran, why: &str) {
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
}

fn verified(server: &Server, run: &str) {
    let ran = done(server.cli(&["run", "verify", run]));
    assert!(ran.stdout.contains("identical"), "{}", ran.stdout);
}

fn published(server: &Server) -> Value {
    server.get("/v1/runs?published=true")
}

#[test]
fn a_backup_of_a_daemon_that_is_rating_is_a_daemon_that_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let (first, again, out) = (dir.path().join("data"), dir.path().join("again"), dir.path().join("rerate.backup"));
    let (bills, expected) = bill(dir.path(), ROWS);
    let server = Server::start(&first);
    on_board(&server, &bills);
    server.charged(&[("all", expected["billed"].as_str().unwrap())]);
    let rated = published(&server);
    plus_ten(&server);
    server.catch_rating(&expected["charged"]);
    let manifest = done(rerate(&["backup", "--data", text(&first), "--out", text(&out), "--json"])).json();
    assert!(manifest["entries"].as_array().unwrap().iter().any(|entry| entry["name"] == "rows/runs.jsonl" && entry["rows"] == 2));
    server.charged(&[("all", expected["charged"].as_str().unwrap())]);

    done(rerate(&["restore", text(&out), "--data", text(&again)]));
    let restored = Server::start(&again);
    let runs = restored.get("/v1/runs");
    assert!(items(&runs).contains(&items(&rated)[0]), "{runs:#}");
    restored.charged(&[("all", expected["charged"].as_str().unwrap())]);
    for run in items(&restored.get("/v1/runs?state=done")) {
        verified(&restored, run["id"].as_str().unwrap());
    }

    refused(rerate(&["restore", text(&out), "--data", text(&again)]), "is not empty");
    refused(rerate(&["backup", "--data", text(&first), "--out", text(&out)]), "is there already");
    refused(rerate(&["backup", "--data", text(dir.path()), "--out", "x"]), "there is no ");
    let mut bytes = std::fs::read(&out).unwrap();
    let magic = bytes.windows(4).position(|window| window == b"PAR1").expect("a file of the lake, as it is");
    bytes[magic + 100] ^= 1;
    let (damaged, third) = (dir.path().join("damaged.backup"), dir.path().join("third"));
    std::fs::write(&damaged, bytes).unwrap();
    refused(rerate(&["restore", text(&damaged), "--data", text(&third)]), "is damaged: files/lake/");
    assert!(!third.exists());
}

#[test]
fn a_backup_of_either_database_is_restored_to_the_other() {
    let Some(database) = fresh_database() else {
        return eprintln!("skipped: PostgreSQL's server is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (bills, expected) = bill(dir.path(), "20000");
    let server = Server::start(&path("sqlite"));
    on_board(&server, &bills);
    plus_ten(&server);
    server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    let (runs, audit) = (published(&server), server.get("/v1/audit"));
    drop(server);
    // Nobody has the file open: its log is folded up.
    done(rerate(&["backup", "--data", text(&path("sqlite")), "--out", text(&path("a.backup"))]));

    done(rerate(&["restore", text(&path("a.backup")), "--data", text(&path("postgres")), "--database", &database]));
    let twice = rerate(&["restore", text(&path("a.backup")), "--data", text(&path("twice")), "--database", &database]);
    assert!(twice.code != 0 && twice.stderr.contains("the database is not empty"), "{}", twice.stderr);
    let server = Server::start_with(&path("postgres"), &[("RERATE_DATABASE", &database)]);
    assert_eq!(published(&server), runs);
    assert_eq!(server.get("/v1/audit"), audit);
    verified(&server, items(&runs)[0]["id"].as_str().unwrap());
    let out = path("b.backup");
    done(rerate(&["backup", "--data", text(&path("postgres")), "--database", &database, "--out", text(&out)]));
    drop(server);

    done(rerate(&["restore", text(&out), "--data", text(&path("sqlite-again"))]));
    let server = Server::start(&path("sqlite-again"));
    assert_eq!(published(&server), runs);
    assert_eq!(server.get("/v1/audit"), audit);
    verified(&server, items(&runs)[0]["id"].as_str().unwrap());
}

#[test]
fn a_backup_without_the_key_of_what_is_sealed_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let key = "0f".repeat(32);
    for (name, environment) in [("own", &[][..]), ("given", &[("RERATE_SECRET_KEY", key.as_str())][..])] {
        let (data, out) = (dir.path().join(name), dir.path().join(format!("{name}.backup")));
        let server = Server::start_with(&data, environment);
        let bucket = serde_json::json!({"name": "aws", "kind": "s3", "location": "s3://bills", "endpoint": "http://127.0.0.1:1"});
        let made = server.post("/v1/integrations", &bucket);
        let credentials = serde_json::json!({"access_key_id": "AKIA", "secret_access_key": "secret"});
        server.put(&format!("/v1/integrations/{}/credentials", made["id"].as_str().unwrap()), &credentials);
        let taken = done(rerate(&["backup", "--data", text(&data), "--out", text(&out)]));
        assert_eq!(taken.stderr.contains("start a restored daemon with the same RERATE_SECRET_KEY"), name == "given", "{}", taken.stderr);
    }
}
