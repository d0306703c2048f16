use super::*;
use sqlx::{Connection, SqliteConnection};

/// Moves every row to an empty database.
async fn moved(from: &str, to: &str) -> Result<()> {
    let mut dump = Dump::open(from).await?;
    let mut fill = Fill::begin(to, &dump.migrations().await?).await?;
    for table in dump.tables().await? {
        let mut rows = Vec::new();
        dump.rows::<StoreError>(&table, |row| {
            rows.push(row);
            Ok(())
        })
        .await?;
        for row in rows {
            fill.row(&table, row).await?;
        }
    }
    fill.finish().await
}

#[tokio::test]
async fn every_row_comes_over_and_changes_go_on_there() {
    let Some(fresh) = fresh().await else { return };
    let Some((url, _folder)) = empty() else { return };
    let acme = fresh.tenant_create(&named("Acme é \u{1F600} \"'\\")).await.unwrap();
    deploy(&fresh, "markup", "1").await;
    fresh.plugin_set_disabled("markup", true, None).await.unwrap();
    let rule = markup(&fresh, "Five percent").await;
    fresh.assignment_create(&everywhere(&rule), None).await.unwrap();
    let run = fresh.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    fresh.run_start(&run.id).await.unwrap();
    fresh.run_complete(&run.id, &charged("12345678901234567890.000000000000000001")).await.unwrap().unwrap();

    moved(&fresh.url, &url).await.unwrap();

    let again = Store::open(&url, Clock::system()).await.unwrap();
    assert_eq!(again.tenant(&acme.id).await.unwrap(), fresh.tenant(&acme.id).await.unwrap());
    assert_eq!(again.plugin("markup").await.unwrap(), fresh.plugin("markup").await.unwrap());
    assert_eq!(again.assigned_rules().await.unwrap(), fresh.assigned_rules().await.unwrap());
    assert_eq!(again.published_runs(None, None).await.unwrap(), fresh.published_runs(None, None).await.unwrap());
    let entries = async |store: &Store| store.audit_entries(&AuditFilter::default(), &PageRequest::largest()).await.unwrap();
    assert_eq!(entries(&again).await, entries(&fresh).await);
    assert_eq!(
        message(again.tenant_create(&named("acme é \u{1F600} \"'\\")).await),
        "a tenant named acme é \u{1F600} \"'\\ exists already"
    );
    assert_eq!(message(again.rule_delete(&rule.id, None).await), "the rule Five percent is in use by an assignment: delete that first");
    let refused = message(moved(&fresh.url, &url).await);
    assert!(refused.starts_with("the database is not empty: "), "{refused}");
}

#[tokio::test]
async fn rows_of_an_older_version_are_brought_to_this_one_and_those_of_a_newer_are_refused() {
    let Some((url, _folder)) = empty() else { return };
    let folder = tempfile::tempdir().unwrap();
    let old = format!("sqlite://{}", folder.path().join("old.db").display());
    let mut connection = SqliteConnection::connect(&format!("{old}?mode=rwc")).await.unwrap();
    sqlx::migrate!("src/store/migrations").run_to(5, &mut connection).await.unwrap();
    for statement in [
        "INSERT INTO tenants VALUES ('tnt_1', 'Acme', 'acme', NULL, NULL, 1, 1, 1)",
        "INSERT INTO integrations VALUES ('int_1', 'aws', 'aws', 'folder', '/bills', NULL, NULL, 'stable', NULL, NULL, 1, 1, 1)",
        "INSERT INTO subaccounts VALUES ('sub_1', 'int_1', '9', '1', 'one', 'AWS', 'one', 'tnt_1', 1, 1)",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    moved(&old, &url).await.unwrap();
    let store = Store::open(&url, Clock::system()).await.unwrap();
    assert_eq!(store.tenant("tnt_1").await.unwrap().name, "Acme");
    let history = store.subaccount_history("sub_1", &PageRequest::default()).await.unwrap().items;
    assert_eq!(history.len(), 1, "a later migration made it of the old rows");

    let Some((another, _folder)) = empty() else { return };
    let refused = message(Fill::begin(&another, &[1, 9_999]).await.map(|_| ()));
    assert_eq!(refused, "the backup was made by a newer rerate (migration 9999): restore it with that one");
}

#[tokio::test]
async fn a_row_that_refers_to_nothing_is_not_let_in() {
    let Some((url, _folder)) = empty() else { return };
    let versions: Vec<i64> = sqlx::migrate!("src/store/migrations").iter().map(|migration| migration.version).collect();
    let mut fill = Fill::begin(&url, &versions).await.unwrap();
    let row = json!({"tenant_id": "tnt_none", "period": "2026-09", "currency": "USD", "run_id": "run_none"});
    fill.row("published", row.as_object().unwrap().clone()).await.unwrap();
    assert!(fill.finish().await.is_err());
    let mut fill = Fill::begin(&url, &versions).await.unwrap();
    let odd = json!({"name\" = 'x'; --": "x"});
    assert!(fill.row("settings", odd.as_object().unwrap().clone()).await.is_err());
    assert!(fill.row("pg_class", row.as_object().unwrap().clone()).await.is_err());
}
