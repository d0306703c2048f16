use super::*;

/// Runs statements as somebody with a shell on the database would.
async fn tamper(fresh: &Fresh, statements: &[&'static str]) {
    let on = |table: &str| if fresh.kind() == Kind::Postgres { format!(" ON {table}") } else { String::new() };
    let mut tx = fresh.begin().await.unwrap();
    for (trigger, table) in [
        ("audit_is_not_changed", "audit"),
        ("audit_is_not_deleted", "audit"),
        ("audit_chain_is_not_changed", "audit_chain"),
        ("audit_chain_is_not_deleted", "audit_chain"),
    ] {
        let drop = format!("DROP TRIGGER {trigger}{}", on(table));
        sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut *tx).await.unwrap();
    }
    for statement in statements {
        assert!(sqlx::query(*statement).execute(&mut *tx).await.unwrap().rows_affected() > 0, "{statement}");
    }
    tx.commit().await.unwrap();
}

/// Three changes.
async fn changed() -> Option<Fresh> {
    let fresh = fresh().await?;
    for name in ["first", "second", "third"] {
        fresh.by("Ann").team_create(&TeamFields { name: name.to_owned(), members: Vec::new(), tenants: Vec::new() }).await.unwrap();
    }
    Some(fresh)
}

async fn broken(fresh: &Fresh) -> String {
    let verdict = fresh.audit_verify().await.unwrap();
    assert!(!verdict.intact, "{verdict:?}");
    format!("{} intact, then: {}", verdict.changes, verdict.reason.unwrap())
}

#[tokio::test]
async fn an_untouched_log_is_intact() {
    let Some(fresh) = changed().await else { return };
    let verdict = fresh.audit_verify().await.unwrap();
    assert_eq!((verdict.intact, verdict.changes, verdict.broken), (true, 3, None));
    assert_eq!(verdict.hash.len(), 64);
}

#[tokio::test]
async fn a_change_that_was_rewritten_is_found() {
    let Some(fresh) = changed().await else { return };
    tamper(&fresh, &["UPDATE audit SET actor = 'Bob' WHERE after_value LIKE '%second%'"]).await;
    assert_eq!(broken(&fresh).await, "1 intact, then: it is not what was written down");
    let named = fresh.audit_verify().await.unwrap().broken.unwrap();
    assert_eq!(fresh.audit_entry(&named).await.unwrap().actor, "Bob");
}

#[tokio::test]
async fn where_somebody_belongs_is_not_rewritten_unnoticed() {
    for statement in ["UPDATE audit SET actor_organisation = 'tnt_other'", "UPDATE audit SET actor_organisation = NULL"] {
        let Some(fresh) = changed().await else { return };
        tamper(&fresh, &[statement]).await;
        assert_eq!(broken(&fresh).await, "0 intact, then: it is not what was written down");
    }
}

#[tokio::test]
async fn a_change_that_was_removed_is_found() {
    let Some(fresh) = changed().await else { return };
    tamper(&fresh, &["DELETE FROM audit WHERE after_value LIKE '%second%'"]).await;
    assert_eq!(broken(&fresh).await, "1 intact, then: the change was removed from the log");
}

#[tokio::test]
async fn a_change_that_was_removed_with_its_link_is_found() {
    let Some(fresh) = changed().await else { return };
    tamper(&fresh, &["DELETE FROM audit WHERE after_value LIKE '%third%'", "DELETE FROM audit_chain WHERE number = 3"]).await;
    assert_eq!(broken(&fresh).await, "2 intact, then: link 3 of 3 is missing");
}

#[tokio::test]
async fn a_change_that_was_slipped_in_is_found() {
    let Some(fresh) = changed().await else { return };
    let slipped = "INSERT INTO audit (id, at, actor, action, noun, subject) VALUES ('aud_0', 1, 'Ann', 'delete', 'team', 'tem_0')";
    tamper(&fresh, &[slipped]).await;
    assert_eq!(broken(&fresh).await, "3 intact, then: it is in the log without a link: it was slipped in");
}

#[tokio::test]
async fn changes_from_before_the_chain_begin_it() {
    let Some(fresh) = changed().await else { return };
    tamper(&fresh, &["DELETE FROM audit_chain", "DELETE FROM audit_head"]).await;
    assert_eq!(broken(&fresh).await, "0 intact, then: the head of the chain is missing");
    fresh.audit_chain_begin().await.unwrap();
    fresh.audit_chain_begin().await.unwrap();
    assert_eq!(fresh.audit_verify().await.unwrap().changes, 3);
    fresh.team_create(&TeamFields { name: "fourth".to_owned(), members: Vec::new(), tenants: Vec::new() }).await.unwrap();
    let verdict = fresh.audit_verify().await.unwrap();
    assert_eq!((verdict.intact, verdict.changes), (true, 4));
}

#[tokio::test]
async fn writers_at_once_make_one_chain() {
    let Some(fresh) = fresh().await else { return };
    let writers = (0..20).map(|number| {
        let store = fresh.store.clone();
        let fields = TeamFields { name: format!("team {number}"), members: Vec::new(), tenants: Vec::new() };
        tokio::spawn(async move { store.team_create(&fields).await })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap().unwrap();
    }
    let verdict = fresh.audit_verify().await.unwrap();
    assert_eq!((verdict.intact, verdict.changes), (true, 20));
}
