//! A client of a running daemon, for commands that work on one.
//!
//! A refused call becomes a [`Failure`] with the daemon's own words, and a daemon that is not there one that says what to do. It knows
//! JSON and bytes, nothing of nouns: each command names its own addresses. Nothing is tried again but what the daemon put off, and so has
//! not begun: most calls change something.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Response, Url, header};
use serde::Serialize;
use serde_json::Value;

use super::{Failure, output};

/// A daemon that has not taken the connection by then is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Compiling a rule of 18 MB and trying its cases, or a preview of a year, takes minutes; a call that takes longer is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Pages of a list that are followed: a million items, more than anybody reads.
const MAX_PAGES: usize = 1_000;

/// Times that a call is made which the daemon puts off, since it has many at once: each time it says how many seconds to wait.
const MAX_PUT_OFF: usize = 30;

/// Where the daemon is, and what opens it.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// Address of the daemon
    #[arg(long, value_name = "URL", env = "RERATE_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// File with a token, such as admin.token in the daemon's data folder [default: the token itself in RERATE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The tenant to act in as Manager User, by name or id: with one's own role there, seeing what its people see
    #[arg(long, value_name = "NAME|ID")]
    acting_in: Option<String>,
}

/// What every command takes that calls a daemon and prints what it says.
#[derive(Clone, Debug, clap::Args)]
pub struct Call {
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A change that may have been reviewed before.
#[derive(Clone, Debug, clap::Args)]
pub struct AsReviewed {
    /// Only if it still does what its review told: the number that --review ended with
    #[arg(long, value_name = "NUMBER", conflicts_with = "review")]
    reviewed: Option<i64>,
}

/// How a review ends: by what makes the change, and no other.
pub fn to_submit(review: &Value) -> String {
    format!("to do just this: the same command with --reviewed {} in place of --review", review["reviewed"])
}

impl Call {
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.server)
    }

    /// For calls that need no token, to the daemon at this address or else to the one that is named.
    pub fn visitor(&self, server: Option<&str>) -> Result<Client, Failure> {
        Client::visitor(server.unwrap_or(&self.server.server))
    }

    /// Prints an answer, as JSON or as people read it.
    pub fn answer(&self, answer: &impl Serialize, told: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            return Ok(output::print_json(answer)?);
        }
        output::print(&told());
        Ok(())
    }
}

impl ServerArgs {
    fn token(&self) -> Result<String, Failure> {
        let text = match &self.token_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| Failure::input(format!("{}: {error}", path.display())).next("--token-file DATA/admin.token"))?,
            None => std::env::var("RERATE_TOKEN").unwrap_or_default(),
        };
        let token = text.trim();
        if token.is_empty() {
            let next = "--token-file DATA/admin.token, where DATA is the folder that the daemon was started with, or set RERATE_TOKEN";
            return Err(Failure::input("the daemon wants a token and none is given").next(next));
        }
        Ok(token.to_owned())
    }
}

/// What the daemon answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Null where there is no body.
    pub body: Value,
}

impl Answer {
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// What a call shows.
enum Shown {
    Nothing,
    Token(String),
    /// A session's cookie, and the proof that changes need.
    Session {
        cookie: String,
        proof: String,
    },
}

/// Calls one daemon, one call at a time.
pub struct Client {
    base: Url,
    shown: Shown,
    /// The id of the tenant in which every call is made.
    acting_in: Option<String>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    pub fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let mut client = Self { shown: Shown::Token(args.token()?), ..Self::visitor(&args.server)? };
        if let Some(tenant) = &args.acting_in {
            client.acting_in = Some(super::tenant::id_of(&client, tenant)?);
        }
        Ok(client)
    }

    /// One that shows nothing, until it signs in.
    pub fn visitor(server: &str) -> Result<Self, Failure> {
        let wrong = |reason: &str| Failure::input(format!("--server {server}: {reason}")).next("an address such as http://127.0.0.1:8080");
        let base = Url::parse(server).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("not http or https"));
        }
        // A change that is sent on is sent as a question, and its answer would be taken for that of the change.
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_WITHIN).redirect(reqwest::redirect::Policy::none());
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            http = http.no_proxy(); // whatever the environment says: no proxy reaches this machine's own ports
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { base, shown: Shown::Nothing, acting_in: None, http: http.build()?, runtime })
    }

    /// Makes a call that begins a session, which every later call is made in.
    pub fn begin_session(&mut self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        let (status, cookie, bytes) = self.runtime.block_on(async {
            let response = self.sent(&Method::POST, path, Some(&json(body)?), None, Some(ANSWER_WITHIN)).await?;
            let cookie = response.headers().get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
            let cookie = cookie.unwrap_or_default().to_owned();
            Ok::<_, Failure>((response.status(), cookie, self.whole(response).await?))
        })?;
        let session = parsed(&bytes);
        if !status.is_success() {
            let failure = refused(status.as_u16(), &session);
            // Here it is not a token that is unknown.
            return Err(if status.as_u16() == 401 { Failure::input(session["detail"].as_str().unwrap_or_default()) } else { failure });
        }
        self.shown = Shown::Session { cookie, proof: session["csrf"].as_str().unwrap_or_default().to_owned() };
        Ok(session)
    }

    /// Where the daemon is, for messages.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// `path` begins with `/v1/`; put what a person typed through [`encode`] first.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.checked(Method::GET, path, None)
    }

    pub fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.checked(Method::POST, path, Some(json(body)?))
    }

    pub fn put(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.checked(Method::PUT, path, Some(json(body)?))
    }

    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.checked(Method::DELETE, path, None)
    }

    /// Sends bytes of a kind.
    pub fn post_bytes(&self, path: &str, kind: &str, bytes: Vec<u8>) -> Result<Value, Failure> {
        self.checked(Method::POST, path, Some((kind.to_owned(), bytes.into())))
    }

    /// What is not JSON: an exported file, say.
    pub fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let (status, bytes) = self.send(&Method::GET, path, None)?;
        if (200..300).contains(&status) { Ok(bytes) } else { Err(refused(status, &parsed(&bytes))) }
    }

    /// The lines of an answer as they come, until there are no more or one was enough.
    pub fn follow(&self, path: &str, mut enough: impl FnMut(&str) -> Result<bool, Failure>) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let mut response = self.sent(&Method::GET, path, None, None, None).await?;
            if !response.status().is_success() {
                let status = response.status().as_u16();
                return Err(refused(status, &parsed(&self.whole(response).await?)));
            }
            let mut text = Vec::new();
            while let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
                text.extend_from_slice(&bytes);
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    if enough(String::from_utf8_lossy(&line).trim_end())? {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// Asks what a change would do; `reviewed` in the answer is what [`AsReviewed`] takes.
    pub fn review(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.runtime.block_on(async {
            let response = self.sent(&Method::POST, path, Some(&json(body)?), None, Some(ANSWER_WITHIN)).await?;
            let status = response.status();
            let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()?.trim_matches('"').parse::<i64>().ok());
            let mut review = parsed(&self.whole(response).await?);
            if !status.is_success() {
                return Err(refused(status.as_u16(), &review));
            }
            review["reviewed"] = tag.into();
            Ok(review)
        })
    }

    /// A change, made only if what was reviewed still holds, if so asked.
    pub fn submit(&self, method: &Method, path: &str, body: Option<&Value>, reviewed: &AsReviewed) -> Result<Value, Failure> {
        let body = body.map(json).transpose()?;
        let (status, bytes) = self.runtime.block_on(async {
            let response = self.sent(method, path, body.as_ref(), reviewed.reviewed, Some(ANSWER_WITHIN)).await?;
            Ok::<_, Failure>((response.status(), self.whole(response).await?))
        })?;
        let Answer { status, body } = self.answer(status.as_u16(), &bytes)?;
        match status {
            412 => Err(refused(412, &body).next("the same command with --review: what it would do now")),
            200..300 => Ok(body),
            status => Err(refused(status, &body)),
        }
    }

    /// All items of a list that comes in pages. `path` may have a query.
    pub fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut after = String::new();
        for _ in 0..MAX_PAGES {
            let mut page = self.get(&format!("{path}{joint}limit=1000{after}"))?;
            if let Some(found) = page.get_mut("items").and_then(Value::as_array_mut) {
                items.append(found);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = format!("&after={}", encode(next)),
                None => break,
            }
        }
        Ok(items)
    }

    /// For a caller to whom a refusal is an answer too: any status, and the problem as it came.
    pub fn call(&self, method: &Method, path: &str, body: Option<(String, Bytes)>) -> Result<Answer, Failure> {
        let (status, bytes) = self.send(method, path, body)?;
        self.answer(status, &bytes)
    }

    /// An answer of a daemon. What is no JSON is of somebody else's, and would look like a list without items.
    fn answer(&self, status: u16, bytes: &[u8]) -> Result<Answer, Failure> {
        let body = serde_json::from_slice(bytes);
        if body.is_err() && (matches!(status, 200..300 if !bytes.is_empty()) || matches!(status, 300..400)) {
            let text = format!("what answers at {} is no rerate daemon: it says {status}", self.server());
            return Err(Failure::run(text).next("the daemon's own address in --server or RERATE_SERVER, with https where it is asked for"));
        }
        Ok(Answer { status, body: body.unwrap_or_default() })
    }

    fn checked(&self, method: Method, path: &str, body: Option<(String, Bytes)>) -> Result<Value, Failure> {
        let answer = self.call(&method, path, body)?;
        if answer.is_success() { Ok(answer.body) } else { Err(refused(answer.status, &answer.body)) }
    }

    fn send(&self, method: &Method, path: &str, body: Option<(String, Bytes)>) -> Result<(u16, Vec<u8>), Failure> {
        self.runtime.block_on(async {
            let response = self.sent(method, path, body.as_ref(), None, Some(ANSWER_WITHIN)).await?;
            Ok((response.status().as_u16(), self.whole(response).await?))
        })
    }

    /// The answer to one call, as soon as it begins.
    async fn sent(
        &self,
        method: &Method,
        path: &str,
        body: Option<&(String, Bytes)>,
        if_match: Option<i64>,
        within: Option<Duration>,
    ) -> Result<Response, Failure> {
        let mut left = MAX_PUT_OFF;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.server()));
            request = match &self.shown {
                Shown::Nothing => request,
                Shown::Token(token) => request.bearer_auth(token),
                Shown::Session { cookie, proof } => request.header(header::COOKIE, cookie).header("rerate-csrf", proof),
            };
            if let Some(within) = within {
                request = request.timeout(within);
            }
            if let Some(tenant) = &self.acting_in {
                request = request.header("rerate-tenant", tenant);
            }
            if let Some(tag) = if_match {
                request = request.header(header::IF_MATCH, format!("\"{tag}\""));
            }
            if let Some((kind, bytes)) = body {
                request = request.header(header::CONTENT_TYPE, kind).body(bytes.clone());
            }
            let response = request.send().await.map_err(|error| self.unreachable(&error))?;
            let later = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            match later.filter(|_| response.status().as_u16() == 429 && left > 0) {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => return Ok(response),
            }
            left -= 1;
        }
    }

    async fn whole(&self, response: Response) -> Result<Vec<u8>, Failure> {
        response.bytes().await.map(|bytes| bytes.to_vec()).map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let server = self.server();
        if error.is_connect() {
            return Failure::run(format!("no daemon answers at {server}"))
                .next("rerate serve --data DIR, or give --server (or RERATE_SERVER) the address of one that runs");
        }
        if error.is_timeout() {
            let text = format!("the daemon at {server} has not answered within {} s", ANSWER_WITHIN.as_secs());
            return Failure::run(text).next("its log, and the same call again: what was done already is not done twice");
        }
        let mut text = format!("the call to {server} failed: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            let _ = write!(text, ": {next}");
            cause = next.source();
        }
        Failure::run(text)
    }
}

/// An address with the fields of its query that are given.
pub fn query<'a>(path: &str, fields: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let given = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))));
    let given = given.collect::<Vec<_>>().join("&");
    if given.is_empty() { path.to_owned() } else { format!("{path}?{given}") }
}

/// A part of an address that may hold anything.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn json(body: &impl Serialize) -> Result<(String, Bytes), Failure> {
    Ok(("application/json".to_owned(), serde_json::to_vec(body)?.into()))
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}

/// A problem as a failure: its detail, and the places that it names. What the caller gave is wrong where the daemon says so; what does not
/// fit the data as it is, or failed inside, is a failed run.
pub fn refused(status: u16, problem: &Value) -> Failure {
    let mut text = match problem["detail"].as_str() {
        Some(detail) => detail.to_owned(),
        None => format!("the daemon answers with {status} and no word of why"),
    };
    let faults = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    if faults.len() > 1 {
        for fault in faults {
            let _ = write!(text, "\n  {}: {}", fault["pointer"].as_str().unwrap_or("/"), fault["detail"].as_str().unwrap_or_default());
        }
    }
    match status {
        401 => Failure::input("the daemon does not know this token").next("--token-file DATA/admin.token, or RERATE_TOKEN"),
        409 | 412 => Failure::run(text),
        400..500 => Failure::input(text),
        _ => Failure::run(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(server: &str, token_file: Option<PathBuf>) -> ServerArgs {
        ServerArgs { server: server.to_owned(), token_file, acting_in: None }
    }

    fn token_file(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("token");
        std::fs::write(&path, "rrt_x\n").unwrap();
        path
    }

    #[test]
    fn a_daemon_that_is_not_there_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        // A port that no test is given by chance.
        let client = Client::new(&args("http://127.0.0.1:1/", Some(token_file(&folder)))).unwrap();
        let failure = client.get("/v1/health").unwrap_err();
        assert_eq!(failure.message(), "no daemon answers at http://127.0.0.1:1");
        assert!(failure.next.unwrap().contains("rerate serve"));
    }

    #[test]
    fn an_address_or_a_token_file_that_is_none_is_bad_input() {
        let folder = tempfile::tempdir().unwrap();
        for server in ["127.0.0.1:8080", "ftp://host"] {
            let failure = Client::new(&args(server, Some(token_file(&folder)))).err().unwrap();
            assert!(failure.code == 2 && failure.message().contains(server), "{failure}");
        }
        let missing = folder.path().join("none");
        let failure = Client::new(&args("http://127.0.0.1", Some(missing))).err().unwrap();
        assert!(failure.code == 2 && failure.message().contains("none"), "{failure}");
    }

    #[test]
    fn who_answers_and_is_no_daemon_is_not_taken_for_one_that_has_nothing() {
        use std::io::{Read as _, Write as _};
        let folder = tempfile::tempdir().unwrap();
        for answer in
            ["200 OK\r\nContent-Length: 13\r\n\r\n<html></html>", "302 Found\r\nLocation: /v1/tenants\r\nContent-Length: 0\r\n\r\n"]
        {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let server = format!("http://{}", listener.local_addr().unwrap());
            let client = Client::new(&args(&server, Some(token_file(&folder)))).unwrap();
            let answering = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                write!(stream, "HTTP/1.1 {answer}").unwrap();
            });
            let failure = client.list("/v1/tenants").unwrap_err();
            answering.join().unwrap();
            assert!(failure.code == 1 && failure.message().contains(&format!("{server} is no rerate daemon")), "{failure}");
        }
    }

    #[test]
    fn a_problem_is_told_in_the_daemons_words_with_every_place() {
        let problem = serde_json::json!({"detail": "two places are wrong", "errors": [
            {"pointer": "/config/percent", "detail": "is missing"}, {"pointer": "/config/x", "detail": "is not known"}]});
        let failure = refused(422, &problem);
        assert_eq!(failure.message(), "two places are wrong\n  /config/percent: is missing\n  /config/x: is not known");
        assert_eq!((failure.code, refused(409, &problem).code), (2, 1));
        assert!(refused(502, &Value::Null).message().contains("502"));
    }

    #[test]
    fn what_a_person_typed_cannot_leave_its_place_in_the_address() {
        assert_eq!(encode("a/b?c d&é"), "a%2Fb%3Fc%20d%26%C3%A9");
        assert_eq!(query("/v1/runs", [("state", None), ("period", Some("2026&x=y".to_owned()))]), "/v1/runs?period=2026%26x%3Dy");
        assert_eq!(query("/v1/runs", [("state", None)]), "/v1/runs");
    }
}
