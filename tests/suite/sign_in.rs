//! Signing in through a real OpenID Connect provider: oidc-provider of npm, a browser that keeps cookies, and the daemon between.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::run::root;
use crate::server::Server;

const SECRET: &str = "a secret of forty characters, at the least";

/// Pages and redirects of one sign-in at most: an endless loop is a failure, not a hang.
const STEPS: usize = 20;

struct Provider {
    process: Child,
    issuer: String,
    /// Stays open: a program that cannot write any more ends.
    _output: ChildStdout,
}

impl Provider {
    /// None where node or the package is missing.
    fn start(server: &Server, algorithm: &str, groups: &Value) -> Option<Self> {
        let callback = format!("{}/v1/sign-in/callback", server.address());
        let script = root().join("tests/suite/sign_in/provider.mjs");
        let started = Command::new("node")
            .args([script.to_str().unwrap(), "rerate", SECRET, &callback, algorithm, &groups.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut process) = started else {
            println!("skipped: node is not installed");
            return None;
        };
        let mut output = process.stdout.take().unwrap();
        let line = BufReader::new(&mut output).lines().next();
        let Some(Ok(issuer)) = line else {
            process.wait().unwrap();
            println!("skipped: oidc-provider is in no folder of NODE_PATH (npm install --prefix target/npm oidc-provider)");
            return None;
        };
        Some(Self { process, issuer, _output: output })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Follows redirects, keeps cookies by site, and fills in the forms of the provider.
struct Browser {
    agent: ureq::Agent,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

struct Page {
    url: String,
    status: u16,
    location: Option<String>,
    text: String,
}

impl Browser {
    fn new() -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).max_redirects_will_error(false);
        Self { agent: config.build().into(), cookies: BTreeMap::new() }
    }

    fn send(&mut self, url: &str, form: Option<&str>) -> Page {
        let site = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let kept = self.cookies.entry(site).or_default();
        let cookies = kept.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut answer = match form {
            Some(form) => {
                let request = self.agent.post(url).header("Cookie", cookies);
                request.header("Content-Type", "application/x-www-form-urlencoded").send(form).unwrap()
            }
            None => self.agent.get(url).header("Cookie", cookies).call().unwrap_or_else(|error| panic!("{url}: {error}")),
        };
        for cookie in answer.headers().get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let text = answer.body_mut().read_to_string().unwrap();
        Page { url: url.to_owned(), status: answer.status().as_u16(), location, text }
    }

    /// Goes where it is sent, signing in as this person wherever the provider asks, until a page of `stop_at` is there.
    fn go(&mut self, url: &str, person: &str, stop_at: &str) -> Page {
        let mut page = self.send(url, None);
        for _ in 0..STEPS {
            if let Some(location) = &page.location {
                let site = page.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
                let next = if location.starts_with('/') { format!("{site}{location}") } else { location.clone() };
                page = self.send(&next, None);
            } else if let (false, Some(action)) = (page.url.starts_with(stop_at), between(&page.text, "action=\"", "\"")) {
                let form = if page.text.contains("name=\"login\"") {
                    format!("prompt=login&login={person}&password=any")
                } else {
                    "prompt=consent".to_owned()
                };
                page = self.send(action, Some(&form));
            } else {
                return page;
            }
        }
        panic!("sent around in circles, last to {}", page.url);
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(begin)? + begin.len()..];
    rest.find(end).map(|at| &rest[..at])
}

fn settings(provider: &Provider) -> Value {
    json!({"issuer": provider.issuer, "client_id": "rerate", "client_secret": SECRET, "scopes": ["email", "profile", "groups"],
        "roles": [{"group": "owners", "role": "owner"}, {"group": "finance", "role": "viewer"}], "just_in_time": true})
}

/// What a sign-in ends with: who somebody is now, or the problem.
fn sign_in(browser: &mut Browser, server: &Server, organisation: &str, person: &str) -> (u16, Value) {
    let begin = format!("{}/v1/sign-in/{organisation}?return_to=/v1/whoami", server.address());
    let page = browser.go(&begin, person, server.address());
    (page.status, serde_json::from_str(&page.text).unwrap_or_else(|_| panic!("{}: {}", page.url, page.text)))
}

#[test]
fn people_sign_in_through_their_organisations_provider_as_what_their_groups_say() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let groups = json!({"ada": ["owners"], "finn": ["all", "finance"], "carl": ["owners"]});
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let Some(provider) = Provider::start(&server, algorithm, &groups) else { return };
        let shown = server.put("/v1/organisations/msp/sign-in", &settings(&provider));
        assert_eq!((shown["has_secret"].as_bool(), shown.get("client_secret")), (Some(true), None), "{shown}");
        assert_eq!(shown["redirect_uri"], format!("{}/v1/sign-in/callback", server.address()));

        let (status, ada) = sign_in(&mut Browser::new(), &server, "msp", &format!("ada{}", algorithm.to_lowercase()));
        assert_eq!(status, 403, "{ada}");
        assert_eq!(ada["detail"], "you are not let in: none of your groups has a role here: ask an Owner");
    }

    let Some(provider) = Provider::start(&server, "EdDSA", &groups) else { return };
    server.put("/v1/organisations/msp/sign-in", &settings(&provider));
    let mut browser = Browser::new();
    let (status, ada) = sign_in(&mut browser, &server, "msp", "ada");
    assert_eq!(status, 200, "{ada}");
    assert_eq!((&ada["name"], &ada["role"], &ada["organisation"]), (&json!("ada@people.example"), &json!("owner"), &json!("msp")));
    // The second time they are known.
    assert_eq!(sign_in(&mut browser, &server, "msp", "ada").1["user_id"], ada["user_id"]);
    let (_, finn) = sign_in(&mut Browser::new(), &server, "msp", "finn");
    assert_eq!((&finn["role"], &finn["organisation"]), (&json!("viewer"), &json!("msp")));

    // A tenant's provider lets people into that tenant and nowhere else.
    let tenant = server.post("/v1/tenants", &json!({"name": "Acme"}))["id"].as_str().unwrap().to_owned();
    server.put(&format!("/v1/organisations/{tenant}/sign-in"), &settings(&provider));
    let mut carls = Browser::new();
    let (_, carl) = sign_in(&mut carls, &server, &tenant, "carl");
    assert_eq!((&carl["role"], &carl["organisation"]), (&json!("owner"), &json!(tenant)));
    assert_eq!(carls.send(&format!("{}/v1/rules", server.address()), None).status, 403);
    // It vouches for an address of the MSP's people: they are not let in by it.
    let (status, refused) = sign_in(&mut Browser::new(), &server, &tenant, "ada");
    assert_eq!((status, refused["detail"].as_str().unwrap().contains("known in another organisation")), (403, true), "{refused}");

    // What the browser brings back must be what it began with.
    let stranger = Browser::new().send(&format!("{}/v1/sign-in/callback?code=x&state=y", server.address()), None);
    assert_eq!(stranger.status, 422, "{}", stranger.text);
    let begin = format!("{}/v1/sign-in/msp", server.address());
    let mut interrupted = Browser::new();
    assert_eq!(interrupted.send(&begin, None).status, 303);
    let forged = interrupted.send(&format!("{}/v1/sign-in/callback?code=x&state=y&iss={}", server.address(), provider.issuer), None);
    assert!(forged.text.contains("its state is another one"), "{}", forged.text);

    // Settings that do not fit the provider.
    let wrong = json!({"client_secret": "another", "issuer": provider.issuer, "client_id": "rerate", "roles": [], "just_in_time": false});
    server.put("/v1/organisations/msp/sign-in", &wrong);
    let (status, refused) = sign_in(&mut Browser::new(), &server, "msp", "ada");
    assert_eq!((status, refused["detail"].as_str().unwrap().starts_with("the provider refused: invalid_client")), (401, true), "{refused}");

    // Without the provider its sessions end.
    assert_eq!(browser.send(&format!("{}/v1/whoami", server.address()), None).status, 200);
    server.delete("/v1/organisations/msp/sign-in");
    assert_eq!(browser.send(&format!("{}/v1/whoami", server.address()), None).status, 401);
}
