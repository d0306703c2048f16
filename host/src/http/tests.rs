//! The service as a client sees it: a real store and real plugins in a temporary folder, requests without a network.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{AppState, auth, document, router};
use crate::clock::{Clock, Moment};
use crate::events::Events;
use crate::jobs::change::Change;
use crate::plugins::Plugins;
use crate::sandbox::{Limits, Sandbox, SandboxOptions};
use crate::store::{PeriodContent, Store, SubaccountContent};

mod access;
mod conditional;
mod deployments;
mod document;
mod nouns;
mod once;
mod operations;
mod people;
mod permissions;
mod previews;
mod repeated;
mod requests;
mod roster;
mod rules;
mod seen;
mod walk;

struct TestApp {
    router: Router,
    state: AppState,
    token: String,
    changes: Arc<Mutex<Vec<Change>>>,
    folder: tempfile::TempDir,
}

impl TestApp {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::scripted(Moment(1_790_000_000_000));
        let store = Store::open_file(&folder.path().join("rerate.db"), clock).await.unwrap();
        // Each test has its own pool of instances; a pool reserves address space.
        let limits = Limits { instances: 2, ..Limits::default() };
        let sandbox = Sandbox::new(SandboxOptions { limits, ..SandboxOptions::default() }).unwrap();
        let components = folder.path().join("components");
        let plugins = Plugins::open(crate::depot::Depot::local(&components), sandbox, store.clone(), Events::new(), || {}).await.unwrap();
        let changes = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&changes);
        let state = AppState::new(store.clone(), plugins, Events::new(), move |change| told.lock().unwrap().push(change));
        let token = auth::token_create(&store, "test").await.unwrap();
        Self { router: router(state.clone()), state, token, changes, folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| ["authorization", "cookie"].contains(name)) {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &[], Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], None).await
    }

    /// What the jobs were told since the last look.
    fn told(&self) -> Vec<Change> {
        std::mem::take(&mut self.changes.lock().unwrap())
    }

    /// A bill of these accounts, as an import would publish it; gives the subaccounts' ids.
    async fn bill(&self, accounts: &[&str]) -> Vec<String> {
        let integration = self.post("/v1/integrations", json!({"name": "aws", "kind": "folder", "location": "/bills/aws"})).await;
        let import = self.state.store.import_begin(integration.text("id"), "digest", None).await.unwrap();
        let subaccounts = accounts.iter().map(|account| SubaccountContent {
            billing_account_id: "999".to_owned(),
            sub_account_id: (*account).to_owned(),
            name: format!("account {account}"),
            provider: "AWS".to_owned(),
            currency: "USD".to_owned(),
            charges: 1,
            billed: "1.5".parse().unwrap(),
        });
        let content = PeriodContent {
            period: "2026-09".parse().unwrap(),
            parts: Vec::new(),
            charges: 1,
            totals: Vec::new(),
            report: json!({}),
            subaccounts: subaccounts.collect(),
        };
        self.state.store.import_publish(&import.id, &[content]).await.unwrap();
        let list = self.get("/v1/subaccounts").await;
        self.told();
        list.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// A text of the body.
    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("{} has no text {field}", self.body))
    }

    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A problem on one line, after checking that it is one: `409 conflict: a tenant named ...`.
    fn problem(&self) -> String {
        assert_eq!(self.header(header::CONTENT_TYPE), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.body["status"], self.status.as_u16());
        assert_eq!(self.body["title"], self.status.canonical_reason().unwrap());
        let word = self.text("type").strip_prefix("urn:rerate:problem:").unwrap();
        format!("{} {word}: {}", self.status.as_u16(), self.text("detail"))
    }

    /// The body of a success.
    fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }
}
