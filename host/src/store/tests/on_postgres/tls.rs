//! TLS to the server: its certificate is checked against the authority that the address names, and its name with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// A server of its own whose certificate is `localhost`'s, signed by an authority made for it.
struct Secured {
    port: u16,
    /// The authority's certificate.
    authority: PathBuf,
    /// One that has signed nothing here.
    stranger: PathBuf,
    _server: server::Server,
}

/// None where no server or no OpenSSL is installed.
fn secured() -> Option<Secured> {
    let binaries = server::binaries()?;
    Command::new("openssl").arg("version").stdout(Stdio::null()).status().ok()?;
    let folder = server::new_folder();
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output().expect("openssl");
        assert!(made.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["authority", "stranger"] {
        openssl(&format!(
            "req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
        ));
    }
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("names");
    openssl("x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem -days 2 -extfile names");
    for name in ["server.key", "server.pem"] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).expect("permissions");
        server::hand_over(&folder.join(name));
    }
    // Of those that no other program is given by chance between this look and the server's start.
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("a small number");
    let port = (first..32_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port");
    let listens =
        format!("-c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file={0}/server.pem -c ssl_key_file={0}/server.key", folder.display());
    let (authority, stranger) = (folder.join("authority.pem"), folder.join("stranger.pem"));
    Some(Secured { port, authority, stranger, _server: server::start(binaries, folder, &listens, port) })
}

#[tokio::test]
async fn only_the_server_that_the_authority_signed_for_this_name_is_talked_to() {
    let Some(secured) = secured() else {
        eprintln!("skipped: only_the_server_that_the_authority_signed_for_this_name_is_talked_to: PostgreSQL or OpenSSL is not installed");
        return;
    };
    let open = async |host: &str, mode: &str, root: &std::path::Path| {
        let (port, root) = (secured.port, root.display());
        let url = format!("postgres://rerate@{host}:{port}/postgres?sslmode={mode}&sslrootcert={root}");
        Store::open(&url, scripted()).await
    };
    let store = open("localhost", "verify-full", &secured.authority).await.unwrap();
    store.tenant_create(&named("Acme")).await.unwrap();
    let encrypted: bool =
        sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetch_one(&store.read).await.unwrap();
    assert!(encrypted);
    assert!(open("localhost", "verify-full", &secured.stranger).await.is_err(), "signed by somebody else");
    assert!(open("127.0.0.1", "verify-full", &secured.authority).await.is_err(), "another name");
    assert!(open("127.0.0.1", "verify-ca", &secured.authority).await.is_ok(), "the name is not asked for");
}
