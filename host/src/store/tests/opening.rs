use super::*;

#[tokio::test]
async fn an_address_of_another_kind_is_refused_with_what_to_do_instead() {
    let refused = message(Store::open("mysql://localhost/rerate", Clock::system()).await);
    assert_eq!(refused, "mysql: is not a database that Rerate knows: give --database a SQLite file or postgres://user@host/name");
    let refused = message(Store::open("sqlite::memory:", Clock::system()).await);
    assert_eq!(refused, "a database in memory would be gone with the daemon: give --database a SQLite file");
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let Some(fresh) = fresh().await else { return };
    let tenant = fresh.tenant_create(&named("Acme")).await.unwrap();
    fresh.close().await;
    let again = Store::open(&fresh.url, Clock::system()).await.unwrap();
    assert_eq!(again.tenant(&tenant.id).await.unwrap(), tenant);
}

#[tokio::test]
async fn amounts_keep_all_their_digits_and_are_text_in_the_file() {
    let Some(fresh) = fresh().await else { return };
    let split = PeriodSplit {
        period: period("2026-09"),
        currency: "USD".to_owned(),
        source: amount("12345678901234567890.000000000000000001"),
        source_charges: 1,
        unassigned: amount("12345678901234567890.000000000000000001"),
        unassigned_charges: 1,
        tenants: Vec::new(),
        snapshots: Vec::new(),
    };
    fresh.split_put(&split).await.unwrap();
    assert_eq!(fresh.splits(None).await.unwrap(), [split]);
    let stored: String = sqlx::query_scalar("SELECT source FROM period_splits").fetch_one(&fresh.read).await.unwrap();
    assert_eq!(stored, "12345678901234567890.000000000000000001");
}

#[tokio::test]
async fn the_readers_cannot_write() {
    let Some(fresh) = fresh().await else { return };
    let refused = sqlx::query("DELETE FROM tenants").execute(&fresh.read).await.unwrap_err();
    assert!(refused.to_string().replace('-', "").contains("readonly"), "{refused}");
}

#[tokio::test]
async fn fifty_writers_at_once_all_succeed() {
    let Some(fresh) = fresh().await else { return };
    let writers = (0..50).map(|number| {
        let store = fresh.store.clone();
        tokio::spawn(async move { store.tenant_create(&named(&format!("tenant {number}"))).await })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap().unwrap();
    }
    assert_eq!(fresh.tenants(&TenantFilter::default(), &PageRequest::largest()).await.unwrap().items.len(), 50);
}

#[tokio::test]
async fn lists_are_in_the_order_of_their_bytes() {
    let Some(fresh) = fresh().await else { return };
    for name in ["b", "A", "a", "B", "_", "é"] {
        deploy(&fresh, name, "1").await;
    }
    let plugins = fresh.plugins(&PageRequest::default()).await.unwrap().items;
    assert_eq!(plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["A", "B", "_", "a", "b", "é"]);
    let second = fresh.plugins(&PageRequest::new(Some(3), Some("B".to_owned()))).await.unwrap().items;
    assert_eq!(second.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["_", "a", "b"]);
}

#[tokio::test]
async fn what_a_change_returned_is_seen_by_readers_at_once() {
    let Some(fresh) = fresh().await else { return };
    for number in 0..50 {
        let tenant = fresh.tenant_create(&named(&format!("tenant {number}"))).await.unwrap();
        assert_eq!(fresh.tenant(&tenant.id).await.unwrap(), tenant);
    }
}

#[tokio::test]
async fn two_daemons_queue_for_their_changes() {
    let Some(fresh) = fresh().await else { return };
    let other = Store::open(&fresh.url, Clock::system()).await.unwrap();
    let mut held = fresh.begin().await.unwrap();
    sqlx::query("INSERT INTO settings (name, value, updated_at) VALUES ('first', 'x', 1)").execute(&mut *held).await.unwrap();
    let second = tokio::spawn(async move {
        let mut tx = other.begin().await.unwrap();
        let seen: Option<String> =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = 'first'").fetch_optional(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        seen
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!second.is_finished(), "it waits for the first");
    held.commit().await.unwrap();
    assert_eq!(second.await.unwrap().as_deref(), Some("x"), "and sees what the first did");
}
