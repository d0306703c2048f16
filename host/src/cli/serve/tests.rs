//! The whole daemon over its HTTP interface, on small bills and hand-written components.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::jobs::Options;
use crate::sandbox::tests::guest::Guest;

struct Running {
    daemon: Daemon,
    client: Client,
    folder: tempfile::TempDir,
}

/// Blocking calls; used from a thread that may block.
#[derive(Clone)]
struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

struct Answer {
    status: u16,
    body: Value,
    text: String,
}

impl Client {
    async fn call(&self, method: &str, path: &str, kind: Option<&str>, body: Vec<u8>) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let (agent, request) = (self.agent.clone(), request.body(body).unwrap());
        let answered = tokio::task::spawn_blocking(move || {
            let mut response = agent.run(request).unwrap();
            let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
            (response.status().as_u16(), text)
        });
        let (status, text) = answered.await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, None, Vec::new()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.body
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call("POST", path, Some("application/json"), body.to_string().into_bytes()).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.text);
        answer.body
    }

    async fn upload(&self, component: Vec<u8>) -> Answer {
        self.call("POST", "/v1/plugins", Some("application/wasm"), component).await
    }
}

fn settings(folder: &std::path::Path) -> Settings {
    Settings {
        data: folder.join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        compile: Compile::InProcess,
        limits: Limits { instances: 8, ..Limits::default() },
        jobs: Options { workers: 2, ..Options::default() },
        ..Settings::default()
    }
}

impl Running {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(settings(folder.path())).await.unwrap();
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
        let client = Client { agent, base: format!("http://{}", daemon.address), token: daemon.token().unwrap() };
        Self { daemon, client, folder }
    }

    /// An integration over a bill of two accounts: 111 with 10 and 2.50 USD, 222 with 5.
    async fn bill(&self) {
        let bills = self.folder.path().join("bills");
        std::fs::create_dir_all(&bills).unwrap();
        let line = |account: &str, service: &str, cost: &str| {
            format!("999,{account},AWS,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,{service},{cost}\n")
        };
        let header = "BillingAccountId,SubAccountId,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,\
                      BillingCurrency,ChargeCategory,ServiceName,BilledCost\n";
        let text = [header.to_owned(), line("111", "Amazon EC2", "10"), line("111", "Amazon S3", "2.50"), line("222", "Amazon S3", "5")];
        std::fs::write(bills.join("bill.csv"), text.concat()).unwrap();
        self.client.post("/v1/integrations", json!({"name": "AWS", "kind": "folder", "location": bills.display().to_string()})).await;
        self.daemon.jobs.idle().await;
    }

    /// A tenant that holds account 111, and a rule of the plugin `fixture` on its chain.
    async fn tenant(&self) -> String {
        let tenant = self.client.post("/v1/tenants", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
        let found = self.client.get("/v1/subaccounts?search=111").await["items"][0]["id"].clone();
        let body = json!({"tenant_id": tenant, "subaccounts": [found]});
        self.client.post("/v1/subaccounts/assign", body).await;
        tenant
    }

    async fn chain(&self) {
        assert_eq!(self.client.upload(Guest::adjustment().build()).await.status, 201);
        let rule = self.client.post("/v1/rules", json!({"title": "Rule", "plugin": "fixture", "config": {}})).await;
        self.client.post("/v1/assignments", json!({"rule_id": rule["id"]})).await;
        self.daemon.jobs.idle().await;
    }
}

/// A rule that charges nothing for anything.
fn zeroing() -> Vec<u8> {
    let decide = format!("{} (i32.store8 (i32.load offset=4 (local.get $ret)) (i32.const 1))", Guest::decisions("(i32.const 1)"));
    Guest::adjustment().decide(&decide).extra("(data (i32.const 2064) \"2.0.0\")").build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_imported_rated_reported_listed_and_exported() {
    let running = Running::new().await;
    running.bill().await;
    let tenant = running.tenant().await;
    running.chain().await;
    let client = &running.client;

    let margin = client.get("/v1/reports/margin?period=2026-09").await;
    let row = &margin["tenants"][0];
    assert_eq!((row["tenant"].as_str(), row["billed"].as_str(), row["charged"].as_str()), (Some("Acme"), Some("12.5"), Some("12.5")));
    assert_eq!((row["state"].as_str(), &row["by_rule"][0]["title"]), (Some("current"), &json!("Rule")));
    let month = &margin["months"][0];
    assert_eq!((month["source"].as_str(), month["unassigned"].as_str(), month["settled"].as_bool()), (Some("17.5"), Some("5"), Some(true)));

    let mut events = running.daemon.events.subscribe();
    let deployed = client.upload(zeroing()).await;
    assert_eq!((deployed.status, deployed.body["version"].as_str()), (201, Some("2.0.0")));
    running.daemon.jobs.idle().await;
    let margin = client.get(&format!("/v1/reports/margin?tenant_id={tenant}")).await;
    let row = &margin["tenants"][0];
    assert_eq!(
        (row["charged"].as_str(), row["margin"].as_str(), row["by_rule"][0]["delta"].as_str()),
        (Some("0"), Some("-12.5"), Some("-12.5"))
    );
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(serde_json::to_value(&event).unwrap());
    }
    assert_eq!(told[0]["kind"], "plugin_activated");
    let states: Vec<_> = told.iter().filter(|event| event["kind"] == "run").map(|event| event["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "running", "done"]);

    let explained = client.get(&format!("/v1/runs/{}/explain", row["run_id"].as_str().unwrap())).await;
    assert_eq!((explained["billed"].as_str(), explained["steps"][0]["charged"].as_str()), (Some("12.5"), Some("0")));

    let lines = client.get(&format!("/v1/tenants/{tenant}/lines?period=2026-09&limit=1&columns=ServiceName,x_CustomerCost")).await;
    let line = lines["items"][0].as_object().unwrap();
    let shown: Vec<_> =
        line.iter().filter(|(name, _)| *name != "key").map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    assert_eq!(shown, [("ServiceName", "Amazon EC2"), ("x_CustomerCost", "0")]);
    assert!(line["key"].as_str().unwrap().starts_with("snp_"), "{line:?}");
    let next = lines["next"].as_str().unwrap();
    let rest = client.get(&format!("/v1/tenants/{tenant}/lines?period=2026-09&cursor={next}")).await;
    assert_eq!((rest["items"].as_array().map(Vec::len), rest.get("next")), (Some(1), None));
    let found = client.get(&format!("/v1/tenants/{tenant}/lines?period=2026-09&ServiceName~=S3")).await;
    assert_eq!((found["items"].as_array().map(Vec::len), found["items"][0]["BilledCost"].as_str()), (Some(1), Some("2.5")));
    let unknown = client.call("GET", &format!("/v1/tenants/{tenant}/lines?period=2026-09&Colour=red"), None, Vec::new()).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text);

    let file = client.call("GET", &format!("/v1/tenants/{tenant}/export?period=2026-09&format=csv"), None, Vec::new()).await;
    assert_eq!((file.status, file.text.lines().count()), (200, 3));
    assert!(file.text.lines().next().is_some_and(|header| header.contains("x_CustomerCost")), "{}", file.text);
    assert_eq!(std::fs::read_dir(running.daemon.data.exports()).unwrap().count(), 0);
    running.daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_says_why_and_the_active_version_stays() {
    let running = Running::new().await;
    let client = &running.client;
    let good = client.upload(Guest::adjustment().build()).await;
    assert_eq!(client.upload(Guest::adjustment().build()).await.status, 200);
    let refused = client.upload(b"\0asm no component".to_vec()).await;
    assert_eq!((refused.status, refused.body["type"].as_str()), (422, Some("urn:rerate:problem:invalid")), "{}", refused.text);
    let large = client.upload(vec![0; (32 << 20) + 1]).await;
    assert_eq!(large.status, 413, "{}", large.text);
    let kind = client.call("POST", "/v1/plugins", Some("text/plain"), Vec::new()).await;
    assert_eq!(kind.status, 415, "{}", kind.text);
    let refusals = client.get("/v1/deployments?state=refused").await;
    let first = refusals["items"].as_array().unwrap().last().unwrap();
    assert_eq!(first["steps"].as_array().unwrap().last().unwrap()["reason"], refused.body["detail"]);
    let plugin = client.get("/v1/plugins/fixture").await;
    assert_eq!(plugin["active_digest"], good.body["digest"]);
    assert_eq!(client.get("/v1/plugins/fixture/schema").await, json!({}));
    running.daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_folder_and_one_on_the_port_are_told_what_to_do() {
    let running = Running::new().await;
    let refused = Daemon::start(settings(running.folder.path())).await.err().unwrap();
    assert!(refused.message().contains("another rerate is using"), "{refused:?}");
    let elsewhere = tempfile::tempdir().unwrap();
    let taken = Settings { listen: running.daemon.address, ..settings(elsewhere.path()) };
    let refused = Daemon::start(taken).await.err().unwrap();
    assert_eq!(refused.message(), format!("{} is taken by another program", running.daemon.address));
    let (folder, token) = (running.folder, running.daemon.token().unwrap());
    running.daemon.stop().await.unwrap();
    let again = Daemon::start(settings(folder.path())).await.unwrap();
    assert_eq!(again.token().unwrap(), token);
    again.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_streamed_as_they_happen() {
    let running = Running::new().await;
    let (client, base) = (running.client.clone(), running.client.base.clone());
    let (sender, received) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        use std::io::BufRead;
        let request =
            ureq::http::Request::builder().uri(format!("{base}/v1/events")).header("authorization", format!("Bearer {}", client.token));
        let response = client.agent.run(request.body(()).unwrap()).unwrap();
        sender.send(String::new()).unwrap();
        for line in std::io::BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let received = Arc::new(std::sync::Mutex::new(received));
    let next = || {
        let received = Arc::clone(&received);
        async {
            tokio::task::spawn_blocking(move || received.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap()).await.unwrap()
        }
    };
    next().await; // it is listening
    assert_eq!(running.client.upload(Guest::adjustment().build()).await.status, 201);
    assert_eq!(next().await, "event: plugin_activated");
    assert!(next().await.starts_with("data: {\"kind\":\"plugin_activated\",\"name\":\"fixture\""));
    running.daemon.stop().await.unwrap();
    drop(received);
    let _ = listener.join();
}
