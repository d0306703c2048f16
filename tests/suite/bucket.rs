//! Bills in an S3-compatible bucket, against moto where Python has it (`pip install 'moto[server]'`).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::run::rerate;
use crate::server::Server;

/// Ends the process with the test.
pub(crate) struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SERVER: &str = "
import sys
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
sys.stdin.read()
";

/// A bucket with the files of a folder; none where moto is missing.
pub(crate) fn bucket(folder: &Path) -> Option<(Background, String)> {
    let found = Command::new("python3").args(["-c", "import moto.server, boto3, flask"]).stderr(Stdio::null()).status().ok()?;
    if !found.success() {
        return None;
    }
    let mut server = Command::new("python3");
    // It ends with the test, whose end closes its input.
    server.args(["-c", SERVER]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = server.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Some((Background(child), line.trim().to_owned()))
}

/// An integration once it has been looked through.
#[track_caller]
fn refreshed(server: &Server, id: &str) -> Value {
    server.wait(&format!("/v1/integrations/{id}"), |found| !found["last_refresh_at"].is_null() && found["status"] != "importing")
}

/// The month once it is divided again, which follows the import of its bills: so many charges are in it.
#[track_caller]
fn month(server: &Server, charges: u64) -> Value {
    server.wait("/v1/reports/margin", |report| report["months"][0]["source_charges"] == charges)["months"][0].clone()
}

/// A bill of so many lines in a folder, and a bucket with it.
fn billed(folder: &Path, rows: &str) -> Option<(PathBuf, Background, String)> {
    let bills = folder.join("bills");
    let made = rerate(&["bill", "generate", "--rows", rows, "--period", "2026-09", "--out", bills.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let Some((bucket, endpoint)) = bucket(&bills) else {
        println!("skipped: python3 has no moto");
        return None;
    };
    Some((bills, bucket, endpoint))
}

#[test]
fn a_bill_in_a_bucket_is_the_same_bill_as_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let Some((bills, _bucket, endpoint)) = billed(folder.path(), "3000") else { return };
    let data = folder.path().join("data");
    let server = Server::start_with(&data, &[("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);

    let create = |body: Value| refreshed(&server, server.post("/v1/integrations", &body)["id"].as_str().unwrap());
    let remote =
        create(json!({"name": "bucket", "kind": "s3", "location": "s3://bills/exports", "endpoint": endpoint, "region": "us-east-1"}));
    assert_eq!(remote["status"], "stable", "{remote}");
    let from_bucket = month(&server, 3000);
    let local = create(json!({"name": "folder", "kind": "folder", "location": bills}));
    assert_eq!(local["status"], "stable", "{local}");
    let both = month(&server, 6000);
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
    let Some((_, _bucket, endpoint)) = billed(folder.path(), "500") else { return };
    let data = folder.path().join("data");
    let nothing = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RERATE_SECRET_KEY"].map(|name| (name, ""));
    let nowhere = [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")];
    let server = Server::start_with(&data, &[&nothing[..], &nowhere].concat());

    let tenant = server.post("/v1/tenants", &json!({"name": "Acme"}))["id"].clone();
    let body = json!({"name": "own", "kind": "s3", "location": "s3://bills/exports", "endpoint": endpoint, "region": "us-east-1",
        "tenant_id": tenant});
    let id = server.post("/v1/integrations", &body)["id"].as_str().unwrap().to_owned();
    let without = refreshed(&server, &id);
    assert_eq!(without["error"], "a tenant's own bucket is read with its own credentials only, and none are set");
    let secret = "a-secret-that-nobody-sees";
    let set = server
        .put(&format!("/v1/integrations/{id}/credentials"), &json!({"access_key_id": "AKIATESTTESTTESTQRST", "secret_access_key": secret}));
    assert_eq!(set["credentials"]["access_key_ends"], "QRST");
    let path = format!("/v1/integrations/{id}");
    server.wait(&path, |found| found["status"] == "stable");
    // Everything is the tenant's, without anybody assigning it.
    assert_eq!(month(&server, 500)["unassigned_charges"], 0);

    let before = std::fs::read_to_string(data.join("secrets.key")).unwrap();
    assert_eq!(server.post("/v1/secrets/rotate", &json!({}))["sealed_again"], 1);
    assert_ne!(std::fs::read_to_string(data.join("secrets.key")).unwrap(), before);
    let looked = server.get(&path)["last_refresh_at"].clone();
    server.post(&format!("{path}/refresh"), &json!({}));
    server.wait(&path, |found| found["status"] == "stable" && found["last_refresh_at"] != looked);
    for file in files_below(&data) {
        let Ok(bytes) = std::fs::read(&file) else { continue }; // the daemon has removed it meanwhile
        let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{} has the secret in plain text", file.display());
    }
    let audit = server.get("/v1/audit?noun=credentials").to_string();
    assert!(audit.contains("QRST") && !audit.contains(secret));
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let own = entries.filter(|path| !path.is_symlink());
    own.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
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
