use super::*;
use crate::domain::access::{Organisation, Role};

fn vouched(subject: &str, groups: &[&str]) -> Vouched {
    Vouched {
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
        email: Some(format!("{subject}@people.example")),
        email_verified: true,
        name: Some(subject.to_owned()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn provider() -> SignInFields {
    let role = |group: &str, role| GroupRole { group: group.to_owned(), role };
    SignInFields {
        issuer: "https://login.example".to_owned(),
        client_id: "rerate".to_owned(),
        secret: ClientSecret::Sealed("sealed".to_owned()),
        scopes: vec!["email".to_owned()],
        group_claim: "groups".to_owned(),
        roles: vec![role("owners", Role::Owner), role("finance", Role::Viewer)],
        enforced: false,
        just_in_time: true,
        unverified_email: false,
    }
}

fn person(email: &str) -> UserFields {
    UserFields { email: email.to_owned(), name: email.to_owned(), password_hash: Some("hash".to_owned()) }
}

fn member(organisation: &Organisation, role: Role) -> MembershipFields {
    MembershipFields { organisation: organisation.clone(), role, cost_centers: None }
}

async fn admitted(store: &Store, settings: &SignIn, vouched: &Vouched) -> std::result::Result<String, String> {
    match store.sign_in_admit(settings, vouched).await.unwrap() {
        Admission::In(user) => Ok(user.id),
        Admission::Refused(why) => Err(why),
    }
}

async fn role(store: &Store, user: &str, organisation: &Organisation) -> Role {
    store.membership(user, organisation).await.unwrap().unwrap().role
}

#[tokio::test]
async fn somebody_who_comes_for_the_first_time_is_what_their_groups_say_and_stays_it() {
    let Some(fresh) = fresh().await else { return };
    let settings = fresh.sign_in_put(&Organisation::Msp, &provider(), None).await.unwrap();
    let ada = admitted(&fresh, &settings, &vouched("ada", &["all", "finance", "owners"])).await.unwrap();
    assert_eq!(role(&fresh, &ada, &Organisation::Msp).await, Role::Owner);
    let finn = admitted(&fresh, &settings, &vouched("finn", &["finance"])).await.unwrap();
    assert_eq!(role(&fresh, &finn, &Organisation::Msp).await, Role::Viewer);
    // Their groups change: up, and to nothing.
    assert_eq!(admitted(&fresh, &settings, &vouched("finn", &["owners"])).await.as_ref(), Ok(&finn));
    assert_eq!(role(&fresh, &finn, &Organisation::Msp).await, Role::Owner);
    let none = admitted(&fresh, &settings, &vouched("finn", &["all"])).await;
    assert_eq!(none, Err("none of your groups has a role here: ask an Owner".to_owned()));
    // A known subject is the same person under another address.
    let moved = Vouched { email: Some("ada@married.example".to_owned()), ..vouched("ada", &["finance"]) };
    assert_eq!(admitted(&fresh, &settings, &moved).await.as_ref(), Ok(&ada));
    assert_eq!(role(&fresh, &ada, &Organisation::Msp).await, Role::Viewer);
    // The last Owner stays one.
    assert_eq!(admitted(&fresh, &settings, &vouched("finn", &["finance"])).await.as_ref(), Ok(&finn));
    assert_eq!(role(&fresh, &finn, &Organisation::Msp).await, Role::Owner);
}

#[tokio::test]
async fn nobody_comes_in_without_an_address_that_was_checked_a_role_or_an_invitation() {
    let Some(fresh) = fresh().await else { return };
    let settings = fresh.sign_in_put(&Organisation::Msp, &provider(), None).await.unwrap();
    let ada = || vouched("ada", &["owners"]);
    let refused = |why: &str| Err(why.to_owned());
    let unchecked = Vouched { email_verified: false, ..ada() };
    let not_checked = "the provider does not say that it has checked your e-mail address";
    assert_eq!(admitted(&fresh, &settings, &unchecked).await, refused(not_checked));
    let nameless = Vouched { email: None, ..ada() };
    assert_eq!(admitted(&fresh, &settings, &nameless).await, refused("the provider does not tell your e-mail address"));
    let strange = Vouched { email: Some("no address".to_owned()), ..ada() };
    assert_eq!(admitted(&fresh, &settings, &strange).await, refused("\"no address\" is not an e-mail address"));
    let later = SignInFields { just_in_time: false, unverified_email: true, ..provider() };
    let settings = fresh.sign_in_put(&Organisation::Msp, &later, Some(1)).await.unwrap();
    assert_eq!(admitted(&fresh, &settings, &unchecked).await, refused("you are not a member: ask for an invitation"));
    // A member comes in, and stays what they are.
    let (known, _) = fresh.user_add(&person("Ada@people.example"), &member(&Organisation::Msp, Role::Editor)).await.unwrap();
    assert_eq!(admitted(&fresh, &settings, &unchecked).await, Ok(known.id.clone()));
    assert_eq!(role(&fresh, &known.id, &Organisation::Msp).await, Role::Editor);
}

#[tokio::test]
async fn an_organisations_provider_is_believed_about_that_organisation_only() {
    let Some(fresh) = fresh().await else { return };
    let acme = Organisation::Tenant(fresh.tenant_create(&named("Acme")).await.unwrap().id);
    let settings = fresh.sign_in_put(&acme, &provider(), None).await.unwrap();
    let (owner, _) = fresh.user_add(&person("ada@people.example"), &member(&Organisation::Msp, Role::Owner)).await.unwrap();
    let refused = admitted(&fresh, &settings, &vouched("ada", &["owners"])).await;
    assert_eq!(refused, Err("your address is known in another organisation: ask for an invitation".to_owned()));
    // One of the MSP's people who is a member there as well: the session stays there.
    fresh.membership_set(&owner.id, &member(&acme, Role::Viewer), None).await.unwrap();
    assert_eq!(admitted(&fresh, &settings, &vouched("ada", &["owners"])).await, Ok(owner.id.clone()));
    assert_eq!(role(&fresh, &owner.id, &acme).await, Role::Viewer);
    let session = |issuer: Option<&str>, sha256: &str| NewSession {
        user_id: owner.id.clone(),
        organisation: acme.clone(),
        sha256: sha256.to_owned(),
        issuer: issuer.map(str::to_owned),
    };
    let vouched_for = fresh.session_begin(&session(Some("https://login.example"), "a")).await.unwrap();
    let refused = message(fresh.session_switch(&vouched_for.id, &Organisation::Msp).await);
    assert!(refused.contains("which vouches for you there only"), "{refused}");
    let own = fresh.session_begin(&session(None, "b")).await.unwrap();
    fresh.session_switch(&own.id, &Organisation::Msp).await.unwrap();

    // Where the provider is the only way, passwords and sessions from elsewhere are refused.
    fresh.sign_in_put(&acme, &SignInFields { enforced: true, ..provider() }, None).await.unwrap();
    for refused in [message(fresh.session_begin(&session(None, "c")).await), message(fresh.session_switch(&own.id, &acme).await)] {
        assert!(refused.contains("takes no passwords: sign in through its provider, at /v1/sign-in/tnt_"), "{refused}");
    }
    // With the provider go the sessions that it vouched for, and no others.
    fresh.sign_in_delete(&acme, None).await.unwrap();
    assert_eq!(fresh.session_by_sha256("a").await.unwrap(), None);
    assert!(fresh.session_by_sha256("b").await.unwrap().is_some());
}

#[tokio::test]
async fn a_new_issuer_is_not_sent_the_old_ones_secret() {
    let Some(fresh) = fresh().await else { return };
    let settings = fresh.sign_in_put(&Organisation::Msp, &provider(), Some(0)).await.unwrap();
    assert!(settings.has_secret && settings.version == 1);
    let keeps = SignInFields { secret: ClientSecret::Keep, ..provider() };
    assert!(fresh.sign_in_put(&Organisation::Msp, &keeps, Some(1)).await.unwrap().has_secret);
    let elsewhere = SignInFields { issuer: "https://evil.example".to_owned(), ..keeps };
    let refused = message(fresh.sign_in_put(&Organisation::Msp, &elsewhere, Some(2)).await);
    assert!(refused.starts_with("the issuer changes: give the client's secret anew"), "{refused}");
    assert!(matches!(fresh.sign_in_put(&Organisation::Msp, &provider(), Some(1)).await, Err(StoreError::Changed { current: 2, .. })));
    let public = SignInFields { secret: ClientSecret::None, ..elsewhere };
    assert!(!fresh.sign_in_put(&Organisation::Msp, &public, None).await.unwrap().has_secret);
    // The log of changes has no secret, sealed or not.
    let page = PageRequest::default();
    let log = fresh.audit_entries(&AuditFilter { noun: Some("sign-in".to_owned()), ..AuditFilter::default() }, &page).await.unwrap();
    assert!(log.items.len() == 3 && log.items.iter().all(|entry| !format!("{entry:?}").contains("sealed")), "{log:?}");
    let roleless = SignInFields { roles: Vec::new(), ..provider() };
    assert!(message(fresh.sign_in_put(&Organisation::Msp, &roleless, None).await).contains("map a group to one"));
}

#[tokio::test]
async fn failures_to_sign_in_count_for_every_daemon_on_the_database() {
    let Some(fresh) = fresh().await else { return };
    let other = Store::open(&fresh.url, scripted()).await.unwrap();
    let account = |whose: &str| FailureKey { counted_by: "account", whose: whose.to_owned() };
    let address = FailureKey { counted_by: "address", whose: "192.0.2.1".to_owned() };
    let long_ago = Moment(0);
    // Three are free, and then it is a second too early.
    let attempt = async |store: &Store, keys: &[FailureKey], since: Moment| {
        store.attempt_count(keys, since, |_, known| if known.count < 3 { 0 } else { 1_000 }).await.unwrap()
    };
    let both = [account("ann"), address.clone()];
    for store in [&*fresh, &other, &*fresh] {
        assert_eq!(attempt(store, &both, long_ago).await, Ok(()));
    }
    assert_eq!(attempt(&other, &both, long_ago).await, Err(1_000), "the other daemon's count too");
    assert_eq!(attempt(&fresh, &[account("ann")], long_ago).await, Err(1_000));
    assert_eq!(attempt(&fresh, &[account("bob")], long_ago).await, Ok(()), "nobody else waits");
    assert_eq!(attempt(&fresh, &[account("bob"), address.clone()], long_ago).await, Err(1_000), "but who comes from the same address");

    other.attempt_forgive(&[account("ann")], std::slice::from_ref(&address)).await.unwrap();
    assert_eq!(attempt(&fresh, &both, long_ago).await, Ok(()), "the account is forgiven, and the address this once");
    assert_eq!(attempt(&fresh, &both, long_ago).await, Err(1_000));
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sign_in_failures").fetch_one(&fresh.read).await.unwrap();
    assert_eq!(count, 3);
    // What is too old does not count, and goes.
    let now = Moment(i64::MAX);
    assert_eq!(attempt(&fresh, &[account("eve")], now).await, Ok(()));
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sign_in_failures").fetch_one(&fresh.read).await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn attempts_at_the_same_time_do_not_pass_together() {
    let Some(fresh) = fresh().await else { return };
    let other = Store::open(&fresh.url, scripted()).await.unwrap();
    let key = [FailureKey { counted_by: "account", whose: "ann".to_owned() }];
    let attempt = async |store: &Store| {
        store.attempt_count(&key, Moment(0), |_, known| if known.count < 1 { 0 } else { 1_000 }).await.unwrap().is_ok()
    };
    let (first, second) = tokio::join!(attempt(&fresh), attempt(&other));
    assert_eq!(u8::from(first) + u8::from(second), 1);
}
