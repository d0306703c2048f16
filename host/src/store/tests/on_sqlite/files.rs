//! What only a file can be.

use super::*;
use sqlx::{Connection, SqliteConnection};

#[tokio::test]
async fn a_database_of_before_the_booleans_were_numbers_opens_and_keeps_its_disabled_plugins() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("rerate.db").display());
    let mut old = SqliteConnection::connect(&url).await.unwrap();
    sqlx::migrate!("src/store/migrations").run_to(5, &mut old).await.unwrap();
    let version = "INSERT INTO plugin_versions VALUES ('d', 'markup', '1', 'Markup', '', '{}', '[]', 1, 'upload', 1)";
    let plugins =
        "INSERT INTO plugins (name, active_digest, disabled, version, created_at, updated_at) VALUES ('markup', 'd', TRUE, 1, 1, 1)";
    for statement in [version, plugins] {
        sqlx::query(statement).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();
    let store = Store::open(&url, Clock::system()).await.unwrap();
    assert!(store.plugin("markup").await.unwrap().disabled);
    assert!(!store.plugin_set_disabled("markup", false, None).await.unwrap().disabled);
}

#[tokio::test]
async fn any_name_of_a_file_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a %20?b#c é=&.db");
    Store::open_file(&path, Clock::system()).await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn a_committed_change_is_synced_to_the_write_ahead_log() {
    let fresh = fresh().await.unwrap();
    let mut tx = fresh.begin().await.unwrap();
    for (pragma, value) in
        [("SELECT journal_mode FROM pragma_journal_mode", "wal"), ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2")]
    {
        let set: String = sqlx::query_scalar(pragma).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(set, value, "{pragma}");
    }
}
