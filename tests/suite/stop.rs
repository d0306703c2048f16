//! A daemon that is asked to stop in the middle of its work: what was asked of it is answered, streams end, and the next start takes up
//! the rest.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::run::{rerate, root};
use crate::server::Server;

const ROWS: &str = "150000";
const CHAIN: &str = "[[rule]]\ntitle = \"Plus ten\"\nplugin = \"markup\"\nconfig = { percent = \"10\" }\n";

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

/// The head of an answer, and what reads the rest.
fn head(stream: TcpStream) -> (String, BufReader<TcpStream>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the answer ends in its head: {head}");
    }
    (head, reader)
}

/// A body as long as its head says; one that is cut off is shorter.
fn body(head: &str, mut reader: BufReader<TcpStream>) -> Vec<u8> {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or_else(|| panic!("how long is it? {head}"));
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    body
}

#[test]
fn a_daemon_that_is_asked_to_stop_answers_what_is_under_way_and_goes_on_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (bills, data, chain) = (dir.path().join("bills"), dir.path().join("data"), dir.path().join("chain.toml"));
    std::fs::write(&chain, CHAIN).unwrap();
    let (bills, chain) = (bills.to_str().unwrap(), chain.to_str().unwrap());
    let generated = rerate(&["bill", "generate", "--rows", ROWS, "--format", "cur2", "--out", bills]);
    assert_eq!(generated.code, 0, "{}", generated.stderr);
    let expected = rerate(&["rate", bills, "--chain", chain, "--out", dir.path().join("rated").to_str().unwrap(), "--json"]).json();
    let expected = &expected["tenants"][0];

    let server = Server::start(&data);
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    server.wait("/v1/snapshots", |page| !items(page).is_empty());
    let tenant = server.post("/v1/tenants", &json!({ "name": "all" }));
    let accounts = server.get("/v1/subaccounts?limit=1000");
    let accounts: Vec<&Value> = items(&accounts).iter().map(|account| &account["id"]).collect();
    server.post("/v1/subaccounts/assign", &json!({ "subaccounts": accounts, "tenant_id": tenant["id"] }));
    let rule = server.post("/v1/rules", &json!({ "title": "Plus ten", "plugin": "markup", "config": { "percent": "10" } }));
    let report = server.charged(&[("all", expected["billed"].as_str().unwrap())]);
    let period = report["tenants"][0]["period"].as_str().unwrap();

    // A download that nobody reads on, longer than what buffers between two programs hold.
    let export = format!("/v1/tenants/{}/export?period={period}&format=csv", tenant["id"].as_str().unwrap());
    let (export_head, export) = head(server.begin("GET", &export, ""));
    assert!(export_head.starts_with("HTTP/1.1 200"), "{export_head}");
    // An upload of which the daemon has asked for the body and got half.
    let component = std::fs::read(root().join("tests/fixtures/dist/rounding-markup.wasm")).unwrap();
    let (half, rest) = component.split_at(component.len() / 2);
    let headers = format!("Content-Type: application/wasm\r\nContent-Length: {}\r\nExpect: 100-continue\r\n", component.len());
    let (go_on, mut upload) = head(server.begin("POST", "/v1/plugins", &headers));
    assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on}");
    upload.get_mut().write_all(half).unwrap();
    // A stream of events, and a month that is being rated.
    let (_, mut events) = head(server.begin("GET", "/v1/events", ""));
    server.post("/v1/assignments", &json!({ "rule_id": rule["id"] }));
    let mut told = String::new();
    while !told.contains("\"state\":\"running\"") {
        assert_ne!(events.read_line(&mut told).unwrap(), 0, "the stream ends before the month is rated: {told}");
    }

    server.signal("TERM");
    server.wait_until_it_takes_no_calls();
    events.read_to_string(&mut told).unwrap();
    assert!(told.ends_with("\r\n0\r\n\r\n"), "the stream is cut off: {told}");
    upload.get_mut().write_all(rest).unwrap();
    let (deployed, _) = head(upload.into_inner());
    assert!(deployed.starts_with("HTTP/1.1 201"), "{deployed}");
    let lines = String::from_utf8(body(&export_head, export)).unwrap().lines().count();
    assert_eq!(lines.to_string(), (ROWS.parse::<usize>().unwrap() + 1).to_string(), "every charge below the header");
    assert_eq!(server.wait_for_its_end(), Some(0));

    let server = Server::start(&data);
    let report = server.charged(&[("all", expected["charged"].as_str().unwrap())]);
    assert_eq!(report["tenants"][0]["by_rule"], expected["by_rule"]);
    let month = &report["months"][0];
    assert_eq!((&month["source"], &month["unassigned"], &month["settled"]), (&expected["billed"], &json!("0"), &json!(true)));
    assert_eq!(items(&server.get("/v1/runs?state=done")).len(), 2, "one run without the rule, one with it");
    assert_eq!(server.get("/v1/plugins/rounding-markup")["name"], "rounding-markup");
}
