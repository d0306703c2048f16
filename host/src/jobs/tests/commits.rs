//! Changes in the middle of which the connection to the database broke, before their commit or between it and its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::World;
use crate::jobs::Change;
use crate::store::tests::server::fresh_database;
use crate::store::{IntegrationStatus, RunState};

const SOCKET: &str = ".s.PGSQL.5432";

/// Between a daemon and its database. Once it is told to, it breaks a connection on which a statement with this text came: at the
/// statement, or after it has let the commit through that follows, before the answer.
#[derive(Clone)]
struct Between {
    statement: &'static str,
    commits: bool,
    breaks: Arc<AtomicBool>,
}

impl Between {
    /// The same database, through a socket in this folder.
    fn listen(&self, database: &str, folder: &Path) -> String {
        let (_, rest) = database.split_once("host=").unwrap();
        let (server, _) = rest.split_once('&').unwrap();
        let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
        let (this, socket) = (self.clone(), PathBuf::from(server).join(SOCKET));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(this.clone().pass(client, UnixStream::connect(&socket).await.unwrap()));
            }
        });
        database.replace(server, &folder.display().to_string())
    }

    async fn pass(self, client: UnixStream, server: UnixStream) {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.into_split(), server.into_split());
        let (mut asked, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut is_chosen = false;
        loop {
            tokio::select! {
                read = from_client.read(&mut asked) => {
                    let Ok(1..) = read else { return };
                    let said = &asked[..read.unwrap()];
                    let has = |text: &str| said.windows(text.len()).any(|found| found == text.as_bytes());
                    is_chosen |= self.breaks.load(SeqCst) && has(self.statement);
                    if is_chosen && !self.commits {
                        self.breaks.store(false, SeqCst);
                        return;
                    }
                    let is_last = is_chosen && has("COMMIT");
                    to_server.write_all(said).await.unwrap();
                    if is_last {
                        self.breaks.store(false, SeqCst);
                        from_server.read_exact(&mut answer[..1]).await.unwrap(); // it is committed
                        return;
                    }
                }
                read = from_server.read(&mut answer) => {
                    let Ok(1..) = read else { return };
                    if to_client.write_all(&answer[..read.unwrap()]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_whose_publication_was_not_answered_keeps_its_files() {
    let Some(database) = fresh_database() else {
        eprintln!("skipped: a_bill_whose_publication_was_not_answered_keeps_its_files: PostgreSQL's server is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let between = Between { statement: "INSERT INTO snapshot_subaccounts", commits: true, breaks: Arc::default() };
    let world = World::on(&between.listen(&database, folder.path())).await;
    between.breaks.store(true, SeqCst);
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    let integration = world.integration("aws").await;
    assert!(!between.breaks.load(SeqCst), "the connection broke");
    let acme = world.tenant("Acme", &["111"]).await;
    let failed = world.all_runs().await.into_iter().find_map(|run| run.failure);
    assert_eq!(failed, None);
    assert_eq!(world.charged(&acme).await, "10");
    world.changed(Change::Refresh { integration_id: integration.id.clone() }).await;
    assert_eq!(world.store.integration(&integration.id).await.unwrap().status, IntegrationStatus::Stable);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_could_not_be_published_for_want_of_the_database_is_tried_again() {
    let Some(database) = fresh_database() else {
        eprintln!(
            "skipped: a_run_that_could_not_be_published_for_want_of_the_database_is_tried_again: PostgreSQL's server is not installed"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let between = Between { statement: "UPDATE runs SET state = 'done'", commits: false, breaks: Arc::default() };
    let world = World::on(&between.listen(&database, folder.path())).await;
    world.write_bill("aws", &[("2026-09", "111", "EC2", "10")]);
    world.integration("aws").await;
    between.breaks.store(true, SeqCst);
    world.tenant("Acme", &["111"]).await;
    assert!(!between.breaks.load(SeqCst), "the connection broke");
    let states: Vec<_> = world.all_runs().await.into_iter().map(|run| (run.state, run.again)).collect();
    assert_eq!(states, [(RunState::Failed, true)]);
    world.stop().await;
}
