use super::*;

#[tokio::test]
async fn a_postgres_address_is_refused_with_what_to_do_instead() {
    let refused = message(Store::open("postgres://localhost/rerate", Clock::system()).await);
    assert_eq!(refused, "PostgreSQL is not supported yet: give --database a SQLite file");
    let refused = message(Store::open("mysql://localhost/rerate", Clock::system()).await);
    assert_eq!(refused, "mysql: is not a database that Rerate knows: give --database a SQLite file");
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let fresh = fresh().await;
    let tenant = fresh.tenant_create(&named("Acme")).await.unwrap();
    fresh.close().await;
    let url = format!("sqlite://{}", fresh.folder.path().join("rerate.db").display());
    let again = Store::open(&url, Clock::system()).await.unwrap();
    assert_eq!(again.tenant(&tenant.id).await.unwrap(), tenant);
}

#[tokio::test]
async fn amounts_keep_all_their_digits_and_are_text_in_the_file() {
    let fresh = fresh().await;
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
    let stored: String = sqlx::query_scalar("SELECT typeof(source) FROM period_splits").fetch_one(&fresh.read).await.unwrap();
    assert_eq!(stored, "text");
}

#[tokio::test]
async fn the_readers_cannot_write() {
    let fresh = fresh().await;
    let refused = sqlx::query("DELETE FROM tenants").execute(&fresh.read).await.unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[tokio::test]
async fn fifty_writers_at_once_all_succeed() {
    let fresh = fresh().await;
    let writers = (0..50).map(|number| {
        let store = fresh.store.clone();
        tokio::spawn(async move { store.tenant_create(&named(&format!("tenant {number}"))).await })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap().unwrap();
    }
    assert_eq!(fresh.tenants(&PageRequest::largest()).await.unwrap().items.len(), 50);
}
