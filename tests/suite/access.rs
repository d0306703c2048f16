//! A tenant's own people at a real daemon: what they are charged, and no trace of how it came about or of anybody else.

use rerate::domain::money::Amount;
use serde_json::{Value, json};

use crate::daemon::full_chain;
use crate::server::Server;

const PASSWORD: &str = "correct horse battery";

fn amount(value: &Value) -> Amount {
    value.as_str().unwrap_or_else(|| panic!("no amount in {value}")).parse().unwrap()
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    amounts.into_iter().fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap())
}

/// A call with a token: status and text.
fn with(server: &Server, token: &str, path: &str) -> (u16, String) {
    let answer = server.request("GET", path, &[("authorization", &format!("Bearer {token}"))], None);
    (answer.status, answer.text)
}

fn seen(server: &Server, token: &str, path: &str) -> Value {
    let (status, text) = with(server, token, path);
    assert_eq!(status, 200, "GET {path}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_tenants_people_see_what_they_are_charged_and_nothing_of_how_it_came_about() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let (northwind, contoso, expected, report) = full_chain(&server, dir.path());
    let charged = &expected["tenants"][0]["charged"];
    assert_eq!((&expected["tenants"][0]["name"], charged == &expected["tenants"][0]["billed"]), (&json!("Northwind"), false));
    let made = json!({"name": "dashboard", "role": "viewer", "organisation": northwind, "service": true});
    let token = server.post("/v1/tokens", &made)["text"].as_str().unwrap().to_owned();

    let path = format!("/v1/tenants/{northwind}/lines?period=2026-09");
    let lines = seen(&server, &token, &format!("{path}&limit=1000"));
    let items = lines["items"].as_array().unwrap();
    let added = lines["added"].as_array().unwrap();
    assert_eq!(added[0]["description"], "Managed support, 5 percent");
    let total = sum(items.iter().map(|line| amount(&line["x_CustomerCost"])).chain(added.iter().map(|line| amount(&line["charged"]))));
    assert_eq!(total, amount(charged));
    let report_of = seen(&server, &token, "/v1/reports/charged");
    assert_eq!((&report_of["items"][0]["charged"], report_of["items"].as_array().unwrap().len()), (charged, 1));
    let runs = seen(&server, &token, "/v1/runs");
    let provenance = seen(
        &server,
        &token,
        &format!(
            "/v1/charges/{}/provenance?tenant={northwind}&period=2026-09",
            items[0]["key"].as_str().unwrap().replace('|', "%7C").replace('/', "%2F")
        ),
    );
    for told in [&lines, &report_of, &runs, &provenance] {
        let told = told.to_string();
        for hidden in ["illed", "reatment", "ule", "marketplace", "Marketplace", "steps", "failure", "ommitment", contoso.as_str()] {
            // A key of an added line names its rule by a number that opens nothing.
            let told = told.replace("added:rul_", "added:");
            assert!(!told.contains(hidden), "{hidden} in {told}");
        }
    }
    let all = server.get(&format!("{path}&limit=1000"));
    let dropped = all["items"].as_array().unwrap().iter().filter(|line| line["x_Treatment"] == "drop").count();
    assert!(dropped > 0 && items.len() + dropped == all["items"].as_array().unwrap().len());

    // Neither by asking for it nor by asking about it.
    for hidden in ["columns=BilledCost", "BilledCost=1", "x_Treatment=drop", "columns=x_AppliedRules", "CommitmentDiscountId~=x"] {
        assert_eq!(with(&server, &token, &format!("{path}&{hidden}")).0, 403, "{hidden}");
    }
    for path in ["/v1/rules", "/v1/reports/margin", "/v1/plugins", "/v1/previews", "/v1/audit", "/v1/assignments", "/v1/snapshots"] {
        assert_eq!(with(&server, &token, path).0, 403, "{path}");
    }
    let others_run =
        report["tenants"].as_array().unwrap().iter().find(|row| row["tenant"] == "Contoso").unwrap()["run_id"].as_str().unwrap();
    for path in [
        format!("/v1/tenants/{contoso}"),
        format!("/v1/tenants/{contoso}/lines?period=2026-09"),
        format!("/v1/tenants/{contoso}/export?period=2026-09&format=csv"),
        format!("/v1/reports/charged?tenant_id={contoso}"),
        format!("/v1/runs/{others_run}"),
    ] {
        assert_eq!(with(&server, &token, &path).0, 404, "{path}");
    }
    assert_eq!(seen(&server, &token, "/v1/subaccounts")["items"].as_array().unwrap().len(), 1);

    let (_, file) = with(&server, &token, &format!("/v1/tenants/{northwind}/export?period=2026-09&format=csv"));
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let header = reader.headers().unwrap().clone();
    assert!(header.iter().all(|name| !["BilledCost", "ListCost", "x_Treatment", "x_AppliedRules", "BillingAccountId"].contains(&name)));
    let cost = header.iter().position(|name| name == "x_CustomerCost").unwrap();
    let total = sum(reader.records().map(|record| record.unwrap()[cost].parse().unwrap()));
    assert_eq!(total, amount(charged));
    let (status, parquet) = with(&server, &token, &format!("/v1/tenants/{northwind}/export?period=2026-09&format=parquet"));
    assert!(status == 200 && parquet.starts_with("PAR1") && !parquet.contains("BilledCost"));
}

#[test]
fn who_is_limited_to_a_cost_center_sees_the_charges_of_its_subaccounts_to_the_last_digit() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let (northwind, _, _, _) = full_chain(&server, dir.path());
    let subaccounts = server.get("/v1/subaccounts");
    let of = |account: &str| {
        let found = subaccounts["items"].as_array().unwrap().iter().find(|one| one["sub_account_id"] == account);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    server.put(&format!("/v1/subaccounts/{}/tenant", of("111111111111")), &json!({ "tenant_id": northwind }));
    server.wait(&format!("/v1/tenants/{northwind}/lines?period=2026-09&limit=1000"), |page| {
        page["items"].as_array().is_some_and(|items| items.iter().any(|line| line["SubAccountId"] == "111111111111"))
    });
    let made = server.cli(&["cost-center", "set", "Research", "--tenant", "Northwind", "--subaccount", &of("222222222222")]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let center = server.get(&format!("/v1/tenants/{northwind}/cost-centers"))["items"][0]["id"].clone();
    let eve = json!({"email": "eve@northwind.example", "name": "Eve", "organisation": northwind, "role": "viewer", "cost_centers": [center],
        "password": PASSWORD});
    server.post("/v1/users", &eve);
    let begun = server.request("POST", "/v1/sessions", &[], Some(&json!({"email": eve["email"], "password": PASSWORD})));
    assert_eq!(begun.status, 201, "{}", begun.text);
    let session = begun.json();
    let headers = [("cookie", begun.cookie.as_deref().unwrap()), ("rerate-csrf", session["csrf"].as_str().unwrap())];
    let made = server.request("POST", "/v1/tokens", &headers, Some(&json!({"name": "mine", "role": "viewer"})));
    let token = made.json()["text"].as_str().unwrap().to_owned();

    let lines = seen(&server, &token, &format!("/v1/tenants/{northwind}/lines?period=2026-09&limit=1000"));
    let items = lines["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|line| line["SubAccountId"] == "222222222222"), "{lines}");
    let total = sum(items.iter().map(|line| amount(&line["x_CustomerCost"])));
    let report = seen(&server, &token, "/v1/reports/charged?period=2026-09");
    assert_eq!(amount(&report["items"][0]["charged"]), total);
    let whole = server.get("/v1/reports/charged?period=2026-09");
    let whole = whole["items"].as_array().unwrap().iter().find(|row| row["tenant_id"] == northwind.as_str()).unwrap();
    assert_ne!(amount(&whole["charged"]), total);
    let (_, file) = with(&server, &token, &format!("/v1/tenants/{northwind}/export?period=2026-09&format=csv"));
    assert_eq!(file.lines().count(), items.len() + 1);
    assert!(!file.contains("111111111111"));
    let (status, why) = with(&server, &token, "/v1/runs");
    assert!(status == 403 && why.contains("limited to cost centers"), "{why}");
    assert_eq!(seen(&server, &token, "/v1/subaccounts")["items"].as_array().unwrap().len(), 1);

    let verified = server.cli(&["audit", "verify"]);
    assert!(verified.code == 0 && verified.stdout.starts_with("intact: "), "{}{}", verified.stdout, verified.stderr);
    let listed = server.cli(&["audit", "list", "--noun", "cost-center"]);
    assert!(listed.stdout.contains("administrator"), "{}", listed.stdout);
}
