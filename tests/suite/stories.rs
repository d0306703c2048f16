//! Five stories of an MSP's organisation over HTTP, each with SQLite and with PostgreSQL behind the daemon.

use std::path::Path;

use serde_json::{Value, json};

use crate::organisation::write_bill;
use crate::postgres::fresh_database;
use crate::server::{Server, items};

const PASSWORD: &str = "correct horse battery";

/// Tells the story to a fresh daemon with each database that is there.
pub(crate) fn told(story: impl Fn(&Server, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    story(&Server::start(&folder.path().join("data")), folder.path());
    let Some(database) = fresh_database() else {
        return println!("skipped with PostgreSQL: its server is not installed");
    };
    let folder = tempfile::tempdir().unwrap();
    story(&Server::start_with(&folder.path().join("data"), &[("RERATE_DATABASE", &database)]), folder.path());
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn tenant(server: &Server, name: &str) -> String {
    text(&server.post("/v1/tenants", &json!({ "name": name }))["id"])
}

/// An integration over a folder of bills, once it is read.
fn integration(server: &Server, name: &str, folder: &Path, more: Value) -> String {
    let mut body = json!({ "name": name, "kind": "folder", "location": folder });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = text(&server.post("/v1/integrations", &body)["id"]);
    server.wait(&format!("/v1/integrations/{id}"), |i| i["status"] == "stable" && !i["last_refresh_at"].is_null());
    id
}

/// The ids of subaccounts by what bills call them.
fn accounts(server: &Server, names: &[&str]) -> Vec<String> {
    let page = server.get("/v1/subaccounts?limit=1000");
    let of = |name: &&str| text(&items(&page).iter().find(|account| account["sub_account_id"] == **name).unwrap()["id"]);
    names.iter().map(of).collect()
}

/// (charged by tenant's name) of one period, once nothing is under way.
#[track_caller]
fn charged(server: &Server, period: &str, wanted: &[(&str, &str)]) -> Value {
    server.wait(&format!("/v1/reports/margin?period={period}"), |report| {
        let tenants = report["tenants"].as_array().unwrap();
        let is = |(name, amount): &(&str, &str)| tenants.iter().any(|t| t["tenant"] == *name && t["charged"] == *amount);
        tenants.len() == wanted.len() && tenants.iter().all(|t| t["state"] == "current") && wanted.iter().all(is)
    })
}

/// Somebody is invited, comes in by the link and makes a token: its text, and the person's id.
fn joined(server: &Server, email: &str, organisation: &str, role: &str) -> (String, String) {
    let invited = server.post("/v1/invitations", &json!({ "email": email, "organisation": organisation, "role": role }));
    let accept = json!({ "secret": invited["secret"], "name": email, "password": PASSWORD });
    let accepted = server.request("POST", "/v1/invitations/accept", &[], Some(&accept));
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    let again = server.request("POST", "/v1/invitations/accept", &[], Some(&accept));
    assert_eq!(again.status, 404, "a link opens once: {}", again.text);
    let session = accepted.json();
    let (cookie, proof) = (accepted.cookie.unwrap(), text(&session["csrf"]));
    let new = json!({ "name": format!("laptop of {email}"), "role": role });
    let unproven = server.request("POST", "/v1/tokens", &[("Cookie", &cookie)], Some(&new));
    assert_eq!(unproven.status, 403, "a cookie alone changes nothing: {}", unproven.text);
    let made = server.request("POST", "/v1/tokens", &[("Cookie", &cookie), ("Rerate-CSRF", &proof)], Some(&new));
    assert_eq!(made.status, 201, "{}", made.text);
    (text(&made.json()["text"]), text(&session["user"]["id"]))
}

#[test]
fn an_msp_on_boards_three_customers_from_one_consolidated_organisation() {
    told(|server, folder| {
        let bills = folder.join("bills");
        let lines = [("2026-09", "111", "1.10"), ("2026-09", "222", "2.20"), ("2026-09", "333", "4.40"), ("2026-09", "444", "8.80")];
        write_bill(&bills, &lines);
        integration(server, "aws", &bills, json!({}));
        let tenants = ["Acme", "Bolt", "Cord"].map(|name| tenant(server, name));
        for (tenant, account) in tenants.iter().zip(["111", "222", "333"]) {
            let selected = json!({ "tenant_id": tenant, "subaccounts": accounts(server, &[account]) });
            let review = server.post("/v1/subaccounts/review", &selected);
            assert_eq!(review["submittable"], true, "{review}");
            assert_eq!(review["moves"][0]["sub_account_id"], account);
            server.post("/v1/subaccounts/assign", &selected);
        }
        let rule = server.post("/v1/rules", &json!({ "title": "Ten more", "plugin": "markup", "config": { "percent": "10" } }));
        let batch = json!({ "rule_id": rule["id"], "tenant_ids": tenants });
        let review = server.post("/v1/assignments/review", &json!({ "assign_many": batch }));
        assert_eq!((review["months"].as_array().unwrap().len(), &review["charges"]), (3, &json!(3)));
        server.post("/v1/assignments/batch", &batch);
        let report = charged(server, "2026-09", &[("Acme", "1.21"), ("Bolt", "2.42"), ("Cord", "4.84")]);
        let month = &report["months"][0];
        assert_eq!(
            (text(&month["source"]), text(&month["unassigned"]), text(&month["billed"])),
            ("16.5".into(), "8.8".into(), "7.7".into())
        );

        // Each customer's own people see their own, and nothing of what it cost.
        let (acme, _) = joined(server, "ann@acme.example", &tenants[0], "owner");
        let (status, seen) = server.call_as(&acme, "GET", "/v1/tenants", None);
        assert_eq!((status, items(&seen).len(), &items(&seen)[0]["name"]), (200, 1, &json!("Acme")));
        let (status, runs) = server.call_as(&acme, "GET", "/v1/runs?published=true", None);
        assert_eq!((status, items(&runs).len(), &items(&runs)[0]["charged"]), (200, 1, &json!("1.21")));
        for secret in ["1.1\"", "Ten more", "markup", "percent"] {
            assert!(!runs.to_string().contains(secret), "{secret} in {runs}");
        }
        assert_eq!(server.call_as(&acme, "GET", &format!("/v1/tenants/{}", tenants[1]), None).0, 404);
        for path in ["/v1/rules", "/v1/reports/margin", "/v1/snapshots"] {
            assert_eq!(server.call_as(&acme, "GET", path, None).0, 403, "{path}");
        }
        // Of the log of changes what happened in their organisation, and not by whom of the MSP.
        let (status, log) = server.call_as(&acme, "GET", "/v1/audit", None);
        assert!(
            status == 200 && items(&log).iter().any(|entry| entry["noun"] == "subaccount" && entry["actor"] == "Manager User"),
            "{log}"
        );
        for secret in ["Ten more", "administrator", tenants[1].as_str()] {
            assert!(!log.to_string().contains(secret), "{secret} in {log}");
        }
    });
}

#[test]
fn a_customer_with_organisations_of_its_own_has_them_on_one_bill_that_nobody_else_sees() {
    told(|server, folder| {
        let (east, west) = (folder.join("east"), folder.join("west"));
        write_bill(&east, &[("2026-09", "111", "1"), ("2026-09", "112", "2")]);
        write_bill(&west, &[("2026-09", "211", "4")]);
        let group = text(&server.post("/v1/tenants", &json!({ "name": "Group", "kind": "organisation" }))["id"]);
        let acme = text(&server.post("/v1/tenants", &json!({ "name": "Acme", "parent_id": group }))["id"]);
        let bolt = tenant(server, "Bolt");
        assert_eq!(server.get(&format!("/v1/tenants/{acme}"))["parent"], "Group");
        integration(server, "east", &east, json!({ "tenant_id": acme }));
        let owned = integration(server, "west", &west, json!({ "tenant_id": acme }));
        // What they bring is theirs without anybody assigning it.
        charged(server, "2026-09", &[("Acme", "7")]);
        let refused = json!({ "tenant_id": group, "subaccounts": accounts(server, &["111"]), "from_tenant_id": acme });
        let admin = server.token().to_owned();
        let (status, problem) = server.call_as(&admin, "POST", "/v1/subaccounts/assign", Some(&refused));
        assert!(status >= 400, "an organisation holds nothing: {problem}");

        let (ann, _) = joined(server, "ann@acme.example", &acme, "viewer");
        let (bea, _) = joined(server, "bea@bolt.example", &bolt, "viewer");
        let (status, own) = server.call_as(&ann, "GET", &format!("/v1/tenants/{acme}/integrations"), None);
        assert_eq!((status, items(&own).len()), (200, 2), "{own}");
        assert_eq!(server.call_as(&bea, "GET", &format!("/v1/tenants/{acme}/integrations"), None).0, 404);
        let (status, theirs) = server.call_as(&bea, "GET", &format!("/v1/tenants/{bolt}/integrations"), None);
        assert_eq!((status, items(&theirs).len()), (200, 0), "{theirs}");
        server.delete(&format!("/v1/integrations/{owned}"));
        charged(server, "2026-09", &[("Acme", "3")]);
    });
}

#[test]
fn an_account_moves_between_tenants_in_the_middle_and_the_months_before_stay() {
    told(|server, folder| {
        let bills = folder.join("bills");
        let months = ["2026-07", "2026-08", "2026-09"];
        let lines: Vec<(&str, &str, &str)> = months.iter().flat_map(|month| [(*month, "111", "1"), (*month, "222", "10")]).collect();
        write_bill(&bills, &lines);
        integration(server, "aws", &bills, json!({}));
        let (acme, bolt) = (tenant(server, "Acme"), tenant(server, "Bolt"));
        server.post("/v1/subaccounts/assign", &json!({ "tenant_id": acme, "subaccounts": accounts(server, &["111", "222"]) }));
        for month in months {
            charged(server, month, &[("Acme", "11")]);
        }
        let july = server.get("/v1/runs?period=2026-07&published=true");

        let account = accounts(server, &["111"]);
        let mut moving = json!({ "tenant_id": bolt, "subaccounts": account, "from_period": "2026-08" });
        let review = server.post("/v1/subaccounts/review", &moving);
        assert_eq!((&review["submittable"], &review["refused"][0]["held_by"][0]["name"]), (&json!(false), &json!("Acme")));
        moving["from_tenant_id"] = json!(acme);
        let review = server.post("/v1/subaccounts/review", &moving);
        let money: Vec<(String, String)> =
            review["money"].as_array().unwrap().iter().map(|moved| (text(&moved["period"]), text(&moved["billed"]))).collect();
        assert_eq!(money, [("2026-08".to_owned(), "1".to_owned()), ("2026-09".to_owned(), "1".to_owned())]);
        server.post("/v1/subaccounts/assign", &moving);
        for month in &months[1..] {
            charged(server, month, &[("Acme", "10"), ("Bolt", "1")]);
        }
        assert_eq!(server.get("/v1/runs?period=2026-07&published=true"), july, "a month before the move is not touched");
        let history = server.get(&format!("/v1/subaccounts/{}/history", account[0]));
        assert_eq!(items(&history).len(), 2, "{history}");
        let log = server.get(&format!("/v1/audit?noun=subaccount&subject={}", account[0]));
        assert_eq!(items(&log)[0]["after"]["tenant_id"], json!(bolt), "{log}");
        assert_eq!(server.get("/v1/audit/verify")["intact"], true);
    });
}

#[test]
fn a_new_hire_sees_the_tenants_of_the_team_and_acts_in_them_by_name() {
    told(|server, _| {
        let (acme, bolt) = (tenant(server, "Acme"), tenant(server, "Bolt"));
        let (hire, person) = joined(server, "hire@msp.example", "msp", "integration-owner");
        assert_eq!(items(&server.call_as(&hire, "GET", "/v1/tenants", None).1).len(), 2, "in no team: all of them");
        server.post("/v1/teams", &json!({ "name": "North", "members": [person], "tenants": [acme] }));
        let seen = server.call_as(&hire, "GET", "/v1/tenants", None).1;
        assert_eq!(items(&seen).iter().map(|t| text(&t["name"])).collect::<Vec<_>>(), ["Acme"]);
        assert_eq!(server.call_as(&hire, "GET", &format!("/v1/tenants/{bolt}"), None).0, 404);
        let people = json!({ "name": "South", "members": [person], "tenants": [bolt] });
        assert_eq!(server.call_as(&hire, "POST", "/v1/teams", Some(&people)).0, 403, "teams are the Owner's");

        let inside = |tenant: &str, method: &str, path: &str, body: Option<&Value>| {
            let bearer = format!("Bearer {hire}");
            server.request(method, path, &[("Authorization", &bearer), ("Rerate-Tenant", tenant)], body)
        };
        let who = inside(&acme, "GET", "/v1/whoami", None);
        assert_eq!((who.status, &who.json()["acting_in"]), (200, &json!(acme)));
        assert!(inside(&bolt, "GET", "/v1/whoami", None).status >= 403, "not in a tenant that the team does not have");
        assert_eq!(inside(&acme, "GET", "/v1/rules", None).status, 403, "inside it is as one of the tenant's");

        server.delete(&format!("/v1/users/{person}"));
        assert_eq!(server.call_as(&hire, "GET", "/v1/whoami", None).0, 401, "tokens end with their person");
    });
}

#[test]
fn a_customer_that_leaves_keeps_its_data_until_it_is_deleted_by_name() {
    told(|server, folder| {
        let bills = folder.join("bills");
        write_bill(&bills, &[("2026-09", "111", "1"), ("2026-09", "222", "2")]);
        integration(server, "aws", &bills, json!({}));
        let (acme, bolt) = (tenant(server, "Acme"), tenant(server, "Bolt"));
        for (tenant, account) in [(&acme, "111"), (&bolt, "222")] {
            server.post("/v1/subaccounts/assign", &json!({ "tenant_id": tenant, "subaccounts": accounts(server, &[account]) }));
        }
        charged(server, "2026-09", &[("Acme", "1"), ("Bolt", "2")]);
        let (ann, _) = joined(server, "ann@acme.example", &acme, "owner");

        server.put(&format!("/v1/tenants/{acme}/state"), &json!({ "state": "unlinked" }));
        let (status, runs) = server.call_as(&ann, "GET", "/v1/runs?published=true", None);
        assert_eq!((status, items(&runs).len()), (200, 1), "an unlinked tenant keeps its data and its access");
        let removal = server.get(&format!("/v1/tenants/{acme}/removal"));
        assert_eq!((&removal["runs"], removal["people"].as_u64().is_some_and(|people| people == 1)), (&json!(1), true), "{removal}");
        let refused = server.refused_delete(&format!("/v1/tenants/{acme}?name=acme"));
        assert!(text(&refused["detail"]).contains("Acme"), "{refused}");
        let admin = server.token().to_owned();
        assert_eq!(server.call_as(&admin, "DELETE", &format!("/v1/tenants/{acme}?name=Acme"), None).0 / 100, 2);

        // What nobody holds any more is told. A look at what is to be done that began before may note the month once more as it was.
        server.wait("/v1/reports/margin?period=2026-09", |report| {
            let month = &report["months"][0];
            (&month["unassigned"], &month["source"], &month["settled"]) == (&json!("1"), &json!("3"), &json!(true))
        });
        assert_eq!(server.call_as(&ann, "GET", "/v1/whoami", None).0, 401);
        assert_eq!(server.call_as(&admin, "GET", &format!("/v1/tenants/{acme}"), None).0, 404);
        assert_eq!(items(&server.get(&format!("/v1/runs?tenant_id={acme}"))).len(), 0);
        charged(server, "2026-09", &[("Bolt", "2")]);
        // The name is free for somebody else, who gets nothing of the one before.
        let again = tenant(server, "Acme");
        assert_eq!(items(&server.get(&format!("/v1/runs?tenant_id={again}"))).len(), 0);
    });
}
