//! The organisation as one file: written, changed, applied, applied again, and brought back.

use serde_json::json;

use crate::organisation::write_bill;
use crate::server::Server;

#[test]
fn a_file_brings_the_organisation_to_what_it_says_and_the_second_time_there_is_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (bills, file) = (folder.path().join("bills"), folder.path().join("msp.toml"));
    let file = file.to_str().unwrap();
    write_bill(&bills, &[("2026-09", "111", "1"), ("2026-09", "222", "2")]);
    let server = Server::start(&folder.path().join("data"));
    server.post("/v1/integrations", &json!({ "name": "aws", "kind": "folder", "location": bills }));
    server.wait("/v1/subaccounts", |page| page["items"].as_array().unwrap().len() == 2);
    let empty = server.cli(&["export"]).stdout;

    let wanted = format!(
        "{empty}
[[tenant]]
name = \"Acme\"
subaccounts = [{{ integration = \"aws\", account = \"111\" }}]

[[tenant]]
name = \"Bolt\"
subaccounts = [{{ integration = \"aws\", account = \"222\", from = \"2026-09\" }}]

[[rule]]
title = \"Half more\"
plugin = \"markup\"
config = {{ percent = \"50\" }}

[[assignment]]
rule = \"Half more\"
tenant = \"Acme\"

[[user]]
email = \"ann@msp.example\"
name = \"Ann\"
roles = [{{ organisation = \"msp\", role = \"editor\" }}, {{ organisation = \"Bolt\", role = \"viewer\" }}]

[[team]]
name = \"North\"
members = []
tenants = [\"Bolt\"]
"
    );
    std::fs::write(file, wanted.replace("assignment = []\n", "")).unwrap();
    let looked = server.cli(&["apply", "-f", file, "--dry-run"]);
    assert!(looked.code == 0 && looked.stdout.contains("6 to make, 3 to change, 0 to end"), "{}{}", looked.stdout, looked.stderr);
    let unasked = server.cli(&["apply", "-f", file]);
    assert!(unasked.code == 2 && unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let applied = server.cli(&["apply", "-f", file, "--yes"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    server.charged(&[("Acme", "1.5"), ("Bolt", "2")]);
    let again = server.cli(&["apply", "-f", file, "--yes", "--prune"]);
    assert!(again.stdout.starts_with("nothing to do"), "{}", again.stdout);

    // What was exported says the same, and the empty file takes everything back.
    std::fs::write(file, server.cli(&["export"]).stdout).unwrap();
    assert!(server.cli(&["apply", "-f", file, "--yes", "--prune"]).stdout.starts_with("nothing to do"));
    std::fs::write(file, &empty).unwrap();
    let pruned = server.cli(&["apply", "-f", file, "--yes", "--prune"]);
    assert_eq!(pruned.code, 0, "{}{}", pruned.stdout, pruned.stderr);
    assert_eq!(server.cli(&["export"]).stdout, empty);
}
