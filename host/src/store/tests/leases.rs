use super::*;

/// More than any of these tests takes.
const LONG: i64 = 60_000;

#[tokio::test]
async fn the_work_is_one_daemons_until_it_lets_go_or_its_lease_ends() {
    let Some(fresh) = fresh().await else { return };
    if fresh.kind() == Kind::Sqlite {
        assert_eq!(fresh.daemon(), None, "there is one daemon");
        assert_eq!(fresh.work_take(LONG).await.unwrap(), None);
        return;
    }
    let other = Store::open(&fresh.url, Clock::system()).await.unwrap();
    let first = fresh.work_take(LONG).await.unwrap().unwrap();
    assert_eq!(other.work_take(LONG).await.unwrap(), None);
    assert!(fresh.work_renew(first, LONG).await.unwrap());
    fresh.work_release(first).await.unwrap();
    let second = other.work_take(20).await.unwrap().unwrap();
    assert!(!fresh.work_renew(first, LONG).await.unwrap(), "it is not its own any more");
    tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    let third = fresh.work_take(LONG).await.unwrap().unwrap();
    assert!(!other.work_renew(second, LONG).await.unwrap());
    assert!(fresh.work_renew(third, LONG).await.unwrap());
}

#[tokio::test]
async fn a_stalled_daemon_changes_nothing_once_another_works() {
    let Some(fresh) = fresh().await else { return };
    if fresh.kind() == Kind::Sqlite {
        return;
    }
    let other = Store::open(&fresh.url, Clock::system()).await.unwrap();
    let stalled = fresh.during(fresh.work_take(1).await.unwrap().unwrap());
    let acme = stalled.tenant_create(&named("Acme")).await.unwrap();
    let run = stalled.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    stalled.run_start(&run.id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    let works = other.during(other.work_take(LONG).await.unwrap().unwrap());
    assert!(matches!(stalled.run_complete(&run.id, &charged("11")).await, Err(StoreError::TakenOver)));
    assert!(matches!(stalled.run_fail(&run.id, "late").await, Err(StoreError::TakenOver)));
    works.runs_give_up().await.unwrap();
    assert_eq!(fresh.run(&run.id).await.unwrap().state, RunState::Superseded);
    let again = works.run_enqueue(&run_of(&acme, "a")).await.unwrap();
    works.run_start(&again.id).await.unwrap();
    works.run_complete(&again.id, &charged("11")).await.unwrap().unwrap();
    assert_eq!(fresh.published(&acme.id, period("2026-09"), "USD").await.unwrap().unwrap().id, again.id);
}

#[tokio::test]
async fn what_one_daemon_says_the_other_hears_once_and_in_order() {
    let Some(fresh) = fresh().await else { return };
    fresh.message_send("to nobody").await.unwrap();
    if fresh.kind() == Kind::Sqlite {
        assert_eq!(fresh.message_last().await.unwrap(), 0);
        return;
    }
    let other = Store::open(&fresh.url, Clock::system()).await.unwrap();
    let heard = other.message_last().await.unwrap();
    for text in ["one", "two"] {
        fresh.message_send(text).await.unwrap();
    }
    other.message_send("own").await.unwrap();
    let told = other.messages_after(heard).await.unwrap();
    let told: Vec<(bool, &str)> = told.iter().map(|(_, from_another, body)| (*from_another, body.as_str())).collect();
    assert_eq!(told, [(true, "one"), (true, "two"), (false, "own")]);
}

#[tokio::test]
async fn what_a_living_daemon_works_on_is_not_taken_for_left() {
    let Some(fresh) = fresh().await else { return };
    let token = fresh.token_create(&admin("hash")).await.unwrap();
    fresh.daemon_renew(LONG).await.unwrap();
    assert_eq!(fresh.idempotency_reserve(&token.id, "key", "digest").await.unwrap(), Reserved::New);
    let other = Store::open(&fresh.url, Clock::scripted(Moment(1_700_000_100_000))).await.unwrap();
    other.idempotency_release_all().await.unwrap();
    let again = other.idempotency_reserve(&token.id, "key", "digest").await.unwrap();
    // With one daemon, whoever opens the database is the next one.
    assert_eq!(again, if fresh.kind() == Kind::Sqlite { Reserved::New } else { Reserved::UnderWay });
    fresh.daemon_leave().await.unwrap();
    other.idempotency_release_all().await.unwrap();
    assert_eq!(other.idempotency_reserve(&token.id, "key", "digest").await.unwrap(), Reserved::New);
}
