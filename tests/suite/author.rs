//! An author's story, in each language: a rule is started, tried, changed and tested on a laptop, pushed into a running daemon, previewed,
//! activated and rolled back, all from the command line.

use std::path::Path;

use serde_json::{Value, json};

use crate::kit::CARGO;
use crate::run::{Ran, rerate, rerate_in};
use crate::server::Server;

/// What a person does who finds the compiler missing; another failure is one.
const MISSING: [&str; 3] = ["rustup target add", "npm install", "pip install"];

/// A bill of one tenant: two charges that five percent turn into fractions of a cent.
const BILL: &str = "\
BillingAccountId,SubAccountId,SubAccountName,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,\
BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost
p,111,Shop,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,AmazonEC2,1.01,1.01,1.01
p,111,Shop,AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-02T00:00:00Z,2026-09-03T00:00:00Z,USD,Usage,AmazonS3,3.03,3.03,3.03
";

struct Author<'a> {
    project: &'a Path,
}

impl Author<'_> {
    fn does(&self, arguments: &[&str]) -> Ran {
        rerate_in(self.project, arguments, &CARGO.map(|(name, value)| (name, value.as_ref())))
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> Ran {
        let ran = self.does(arguments);
        assert_eq!(ran.code, 0, "rerate {arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran
    }

    #[track_caller]
    fn edits(&self, file: &str, from: &str, to: &str) {
        let path = self.project.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

#[track_caller]
fn succeeds(server: &Server, arguments: &[&str]) -> Ran {
    let ran = server.cli(arguments);
    assert_eq!(ran.code, 0, "rerate {arguments:?}: {}{}", ran.stdout, ran.stderr);
    ran
}

/// A daemon with one tenant that holds everything on the bill.
fn daemon(dir: &Path) -> (Server, Value) {
    let bills = dir.join("bills");
    std::fs::create_dir_all(&bills).unwrap();
    std::fs::write(bills.join("bill.csv"), BILL).unwrap();
    let server = Server::start(&dir.join("data"));
    server.post("/v1/integrations", &json!({ "name": "AWS", "kind": "folder", "location": bills }));
    let found = server.wait("/v1/subaccounts", |page| !page["items"].as_array().unwrap().is_empty());
    let tenant = server.post("/v1/tenants", &json!({ "name": "Shop" }));
    let account = found["items"][0]["id"].as_str().unwrap();
    server.put(&format!("/v1/subaccounts/{account}/tenant"), &json!({ "tenant_id": tenant["id"] }));
    server.charged(&[("Shop", "4.04")]);
    (server, tenant)
}

/// `rounds` is the place in `rule` that rounds each amount to ten digits, and what rounds it to cents.
fn story(lang: &str, rule: &str, version: &str, rounds: (&str, &str)) {
    let dir = tempfile::tempdir().unwrap();
    // A name of its own: a bench keeps what it measured under the plugin's name, to compare the next one with.
    let (name, wasm) = (format!("shop-markup-{lang}"), format!("shop-markup-{lang}.wasm"));
    let made = rerate(&["plugin", "new", &name, "--lang", lang, "--dir", dir.path().to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let project = dir.path().join(&name);
    let author = Author { project: &project };

    let built = author.does(&["plugin", "build", "--json"]);
    if built.code != 0 && MISSING.iter().any(|command| built.stderr.contains(command)) {
        println!("skipped: the story in {lang}: {}", built.stderr.trim());
        return;
    }
    let first = built.json()["digest"].as_str().unwrap().to_owned();
    author.succeeds(&["plugin", "test", "--both"]);
    std::fs::write(dir.path().join("bill.csv"), BILL).unwrap();
    std::fs::write(dir.path().join("config.json"), r#"{"percent":"5"}"#).unwrap();
    let ran = author.succeeds(&["plugin", "run", &wasm, "-i", "../bill.csv", "--config", "../config.json", "--json"]).json();
    assert!(ran.to_string().contains("0.202"), "five percent of 4.04: {ran:#}");
    author.succeeds(&["plugin", "bench", &wasm, "-i", "../bill.csv", "--config", "../config.json", "--json"]);

    let (server, _) = daemon(dir.path());
    let component = project.join(&wasm);
    let component = component.to_str().unwrap();
    succeeds(&server, &["plugin", "push", component, "--activate"]);
    let markup = server.post("/v1/rules", &json!({ "title": "Markup", "plugin": name, "config": { "percent": "5" } }));
    server.post("/v1/assignments", &json!({ "rule_id": markup["id"] }));
    server.charged(&[("Shop", "4.242")]);

    author.edits(rule, rounds.0, rounds.1);
    author.edits(version, "0.1.0", "0.2.0");
    let told = author.does(&["plugin", "test", "--sandbox"]);
    assert_eq!(told.code, 1, "a golden case knows a tenth of a millionth: {}", told.stdout);
    author.succeeds(&["plugin", "test", "--sandbox", "--update"]);
    let second = author.succeeds(&["plugin", "build", "--json"]).json()["digest"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    author.succeeds(&["plugin", "test", "--sandbox"]);

    let pushed = succeeds(&server, &["plugin", "push", component, "--json"]).json();
    assert_eq!(pushed["state"], "ready", "{pushed:#}");
    server.charged(&[("Shop", "4.242")]);
    let preview = succeeds(&server, &["preview", "--plugin", &second, "--period", "2026-09", "--json"]).json();
    assert_eq!((&preview["totals"][0]["before"], &preview["totals"][0]["after"]), (&json!("4.242"), &json!("4.24")), "{preview:#}");

    succeeds(&server, &["plugin", "activate", &name, &second]);
    let report = server.charged(&[("Shop", "4.24")]);
    let run = report["tenants"][0]["run_id"].as_str().unwrap().to_owned();
    succeeds(&server, &["plugin", "rollback", &name]);
    server.charged(&[("Shop", "4.242")]);
    succeeds(&server, &["run", "verify", &run]);
}

#[test]
fn an_author_takes_a_rule_in_rust_from_nothing_into_production_and_back() {
    story("rust", "src/lib.rs", "Cargo.toml", ("percent.on_top(), 10,", "percent.on_top(), 2,"));
}

#[test]
fn an_author_takes_a_rule_in_javascript_from_nothing_into_production_and_back() {
    story("js", "rule.js", "rule.js", ("percent.onTop, 10,", "percent.onTop, 2,"));
}

#[test]
fn an_author_takes_a_rule_in_python_from_nothing_into_production_and_back() {
    story("python", "rule.py", "rule.py", ("percent.on_top, 10,", "percent.on_top, 2,"));
}
