use super::*;

async fn looked(provider: &Provider) -> String {
    Relying::default().look(&provider.issuer, NOW).await.unwrap_err().to_string()
}

#[tokio::test]
async fn addresses_in_the_clear_are_not_called() {
    let relying = Relying::default();
    for (issuer, why) in [
        ("http://login.example", "it must begin with https://"),
        ("ftp://login.example", "it must begin with https://"),
        ("file:///etc/passwd", "it must begin with https://"),
        ("https://user:pass@login.example", "it carries a user name or password"),
        ("http://127.0.0.1.login.example", "it must begin with https://"),
        ("login.example", "it is no address: relative URL without a base"),
    ] {
        let refused = relying.look(issuer, NOW).await.unwrap_err().to_string();
        assert_eq!(refused, format!("the issuer {issuer} is not used: {why}"));
    }
    let provider = Provider::honest(&Signer::new("one", 7)).await;
    provider.describe("token_endpoint", json!("http://elsewhere.example/token"));
    assert_eq!(looked(&provider).await, "the token endpoint http://elsewhere.example/token is not used: it must begin with https://");
}

#[tokio::test]
async fn a_provider_that_is_not_one_is_told_apart() {
    let provider = Provider::silent().await;
    assert_eq!(looked(&provider).await, "the provider's description is not usable: its status is 404, not 200");
    provider.answer_text("/.well-known/openid-configuration", 200, "<html>");
    assert!(looked(&provider).await.contains("it is not the JSON that it should be"));
    provider.answer_text("/.well-known/openid-configuration", 302, "");
    assert!(looked(&provider).await.contains("it redirects elsewhere (302), which is not followed"));
    provider.answer_text("/.well-known/openid-configuration", 200, &"x".repeat((512 << 10) + 1));
    assert!(looked(&provider).await.contains("it is longer than 524288 bytes"));

    let unreachable = Relying::default().look("http://127.0.0.1:9", NOW).await.unwrap_err().to_string();
    assert!(unreachable.starts_with("cannot reach the provider's description: "), "{unreachable}");
}

#[tokio::test]
async fn a_description_of_another_issuer_or_without_pkce_or_with_too_many_keys_is_refused() {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    provider.answer("/keys", 200, &json!({"keys": vec![signer.published(); 101]}));
    assert_eq!(looked(&provider).await, "the provider's key set is not usable: it has too many keys");
    provider.describe("code_challenge_methods_supported", json!(["plain"]));
    assert!(looked(&provider).await.ends_with("it does not support PKCE with S256"));
    provider.describe("issuer", json!("https://login.example"));
    assert!(looked(&provider).await.contains("it is of the issuer https://login.example, not http://127.0.0.1"));
}

#[tokio::test]
async fn an_answer_that_was_not_asked_for_reaches_no_provider() {
    let provider = Provider::honest(&Signer::new("one", 7)).await;
    provider.describe("authorization_response_iss_parameter_supported", json!(true));
    let relying = Relying::default();
    let attempt = begun(&relying, &provider).await;
    let mixed_up = Registration { issuer: "https://other.example".to_owned(), ..provider.registration() };
    let moved = relying.finish(&mixed_up, &attempt, &returned(&attempt), NOW).await.unwrap_err();
    assert!(moved.to_string().ends_with("the organisation's provider was changed meanwhile"));
    let good = returned(&attempt);
    for (answer, why) in [
        (Returned { state: "guessed".to_owned(), ..good.clone() }, "its state is another one"),
        (Returned { iss: Some("https://other.example".to_owned()), ..good.clone() }, "another provider answers"),
        (good.clone(), "it does not say which provider answers"),
        (Returned { iss: Some(provider.issuer.clone()), code: None, ..good }, "it has no code"),
    ] {
        let refused = relying.finish(&provider.registration(), &attempt, &answer, NOW).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("this answer does not belong to the sign-in that was begun here: {why}"));
    }
    assert!(provider.asked("/token").is_empty());
}

#[tokio::test]
async fn the_providers_own_refusals_are_shown_in_short() {
    let provider = Provider::honest(&Signer::new("one", 7)).await;
    let relying = Relying::default();
    let attempt = begun(&relying, &provider).await;
    let denied =
        Returned { code: None, error: Some("access_denied".to_owned()), error_description: Some("x\n".repeat(500)), ..returned(&attempt) };
    let told = relying.finish(&provider.registration(), &attempt, &denied, NOW).await.unwrap_err().to_string();
    assert!(told.starts_with("the provider refused: access_denied (x x ") && told.len() < 300 && !told.contains('\n'), "{told}");

    provider.answer("/token", 400, &json!({"error": "invalid_grant", "error_description": "code is used"}));
    let told = relying.finish(&provider.registration(), &attempt, &returned(&attempt), NOW).await.unwrap_err();
    assert_eq!(told.to_string(), "the provider refused: invalid_grant (code is used)");
    provider.answer_text("/token", 500, "<html>s3cret</html>");
    let told = relying.finish(&provider.registration(), &attempt, &returned(&attempt), NOW).await.unwrap_err();
    assert_eq!(told.to_string(), "the provider's token endpoint is not usable: its status is 500, not 200");
}

#[tokio::test]
async fn a_provider_that_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, " ".repeat(64 << 10));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let endless = Relying::default().look(&issuer, NOW).await.unwrap_err().to_string();
    assert!(endless.contains("it is longer than 524288 bytes"), "{endless}");
}
