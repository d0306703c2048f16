use super::*;

#[tokio::test]
async fn the_browser_is_sent_to_the_provider_with_state_nonce_and_challenge() {
    let provider = Provider::honest(&Signer::new("one", 7)).await;
    let (url, _) = Relying::default().begin(&provider.registration(), &drawn(), NOW).await.unwrap();
    assert!(url.as_str().starts_with(&format!("{}/authorize?tenant=one&response_type=code", provider.issuer)), "{url}");
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["scope"], "openid email");
    assert_eq!(query["redirect_uri"], "http://127.0.0.1:8080/v1/sign-in/callback");
    assert_eq!(query["nonce"], nonce());
    assert_eq!((query["code_challenge_method"].as_str(), query["code_challenge"].len()), ("S256", 43));
    // The verifier stays here.
    assert!(!url.as_str().contains(&URL_SAFE_NO_PAD.encode([3; 32])));
}

#[tokio::test]
async fn a_person_is_who_the_provider_says() {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    let person = sign_in(&Relying::default(), &provider, &signer.sign(&claims(&provider))).await.unwrap();
    let expected = Identity {
        issuer: provider.issuer.clone(),
        subject: "person-1".to_owned(),
        email: Some("ada@acme.example".to_owned()),
        email_verified: true,
        name: Some("Ada".to_owned()),
        groups: vec!["billing".to_owned(), "all".to_owned()],
    };
    assert_eq!(person, expected);
    let exchange = &provider.asked("/token")[0];
    let verifier = URL_SAFE_NO_PAD.encode([3; 32]);
    assert!(exchange.body.contains(&format!("code_verifier={verifier}")) && exchange.body.contains("code=the-code"), "{exchange:?}");
    // Basic, of the form-encoded id and secret; the secret is not in the body.
    let basic = base64::engine::general_purpose::STANDARD.encode("rerate:s3cret+%2F+of%2Bours");
    assert!(exchange.head.contains(&format!("Basic {basic}")), "{exchange:?}");
    assert!(!exchange.body.contains("s3cret"));
    // The token said everything: nobody is asked again.
    assert!(provider.asked("/me").is_empty());
}

#[tokio::test]
async fn the_secret_goes_where_the_provider_takes_it_and_a_public_client_has_none() {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    provider.describe("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    let token = signer.sign(&claims(&provider));
    sign_in(&Relying::default(), &provider, &token).await.unwrap();
    let exchange = &provider.asked("/token")[0];
    assert!(exchange.body.contains("client_secret=s3cret") && !exchange.head.contains("Basic"), "{exchange:?}");

    let public = Registration { client_secret: None, ..provider.registration() };
    let relying = Relying::default();
    let (_, attempt) = relying.begin(&public, &drawn(), NOW).await.unwrap();
    relying.finish(&public, &attempt, &returned(&attempt), NOW).await.unwrap();
    let exchange = &provider.asked("/token")[1];
    assert!(exchange.body.contains("client_id=rerate") && !exchange.body.contains("secret"), "{exchange:?}");
}

#[tokio::test]
async fn what_the_token_leaves_out_is_asked_of_userinfo() {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    let mut short = claims(&provider);
    for claim in ["email", "email_verified", "groups"] {
        short.as_object_mut().unwrap().remove(claim);
    }
    let token = signer.sign(&short);
    provider.answer("/me", 200, &json!({"sub": "person-1", "email": "ada@acme.example", "groups": "billing", "name": "not used"}));
    let person = sign_in(&Relying::default(), &provider, &token).await.unwrap();
    assert_eq!(
        (person.email.as_deref(), person.email_verified, person.groups.as_slice()),
        (Some("ada@acme.example"), false, &["billing".to_owned()][..])
    );
    assert_eq!(person.name.as_deref(), Some("Ada"));
    assert!(provider.asked("/me")[0].head.contains("Bearer access"));

    provider.answer("/me", 200, &json!({"sub": "person-2", "groups": ["owners"]}));
    let other = sign_in(&Relying::default(), &provider, &token).await.unwrap_err();
    assert_eq!(other.to_string(), "the provider's userinfo endpoint is not usable: it tells of another person");
}

#[tokio::test]
async fn groups_are_found_inside_other_claims() {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    let mut nested = claims(&provider);
    nested["realm_access"] = json!({"roles": ["editors", 7, "viewers"]});
    provider.answer("/token", 200, &json!({"id_token": signer.sign(&nested)}));
    let registration = Registration { group_claim: "realm_access.roles".to_owned(), ..provider.registration() };
    let relying = Relying::default();
    let (_, attempt) = relying.begin(&registration, &drawn(), NOW).await.unwrap();
    let person = relying.finish(&registration, &attempt, &returned(&attempt), NOW).await.unwrap();
    assert_eq!(person.groups, ["editors", "viewers"]);
}

#[tokio::test]
async fn a_new_key_is_looked_for_once() {
    let (old, new) = (Signer::new("old", 7), Signer::new("new", 8));
    let provider = Provider::honest(&old).await;
    let relying = Relying::default();
    sign_in(&relying, &provider, &old.sign(&claims(&provider))).await.unwrap();
    sign_in(&relying, &provider, &old.sign(&claims(&provider))).await.unwrap();
    assert_eq!((provider.asked("/keys").len(), provider.asked("/.well-known/openid-configuration").len()), (1, 1));

    // The provider changes its keys.
    provider.answer("/keys", 200, &json!({"keys": [new.published()]}));
    sign_in(&relying, &provider, &new.sign(&claims(&provider))).await.unwrap();
    assert_eq!(provider.asked("/keys").len(), 2);
    // A key that it never had: one more look, then no.
    let stranger = Signer::new("stranger", 9);
    let refused = sign_in(&relying, &provider, &stranger.sign(&claims(&provider))).await.unwrap_err();
    assert_eq!(refused.to_string(), "the ID token is refused: the provider publishes no key for it");
    assert_eq!(provider.asked("/keys").len(), 3);
    // The old key is gone with the old set.
    assert!(sign_in(&relying, &provider, &old.sign(&claims(&provider))).await.is_err());
}

#[tokio::test]
async fn a_description_is_read_again_after_a_while() {
    let provider = Provider::honest(&Signer::new("one", 7)).await;
    let relying = Relying::default();
    for later in [0, 9 * 60_000, 11 * 60_000, 12 * 60_000] {
        relying.begin(&provider.registration(), &drawn(), NOW + later).await.unwrap();
    }
    assert_eq!(provider.asked("/.well-known/openid-configuration").len(), 2);
}
