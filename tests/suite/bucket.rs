//! Bills in an S3-compatible bucket, against moto where Python has it (`pip install 'moto[server]'`).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::run::{rerate, root};

/// Ends the process with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SERVER: &str = "
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
import boto3, pathlib
address = 'http://%s:%d' % server.get_host_and_port()
s3 = boto3.client('s3', endpoint_url=address, aws_access_key_id='test', aws_secret_access_key='test', region_name='us-east-1')
s3.create_bucket(Bucket='bills')
for path in pathlib.Path(sys.argv[1]).rglob('*'):
    if path.is_file():
        s3.upload_file(str(path), 'bills', 'exports/' + path.relative_to(sys.argv[1]).as_posix())
print(address, flush=True)
time.sleep(600)
";

/// A bucket with the files of a folder; none where moto is missing.
fn bucket(folder: &Path) -> Option<(Background, String)> {
    let found = Command::new("python3").args(["-c", "import moto.server, boto3, flask"]).stderr(Stdio::null()).status().ok()?;
    if !found.success() {
        return None;
    }
    let mut server = Command::new("python3");
    server.args(["-c", SERVER]).arg(folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let (server, line) = started(server);
    Some((server, line))
}

/// Starts a program and reads its first line.
fn started(mut command: Command) -> (Background, String) {
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Background(child), line.trim().to_owned())
}

struct Api {
    base: String,
    token: String,
}

impl Api {
    fn get(&self, path: &str) -> Value {
        let request = ureq::get(format!("{}{path}", self.base)).header("authorization", format!("Bearer {}", self.token));
        request.call().unwrap().body_mut().read_json().unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.base)).header("authorization", format!("Bearer {}", self.token));
        request.send_json(body).unwrap().body_mut().read_json().unwrap()
    }

    fn put(&self, path: &str, body: &Value) -> Value {
        let request = ureq::put(format!("{}{path}", self.base)).header("authorization", format!("Bearer {}", self.token));
        request.send_json(body).unwrap().body_mut().read_json().unwrap()
    }

    /// Waits until the integration has been looked through.
    fn refreshed(&self, id: &str) -> Value {
        for _ in 0..600 {
            let integration = self.get(&format!("/v1/integrations/{id}"));
            if !integration["last_refresh_at"].is_null() && integration["status"] != "importing" {
                return integration;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the integration was not refreshed within a minute");
    }

    /// The month once it is divided again, which follows the import of its bills: so many charges are in it.
    fn month(&self, charges: u64) -> Value {
        for _ in 0..600 {
            let month = self.get("/v1/reports/margin")["months"][0].clone();
            if month["source_charges"] == charges {
                return month;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("not {charges} charges within a minute: {}", self.get("/v1/reports/margin"));
    }
}

#[test]
fn a_bill_in_a_bucket_is_the_same_bill_as_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let bills = folder.path().join("bills");
    let made = rerate(&["bill", "generate", "--rows", "3000", "--period", "2026-09", "--out", bills.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let Some((_bucket, endpoint)) = bucket(&bills) else {
        eprintln!("skipped: python3 has no moto");
        return;
    };
    let data = folder.path().join("data");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_rerate"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).current_dir(root());
    serve.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").stdout(Stdio::piped());
    let (_daemon, line) = started(serve);
    let base = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    let api = Api { base, token: std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned() };

    let create = |body: Value| api.refreshed(api.post("/v1/integrations", &body)["id"].as_str().unwrap());
    let remote =
        create(json!({"name": "bucket", "kind": "s3", "location": "s3://bills/exports", "endpoint": endpoint, "region": "us-east-1"}));
    assert_eq!(remote["status"], "stable", "{remote}");
    let from_bucket = api.month(3000);
    let local = create(json!({"name": "folder", "kind": "folder", "location": bills}));
    assert_eq!(local["status"], "stable", "{local}");
    let both = api.month(6000);
    let amount = |month: &Value| month["source"].as_str().unwrap().parse::<rerate::domain::money::Amount>().unwrap();
    assert_eq!(amount(&both).0, 2 * amount(&from_bucket).0);

    // What was imported needs no space any more, and is not imported again.
    let spooled = std::fs::read_dir(data.join("spool")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(bytes_of(&spooled, "gz"), 0);
    let missing =
        create(json!({"name": "none", "kind": "s3", "location": "s3://no-such-bucket", "endpoint": endpoint, "region": "us-east-1"}));
    assert_eq!(missing["status"], "error");
    assert_eq!(missing["error"], "the bucket s3://no-such-bucket: NoSuchBucket: The specified bucket does not exist");
}

/// A second daemon, without any credentials of its own.
#[test]
fn an_integrations_own_credentials_open_its_bucket_and_are_nowhere_in_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let bills = folder.path().join("bills");
    let made = rerate(&["bill", "generate", "--rows", "500", "--period", "2026-09", "--out", bills.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let Some((_bucket, endpoint)) = bucket(&bills) else {
        eprintln!("skipped: python3 has no moto");
        return;
    };
    let data = folder.path().join("data");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_rerate"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).current_dir(root()).stdout(Stdio::piped());
    serve.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("RERATE_SECRET_KEY");
    serve.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9");
    let (_daemon, line) = started(serve);
    let base = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    let api = Api { base, token: std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned() };

    let tenant = api.post("/v1/tenants", &json!({"name": "Acme"}))["id"].clone();
    let body = json!({"name": "own", "kind": "s3", "location": "s3://bills/exports", "endpoint": endpoint, "region": "us-east-1",
        "tenant_id": tenant});
    let id = api.post("/v1/integrations", &body)["id"].as_str().unwrap().to_owned();
    let without = api.refreshed(&id);
    assert_eq!(without["error"], "a tenant's own bucket is read with its own credentials only, and none are set");
    let secret = "a-secret-that-nobody-sees";
    let set = api
        .put(&format!("/v1/integrations/{id}/credentials"), &json!({"access_key_id": "AKIATESTTESTTESTQRST", "secret_access_key": secret}));
    assert_eq!(set["credentials"]["access_key_ends"], "QRST");
    let stable = || {
        for _ in 0..600 {
            let integration = api.get(&format!("/v1/integrations/{id}"));
            if integration["status"] == "stable" {
                return integration;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("not stable within a minute: {}", api.get(&format!("/v1/integrations/{id}")));
    };
    stable();
    // Everything is the tenant's, without anybody assigning it.
    assert_eq!(api.month(500)["unassigned_charges"], 0);

    let before = std::fs::read_to_string(data.join("secrets.key")).unwrap();
    assert_eq!(api.post("/v1/secrets/rotate", &json!({}))["sealed_again"], 1);
    assert_ne!(std::fs::read_to_string(data.join("secrets.key")).unwrap(), before);
    api.post(&format!("/v1/integrations/{id}/refresh"), &json!({}));
    std::thread::sleep(Duration::from_millis(500));
    stable();
    for file in files_below(&data) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{} has the secret in plain text", file.display());
    }
    let audit = api.get("/v1/audit?noun=credentials").to_string();
    assert!(audit.contains("QRST") && !audit.contains(secret));
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Bytes of the files with this ending below a folder.
fn bytes_of(folder: &Path, ending: &str) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sizes = entries.map(|path| match path.is_dir() {
        true => bytes_of(&path, ending),
        false if path.extension().is_some_and(|found| found == ending) => path.metadata().unwrap().len(),
        false => 0,
    });
    sizes.sum()
}
