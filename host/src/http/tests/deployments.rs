use super::*;
use crate::plugins::signature::PrivateKey;
use crate::sandbox::sections::append;
use crate::sandbox::tests::guest::Guest;

/// A rule without fields to configure, called `fixture`; different numbers are different versions.
fn fixture(number: u8) -> Vec<u8> {
    noted(Guest::adjustment().build(), number)
}

/// A version with this configuration schema.
fn with_schema(schema: &str) -> Vec<u8> {
    let data = schema.replace('"', "\\\"");
    let about = "
        (local $ret i32)
        (local.set $ret (call $zeroed (i32.const 40)))
        (i32.store offset=0 (local.get $ret) (i32.const 2048)) (i32.store offset=4 (local.get $ret) (i32.const 7))
        (i32.store offset=8 (local.get $ret) (i32.const 2064)) (i32.store offset=12 (local.get $ret) (i32.const 5))
        (i32.store offset=16 (local.get $ret) (i32.const 2048)) (i32.store offset=20 (local.get $ret) (i32.const 7))
        (i32.store offset=32 (local.get $ret) (i32.const 3000)) (i32.store offset=36 (local.get $ret) (i32.const LENGTH))
        (local.get $ret)";
    let about = about.replace("LENGTH", &schema.len().to_string());
    Guest::adjustment().about(&about).extra(&format!("(data (i32.const 3000) \"{data}\")")).build()
}

fn noted(mut component: Vec<u8>, number: u8) -> Vec<u8> {
    append(&mut component, "note", &[number]);
    component
}

async fn upload(app: &TestApp, query: &str, component: Vec<u8>) -> Answer {
    let request = Request::post(format!("/v1/plugins{query}")).header("authorization", format!("Bearer {}", app.token));
    app.send(request.header("content-type", "application/wasm").body(Body::from(component)).unwrap()).await
}

fn rule(title: &str) -> Value {
    json!({"title": title, "plugin": "fixture", "config": {}})
}

/// `uploaded done, validated done, ...`
fn steps(deployment: &Value) -> String {
    let steps = deployment["steps"].as_array().unwrap();
    let told = steps.iter().map(|step| format!("{} {}", step["step"].as_str().unwrap(), step["outcome"].as_str().unwrap()));
    told.collect::<Vec<_>>().join(", ")
}

const ALL: &str = "uploaded done, validated done, compiled done, tested done, ready done";

#[tokio::test]
async fn a_dry_run_goes_through_the_steps_and_keeps_nothing() {
    let app = TestApp::new().await;
    let tried = upload(&app, "?dry_run=true", fixture(1)).await.ok(200);
    assert_eq!(steps(&tried["deployment"]), ALL);
    assert_eq!((&tried["deployment"]["state"], tried["deployment"].get("id")), (&json!("ready"), None));
    let refused = upload(&app, "?dry_run=true", b"no component".to_vec()).await;
    assert!(refused.problem().starts_with("422 invalid: this is not a WebAssembly file"), "{}", refused.problem());
    assert_eq!(steps(&refused.body["deployment"]), "uploaded done, validated refused");
    for empty in ["/v1/deployments", "/v1/plugins", "/v1/audit?actor=test"] {
        assert_eq!(app.get(empty).await.ok(200), json!({"items": []}), "{empty}");
    }
    assert_eq!(std::fs::read_dir(app.folder.path().join("components")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_upload_that_is_not_to_be_activated_ends_ready_and_is_activated_later() {
    let app = TestApp::new().await;
    let first = upload(&app, "?activate=false", fixture(1)).await.ok(201);
    assert_eq!((steps(&first["deployment"]), &first["deployment"]["state"]), (ALL.to_owned(), &json!("ready")));
    let digest = first["digest"].clone();
    assert_eq!(app.get("/v1/plugins/fixture").await.problem(), "404 not-found: there is no plugin fixture");
    assert_eq!(app.get("/v1/plugins/fixture/versions").await.ok(200)["items"][0]["digest"], digest);
    let again = upload(&app, "?activate=false", fixture(1)).await.ok(200);
    assert_eq!(again["deployment"]["state"], "unchanged");
    let activated = app.post("/v1/plugins/fixture/activate", json!({"digest": digest})).await.ok(200);
    assert_eq!((&activated["active_digest"], &activated["previous_digest"]), (&digest, &Value::Null));
    let again = upload(&app, "", fixture(1)).await.ok(200);
    assert_eq!(again["deployment"]["steps"][0]["reason"], "unchanged: this content is the active version already");

    let second = upload(&app, "", fixture(2)).await.ok(201);
    assert_eq!(steps(&second["deployment"]), format!("{ALL}, active done"));
    let back = app.post("/v1/plugins/fixture/rollback", json!({})).await.ok(200);
    assert_eq!((&back["active_digest"], &back["previous_digest"]), (&digest, &second["digest"]));
    let states: Vec<String> = {
        let page = app.get("/v1/deployments?plugin=fixture").await.ok(200);
        page["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states, ["active", "unchanged", "unchanged", "ready"]);
    let page = app.get("/v1/deployments?limit=1&state=unchanged").await.ok(200);
    let next = app.get(&format!("/v1/deployments?limit=1&state=unchanged&after={}", page["next"].as_str().unwrap())).await.ok(200);
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
    assert_eq!(next.get("next"), None);
    let one = app.get(&format!("/v1/deployments/{}", second["deployment"]["id"].as_str().unwrap())).await.ok(200);
    assert_eq!(one, second["deployment"]);
}

#[tokio::test]
async fn a_deployment_that_nobody_waits_for_can_be_watched() {
    let app = TestApp::new().await;
    let begun = upload(&app, "?wait=false", fixture(1)).await;
    let address = begun.header("location").unwrap().to_owned();
    assert_eq!(begun.ok(202)["finished_at"], Value::Null);
    for _ in 0..12_000 {
        let deployment = app.get(&address).await.ok(200);
        if !deployment["finished_at"].is_null() {
            assert_eq!(deployment["state"], "active");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it does not end");
}

#[tokio::test]
async fn a_version_that_would_break_rules_says_which_before_it_is_activated() {
    let app = TestApp::new().await;
    let good = upload(&app, "", fixture(1)).await.ok(201);
    let ours = app.post("/v1/rules", rule("Our rule")).await.ok(201);
    let mut pinned = rule("Pinned");
    pinned["pinned_digest"] = good["digest"].clone();
    app.post("/v1/rules", pinned).await.ok(201);

    let refused = upload(&app, "", Guest::refusing().build()).await;
    let text = "409 conflict: one rule of this plugin would stop working: \"Our rule\" at /percent: is missing";
    assert_eq!(refused.problem(), text);
    assert_eq!(steps(&refused.body["deployment"]), "uploaded done, validated done, compiled done, tested done, ready refused");

    let kept = upload(&app, "?activate=false", Guest::refusing().build()).await.ok(201);
    assert_eq!(kept["deployment"]["steps"][4]["outcome"], "warned");
    let address = format!("/v1/plugins/fixture/versions/{}/check", kept["digest"].as_str().unwrap());
    let check = app.get(&address).await.ok(200);
    let expected = json!([{"rule_id": ours["id"], "title": "Our rule", "pointer": "/percent", "message": "is missing"}]);
    assert_eq!((&check["rules"], &check["refused"]), (&json!(1), &expected), "the pinned rule is not asked about");
    let activated = app.post("/v1/plugins/fixture/activate", json!({"digest": kept["digest"]})).await;
    assert_eq!((activated.problem().as_str(), &activated.body["rules"]), (text, &expected));
    assert_eq!(app.get("/v1/plugins/fixture").await.ok(200)["active_digest"], good["digest"]);
}

#[tokio::test]
async fn a_schema_that_makes_no_sense_refuses_the_component() {
    let app = TestApp::new().await;
    let refused = upload(&app, "", with_schema(r#"{"type":"decimal"}"#)).await;
    assert!(refused.problem().starts_with("422 invalid: the component's configuration schema is not usable"), "{}", refused.problem());
    assert_eq!(steps(&refused.body["deployment"]), "uploaded done, validated done, compiled refused");
    let reads_files = upload(&app, "", with_schema(r#"{"$ref":"file:///etc/hostname"}"#)).await;
    assert!(reads_files.problem().contains("nothing outside itself"), "{}", reads_files.problem());
}

#[tokio::test]
async fn every_place_of_a_configuration_that_the_schema_does_not_allow_is_told() {
    let app = TestApp::new().await;
    let schema = r#"{"type":"object","required":["percent"],"additionalProperties":false,
        "properties":{"percent":{"type":"string"},"digits":{"type":"integer","maximum":18}}}"#;
    upload(&app, "", with_schema(&schema.replace('\n', ""))).await.ok(201);
    let mut wrong = rule("Wrong");
    wrong["config"] = json!({"digits": 19, "colour": "red"});
    let refused = app.post("/v1/rules", wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let places: Vec<&str> = refused.body["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    assert_eq!(places, ["/config/colour", "/config/digits", "/config/percent"]);
    let mut right = rule("Right");
    right["config"] = json!({"digits": 2, "percent": "5"});
    app.post("/v1/rules", right).await.ok(201);
}

#[tokio::test]
async fn every_change_is_in_the_log_with_who_and_what_and_the_log_is_never_rewritten() {
    let app = TestApp::new().await;
    upload(&app, "", fixture(1)).await.ok(201);
    let created = app.post("/v1/rules", rule("First title")).await.ok(201);
    let path = format!("/v1/rules/{}", created["id"].as_str().unwrap());
    app.put(&path, rule("Second title")).await.ok(200);
    let assignment = app.post("/v1/assignments", json!({"rule_id": created["id"]})).await.ok(201);
    app.delete(&format!("/v1/assignments/{}", assignment["id"].as_str().unwrap())).await.ok(204);
    app.delete(&path).await.ok(204);
    app.post("/v1/rules", json!({"title": "x", "plugin": "none", "config": {}})).await;

    let page = app.get("/v1/audit?actor=test").await.ok(200);
    let told: Vec<String> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{} {} {}", e["actor"].as_str().unwrap(), e["action"].as_str().unwrap(), e["noun"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "test delete rule",
            "test delete assignment",
            "test create assignment",
            "test update rule",
            "test create rule",
            "test activate plugin",
            "test create plugin version"
        ]
    );
    let of_rule = app.get(&format!("/v1/audit?noun=rule&subject={}", created["id"].as_str().unwrap())).await.ok(200);
    let update = &of_rule["items"][1];
    assert_eq!((&update["before"]["title"], &update["after"]["title"]), (&json!("First title"), &json!("Second title")));
    assert_eq!((&of_rule["items"][0]["after"], &of_rule["items"][2]["before"]), (&Value::Null, &Value::Null));
    assert_eq!(app.get(&format!("/v1/audit/{}", update["id"].as_str().unwrap())).await.ok(200), *update);
    let first = app.get("/v1/audit?actor=test&limit=4").await.ok(200);
    let rest = app.get(&format!("/v1/audit?actor=test&limit=4&after={}", first["next"].as_str().unwrap())).await.ok(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 3);
    assert_eq!(app.get("/v1/audit?actor=nobody").await.ok(200), json!({"items": []}));
}

#[tokio::test]
async fn a_key_is_trusted_once_and_its_private_half_is_no_key_here() {
    let app = TestApp::new().await;
    let (key, private) = PrivateKey::new(app.state.store.clock()).unwrap();
    let body = |text: &str| json!({"name": "Release", "public_key": text});
    let trusted = app.post("/v1/keys", body(&key.public())).await.ok(201);
    assert_eq!(trusted["id"], key.id());
    let twice = app.post("/v1/keys", body(&key.public())).await.problem();
    assert_eq!(twice, format!("409 conflict: the key {} is trusted already, as Release", key.id()));
    let wrong = app.post("/v1/keys", body(&private)).await;
    assert!(wrong.problem().starts_with("422 invalid: /public_key: this is no public key"), "{}", wrong.problem());
    assert!(!wrong.body.to_string().contains(&private[30..]), "a private key is not repeated");
    let path = format!("/v1/keys/{}", key.id());
    assert_ne!(app.delete(&path).await.ok(200)["revoked_at"], Value::Null);
    assert_eq!(app.post("/v1/keys", body(&key.public())).await.ok(201)["revoked_at"], Value::Null);
    assert_eq!(app.delete("/v1/keys/none").await.problem(), "404 not-found: there is no key none");
    assert_eq!(app.get("/v1/signing-policy").await.ok(200), json!({"policy": "off"}));
    app.put("/v1/signing-policy", json!({"policy": "require"})).await.ok(200);
    let unsigned = upload(&app, "", fixture(1)).await;
    assert!(unsigned.problem().contains("the component is unsigned"), "{}", unsigned.problem());
    upload(&app, "", key.sign(&fixture(1))).await.ok(201);
}

#[tokio::test]
async fn the_component_of_a_version_is_handed_out_under_its_digest() {
    let app = TestApp::new().await;
    let component = fixture(1);
    let deployed = upload(&app, "?activate=false", component.clone()).await.ok(201);
    let digest = deployed["digest"].as_str().unwrap();
    let request = Request::get(format!("/v1/plugins/versions/{digest}/component")).header("authorization", format!("Bearer {}", app.token));
    let response = app.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let header = |name| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((response.status().as_u16(), header(header::CONTENT_TYPE)), (200, "application/wasm".to_owned()));
    assert_eq!(header(header::ETAG), format!("\"{digest}\""));
    assert!(axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap() == component);
    let unknown = app.get(&format!("/v1/plugins/versions/{}/component", "0".repeat(64))).await;
    assert_eq!(unknown.problem(), format!("404 not-found: there is no plugin version {}", "0".repeat(64)));
}
