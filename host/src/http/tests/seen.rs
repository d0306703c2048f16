//! What a tenant's people see and change of subaccounts and integrations, and when they are kept out.

use super::*;
use crate::domain::access::{Organisation, Role};

async fn as_token(app: &TestApp, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let body = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    app.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn a_tenants_people_see_their_own_subaccounts_and_integrations_and_bring_buckets_only() {
    let app = TestApp::new().await;
    let ids = app.bill(&["111", "222", "333"]).await;
    let (acme, other) = (app.tenant("Acme").await, app.tenant("Other").await);
    for (id, tenant) in [(&ids[0], &acme), (&ids[1], &other)] {
        app.put(&format!("/v1/subaccounts/{id}/tenant"), json!({"tenant_id": tenant})).await.ok(200);
    }
    let token = app.token_of(&Organisation::Tenant(acme.clone()), Role::IntegrationOwner).await;
    let call = async |method: Method, path: &str, body: Option<Value>| as_token(&app, &token, method, path, body).await;
    let list = async |path: &str| {
        let page = call(Method::GET, path, None).await.ok(200);
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("/v1/subaccounts").await, ["account 111"]);
    assert_eq!(list("/v1/subaccounts?unassigned=true").await, [""; 0]);
    assert_eq!(list(&format!("/v1/subaccounts?tenant_id={other}")).await, [""; 0]);
    for id in &ids[1..] {
        assert!(call(Method::GET, &format!("/v1/subaccounts/{id}"), None).await.problem().starts_with("404 "));
    }
    assert_eq!(list("/v1/integrations").await, [""; 0], "the MSP's is told by its status only");
    assert_eq!(list(&format!("/v1/tenants/{acme}/integrations")).await, ["aws"]);
    assert!(call(Method::GET, &format!("/v1/tenants/{other}/integrations"), None).await.problem().starts_with("404 "));

    let folder = json!({"name": "own", "kind": "folder", "location": "/etc"});
    let refused = "422 invalid: an integration of your own is a bucket of AWS: s3://bucket/prefix";
    assert_eq!(call(Method::POST, "/v1/integrations", Some(folder)).await.problem(), refused);
    let inside = json!({"name": "own", "kind": "s3", "location": "s3://b", "endpoint": "http://127.0.0.1:9000"});
    assert!(call(Method::POST, "/v1/integrations", Some(inside)).await.problem().starts_with("422 invalid: endpoint: "));
    let others = json!({"name": "own", "kind": "s3", "location": "s3://b", "tenant_id": other});
    assert!(call(Method::POST, "/v1/integrations", Some(others)).await.problem().starts_with("422 invalid: tenant_id: "));
    let own = call(Method::POST, "/v1/integrations", Some(json!({"name": "own", "kind": "s3", "location": "s3://b"}))).await.ok(201);
    assert_eq!(own["tenant_id"], json!(acme));
    assert_eq!(list("/v1/integrations").await, ["own"]);
    let msps = app.get("/v1/integrations?search=aws").await.ok(200)["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(call(Method::DELETE, &format!("/v1/integrations/{msps}"), None).await.problem().starts_with("404 "));
    let stranger = app.token_of(&Organisation::Tenant(other), Role::Owner).await;
    let path = format!("/v1/integrations/{}", own["id"].as_str().unwrap());
    assert!(as_token(&app, &stranger, Method::GET, &path, None).await.problem().starts_with("404 "));
    call(Method::DELETE, &path, None).await.ok(204);
}

#[tokio::test]
async fn the_people_of_a_suspended_tenant_are_kept_out_and_those_of_an_unlinked_one_are_not() {
    let app = TestApp::new().await;
    let acme = app.tenant("Acme").await;
    let token = app.token_of(&Organisation::Tenant(acme.clone()), Role::Owner).await;
    let look = async || as_token(&app, &token, Method::GET, "/v1/subaccounts", None).await;
    let set = async |state: &str| app.put(&format!("/v1/tenants/{acme}/state"), json!({"state": state})).await.ok(200);
    look().await.ok(200);
    set("suspended").await;
    assert_eq!(look().await.problem(), "403 forbidden: your organisation is suspended: ask who manages it");
    set("unlinked").await;
    look().await.ok(200);
    let entered = app.call(Method::GET, "/v1/subaccounts", &[("rerate-tenant", &acme)], None).await;
    assert_eq!(entered.problem(), "403 forbidden: the tenant Acme is unlinked: the MSP manages it no more");
    set("active").await;
    app.call(Method::GET, "/v1/subaccounts", &[("rerate-tenant", &acme)], None).await.ok(200);
}
