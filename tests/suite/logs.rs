//! What rules write while they rate, as an admin reads it from a running daemon.

use serde_json::json;

use crate::run::root;
use crate::server::Server;

/// Two tenants of one bill. One of them uses a service that the rule panics at.
const BILL: &str = "\
BillingAccountId,SubAccountId,SubAccountName,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,\
BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost
p,111,Good,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,AmazonEC2,1,1,1
p,111,Good,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,AmazonS3,2,2,2
p,111,Good,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-02T00:00:00Z,2026-09-03T00:00:00Z,USD,Usage,AmazonEC2,3,3,3
p,222,Bad,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,panic,4,4,4
";

#[test]
fn what_the_rules_of_a_run_wrote_is_told_over_http_and_by_the_command_line_whether_it_succeeded_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let bills = dir.path().join("bills");
    std::fs::create_dir_all(&bills).unwrap();
    std::fs::write(bills.join("bill.csv"), BILL).unwrap();
    let server = Server::start(&dir.path().join("data"));
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    let found = server.wait("/v1/subaccounts", |page| page["items"].as_array().unwrap().len() == 2);
    for account in found["items"].as_array().unwrap() {
        let tenant = server.post("/v1/tenants", &json!({ "name": account["name"] }));
        server.put(&format!("/v1/subaccounts/{}/tenant", account["id"].as_str().unwrap()), &json!({ "tenant_id": tenant["id"] }));
    }
    server.charged(&[("Good", "6"), ("Bad", "4")]);
    let component = std::fs::read(root().join("tests/fixtures/dist/logs.wasm")).unwrap();
    assert_eq!(server.deploy(&component).0, 201);
    let rule = server.post("/v1/rules", &json!({ "title": "Talkative", "plugin": "logs", "config": {} }));
    server.post("/v1/assignments", &json!({ "rule_id": rule["id"] }));

    let failed = server.wait("/v1/runs?state=failed", |page| !page["items"].as_array().unwrap().is_empty())["items"][0].clone();
    let is_rated = |run: &serde_json::Value| run["charges"] == 3 && run["state"] == "done";
    let runs = server.wait("/v1/runs?published=true", |page| {
        let good = page["items"].as_array().unwrap().iter().find(|run| is_rated(run)).cloned();
        good.is_some_and(|run| !server.get(&format!("/v1/runs/{}", run["id"].as_str().unwrap()))["chain"].as_array().unwrap().is_empty())
    });
    let good = runs["items"].as_array().unwrap().iter().find(|run| is_rated(run)).unwrap();
    let (good, bad) = (good["id"].as_str().unwrap(), failed["id"].as_str().unwrap());

    let line = |message: &str| json!({ "rule": "Talkative", "message": message });
    let expected = json!({
        "lines": [line("opened for 2026-09-01"), line("deciding on AmazonEC2"), line("deciding on AmazonS3")],
        "cut": 0,
    });
    assert_eq!(server.get(&format!("/v1/runs/{good}/logs")), expected);
    assert_eq!(server.cli(&["plugin", "logs", good, "--json"]).json(), expected);
    let told = server.cli(&["plugin", "logs", good]);
    let lines = "Talkative: opened for 2026-09-01\nTalkative: deciding on AmazonEC2\nTalkative: deciding on AmazonS3\n";
    assert_eq!((told.code, told.stdout.as_str()), (0, lines), "{}", told.stderr);

    // The failed run says how far its rule came, and where in its own sources it stopped.
    let logs = server.get(&format!("/v1/runs/{bad}/logs"));
    let lines = logs["lines"].as_array().unwrap();
    assert_eq!(lines[..2], [line("opened for 2026-09-01"), line("deciding on panic")]);
    let panic = lines[2]["message"].as_str().unwrap();
    assert!(panic.starts_with("panicked at ") && panic.ends_with(": a service that can be decided on") && lines.len() == 3, "{logs:#}");
    let reason = failed["failure"].as_str().unwrap();
    assert!(reason.contains("rule \"Talkative\": the rule crashed in `decide`") && reason.contains("src/lib.rs:"), "{reason}");
    let told = server.cli(&["plugin", "logs", bad]);
    assert_eq!(told.stdout.lines().last(), Some(format!("Talkative: {panic}").as_str()), "{}", told.stderr);
    assert_eq!(server.cli(&["plugin", "logs", "run_none"]).code, 2);
}
