//! The organisation as one file: written, changed, applied, applied again, and brought back, with each database.

use std::path::Path;

use serde_json::json;

use crate::issuer::issuer;
use crate::organisation::write_bill;
use crate::run::Ran;
use crate::server::Server;
use crate::stories::told;

/// A daemon whose bills name two accounts.
fn billed(server: &Server, folder: &Path) {
    let bills = folder.join("bills");
    write_bill(&bills, &[("2026-09", "111", "1"), ("2026-09", "222", "2")]);
    server.post("/v1/integrations", &json!({ "name": "aws", "kind": "folder", "location": bills }));
    server.wait("/v1/subaccounts", |page| page["items"].as_array().unwrap().len() == 2);
}

/// What it says after what an empty organisation's file says.
fn everything(issuer: &str) -> String {
    format!(
        r#"
[[key]]
name = "Release team"
public_key = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

[[tenant]]
name = "Holding"
kind = "organisation"

[[tenant]]
name = "Acme"
organisation = "Holding"
quota = {{ time_ms = 60000, concurrent_runs = 2 }}
subaccounts = [{{ integration = "aws", account = "111" }}]

[[tenant]]
name = "Bolt"
state = "suspended"
subaccounts = [{{ integration = "aws", account = "222", from = "2026-09" }}]

[[integration]]
name = "acme's own"
kind = "folder"
location = "/no/bills/here"
owner = "Acme"

[[cost_center]]
tenant = "Acme"
name = "Research"
subaccounts = [{{ integration = "aws", account = "111" }}]

[[virtual]]
name = "Compute"
where = [{{ column = "ServiceName", is_in = ["EC2"] }}]

[[virtual]]
name = "Both"
subaccounts = [{{ integration = "aws", account = "222" }}, {{ integration = "aws", account = "111" }}]

[[rule]]
title = "Half more"
plugin = "markup"
config = {{ percent = "50" }}

[[rule]]
title = "List prices"
plugin = "public-price"

[[assignment]]
rule = "Half more"
tenant = "ACME"

[[assignment]]
rule = "List prices"
from = "2027-01"

[[user]]
email = "ann@msp.example"
name = "Ann"
roles = [{{ organisation = "msp", role = "owner" }}]

[[user]]
email = "bob@msp.example"
name = "Bob"
roles = [{{ organisation = "msp", role = "editor" }}, {{ organisation = "Bolt", role = "viewer" }}]

[[user]]
email = "eve@acme.example"
name = "Eve"
roles = [{{ organisation = "Acme", role = "owner" }}]

[[user]]
email = "finn@acme.example"
name = "Finn"
roles = [{{ organisation = "Acme", role = "viewer", cost_centers = ["research"] }}]

[[team]]
name = "North"
members = ["bob@msp.example"]
tenants = ["Bolt"]

[[sign_in]]
organisation = "Acme"
issuer = "{issuer}"
client_id = "rerate"
client_secret_env = "ACME_CLIENT_SECRET"
roles = [{{ group = "finance", role = "editor" }}]
just_in_time = true
"#
    )
}

#[track_caller]
fn done(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

const SECRET: [(&str, &str); 1] = [("ACME_CLIENT_SECRET", "a secret of the client")];

#[test]
fn a_file_brings_the_organisation_to_what_it_says_and_the_second_time_there_is_nothing_to_do() {
    let issuer = issuer();
    told(|server, folder| {
        billed(server, folder);
        let path = folder.join("msp.toml");
        let file = path.to_str().unwrap();
        let empty = done(server.cli(&["export"]));
        let wanted = empty.replace("assignment = []\n", "").replace("signing_policy = \"off\"", "signing_policy = \"warn\"");
        std::fs::write(file, wanted + &everything(&issuer)).unwrap();

        let looked = done(server.cli(&["apply", "-f", file, "--dry-run"]));
        assert!(looked.contains("18 to make, 6 to change, 0 to end"), "{looked}");
        let unasked = server.cli(&["apply", "-f", file]);
        assert!(unasked.code == 2 && unasked.stderr.contains("--yes"), "{}", unasked.stderr);
        let without = server.cli(&["apply", "-f", file, "--yes"]);
        assert!(without.code == 2 && without.stderr.contains("ACME_CLIENT_SECRET"), "{}", without.stderr);
        assert_eq!(done(server.cli(&["export"])), empty, "a secret that is missing is told before anything is done");
        done(server.cli_with(&["apply", "-f", file, "--yes"], &SECRET));
        server.wait("/v1/reports/margin", |report| {
            let tenants = report["tenants"].as_array().unwrap();
            tenants.iter().any(|line| line["tenant"] == "Acme" && line["charged"] == "1.5")
        });
        let settings = server.get(&format!("/v1/organisations/{}/sign-in", tenant(server, "Acme")));
        assert_eq!((&settings["has_secret"], &settings["just_in_time"]), (&json!(true), &json!(true)));

        // Again, with and without what the environment had, and as it was exported.
        assert!(done(server.cli_with(&["apply", "-f", file, "--yes", "--prune"], &SECRET)).starts_with("nothing to do"));
        assert!(done(server.cli(&["apply", "-f", file, "--yes", "--prune"])).starts_with("nothing to do"));
        let exported = done(server.cli(&["export"]));
        assert!(exported.contains("Research") && !exported.contains("secret"), "{exported}");
        std::fs::write(file, &exported).unwrap();
        assert!(done(server.cli(&["apply", "-f", file, "--yes", "--prune"])).starts_with("nothing to do"));

        let yaml = folder.join("msp.yaml");
        let yaml = yaml.to_str().unwrap();
        done(server.cli(&["export", "--out", yaml]));
        assert!(done(server.cli(&["apply", "-f", yaml, "--yes", "--prune"])).starts_with("nothing to do"));
        std::fs::write(yaml, std::fs::read_to_string(yaml).unwrap().replacen("domains:", "colour: red\ndomains:", 1)).unwrap();
        let unknown = server.cli(&["apply", "-f", yaml, "--yes"]);
        assert!(unknown.code == 2 && unknown.stderr.contains("msp.yaml") && unknown.stderr.contains("line 1"), "{}", unknown.stderr);

        // One thing of each kind is changed; the stored secret stays.
        let changed = exported
            .replace("time_ms = 60000", "time_ms = 90000")
            .replace("name = \"Finn\"", "name = \"Finn Acme\"")
            .replace("just_in_time = true", "just_in_time = false")
            .replace("is_in = [\"EC2\"]", "is_in = [\"S3\"]")
            .replace("name = \"Release team\"", "name = \"Build team\"")
            .replace("state = \"suspended\"", "state = \"active\"");
        std::fs::write(file, &changed).unwrap();
        let steps = server.cli(&["apply", "-f", file, "--yes", "--json"]).json();
        let nouns: Vec<&str> = steps["steps"].as_array().unwrap().iter().map(|step| step["noun"].as_str().unwrap()).collect();
        assert_eq!(nouns, ["quota", "tenant", "virtual integration", "user", "sign-in", "key"]);
        assert_eq!(done(server.cli(&["export"])), changed);
        let settings = server.get(&format!("/v1/organisations/{}/sign-in", tenant(server, "Acme")));
        assert_eq!((&settings["has_secret"], &settings["just_in_time"]), (&json!(true), &json!(false)));
    });
}

fn tenant(server: &Server, name: &str) -> String {
    let tenants = server.get("/v1/tenants");
    let found = tenants["items"].as_array().unwrap().iter().find(|tenant| tenant["name"] == name).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_others_need_can_be_pruned_in_whatever_way_they_need_it() {
    let issuer = issuer();
    told(|server, folder| {
        billed(server, folder);
        let path = folder.join("msp.toml");
        let file = path.to_str().unwrap();
        let empty = done(server.cli(&["export"]));
        let whole = empty.replace("assignment = []\n", "") + &everything(&issuer);
        std::fs::write(file, &whole).unwrap();
        done(server.cli_with(&["apply", "-f", file, "--yes"], &SECRET));
        let prune = |text: &str| {
            std::fs::write(file, text).unwrap();
            server.cli(&["apply", "-f", file, "--yes", "--prune"])
        };

        // What the file itself needs is not pruned: that is told, and nothing is done.
        let exported = done(server.cli(&["export"]));
        let refused = prune(&without(&whole, &[("cost_center", "Research")]));
        assert!(refused.code == 2 && refused.stderr.contains("names the cost center research"), "{}", refused.stderr);
        assert_eq!(done(server.cli(&["export"])), exported);

        // A team with a member who stays.
        let whole = without(&whole, &[("team", "North")]);
        assert!(done(prune(&whole)).contains("1 to change, 1 to end"), "it is emptied, then deleted");
        // A rule that is assigned, where the file leaves the assignments as they are: they go with it.
        let rules = without(&whole, &[("rule", "Half more"), ("assignment", "Half more"), ("assignment", "List prices")]);
        assert!(done(prune(&rules)).contains("0 to change, 2 to end"));
        // A tenant with all that is its own: an account, an integration, a cost center, a sign-in, its last Owner.
        let acme =
            [("tenant", "Acme"), ("integration", "Acme"), ("cost_center", "Acme"), ("sign_in", "Acme"), ("user", "eve"), ("user", "finn")];
        assert!(done(prune(&without(&rules, &acme))).contains("0 to make, 0 to change, 2 to end"), "the integration and the tenant");
        let people = server.get("/v1/users").to_string();
        assert!(people.contains("bob@msp.example") && !people.contains("eve@acme.example"), "{people}");

        // Everything but the MSP's last Owner, who stays.
        let refused = prune(&empty);
        assert!(refused.code == 1 && refused.stderr.contains("last Owner"), "{}", refused.stderr);
        let ann = everything(&issuer).split("\n[[").find(|block| block.contains("ann@msp.example")).unwrap().to_owned();
        let left = format!("{empty}\n[[{ann}");
        done(prune(&left));
        assert!(done(prune(&left)).starts_with("nothing to do"));
        for noun in ["tenants", "teams", "rules", "virtual-integrations", "assignments"] {
            assert_eq!(server.get(&format!("/v1/{noun}")), json!({ "items": [] }), "{noun}");
        }
    });
}

/// A file without the blocks of these names that have these words.
fn without(file: &str, blocks: &[(&str, &str)]) -> String {
    let mut kept: Vec<&str> = file.split("\n[[").collect();
    for (name, word) in blocks {
        let before = kept.len();
        kept.retain(|block| !(block.starts_with(&format!("{name}]]")) && block.contains(word)));
        assert_eq!(kept.len(), before - 1, "blocks of {name} with {word}");
    }
    kept.join("\n[[")
}
