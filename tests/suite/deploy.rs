//! Bringing rules into a running daemon, as its admin does: from the command line, step by step, with keys, and without anyone noticing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rerate::plugins::cases::{Case, CaseFiles, bundle, check};
use rerate::sandbox::sections::{CASES, append, section};
use rerate::sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::run::{rerate, root};
use crate::server::Server;

const NAME: &str = "rounding-markup";

/// A section of ours, whose content makes versions of the same code differ.
const NOTE: &str = "deploy-test-note";

/// The example rule without its own cases and with a note: the same code, another version.
fn version(number: u8) -> Vec<u8> {
    let mut component = std::fs::read(root().join("tests/fixtures/dist/rounding-markup.wasm")).unwrap();
    let cases = section(&component, CASES).map(|cases| cases.at..cases.end).unwrap();
    component.drain(cases);
    append(&mut component, NOTE, &[number]);
    component
}

/// A version with a golden case: one charge of 100, and 7 % more; what that is may be said wrongly.
fn version_with_case(says: &str) -> Vec<u8> {
    let files = CaseFiles {
        name: "seven".to_owned(),
        input: "BilledCost\n100\n".to_owned(),
        config: r#"{"percent":"7"}"#.to_owned(),
        ..CaseFiles::default()
    };
    let mut component = version(100);
    let plugin = Sandbox::new(SandboxOptions::default()).unwrap().load(&component).unwrap();
    let text = check(&plugin, &Case::parse(files.clone(), "cases/seven").unwrap()).text.unwrap();
    assert!(text.contains("107"), "{text}");
    let files = CaseFiles { expected: Some(text.replace("107", says)), ..files };
    append(&mut component, CASES, &bundle(&[Case::parse(files, "cases/seven").unwrap()]).unwrap());
    component
}

fn written(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// As an editor or a build does it: nobody sees half of it.
fn dropped(folder: &Path, name: &str, bytes: &[u8]) {
    let aside = folder.join(".aside");
    std::fs::write(&aside, bytes).unwrap();
    std::fs::rename(aside, folder.join(name)).unwrap();
}

fn digest(bytes: &[u8]) -> String {
    rerate::plugins::digest_of(bytes)
}

/// A step of a deployment.
#[track_caller]
fn step<'a>(deployment: &'a Value, name: &str) -> &'a Value {
    let steps = deployment["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step {name} in {deployment:#}"))
}

#[test]
fn a_component_is_pushed_activated_and_rolled_back_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let first = written(dir.path(), "first.wasm", &version(1));
    let second = written(dir.path(), "second.wasm", &version(2));

    let tried = server.cli(&["plugin", "push", &first, "--dry-run"]);
    assert_eq!(tried.code, 0, "{}", tried.stderr);
    assert!(tried.stdout.contains("would be accepted; nothing was kept"), "{}", tried.stdout);
    assert_eq!(server.cli(&["plugin", "deployments", "--plugin", NAME, "--json"]).json(), json!([]));

    let pushed = server.cli(&["plugin", "push", &first, "--activate"]);
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    let steps: Vec<&str> = pushed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(steps[..6], ["uploaded", "validated", "compiled", "tested", "ready", "active"], "{}", pushed.stdout);
    assert!(pushed.stdout.contains("in a process of its own that may take 120 s and 4096 MiB"), "{}", pushed.stdout);
    assert!(pushed.stdout.contains("no cases") && pushed.stdout.contains("unsigned"), "{}", pushed.stdout);

    let ready = server.cli(&["plugin", "push", &second, "--json"]).json();
    assert_eq!(
        (&ready["state"], &ready["digest"], &ready["actor"]),
        (&json!("ready"), &json!(digest(&version(2))), &json!("administrator"))
    );
    assert_eq!(server.get(&format!("/v1/plugins/{NAME}"))["active_digest"], digest(&version(1)));

    let activated = server.cli(&["plugin", "activate", NAME, &digest(&version(2))[..8]]);
    assert_eq!(activated.stdout, format!("{NAME} {} is active\n", digest(&version(2))), "{}", activated.stderr);
    let back = server.cli(&["plugin", "rollback", NAME]);
    assert_eq!(back.stdout, format!("{NAME} {} is active again\n", digest(&version(1))), "{}", back.stderr);

    let again = server.cli(&["plugin", "push", &first, "--activate"]);
    assert!(again.code == 0 && again.stdout.contains("nothing to do"), "{} {}", again.stdout, again.stderr);
    let listed = server.cli(&["plugin", "list", NAME]);
    assert!(
        listed.stdout.lines().any(|line| line.contains(&digest(&version(1))) && line.trim_end().ends_with("active")),
        "{}",
        listed.stdout
    );

    assert_eq!(server.cli(&["plugin", "disable", NAME]).code, 0);
    assert_eq!(
        server.cli(&["plugin", "list", "--json"]).json().as_array().unwrap().iter().find(|p| p["name"] == NAME).unwrap()["disabled"],
        true
    );
    assert_eq!(server.cli(&["plugin", "enable", NAME]).code, 0);
    let told = server.get(&format!("/v1/audit?noun=plugin&subject={NAME}"));
    let actions: Vec<&str> = told["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["enable", "disable", "activate", "activate", "activate"]);
    assert!(told["items"].as_array().unwrap().iter().all(|entry| entry["actor"] == "administrator"), "{told:#}");
    assert_eq!(told["items"][2]["before"]["active_digest"], digest(&version(2)));

    let unknown = server.cli(&["plugin", "activate", NAME, "ffff"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("has no version ffff"), "{}", unknown.stderr);
    let none = server.cli(&["plugin", "rollback", "markup"]);
    assert!(none.code == 1 && none.stderr.contains("no version of markup to roll back to"), "{}", none.stderr);
}

#[test]
fn a_component_whose_own_case_fails_is_not_activated_and_the_case_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let wrong = written(dir.path(), "wrong.wasm", &version_with_case("108"));
    let refused = server.cli(&["plugin", "push", &wrong, "--activate"]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    for part in ["tested", "refused", "\"seven\"", "108", "107"] {
        assert!(refused.stdout.contains(part), "{part:?} is not in {}", refused.stdout);
    }
    let deployments = server.get(&format!("/v1/deployments?plugin={NAME}&state=refused"));
    assert_eq!(step(&deployments["items"][0], "tested")["outcome"], "refused");
    assert!(step(&deployments["items"][0], "tested")["reason"].as_str().unwrap().contains("seven"));
    assert!(!server.get("/v1/plugins").to_string().contains(NAME), "nothing of it is kept");

    let expected = refused.stdout.contains("expected 108, got 107");
    assert!(expected, "{}", refused.stdout);
    let right = written(dir.path(), "right.wasm", &version_with_case("107"));
    let done = server.cli(&["plugin", "push", &right, "--activate", "--json"]);
    let text = step(&done.json(), "tested")["reason"].as_str().unwrap().to_owned();
    assert_eq!(text, "1 case passed");
}

#[test]
fn unsigned_wrongly_signed_and_tampered_components_are_told_apart_by_upload_and_by_folder() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let key = |name: &str| {
        let path = dir.path().join(name).to_str().unwrap().to_owned();
        let made = rerate(&["key", "new", "--out", &path]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        let value = |what: &str| made.stdout.lines().find_map(|line| line.strip_prefix(what)).unwrap().trim().to_owned();
        (path, value("key id"), value("public key"))
    };
    let (ours, our_id, our_public) = key("ours.key");
    let (theirs, their_id, _) = key("theirs.key");
    assert_eq!(rerate(&["key", "new", "--out", &ours]).code, 2, "a key is never overwritten");
    let signed = |number: u8, key: &str| {
        let unsigned = written(dir.path(), "unsigned.wasm", &version(number));
        let out = dir.path().join("signed.wasm").to_str().unwrap().to_owned();
        let signed = rerate(&["plugin", "sign", &unsigned, "--key", key, "--out", &out]);
        assert_eq!(signed.code, 0, "{}", signed.stderr);
        std::fs::read(out).unwrap()
    };
    assert_eq!(server.cli(&["key", "trust", &our_public, "--name", "Release team"]).code, 0);
    assert!(server.cli(&["key", "list"]).stdout.contains("Release team"));

    let mut tampered = signed(3, &ours);
    append(&mut tampered, "added", b"later");
    let mut altered = signed(4, &ours);
    // A byte of the note that makes the version: the component stays valid.
    let note = altered.windows(NOTE.len()).position(|window| window == NOTE.as_bytes()).unwrap();
    altered[note + NOTE.len()] ^= 1;
    let cases = [
        ("unsigned", version(5), "unsigned", String::new()),
        ("stranger", signed(6, &theirs), "wrongly signed", their_id),
        ("tampered", tampered, "tampered", our_id.clone()),
        ("altered", altered, "tampered", our_id.clone()),
    ];
    let validated = |name: &str, bytes: &[u8]| {
        let file = written(dir.path(), &format!("{name}.wasm"), bytes);
        let pushed = server.cli(&["plugin", "push", &file, "--dry-run", "--json"]);
        let deployment: Value = serde_json::from_str(&pushed.stdout).unwrap_or_else(|_| panic!("{}", pushed.stderr));
        step(&deployment, "validated").clone()
    };

    assert_eq!(server.cli(&["key", "policy"]).stdout, "off\n");
    for (policy, outcome) in [("off", "done"), ("warn", "warned"), ("require", "refused")] {
        assert_eq!(server.cli(&["key", "policy", policy]).stdout, format!("{policy}\n"));
        for (name, bytes, word, key) in &cases {
            let step = validated(name, bytes);
            assert_eq!(step["outcome"], outcome, "{policy} {name}: {step}");
            let reason = step["reason"].as_str().unwrap();
            assert!(reason.contains(word) && reason.contains(key.as_str()), "{policy} {name}: {reason}");
            assert!(*name == "unsigned" || !reason.contains("unsigned"), "{reason}");
        }
        let good = validated("good", &signed(7, &ours));
        assert_eq!((&good["outcome"], good["reason"].as_str()), (&json!("done"), Some(&*format!("signed by Release team (key {our_id})"))));
    }

    for (name, bytes, word, _) in &cases {
        dropped(&data.join("plugins"), &format!("{name}.wasm"), bytes);
        let refusals = server.wait("/v1/deployments?state=refused", |all| all["items"][0]["from"] == format!("{name}.wasm"));
        assert!(step(&refusals["items"][0], "validated")["reason"].as_str().unwrap().contains(word), "{refusals:#}");
    }
    dropped(&data.join("plugins"), "good.wasm", &signed(8, &ours));
    let active = server.wait(&format!("/v1/deployments?plugin={NAME}&state=active"), |all| all["items"][0]["from"] == "good.wasm");
    assert_eq!(active["items"][0]["actor"], "folder");

    // A revoked key's versions stay where they are and come in no more.
    dropped(&data.join("plugins"), "next.wasm", &signed(9, &ours));
    server.wait(&format!("/v1/plugins/{NAME}"), |plugin| plugin["active_digest"] == digest(&signed(9, &ours)));
    assert_eq!(server.cli(&["key", "revoke", &our_id]).code, 0);
    let step = validated("revoked", &signed(10, &ours));
    assert!(step["reason"].as_str().unwrap().contains("the key was revoked"), "{step}");
    assert_eq!(server.get(&format!("/v1/plugins/{NAME}"))["active_digest"], digest(&signed(9, &ours)));
    let back = server.cli(&["plugin", "rollback", NAME]);
    assert!(back.code != 0 && back.stderr.contains("the key was revoked"), "{}", back.stderr);
}

#[test]
fn no_request_fails_and_no_run_fails_while_versions_are_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_without_cache(&dir.path().join("data"));
    let (first, second) = (version(1), version(2));
    assert_eq!(server.deploy(&first).0, 201);
    assert_eq!(server.deploy(&second).0, 201);
    crate::daemon::rated_by(&server, dir.path(), NAME, &json!({ "percent": "7" }));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // `get` fails the test for anything but 200.
                    let plugin = server.get(&format!("/v1/plugins/{NAME}"));
                    assert_eq!(plugin["active_digest"], plugin["active"]["digest"]);
                    server.get("/v1/reports/margin");
                    server.get("/v1/runs?limit=5");
                    answered.fetch_add(3, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let rule = json!({ "title": format!("Rule {number}"), "plugin": NAME, "config": { "percent": "7" } });
                server.post("/v1/rules", &rule);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        for swap in 0..30 {
            let digest = digest(if swap % 2 == 0 { &first } else { &second });
            server.post(&format!("/v1/plugins/{NAME}/activate"), &json!({ "digest": digest }));
        }
        for number in 10..14 {
            assert_eq!(server.deploy(&version(number)).0, 201);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let answered = answered.into_inner();
    println!("{answered} requests answered during 30 swaps and 4 deployments");
    assert!(answered > 20, "{answered}");
    server.wait("/v1/reports/margin", |report| report["tenants"].as_array().unwrap().iter().all(|tenant| tenant["state"] == "current"));
    let runs = server.get("/v1/runs?limit=1000");
    let failed: Vec<&Value> = runs["items"].as_array().unwrap().iter().filter(|run| run["state"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:#?}");

    // What rated a run that is kept is not deleted, and it is said which.
    let last = runs["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap();
    let written = server.cli(&["plugin", "logs", last]);
    assert_eq!((written.code, written.stdout.as_str()), (0, ""), "{}", written.stderr);
    assert!(written.stderr.contains("wrote nothing"), "{}", written.stderr);
    assert_eq!(server.cli(&["plugin", "logs", "run_none"]).code, 2);
    let rated_by = server.get(&format!("/v1/runs/{last}"))["chain"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(server.deploy(&version(20)).0, 201);
    let refused = server.refused_delete(&format!("/v1/plugins/{NAME}/versions/{rated_by}"));
    assert_eq!(refused["status"], 409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("of Northwind in 2026-09 was rated by the version"), "{detail}");
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_deployment_marks_it_interrupted_and_keeps_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let components = data.join("plugins-store");
    let half = components.join(".tmpabc");
    // Until one is killed in the middle: a busy machine may come too late for the first.
    let (server, component, stray, deployment) = (0..10)
        .find_map(|number| {
            let server = Server::start_without_cache(&data);
            let mut component = std::fs::read(root().join("plugins/dist/formula.wasm")).unwrap();
            append(&mut component, "another", &[number]);
            let begun = server.start_deploy(&component);
            server.kill();
            // As if it had been killed between keeping the file and the transaction, too.
            let stray = components.join(format!("{}.wasm", digest(&component)));
            std::fs::write(&stray, &component).unwrap();
            std::fs::write(&half, b"half").unwrap();
            let server = Server::start(&data);
            let deployment = server.get(&format!("/v1/deployments/{}", begun["id"].as_str().unwrap()));
            (deployment["state"] != "active").then_some((server, component, stray, deployment))
        })
        .expect("a deployment that is killed in the middle");
    assert_eq!(deployment["state"], "interrupted", "{deployment:#}");
    let last = deployment["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["outcome"], "interrupted");
    assert!(deployment["finished_at"].is_string());
    assert!(!stray.exists() && !half.exists());
    assert_ne!(server.get("/v1/plugins/formula")["active_digest"], digest(&component));
    let (status, again) = server.deploy(&component);
    assert_eq!(status, 201, "{again:#}");
}

/// A port that no test is given by chance.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn a_daemon_that_is_not_there_is_said_with_what_to_do() {
    let gone = crate::run::rerate_with(&["plugin", "list", "--server", NOBODY], &[("RERATE_TOKEN", "rrt_x")]);
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("no daemon answers") && gone.stderr.contains("rerate serve"), "{}", gone.stderr);
    let without = rerate(&["plugin", "list", "--server", NOBODY]);
    assert!(without.code == 2 && without.stderr.contains("--token-file"), "{}", without.stderr);
}
