//! Traces as a collector gets them: which spans there are, what is part of what, and what is in none of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::daemon::rated_by;
use crate::run::rerate;
use crate::server::Server;

/// What programs that send traces connect to.
struct Collector {
    address: String,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream.unwrap(), &kept));
            }
        });
        Self { address, received }
    }

    /// What makes a daemon send to it.
    fn environment(&self) -> [(&str, &str); 3] {
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &self.address), ("OTEL_SERVICE_NAME", "billing"), ("NO_PROXY", "127.0.0.1")]
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let received = self.received.lock().unwrap();
        received.iter().map(|body| ExportTraceServiceRequest::decode(body.as_slice()).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// Takes requests of one connection until it ends.
fn serve(stream: TcpStream, kept: &Mutex<Vec<Vec<u8>>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned)).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        kept.lock().unwrap().push(body);
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

/// Attributes as text.
fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Attribute| match value {
        Attribute::StringValue(text) => text.clone(),
        Attribute::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value =
        |attribute: &opentelemetry_proto::tonic::common::v1::KeyValue| attribute.value.as_ref().and_then(|v| v.value.as_ref()).map(text);
    span.attributes.iter().map(|attribute| (attribute.key.as_str(), value(attribute).unwrap_or_default())).collect()
}

const SERVER: i32 = 2;

#[test]
fn a_collector_gets_the_spans_of_requests_imports_and_runs_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let server = Server::start_with(&dir.path().join("data"), &collector.environment());
    let (trace, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let traceparent = format!("00-{trace}-{caller}-01");
    let bearer = format!("Bearer {}", server.token());
    let person =
        json!({"email": "ann@msp.example", "name": "Ann", "organisation": "msp", "role": "viewer", "password": "correct horse battery"});
    server.post("/v1/users", &person);
    let mut secrets = vec![server.token().to_owned(), "correct horse battery".to_owned(), "ann@msp.example".to_owned()];
    let signing_in = json!({"email": "ann@msp.example", "password": "correct horse battery"});
    let begun = server.request("POST", "/v1/sessions", &[("traceparent", &traceparent)], Some(&signing_in));
    assert_eq!(begun.status, 201);
    secrets.push(begun.cookie.unwrap().split_once('=').unwrap().1.to_owned());
    let missing = server.request("GET", "/v1/rules/rul_none?secret=question", &[("Authorization", &bearer)], None);
    assert_eq!(missing.status, 404);
    secrets.push("question".to_owned());
    rated_by(&server, dir.path(), "markup", &json!({ "percent": "10" }));
    let run = server.get("/v1/runs?published=true")["items"][0].clone();
    secrets.extend(["Northwind", "634.75808", "577.0528", "222222222222"].map(str::to_owned));
    server.signal("TERM");
    assert_eq!(server.wait_for_its_end(), Some(0));

    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let [signing_in] = named("POST /v1/sessions")[..] else { panic!("one sign-in: {:?}", named("POST /v1/sessions")) };
    assert_eq!((hex(&signing_in.trace_id), hex(&signing_in.parent_span_id)), (trace.to_owned(), caller.to_owned()));
    assert_eq!(signing_in.kind, SERVER);
    let told = attributes(signing_in);
    assert_eq!(
        (told["method"].as_str(), told["route"].as_str(), told["http.response.status_code"].as_str()),
        ("POST", "/v1/sessions", "201")
    );
    assert!(told["id"].starts_with("req_"), "{told:?}");
    let [unknown] = named("GET /v1/rules/{id}")[..] else { panic!("one rule was asked for") };
    assert_eq!(attributes(unknown)["http.response.status_code"], "404");
    assert!(unknown.parent_span_id.is_empty(), "it has no caller with a trace");

    let ours = |span: &&&Span| attributes(span).get("run").map(String::as_str) == run["id"].as_str();
    let rated = named("run");
    let rated = rated.iter().find(ours).unwrap_or_else(|| panic!("the run {} has no span", run["id"]));
    let told = attributes(rated);
    assert_eq!((told["tenant"].as_str(), told["period"].as_str()), (run["tenant_id"].as_str().unwrap(), "2026-09"));
    let parent = spans.iter().find(|span| span.span_id == rated.parent_span_id).expect("what a run is part of is sent as well");
    assert_eq!((parent.name.as_str(), parent.parent_span_id.len()), ("rating", 0));
    let rules: Vec<_> = named("rules").into_iter().filter(|span| span.parent_span_id == rated.span_id).collect();
    assert!(!rules.is_empty() && rules.iter().all(|span| span.trace_id == rated.trace_id));
    let charges: u64 = rules.iter().map(|span| attributes(span)["charges"].parse::<u64>().unwrap()).sum();
    assert_eq!(charges, run["charges"].as_u64().unwrap(), "a span a row group, with all of the tenant's charges");
    let bill = named("bill")[0];
    assert!(named("import").iter().any(|import| import.span_id == bill.parent_span_id), "a bill is read by an import");

    let service = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    let name = service.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    assert!(format!("{name:?}").contains("\"billing\""), "{name:?}");
    assert!(spans.iter().all(|span| span.events.is_empty()), "log messages are not sent");
    for body in collector.received.lock().unwrap().iter() {
        for secret in &secrets {
            assert!(!body.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret} is in a trace");
        }
    }
}

#[test]
fn a_collector_that_does_not_answer_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A port that no test is given by chance.
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("NO_PROXY", "127.0.0.1"), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let server = Server::start_with(&dir.path().join("data"), &environment);
    rated_by(&server, dir.path(), "markup", &json!({ "percent": "10" }));
    server.signal("TERM");
    assert_eq!(server.wait_for_its_end(), Some(0));
}

#[test]
fn an_address_that_is_none_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let refused = rerate(&["serve", "--data", dir.path().to_str().unwrap(), "--otlp", "collector:4317"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("collector:4317/v1/traces is not an address of http or https"), "{}", refused.stderr);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
