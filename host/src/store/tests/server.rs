//! A PostgreSQL server of the test process's own: from the system's binaries, in a temporary folder, on a unix socket there.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Starting up takes a second or two; a busy machine is given a minute.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// What a server listens on beside its socket.
const NOTHING_ELSE: &str = "-c listen_addresses=";

/// Ends with the process: its standard input is the only thing that keeps the server alive.
pub(crate) struct Server {
    folder: PathBuf,
    binaries: PathBuf,
    port: u16,
    _running: Child,
}

const DEFAULT_PORT: u16 = 5432;

/// The address of a database that nobody has used yet; none where no server is installed.
pub(crate) fn fresh_database() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let server = SERVER.get_or_init(|| binaries().map(|binaries| start(binaries, new_folder(), NOTHING_ELSE, DEFAULT_PORT))).as_ref()?;
    let name = format!("fresh{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server.psql("postgres", &format!("CREATE DATABASE {name}")).expect("a database");
    Some(format!("postgres://rerate@localhost/{name}?host={}&sslmode=disable", server.folder.display()))
}

/// Where Debian and others put the newest server.
pub(crate) fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).chain([PathBuf::from("/usr/bin")]).collect();
    found.retain(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
    found.sort();
    found.pop()
}

pub(crate) fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("rerate-postgres-").tempdir().expect("a folder").keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("permissions");
    hand_over(&folder);
    folder
}

/// To who the server runs as.
pub(crate) fn hand_over(path: &Path) {
    if let Some(user) = unprivileged() {
        chown(path, Some(user), None).expect("an owner");
    }
}

pub(crate) fn start(binaries: PathBuf, folder: PathBuf, listens: &str, port: u16) -> Server {
    let user = unprivileged();
    // Text is sorted by language here, as on most servers: what must be sorted by bytes has to say so.
    let initdb = command(&binaries.join("initdb"), user)
        .args(["--no-sync", "--auth=trust", "--username=rerate", "--encoding=UTF8", "--locale=C.UTF-8"])
        .args(["--locale-provider=icu", "--icu-locale=en-US", "--pgdata"])
        .arg(folder.join("data"))
        .current_dir(&folder)
        .output()
        .expect("initdb");
    assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
    // The shell stops the server and removes the folder when the test process is gone, however it went.
    let script = format!(
        "\"$0\" -D data -k \"$PWD\" -p {port} {listens} -c fsync=off -c max_connections=200 >log 2>&1 & read line; \
         kill -QUIT $!; wait; cd /; rm -rf \"$1\""
    );
    let running = command(Path::new("/bin/sh"), user)
        .args(["-c", &script])
        .arg(binaries.join("postgres"))
        .arg(&folder)
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    let server = Server { folder, binaries, port, _running: running };
    let begun = Instant::now();
    while let Err(why) = server.psql("postgres", "SELECT 1") {
        assert!(begun.elapsed() < STARTS_WITHIN, "the server does not start: {why}");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

impl Server {
    fn psql(&self, database: &str, statement: &str) -> Result<(), String> {
        let mut psql = Command::new(self.binaries.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=rerate", "--host"])
            .arg(&self.folder)
            .arg(format!("--port={}", self.port))
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        psql.stdin.take().ok_or("no input")?.write_all(statement.as_bytes()).map_err(|error| error.to_string())?;
        let output = psql.wait_with_output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

/// PostgreSQL refuses to run as root: then somebody else's number.
fn unprivileged() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata("/proc/self").expect("/proc").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let number = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    Some(number("postgres").or_else(|| number("nobody")).expect("a user who is not root"))
}

fn command(program: &Path, user: Option<u32>) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user);
    }
    command
}
