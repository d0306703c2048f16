//! What the daemon writes of its work where logs are collected.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[test]
fn every_log_line_is_an_object_and_none_has_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut process = Command::new(env!("CARGO_BIN_EXE_rerate"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data", dir.path().join("data").to_str().unwrap()])
        .env("RUST_LOG", "info,rerate=trace,sqlx=debug,reqwest=debug,hyper=debug")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut after = |what: &str| lines.next().unwrap().unwrap().strip_prefix(what).unwrap().trim().to_owned();
    let address = after("listening on");
    let token = std::fs::read_to_string(after("token in")).unwrap().trim().to_owned();

    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let send = |method: &str, path: &str, body: Value| -> Value {
        let request = ureq::http::Request::builder().method(method).uri(format!("{address}{path}"));
        let request = request.header("authorization", format!("Bearer {token}")).header("content-type", "application/json");
        agent.run(request.body(body.to_string()).unwrap()).unwrap().body_mut().read_json().unwrap()
    };
    let invitation = send("POST", "/v1/invitations", json!({"email": "ada@people.example", "role": "viewer"}));
    let secret = invitation["secret"].as_str().unwrap();
    let accept = json!({"secret": secret, "name": "Ada", "password": "the password of Ada"});
    assert_eq!(send("POST", "/v1/invitations/accept", accept)["role"], "viewer");
    let wrong = json!({"email": "ada@people.example", "password": "not her password"});
    assert_eq!(send("POST", "/v1/sessions", wrong)["status"], 401);
    let provider = json!({"issuer": "http://127.0.0.1:9", "client_id": "rerate", "client_secret": "the secret of the client"});
    assert_eq!(send("PUT", "/v1/organisations/msp/sign-in", provider)["status"], 422);
    process.kill().unwrap();
    process.wait().unwrap();

    let text = std::fs::read_to_string(log).unwrap();
    let answered = text.lines().filter(|line| serde_json::from_str::<Value>(line).unwrap()["message"] == "answered").count();
    assert!(answered >= 3, "{text}");
    for secret in [token.as_str(), secret, "the password of Ada", "not her password", "the secret of the client"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
