//! An admin's commands at a real daemon: people and how they come in, settings, and what the bills bring.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::issuer::issuer;
use crate::organisation::write_bill;
use crate::run::rerate_with;
use crate::server::{PATIENCE, Server};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[test]
fn somebody_is_invited_comes_in_by_the_link_and_works_with_a_token_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let password = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (secret, other) = (password("secret", "correct horse battery"), password("other", "a wholly other one"));
    let invited = server.json(&["user", "invite", "eve@msp.example", "--role", "owner"]);
    let link = text(&invited["link"]);
    assert_eq!(link, format!("{}/v1/invitations/accept#{}", server.address(), text(&invited["secret"])));
    let page = server.request("GET", "/v1/invitations/accept", &[], None);
    assert!(page.status == 200 && page.text.contains("You are invited") && !page.text.contains("rri_"), "{}", page.text);

    // A stranger: no token anywhere.
    let stranger = |arguments: &[&str]| rerate_with(arguments, &[("RERATE_SERVER", server.address())]);
    let accepted = stranger(&["user", "accept", link, "--name", "Eve", "--password-file", &secret]);
    assert!(accepted.code == 0 && accepted.stdout.starts_with("eve@msp.example is owner of msp"), "{}{}", accepted.stdout, accepted.stderr);
    let again = stranger(&["user", "accept", link, "--name", "Eve", "--password-file", &secret]);
    assert!(again.code == 2 && again.stderr.contains("ask for another"), "{}", again.stderr);
    let create = ["token", "create", "laptop", "--role", "owner", "--email", "eve@msp.example", "--password-file"];
    let wrong = stranger(&[&create[..], &[&other]].concat());
    assert!(wrong.code == 2 && wrong.stderr.contains("the password is wrong"), "{}", wrong.stderr);
    let made = stranger(&[&create[..], &[&secret]].concat());
    assert_eq!(made.code, 0, "{}", made.stderr);
    let as_eve = [("RERATE_SERVER", server.address()), ("RERATE_TOKEN", made.stdout.trim())];
    let who = rerate_with(&["whoami"], &as_eve);
    assert!(who.stdout.starts_with("eve@msp.example is owner of msp; sees every tenant"), "{}{}", who.stdout, who.stderr);

    // As Manager User in a tenant.
    let acme = server.json(&["tenant", "create", "Acme"])["id"].clone();
    let acting = rerate_with(&["whoami", "--acting-in", "acme", "--json"], &as_eve).json();
    assert_eq!((&acting["acting_in"], &acting["name"]), (&acme, &json!("eve@msp.example")));
    let refused = rerate_with(&["rule", "list", "--acting-in", "Acme"], &as_eve);
    assert!(refused.code == 2 && refused.stderr.contains("you act in a tenant"), "{}", refused.stderr);

    // A browser of hers, found and signed out; then wherever she is.
    let password = json!({"email": "eve@msp.example", "password": "correct horse battery"});
    let sign_in = || server.request("POST", "/v1/sessions", &[], Some(&password)).json()["session"]["id"].clone();
    let (here, there) = (sign_in(), sign_in());
    let sessions = rerate_with(&["session", "list", "--json"], &as_eve).json();
    assert_eq!(sessions.as_array().unwrap().iter().map(|session| session["id"].clone()).collect::<Vec<_>>(), [here.clone(), there.clone()]);
    let ended = rerate_with(&["session", "end", text(&here)], &as_eve);
    assert!(ended.code == 0 && ended.stdout.contains("is signed out"), "{}{}", ended.stdout, ended.stderr);
    let listed = server.done(&["session", "list", "--user", "eve@msp.example"]);
    assert!(listed.contains(text(&there)) && !listed.contains(text(&here)), "{listed}");
    server.done(&["session", "end", "--user", "eve@msp.example"]);
    assert_eq!(server.json(&["session", "list", "--user", "eve@msp.example"]), json!([]));

    let changed = server.done(&["user", "change", "eve@msp.example", "--name", "Eve Example", "--password-file", &other]);
    assert!(changed.contains("no session any more"), "{changed}");
    assert_eq!(server.json(&["user", "list"])[0]["name"], "Eve Example");
    let create = create.map(|word| if word == "laptop" { "tablet" } else { word });
    let anew = stranger(&[&create[..], &[&other]].concat());
    assert_eq!(anew.code, 0, "{}", anew.stderr);
    let open = server.json(&["user", "invite", "finn@acme.example", "--role", "viewer", "--tenant", "Acme"]);
    assert!(server.done(&["user", "invitations"]).contains("finn@acme.example"));
    server.done(&["user", "invitations", "--revoke", text(&open["id"])]);
    assert_eq!(server.json(&["user", "invitations"]), json!([]));
    let none = server.cli(&["user", "role", "eve@msp.example", "viewer", "--tenant", "Acme", "--cost-center", "Research"]);
    assert!(none.code == 2 && none.stderr.contains("Acme has no cost center Research"), "{}", none.stderr);
}

#[test]
fn settings_are_shown_and_set_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.done(&["tenant", "create", "Acme", "--contact", "cloud@msp.example"]);

    assert_eq!(server.done(&["domain", "set", "msp.example", "msp.test"]), "msp.example\nmsp.test\n");
    let refused = server.cli(&["domain", "set", "msp.test"]);
    assert!(refused.code == 1 && refused.stderr.contains("Acme (cloud@msp.example)"), "{}", refused.stderr);
    assert_eq!(server.json(&["domain", "list"]), json!(["msp.example", "msp.test"]));

    let set = server.json(&["quota", "set", "acme", "--time-ms", "60000"]);
    assert_eq!((&set["time_ms"], &set["memory_mib"]), (&json!(60000), &json!(64)));
    assert_eq!(server.json(&["quota", "set", "Acme", "--memory-mib", "32"])["time_ms"], 60000, "what is not named stays");
    assert!(server.done(&["quota", "show", "Acme"]).contains("60,000"));
    assert_eq!(server.json(&["quota", "reset", "Acme"])["memory_mib"], 64);
    let bad = server.cli(&["quota", "set", "Acme", "--memory-mib", "100000"]);
    assert!(bad.code == 2 && bad.stderr.contains("it can be 1 to 64"), "{}", bad.stderr);

    let issuer = issuer();
    let nothing = server.cli(&["sign-in", "show", "msp"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("msp has no sign-in provider"), "{}", nothing.stderr);
    let set =
        ["sign-in", "set", "Acme", "--issuer", &issuer, "--client-id", "rerate", "--secret-env", "THE_SECRET", "--group", "finance=viewer"];
    let missing = server.cli(&set);
    assert!(missing.code == 2 && missing.stderr.contains("the environment has no THE_SECRET"), "{}", missing.stderr);
    let made = server.cli_with(&[&set[..], &["--just-in-time", "--json"]].concat(), &[("THE_SECRET", "of forty letters")]).json();
    assert_eq!((&made["has_secret"], &made["just_in_time"]), (&json!(true), &json!(true)));
    let changed = server.json(&["sign-in", "set", "Acme", "--enforced", "--just-in-time", "false"]);
    assert_eq!((&changed["enforced"], &changed["just_in_time"], &changed["has_secret"]), (&json!(true), &json!(false), &json!(true)));
    assert_eq!(changed["roles"], json!([{ "group": "finance", "role": "viewer" }]));
    let shown = server.done(&["sign-in", "show", "Acme"]);
    assert!(shown.contains("finance is viewer") && shown.contains("/v1/sign-in/callback") && !shown.contains("forty"), "{shown}");
    assert_eq!(server.done(&["secrets", "rotate"]), "1 credentials are encrypted with the new key\n");
    server.done(&["sign-in", "delete", "Acme"]);
    assert_eq!(server.cli(&["sign-in", "delete", "Acme"]).code, 2);
}

#[test]
fn what_bills_bring_is_seen_from_the_import_to_a_tenants_file() {
    let folder = tempfile::tempdir().unwrap();
    let bills = folder.path().join("bills");
    write_bill(&bills, &[("2026-09", "111", "1.25"), ("2026-09", "222", "2")]);
    let server = Server::start(&folder.path().join("data"));
    server.done(&["tenant", "create", "Acme"]);
    let made = server.json(&["integration", "create", "aws", "--location", bills.to_str().unwrap(), "--dedicated-to", "Acme"]);
    server.charged(&[("Acme", "3.25")]);

    // Its charges are published a moment before it is told that the import is over.
    server.wait(&format!("/v1/integrations/{}", text(&made["id"])), |found| found["status"] == "stable");
    assert!(server.done(&["integration", "show", "AWS"]).contains("stable"));
    let changed = server.json(&["integration", "change", "aws", "--every", "60", "--shared", "--name", "AWS one"]);
    assert_eq!((&changed["refresh_minutes"], &changed["dedicated_to"], &changed["id"]), (&json!(60), &Value::Null, &made["id"]));
    let snapshots = server.json(&["snapshot", "list", "--integration", "aws one", "--period", "2026-09"]);
    assert_eq!((snapshots.as_array().unwrap().len(), &snapshots[0]["charges"]), (1, &json!(2)));
    assert!(server.done(&["snapshot", "list"]).contains("3.25 USD"));
    assert!(server.done(&["snapshot", "show", text(&snapshots[0]["id"])]).contains("source digest"));

    // A view of one account.
    assert!(server.done(&["virtual", "create", "Labs", "--subaccount", "111"]).starts_with("Labs is vin_"));
    let shown = server.json(&["virtual", "show", "labs", "--period", "2026-09"]);
    let month = &shown["months"][0];
    assert_eq!((&month["billed"], &month["outside_billed"]), (&json!("1.25"), &json!("2")));
    assert!(server.done(&["virtual", "show", "Labs"]).contains("1.25"));
    let columns = ["virtual", "lines", "Labs", "--period", "2026-09", "--columns", "SubAccountId,BilledCost"];
    assert_eq!(server.json(&columns), json!([{ "SubAccountId": "111", "BilledCost": "1.25" }]));
    let renamed = server.json(&["virtual", "change", "Labs", "--name", "Compute"]);
    assert_eq!(renamed["subaccounts"].as_array().unwrap().len(), 1, "its selection stays");
    let condition = r#"{"column": "ServiceName", "is_in": ["EC2"]}"#;
    assert!(server.done(&["virtual", "change", "Compute", "--where", condition]).contains("EC2"));
    assert_eq!(server.json(&columns.map(|word| if word == "Labs" { "Compute" } else { word })).as_array().unwrap().len(), 2);
    assert!(server.done(&["virtual", "list"]).contains("Compute"));
    let broken = server.cli(&["virtual", "change", "Compute", "--where", "{"]);
    assert!(broken.code == 2 && broken.stderr.contains("--where {"), "{}", broken.stderr);
    server.done(&["virtual", "delete", "Compute"]);
    assert_eq!(server.json(&["virtual", "list"]), json!([]));

    // The tenant's own.
    server.done(&["tenant", "change", "Acme", "--name", "Acme AG", "--contact", "cloud@msp.example"]);
    let tenant = server.json(&["tenant", "show", "acme ag"]);
    assert_eq!((&tenant["contact_email"], tenant["subaccounts"].as_array().unwrap().len()), (&json!("cloud@msp.example"), 2));
    assert!(server.done(&["tenant", "show", "Acme AG"]).contains("111, 222"));
    let file = folder.path().join("acme.csv");
    let written = server.json(&["tenant", "bill", "Acme AG", "--period", "2026-09", "--out", file.to_str().unwrap()]);
    let bill = std::fs::read_to_string(&file).unwrap();
    assert_eq!((bill.lines().count(), &written["bytes"]), (3, &json!(bill.len())));
    assert!(server.done(&["report", "margin", "--period", "2026-09", "--tenant", "Acme AG"]).contains("3.25"));
    assert_eq!(server.json(&["report", "charged"])[0]["charged"], "3.25");
    assert_eq!(server.json(&["report", "charged", "--acting-in", "Acme AG"])[0]["charged"], "3.25");
    let run = server.json(&["run", "list", "--tenant", "Acme AG", "--published"])[0]["id"].clone();
    assert_eq!(server.cli(&["run", "retry", text(&run)]).code, 1, "it has not failed");

    let mut events = Command::new(env!("CARGO_BIN_EXE_rerate"))
        .args(["events", "--kind", "integration", "--count", "1", "--json"])
        .env("RERATE_SERVER", server.address())
        .env("RERATE_TOKEN", server.token())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Something happens until it has seen one: when it begins to listen is its own affair.
    let since = Instant::now();
    while events.try_wait().unwrap().is_none() {
        server.done(&["integration", "refresh", "AWS one"]);
        assert!(since.elapsed() < PATIENCE, "no event came");
    }
    let heard: Value = serde_json::from_slice(&events.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((&heard["kind"], &heard["id"]), (&json!("integration"), &made["id"]));
}

#[test]
fn rules_and_the_versions_of_plugins_are_looked_after() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.done(&["rule", "create", "5 % more", "--plugin", "markup", "--config", r#"{"percent": "5"}"#]);
    server.done(&["rule", "assign", "5 % more", "--all"]);
    let assignment = server.json(&["rule", "chain"])[0]["id"].clone();
    let moved = ["rule", "reassign", text(&assignment), "--from", "2026-09", "--until", "2026-12"];
    let review = server.done(&[&moved[..], &["--review"]].concat());
    let (told, number) = review.split_once('\n').unwrap();
    assert_eq!(told, "nothing would be rated again");
    assert_eq!(number, "to do just this: the same command with --reviewed 1 in place of --review\n");
    assert_eq!(server.json(&["rule", "chain"])[0]["from_period"], Value::Null, "a review changes nothing");
    assert!(server.done(&[&moved[..], &["--reviewed", "1"]].concat()).contains("effective from 2026-09 until 2026-12"));
    let stale = server.cli(&[&moved[..], &["--reviewed", "1"]].concat());
    assert!(stale.code == 1 && stale.stderr.contains("has changed since you read it"), "{}", stale.stderr);
    assert_eq!(server.json(&["rule", "chain"])[0]["to_period"], "2026-12");
    let used = server.cli(&["rule", "delete", "5 % MORE"]);
    assert!(used.code == 1 && used.stderr.contains("in use by an assignment"), "{}", used.stderr);

    assert_eq!(server.json(&["plugin", "schema", "markup"])["type"], "object");
    server.done(&["plugin", "push", "tests/fixtures/dist/rounding-markup.wasm"]);
    let pushed = server.json(&["plugin", "list", "rounding-markup"])[0]["digest"].clone();
    let removed = server.json(&["plugin", "remove", "rounding-markup", &text(&pushed)[..10]]);
    assert_eq!(removed["removed"], pushed);
    let active = server.json(&["plugin", "list", "markup"])[0]["digest"].clone();
    let refused = server.cli(&["plugin", "remove", "markup", text(&active)]);
    assert!(refused.code != 0 && refused.stderr.contains("active"), "{}", refused.stderr);
}
