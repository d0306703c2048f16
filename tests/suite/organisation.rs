//! The story of an organisation on the command line: tenants, integrations, an account that moves in the middle, a tenant that leaves.

use std::path::Path;

use serde_json::Value;

use crate::server::Server;

/// The published runs of a tenant once all of them are as wanted: (period, billed).
#[track_caller]
fn settles(server: &Server, tenant: &str, wanted: &[(&str, &str)]) {
    server.wait(&format!("/v1/runs?published=true&tenant_id={tenant}"), |page| {
        let runs = page["items"].as_array().unwrap().iter();
        let mut seen: Vec<_> = runs.map(|run| (text(&run["period"]), text(&run["billed"]))).collect();
        seen.sort();
        seen.iter().map(|(period, billed)| (period.as_str(), billed.as_str())).eq(wanted.iter().copied())
    });
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A FOCUS bill: (period, account, billed) a line.
pub(crate) fn write_bill(folder: &Path, lines: &[(&str, &str, &str)]) {
    std::fs::create_dir_all(folder).unwrap();
    let mut bill =
        "BillingAccountId,SubAccountId,SubAccountName,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,\
                    ChargePeriodEnd,BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost\n"
            .to_owned();
    for (period, account, billed) in lines {
        let start = format!("{period}-01T00:00:00Z");
        bill.push_str(&format!(
            "999,{account},account {account},AWS,{start},{start},{start},{start},USD,Usage,EC2,{billed},{billed},{billed}\n"
        ));
    }
    std::fs::write(folder.join("bill.csv"), bill).unwrap();
}

#[test]
fn an_msp_takes_customers_on_moves_an_account_between_them_and_lets_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let bills = folder.path().join("bills");
    let lines = [
        ("2026-08", "111", "1"),
        ("2026-09", "111", "2"),
        ("2026-08", "222", "4"),
        ("2026-09", "222", "8"),
        ("2026-09", "sandbox-1", "16"),
    ];
    write_bill(&bills, &lines);
    let data = folder.path().join("data");
    let daemon = Server::start(&data);

    daemon.done(&["tenant", "create", "Group", "--kind", "organisation"]);
    let acme = text(&daemon.json(&["tenant", "create", "Acme", "--contact", "cloud+acme@msp.example", "--parent", "Group"])["id"]);
    let made = daemon.done(&[
        "integration",
        "create",
        "aws",
        "--location",
        bills.to_str().unwrap(),
        "--dedicated-to",
        "Acme",
        "--exclude",
        "sandbox-*",
    ]);
    assert!(made.contains("its bills are being read"), "{made}");
    settles(&daemon, &acme, &[("2026-08", "5"), ("2026-09", "10")]);
    let free = daemon.json(&["subaccount", "list", "--unassigned"]);
    assert_eq!(free.as_array().unwrap().iter().map(|s| text(&s["sub_account_id"])).collect::<Vec<_>>(), ["sandbox-1"]);

    // A second customer, from a list; the account that Acme holds is not taken from it unasked.
    let list = folder.path().join("tenants.csv");
    std::fs::write(&list, "name,contact,subaccounts\nBolt,,sandbox-1\n").unwrap();
    let tried = daemon.done(&["tenant", "import", list.to_str().unwrap(), "--dry-run"]);
    assert!(tried.contains("1 made") && tried.contains("nothing is changed"), "{tried}");
    daemon.done(&["tenant", "import", list.to_str().unwrap()]);
    assert!(
        daemon.done(&["tenant", "import", list.to_str().unwrap()]).contains("0 made, 0 updated, 1 as they were; 0 subaccounts assigned")
    );
    let tenants = daemon.json(&["tenant", "list"]);
    let bolt = text(&tenants.as_array().unwrap().iter().find(|t| t["name"] == "Bolt").unwrap()["id"]);
    settles(&daemon, &bolt, &[("2026-09", "16")]);
    let refused = daemon.cli(&["subaccount", "assign", "--to", "Bolt", "111", "--from-period", "2026-09", "--review"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stdout.contains("Refused") && refused.stderr.contains("held by another tenant"),
        "{}{}",
        refused.stdout,
        refused.stderr
    );

    // Account 111 moves from 2026-09 on.
    let mut moving = vec!["subaccount", "assign", "--to", "Bolt", "111", "--from-tenant", "Acme", "--from-period", "2026-09"];
    let review = daemon.json(&[moving.as_slice(), &["--review"]].concat());
    let months: Vec<_> = review["months"].as_array().unwrap().iter().map(|m| (text(&m["tenant"]["name"]), text(&m["period"]))).collect();
    assert!(months.len() == 2 && months.iter().all(|(_, period)| period == "2026-09"), "{months:?}");
    let stale = daemon.cli(&[moving.as_slice(), &["--reviewed", "1"]].concat());
    assert!(stale.code == 1 && stale.stderr.contains("--review: what it would do now"), "{}", stale.stderr);
    let number = review["reviewed"].to_string();
    assert!(daemon.done(&[moving.as_slice(), &["--review"]].concat()).contains(&format!("--reviewed {number} in place of")));
    assert!(daemon.done(&[moving.as_slice(), &["--reviewed", &number]].concat()).contains("1 subaccounts moved"));
    settles(&daemon, &acme, &[("2026-08", "5"), ("2026-09", "8")]);
    settles(&daemon, &bolt, &[("2026-09", "18")]);
    moving[3] = "Nobody";
    assert_eq!(daemon.cli(&moving).code, 2);
    let history = daemon.done(&["subaccount", "history", "111"]);
    assert!(history.contains("Bolt") && history.contains("2026-09") && history.contains("Acme"), "{history}");

    // Acme leaves: first it is only not managed any more, then it goes for good, with its files.
    daemon.done(&["tenant", "unlink", "Acme"]);
    let run = daemon.json(&["run", "list", "--tenant", &acme, "--published"])[0]["id"].clone();
    let told = daemon.done(&["tenant", "delete", "Acme"]);
    assert!(told.contains("removes for good") && told.contains("nothing is changed"), "{told}");
    assert_eq!(daemon.cli(&["tenant", "delete", "Acme", "--name", "acme"]).code, 2);
    let overlay = |run: &Value| {
        let name = format!("{}.parquet", text(run));
        ["2026-08", "2026-09"].iter().any(|period| data.join("lake/rated").join(period).join(&name).exists())
    };
    assert!(overlay(&run));
    daemon.done(&["tenant", "delete", "Acme", "--name", "Acme"]);
    assert!(!overlay(&run));
    settles(&daemon, &bolt, &[("2026-09", "18")]);
    let free = daemon.json(&["subaccount", "list", "--unassigned"]);
    assert_eq!(free.as_array().unwrap().iter().map(|s| text(&s["sub_account_id"])).collect::<Vec<_>>(), ["222"]);
    assert!(daemon.done(&["secrets", "rotate"]).contains("0 credentials"));
}
