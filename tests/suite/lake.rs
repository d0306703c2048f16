//! A lake in an S3-compatible bucket, against moto where Python has it: one daemon whose copies are lost, two on machines of their own, a
//! bucket that does not answer for a while.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bucket::{Background, bucket};
use crate::daemons::{self, bill, on_board, plus_ten};
use crate::postgres::fresh_database;
use crate::run::{Ran, rerate, rerate_with, root};
use crate::server::{Server, items};

/// Of a bill that nobody has to be quick for.
const ROWS: &str = "20000";

const KEYS: [(&str, &str); 3] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("RERATE_LAKE_REGION", "us-east-1")];

/// An empty bucket; none where moto is missing.
fn empty_bucket(dir: &Path) -> Option<(Background, String)> {
    let nothing = dir.join("nothing");
    std::fs::create_dir_all(&nothing).unwrap();
    bucket(&nothing)
}

/// The environment of a daemon whose lake is there.
fn lake<'a>(url: &'a str, endpoint: &'a str) -> Vec<(&'a str, &'a str)> {
    [&KEYS[..], &[("RERATE_LAKE", url), ("RERATE_LAKE_ENDPOINT", endpoint)]].concat()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran
}

/// A daemon that does not start, and says why and what to do.
#[track_caller]
fn refused(data: &Path, environment: &[(&str, &str)], why: &str, what_to_do: &str) {
    let ran = rerate_with(&["serve", "--listen", "127.0.0.1:0", "--data", text(data)], environment);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(why) && ran.stderr.contains(what_to_do), "{}", ran.stderr);
}

/// What a daemon shows of the only tenant's month: a page of its lines, its whole file, and why its first line costs what it does.
fn shown(server: &Server, dir: &Path) -> [String; 3] {
    let month = server.get("/v1/reports/margin")["tenants"][0].clone();
    let of = |name: &str| month[name].as_str().unwrap().to_owned();
    let (tenant, period) = (of("tenant_id"), of("period"));
    let lines =
        server.get(&format!("/v1/tenants/{tenant}/lines?period={period}&limit=200&columns=x_SourceRowKey,BilledCost,x_CustomerCost"));
    let key = items(&lines)[0]["x_SourceRowKey"].as_str().unwrap();
    let why = done(server.cli(&["run", "why", key, "--tenant", &tenant, "--period", &period, "--json"])).stdout;
    let file = dir.join(format!("{}.parquet", server.address().rsplit(':').next().unwrap()));
    let request = ureq::get(format!("{}/v1/tenants/{tenant}/export?period={period}&format=parquet", server.address()));
    let mut answer = request.header("Authorization", format!("Bearer {}", server.token())).call().unwrap();
    io::copy(&mut answer.body_mut().as_reader(), &mut std::fs::File::create(&file).unwrap()).unwrap();
    let export = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let digest = format!("{} bytes, {:?}", export.len(), rerate::plugins::digest_of(&export));
    [lines["items"].to_string(), digest, why]
}

fn verified(server: &Server) {
    let runs = server.get("/v1/runs?published=true");
    let ran = done(server.cli(&["run", "verify", items(&runs)[0]["id"].as_str().unwrap()]));
    assert!(ran.stdout.contains("identical"), "{}", ran.stdout);
}

#[test]
fn a_daemon_that_lost_its_copies_has_the_same_lines_from_the_bucket_and_a_backup_has_them_too() {
    let dir = tempfile::tempdir().unwrap();
    let Some((_bucket, endpoint)) = empty_bucket(dir.path()) else {
        return eprintln!("skipped: python3 has no moto");
    };
    let (data, out) = (dir.path().join("data"), dir.path().join("rerate.backup"));
    let environment = lake("s3://bills/lake", &endpoint);
    let (bills, expected) = bill(dir.path(), ROWS);
    refused(&data, &lake("s3://no-such-bucket/lake", &endpoint), "NoSuchBucket", "make the bucket");

    let server = Server::start_with(&data, &environment);
    on_board(&server, &bills);
    plus_ten(&server);
    server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    let before = shown(&server, dir.path());
    server.kill();
    std::fs::remove_dir_all(data.join("lake")).unwrap();
    std::fs::remove_dir_all(data.join("plugins-store")).unwrap();

    let server = Server::start_with(&data, &environment);
    let report = server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    assert_eq!(report["tenants"][0]["by_rule"], expected["by_rule"]);
    assert_eq!(shown(&server, dir.path()), before);
    verified(&server);
    assert_eq!(items(&server.get("/v1/snapshots")).len(), 1, "nothing was imported again");
    drop(server);
    refused(&data, &[], "are in s3://bills/lake", "--lake s3://bills/lake");
    refused(&data, &lake("s3://bills/other", &endpoint), "not in s3://bills/other", "--lake s3://bills/lake");

    std::fs::remove_dir_all(data.join("lake")).unwrap();
    let arguments = ["backup", "--data", text(&data), "--out", text(&out)];
    let without = rerate(&arguments);
    assert!(without.code == 2 && without.stderr.contains("--lake s3://bills/lake"), "{}", without.stderr);
    done(rerate_with(&arguments, &environment));
    let again = dir.path().join("again");
    done(rerate(&["restore", text(&out), "--data", text(&again)]));
    let restored = Server::start(&again);
    assert_eq!(shown(&restored, dir.path()), before, "in its folder alone");
    verified(&restored);
    drop(restored);
    refused(&again, &environment, "the files of another database", "another prefix");
    let restored = Server::start_with(&again, &lake("s3://bills/again", &endpoint));
    drop(restored);
    std::fs::remove_dir_all(again.join("lake")).unwrap();
    let restored = Server::start_with(&again, &lake("s3://bills/again", &endpoint));
    assert_eq!(shown(&restored, dir.path()), before, "put into the bucket by the start before");
}

#[test]
fn a_key_that_others_would_not_have_is_not_taken_into_use() {
    let Some(database) = fresh_database() else {
        return eprintln!("skipped: PostgreSQL's server is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let Some((_bucket, endpoint)) = empty_bucket(dir.path()) else {
        return eprintln!("skipped: python3 has no moto");
    };
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let environment = [&lake("s3://bills/msp", &endpoint)[..], &[("RERATE_DATABASE", &database)]].concat();
    let first = Server::start_with(&one, &environment);
    std::fs::create_dir(&two).unwrap();
    std::fs::copy(one.join("secrets.key"), two.join("secrets.key")).unwrap();
    let second = Server::start_with(&two, &environment);
    let before = std::fs::read(one.join("secrets.key")).unwrap();
    let refused = first.cli(&["secrets", "rotate"]);
    assert!(refused.code == 1 && refused.stderr.contains("RERATE_SECRET_KEY (new,old)"), "{}", refused.stderr);
    assert_eq!(std::fs::read(one.join("secrets.key")).unwrap(), before);
    drop(second);
}

#[test]
fn two_daemons_with_folders_of_their_own_take_over_from_each_other_and_show_the_same() {
    let Some(database) = fresh_database() else {
        return eprintln!("skipped: PostgreSQL's server is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let Some((_bucket, endpoint)) = empty_bucket(dir.path()) else {
        return eprintln!("skipped: python3 has no moto");
    };
    let (one, two, three) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("three"));
    let (bills, expected) = bill(dir.path(), daemons::ROWS);
    let (key, other_key) = ("1".repeat(64), "2".repeat(64));
    let with_key = |key: &'static str| {
        [&lake("s3://bills/msp", &endpoint)[..], &[("RERATE_DATABASE", &database), ("RERATE_SECRET_KEY", key)]].concat()
    };
    let (key, other_key): (&'static str, &'static str) = (key.leak(), other_key.leak());
    let environment = with_key(key);
    let first = Server::start_with(&one, &environment);
    let second = Server::start_with(&two, &environment);
    refused(&three, &with_key(other_key), "sealed with another key", "RERATE_SECRET_KEY");
    refused(&three, &[("RERATE_DATABASE", &database)], "are in s3://bills/msp", "--lake s3://bills/msp");
    refused(&one, &environment, "another rerate is using", "folder of its own");

    // Everything is asked for at the one that stands by.
    on_board(&second, &bills);
    second.charged(&[("all", expected["billed"].as_str().unwrap())]);
    assert!(!two.join("lake/rated").read_dir().unwrap().any(|_| true), "the other one rated");
    shown(&second, dir.path());
    plus_ten(&second);
    second.catch_rating(&expected["charged"]);
    first.kill();
    let report = second.charged(&[("all", expected["charged"].as_str().unwrap())]);
    assert_eq!(report["tenants"][0]["by_rule"], expected["by_rule"]);
    let runs = second.get("/v1/runs?state=done");
    assert_eq!(items(&runs).len(), 2, "one run without the rule, one with it: {runs:#}");
    let shown_by_second = shown(&second, dir.path());
    verified(&second);

    let first = Server::start_with(&one, &environment);
    assert_ne!(first.token(), second.token(), "each daemon has the token of its folder");
    assert_eq!(shown(&first, dir.path()), shown_by_second);
    verified(&first);
    // A component that came in through one is the other's too.
    let component = std::fs::read(root().join("tests/fixtures/dist/rounding-markup.wasm")).unwrap();
    let (status, deployed) = first.deploy(&component);
    assert_eq!(status, 201, "{deployed:#}");
    drop(second);
    first.post("/v1/subaccounts/assign", &json!({ "subaccounts": all_accounts(&first), "tenant_id": null }));
    first.wait("/v1/runs?published=true", |page| items(page).is_empty());
}

fn all_accounts(server: &Server) -> Vec<Value> {
    items(&server.get("/v1/subaccounts?limit=1000")).iter().map(|account| account["id"].clone()).collect()
}

/// A way to the bucket that can be shut.
struct Gate {
    address: String,
    is_open: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    fn to(endpoint: &str) -> Self {
        let behind = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let gate = Self { address, is_open: Arc::new(AtomicBool::new(true)), connections: Arc::default() };
        let (is_open, connections) = (Arc::clone(&gate.is_open), Arc::clone(&gate.connections));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !is_open.load(SeqCst) {
                    continue; // closed at once
                }
                let Ok(server) = TcpStream::connect(&behind) else { continue };
                connections.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        gate
    }

    fn shut(&self) {
        self.is_open.store(false, SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn open(&self) {
        self.is_open.store(true, SeqCst);
    }
}

#[test]
fn a_run_that_a_bucket_was_down_for_fails_with_the_reason_and_is_done_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let Some((_bucket, endpoint)) = empty_bucket(dir.path()) else {
        return eprintln!("skipped: python3 has no moto");
    };
    let data = dir.path().join("data");
    let (bills, expected) = bill(dir.path(), ROWS);
    let gate = Gate::to(&endpoint);
    let server = Server::start_with(&data, &lake("s3://bills/lake", &gate.address));
    on_board(&server, &bills);
    let before = server.charged(&[("all", expected["billed"].as_str().unwrap())]);
    gate.shut();
    plus_ten(&server);
    let failed = server.wait("/v1/runs?state=failed", |page| !items(page).is_empty());
    let run = &items(&failed)[0];
    let reason = run["failure"].as_str().unwrap();
    assert!(reason.starts_with("the bucket s3://bills/lake/lake: cannot put rated/"), "{reason}");
    assert_eq!(server.get(&format!("/v1/runs/{}", run["id"].as_str().unwrap()))["again"], true);
    let report = server.get("/v1/reports/margin");
    assert_eq!(report["tenants"][0]["charged"], before["tenants"][0]["charged"], "the last good result stays");
    gate.open();
    server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    assert_eq!(items(&server.get("/v1/runs?state=failed")).len(), 0, "it is the same run");
    verified(&server);
}
