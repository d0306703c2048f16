//! A daemon in a process of its own, and a client for it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::{CACHE, Ran, rerate_with};

/// How long anything may take that a test waits for; these machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Server {
    process: Child,
    address: String,
    token: String,
    agent: ureq::Agent,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// A daemon that has to compile its rules itself.
    pub(crate) fn start_without_cache(data: &Path) -> Self {
        std::fs::create_dir_all(data.join(COMPILED)).unwrap();
        Self::start(data)
    }

    /// With these in its environment; what is empty is taken out of it.
    pub(crate) fn start_with(data: &Path, environment: &[(&str, &str)]) -> Self {
        share_compiled(data);
        let mut process = Command::new(env!("CARGO_BIN_EXE_rerate"));
        process
            .args(["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()])
            // Tests that must not miss a moment ask without a pause.
            .env("RERATE_RATE_LIMIT", "1000000")
            .stdout(Stdio::piped());
        for (name, value) in environment {
            if value.is_empty() {
                process.env_remove(name)
            } else {
                process.env(name, value)
            };
        }
        let mut process = process.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = |what: &str| {
            let line = lines.next().expect("the daemon says where it is").unwrap();
            line.strip_prefix(what).unwrap_or_else(|| panic!("{line:?} does not begin with {what:?}")).trim().to_owned()
        };
        let address = after("listening on");
        let token = std::fs::read_to_string(PathBuf::from(after("token in"))).unwrap().trim().to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        Self { process, address, token, agent }
    }

    /// A command of the command line against this daemon.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        self.cli_with(arguments, &[])
    }

    /// What a command that must succeed prints.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let ran = self.cli(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// What it prints for programs.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).unwrap()
    }

    pub(crate) fn cli_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let own = [("RERATE_SERVER", self.address.as_str()), ("RERATE_TOKEN", self.token.as_str())];
        rerate_with(arguments, &[&own, environment].concat())
    }

    /// As a power cut: no chance to tidy up.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until it answers to nobody new.
    #[track_caller]
    pub(crate) fn wait_until_it_takes_no_calls(&self) {
        let since = Instant::now();
        while TcpStream::connect(self.host()).is_ok() {
            assert!(since.elapsed() < PATIENCE, "it takes calls still");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end; gives what it exits with.
    #[track_caller]
    pub(crate) fn wait_for_its_end(mut self) -> Option<i32> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(since.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A call of which only the head is sent, on a connection of its own.
    pub(crate) fn begin(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let bearer = self.bearer();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: daemon\r\nAuthorization: {bearer}\r\n{headers}\r\n").unwrap();
        stream
    }

    fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Stops its every thread where it is (`STOP`), or lets it go on (`CONT`).
    #[track_caller]
    pub(crate) fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let mut answer = self.agent.get(self.url(path)).header("Authorization", self.bearer()).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn status_without_token(&self, path: &str) -> u16 {
        self.agent.get(self.url(path)).call().unwrap().status().as_u16()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.agent.post(self.url(path)).header("Authorization", self.bearer()).send_json(body).unwrap();
        read(path, answer)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Value {
        let answer = self.agent.put(self.url(path)).header("Authorization", self.bearer()).send_json(body).unwrap();
        read(path, answer)
    }

    pub(crate) fn delete(&self, path: &str) {
        let answer = self.agent.delete(self.url(path)).header("Authorization", self.bearer()).call().unwrap();
        assert_eq!(answer.status(), 204, "DELETE {path}");
    }

    /// A call with these headers and no token of ours.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let mut answer = self.agent.run(request.body(text).unwrap()).unwrap();
        let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()?.split(';').next().map(str::to_owned));
        let text = String::from_utf8_lossy(&answer.body_mut().read_to_vec().unwrap()).into_owned();
        Answer { status: answer.status().as_u16(), cookie, text }
    }

    /// A call with somebody's token: status and body.
    pub(crate) fn call_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.request(method, path, &[("Authorization", &format!("Bearer {token}"))], body);
        (answer.status, answer.json())
    }

    /// The problem that a deletion meets.
    pub(crate) fn refused_delete(&self, path: &str) -> Value {
        let mut answer = self.agent.delete(self.url(path)).header("Authorization", self.bearer()).call().unwrap();
        assert!(answer.status().as_u16() >= 400, "DELETE {path} is done");
        answer.body_mut().read_json().unwrap()
    }

    /// A deployment that nobody waits for.
    pub(crate) fn start_deploy(&self, component: &[u8]) -> Value {
        let request = self.agent.post(self.url("/v1/plugins?wait=false")).header("Authorization", self.bearer());
        let mut answer = request.header("Content-Type", "application/wasm").send(component).unwrap();
        assert_eq!(answer.status().as_u16(), 202);
        answer.body_mut().read_json().unwrap()
    }

    /// Status and problem, or the plugin that is now active.
    pub(crate) fn deploy(&self, component: &[u8]) -> (u16, Value) {
        let request = self.agent.post(self.url("/v1/plugins")).header("Authorization", self.bearer());
        let mut answer = request.header("Content-Type", "application/wasm").send(component).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
    }

    /// Listens from now on.
    pub(crate) fn listen(&self, kind: &'static str) -> Listening {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        write!(stream, "GET /v1/events HTTP/1.1\r\nHost: daemon\r\nAuthorization: {}\r\n\r\n", self.bearer()).unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.is_empty()), "the events begin");
        let (sender, heard) = mpsc::channel();
        std::thread::spawn(move || {
            let events = lines.filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            events.filter(|event| event["kind"] == kind).try_for_each(|event| sender.send(event))
        });
        Listening(heard)
    }

    /// Asks without a pause, so that what lasts for a tenth of a second is seen: whether it was seen before it was over. A busy machine may
    /// be too slow to see it, so what a test asserts must hold either way.
    #[track_caller]
    pub(crate) fn catch(&self, path: &str, seen: impl Fn(&Value) -> bool, is_over: impl Fn() -> bool) -> bool {
        let since = Instant::now();
        loop {
            if seen(&self.get(path)) {
                return true;
            }
            if is_over() {
                println!("GET {path}: it was over before it was seen");
                return false;
            }
            assert!(since.elapsed() < PATIENCE, "GET {path} never showed it");
        }
    }

    /// Catches a rating after which the only tenant is charged this.
    #[track_caller]
    pub(crate) fn catch_rating(&self, charged: &Value) -> bool {
        let is_over = || self.get("/v1/reports/margin")["tenants"][0]["charged"] == *charged;
        self.catch("/v1/runs?state=running", |page| !items(page).is_empty(), is_over)
    }

    /// Asks until the answer will do.
    #[track_caller]
    pub(crate) fn wait(&self, path: &str, will_do: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let answer = self.get(path);
            if will_do(&answer) {
                return answer;
            }
            assert!(since.elapsed() < PATIENCE, "GET {path} is still: {answer:#}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The margin report once these tenants are charged these amounts and nothing is under way.
    #[track_caller]
    pub(crate) fn charged(&self, amounts: &[(&str, &str)]) -> Value {
        self.wait("/v1/reports/margin", |report| {
            let tenants = report["tenants"].as_array().cloned().unwrap_or_default();
            let is_charged = |(name, amount): &(&str, &str)| tenants.iter().any(|t| t["tenant"] == *name && t["charged"] == *amount);
            tenants.len() == amounts.len() && tenants.iter().all(|t| t["state"] == "current") && amounts.iter().all(is_charged)
        })
    }
}

/// Where a daemon keeps its compiled rules, below its data folder.
const COMPILED: &str = "plugins-compiled";

/// A new daemon has what others compiled: each would spend seconds on the same built-in rules.
fn share_compiled(data: &Path) {
    if !data.join(COMPILED).exists() {
        let shared = Path::new(CACHE).join("rerate");
        let private = |folder: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap();
        private(&shared);
        private(data);
        std::os::unix::fs::symlink(shared, data.join(COMPILED)).unwrap();
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its name and value.
    pub(crate) cookie: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    /// Null where the body is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// Events of one kind, as they come.
pub(crate) struct Listening(mpsc::Receiver<Value>);

impl Listening {
    /// All of them up to the first that will do.
    #[track_caller]
    pub(crate) fn until(&self, will_do: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let event = self.0.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only this was heard: {heard:?}"));
            let enough = will_do(&event);
            heard.push(event);
            if enough {
                return heard;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The items of a page.
#[track_caller]
pub(crate) fn items(page: &Value) -> &[Value] {
    page["items"].as_array().unwrap_or_else(|| panic!("{page} has no items"))
}

fn read(path: &str, mut answer: ureq::http::Response<ureq::Body>) -> Value {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap();
    assert!((200..300).contains(&status), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
