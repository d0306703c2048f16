use super::super::jws::{KeySet, Untrusted};
use super::*;

#[tokio::test]
async fn a_token_for_somebody_else_or_another_time_is_refused() {
    let now = NOW / 1_000;
    for (claim, value, why) in [
        ("iss", json!("https://other.example"), "another issuer made it"),
        ("aud", json!("other"), "it was made for another client"),
        ("aud", json!([]), "it was made for another client"),
        ("aud", json!(["rerate", "other"]), "it is for several clients and does not say which it was given to"),
        ("azp", json!("other"), "it was given to another client"),
        ("exp", json!(now - 60), "it has expired"),
        ("iat", json!(now + 61), "it is not valid yet: compare the clocks of the provider and of this machine"),
        ("nbf", json!(now + 61), "it is not valid yet: compare the clocks of the provider and of this machine"),
        ("nonce", json!("another"), "it answers another attempt to sign in"),
        ("nonce", Value::Null, "it answers another attempt to sign in"),
        ("sub", json!(""), "its subject is not 1 to 255 bytes of text"),
        ("sub", json!("x".repeat(256)), "its subject is not 1 to 255 bytes of text"),
    ] {
        assert_eq!(refused(&[(claim, value)]).await, format!("the ID token is refused: {why}"), "{claim}");
    }
}

#[tokio::test]
async fn a_claim_of_the_wrong_type_or_none_where_one_must_be_refuses_the_token() {
    for (claim, value) in [
        ("exp", Value::Null),
        ("exp", json!("never")),
        ("iat", Value::Null),
        ("nbf", json!("0")),
        ("aud", Value::Null),
        ("aud", json!(7)),
        ("sub", Value::Null),
        ("sub", json!(["person-1"])),
        ("iss", Value::Null),
        ("nonce", json!({"is": 1})),
    ] {
        let told = refused(&[(claim, value)]).await;
        assert!(told.starts_with("the ID token is refused: its claims are not as they should be: "), "{claim}: {told}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_several_audiences_be_told() {
    let signer = Signer::new("one", 7);
    let provider = Provider::honest(&signer).await;
    let now = NOW / 1_000;
    let mut claims = claims(&provider);
    for (claim, value) in [
        ("exp", json!(now - 59)),
        ("iat", json!(now + 60)),
        ("nbf", json!(1_789_999_999.5)),
        ("aud", json!(["x", "rerate"])),
        ("azp", json!("rerate")),
    ] {
        claims[claim] = value;
    }
    sign_in(&Relying::default(), &provider, &signer.sign(&claims)).await.unwrap();
}

#[tokio::test]
async fn a_signature_by_nobody_or_with_the_public_key_as_secret_is_refused() {
    let (signer, stranger) = (Signer::new("one", 7), Signer::new("one", 8));
    let provider = Provider::honest(&signer).await;
    let (claims, relying) = (claims(&provider), Relying::default());
    let forged = sign_in(&relying, &provider, &stranger.sign(&claims)).await.unwrap_err();
    assert_eq!(forged.to_string(), "the ID token is refused: its signature is wrong");
    for alg in ["none", "HS256", "ES256K"] {
        let token = signer.sign_as(&json!({"alg": alg, "kid": "one"}), &claims);
        let told = sign_in(&relying, &provider, &token).await.unwrap_err().to_string();
        assert_eq!(told, format!("the ID token is refused: it is signed with {alg}; RS256, ES256 and EdDSA are accepted"));
    }
    // The key is of another kind than the token says.
    let told = sign_in(&relying, &provider, &signer.sign_as(&json!({"alg": "RS256", "kid": "one"}), &claims)).await.unwrap_err();
    assert_eq!(told.to_string(), "the ID token is refused: the provider publishes no key for it");
    // Other claims under a good signature.
    let good = signer.sign(&claims);
    let parts: Vec<&str> = good.split('.').collect();
    let mut owner = claims.clone();
    owner["groups"] = json!(["owners"]);
    let swapped = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(owner.to_string()), parts[2]);
    let told = sign_in(&relying, &provider, &swapped).await.unwrap_err();
    assert_eq!(told.to_string(), "the ID token is refused: its signature is wrong");
    for malformed in ["", ".", "..", "a.b", "a.b.c", &"x".repeat(200_000), &format!("{good}.more")] {
        assert!(matches!(sign_in(&relying, &provider, malformed).await, Err(OidcError::Token(_))), "{malformed:.20}");
    }
    let critical = signer.sign_as(&json!({"alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": false}), &claims);
    assert!(sign_in(&relying, &provider, &critical).await.is_err());
}

/// Made with OpenSSL through node: a key and a token of each kind.
const RSA: [&str; 2] = [
    r#"{"kty":"RSA","n":"udzw8YbYE_f8N6AJC7fp76vvWn6rlUNXo5wqDVS57pcEmiNaqD0awgBq3yIMqsUs_EZHnXuXddoqE5_1NkTf8SCBLVo2eCGxHzbij12DvK77stNQKsREvHo8MG2f3Tgmd0aufw8KrCKkyq6pn2CwneiiWrv2KGkjpjF29lksXnznJtuCPfrHK5nattWBtgwCwsHuEvtXkBOhaFcSZ0OiT7j5z07yVfeSDTnsM_Jtkze6t2SAFp0MvrfSqFQ2ObrAmnj34Rc257PHkT_ZIBvZKE-40FB-u8mTLRtZmXzJHSC3KwBpfOMUkpN43ESTqz9xLokmMCN7t4YvJ7YkEJ6g5Q","e":"AQAB"}"#,
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.c2lnbmVkIGJ5IFJTQQ.IviKKmaZlqaTajoR5cyF2fvLyAnGdH0Q_k6v96Ibms4k-UhiEo4pdY4eg68s-hnwr-t55DnB8PYdWk7Kt6Vvoe7Obw18ANLgJF-04aivBF2SxaVy7Ejqz_odwhqTZbF2pqf9h_roDITyxttg09vP5qkGKvGKJYElR-354mtk3BjMQ-RVJ0Y7vNEvTizex03qKAES5OPvdnWIU-qEqFfOA-82eXuo5N1m5Cgd2SCj8ybGGWVEsedYMxery9Cqlhmw4MvmqQJxaFAQ7xvL1pbCZK3CAF5oE9crsVciEyF7qfKlaDV935uuhZHY04cnMJgdU9iG6X5O-SCNtanWC_OihQ",
];
const EC: [&str; 2] = [
    r#"{"kty":"EC","x":"ByVYySOKpNNIubhEQ_uMx99-WF5SrVQ-gluYOTQnq6Q","y":"FuA_QuUkP4_UZNiZs5R_YFv9lBe_5DyIT6XHzrzFIQ8","crv":"P-256"}"#,
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIn0.c2lnbmVkIGJ5IEVD.Hq0kwGptWAjcGCYMERw06zyIjXshRq1bSn7waki--A5kH0W7mi2lrFHneN_0g2PRz6oERKnBSXVP42Nb-gyhXQ",
];
/// Of 1024 bits.
const SMALL_RSA: [&str; 2] = [
    r#"{"kty":"RSA","n":"w_LQeeI7yR6NnDa3lpm9ok4evI86DvMSiOLLvmbyyWP1dazvEL1xpRjSMRhIUCvDildVyKQmotGjaBKY5LcYxgYK8DN-WgwDqMOGtcKjG6YmTAHJdPRMYmbf4s9ZlG4TRF0luegVo4U9NwMMBsUWMXwn9fmRWuIeJIwPkh20ELs","e":"AQAB"}"#,
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InNtYWxsIn0.c2lnbmVkIGJ5IFJTQQ.JuRF8zfyZNoO8xCl_oBmYtualaN_OKVQw7M1fbCEneE-zgzmRk28iQa4yA4ZEm_nN5kK9ou9-O0mMItbKZ974wZIOR55yvW0BgaSsrrJ1MqIDJrpMTNPqlTCFq-VA5kNk3jll5IW_vUOTn3b335zmpPuVj_tY4VgDA3zIupsL04",
];

fn key_set(keys: &[(&str, &str)]) -> KeySet {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(kid, key)| {
            let mut key: Value = serde_json::from_str(key).unwrap();
            key["kid"] = json!(kid);
            key
        })
        .collect();
    serde_json::from_value(json!({"keys": keys})).unwrap()
}

#[test]
fn tokens_by_another_program_are_opened() {
    let all = key_set(&[("rsa", RSA[0]), ("ec", EC[0]), ("small", SMALL_RSA[0])]);
    assert_eq!(all.open(RSA[1]).unwrap(), b"signed by RSA");
    assert_eq!(all.open(EC[1]).unwrap(), b"signed by EC");
    // A key of 1024 bits convinces nobody.
    assert_eq!(all.open(SMALL_RSA[1]), Err(Untrusted::Signature));
    // Each bit of the signature counts.
    let (signed, signature) = EC[1].rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[40] ^= 1;
    assert_eq!(all.open(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))), Err(Untrusted::Signature));
}

#[test]
fn a_key_for_encryption_or_another_algorithm_or_name_is_not_used() {
    let with = |name: &str, value: &str| {
        let mut key: Value = serde_json::from_str(RSA[0]).unwrap();
        key[name] = json!(value);
        serde_json::from_value::<KeySet>(json!({"keys": [key]})).unwrap().open(RSA[1])
    };
    assert_eq!(with("kid", "rsa").unwrap(), b"signed by RSA");
    assert_eq!(with("kid", "other"), Err(Untrusted::UnknownKey));
    assert_eq!(with("use", "enc"), Err(Untrusted::UnknownKey));
    assert_eq!(with("alg", "PS256"), Err(Untrusted::UnknownKey));
}

#[test]
fn a_token_without_a_key_name_needs_the_only_key() {
    let signer = Signer::new("one", 7);
    let nameless = signer.sign_as(&json!({"alg": "EdDSA"}), &json!({}));
    let one: KeySet = serde_json::from_value(json!({"keys": [signer.published()]})).unwrap();
    assert_eq!(one.open(&nameless).unwrap(), b"{}");
    let two: KeySet = serde_json::from_value(json!({"keys": [signer.published(), Signer::new("two", 8).published()]})).unwrap();
    assert_eq!(two.open(&nameless), Err(Untrusted::UnknownKey));
}
