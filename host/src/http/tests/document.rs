use super::*;

#[tokio::test]
async fn the_document_is_openapi_3_1_and_names_the_bearer_scheme() {
    let app = TestApp::new().await;
    let document = app.get("/v1/openapi.json").await.ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Rerate");
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(document["security"], json!([{"token": []}]));
    assert_eq!(document["paths"]["/v1/health"]["get"]["security"], json!([{}]));
}

#[tokio::test]
async fn every_operation_says_what_it_does_and_what_it_answers() {
    let document = serde_json::to_value(super::document()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        // Where Prometheus looks by itself.
        assert!(path.starts_with("/v1/") || path == "/metrics", "{path}");
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is the name of two operations");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with(['.', ':'])), "{method} {path} has no summary");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{method} {path}");
            let open = operation["security"] == json!([{}]);
            assert!(open || responses.contains_key("401"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(target) if name == "$ref" => found.push(target),
                        _ => walk(field, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let document = serde_json::to_value(super::document()).unwrap();
    let mut found = Vec::new();
    walk(&document, &mut found);
    assert!(found.len() > 20);
    for target in found {
        assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}");
    }
}

#[test]
fn every_list_comes_in_pages() {
    let document = serde_json::to_value(super::document()).unwrap();
    let mut lists = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let get = &operations["get"];
        let answer = &get["responses"]["200"]["content"]["application/json"]["schema"];
        let answer = answer["$ref"].as_str().map_or(answer, |target| document.pointer(&target[1..]).unwrap());
        if answer["properties"]["items"]["type"] != "array" {
            continue;
        }
        // Reports of what one tenant or one period has, as many rows as there are months or currencies.
        if path.starts_with("/v1/reports/") || path == "/v1/virtual-integrations/{id}/months" {
            continue;
        }
        lists += 1;
        let taken: Vec<&str> = get["parameters"].as_array().into_iter().flatten().filter_map(|given| given["name"].as_str()).collect();
        assert!(taken.contains(&"limit") && (taken.contains(&"after") || taken.contains(&"cursor")), "{path} takes {taken:?}");
        assert!(answer["properties"]["next"].is_object(), "{path}");
    }
    assert!(lists > 20, "{lists}");
}

#[tokio::test]
async fn request_bodies_have_an_example_that_the_service_takes() {
    let document = serde_json::to_value(super::document()).unwrap();
    let schemas = &document["components"]["schemas"];
    for body in
        ["TenantBody", "IntegrationBody", "RuleBody", "AssignmentBody", "HolderBody", "BatchBody", "OrderBody", "KeyBody", "PolicyBody"]
    {
        assert!(schemas[body]["example"].is_object(), "{body}: {}", schemas[body]);
    }
    let app = TestApp::new().await;
    app.post("/v1/tenants", schemas["TenantBody"]["example"].clone()).await.ok(201);
    app.post("/v1/integrations", schemas["IntegrationBody"]["example"].clone()).await.ok(201);
}

#[test]
fn every_word_of_a_problem_is_explained_and_no_other() {
    let mut used = std::collections::BTreeMap::new();
    for made in include_str!("../errors.rs").split("Self::new(").skip(1) {
        let Some(rest) = made.trim_start().strip_prefix("StatusCode::") else { continue };
        let (status, rest) = rest.split_once(',').unwrap();
        used.insert(rest.split('"').nth(1).unwrap(), status.replace('_', " ").to_lowercase());
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md")).unwrap();
    let explained: std::collections::BTreeMap<&str, String> = page
        .lines()
        .filter_map(|line| {
            let (word, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            let status: u16 = rest.split_once(" |")?.0.parse().ok()?;
            Some((word, StatusCode::from_u16(status).unwrap().canonical_reason().unwrap().to_lowercase()))
        })
        .collect();
    assert!(used.len() > 10 && used == explained, "{used:?}\n{explained:?}");
}
