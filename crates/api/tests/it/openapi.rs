use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Server;

async fn described() -> Value {
    Server::start().await.get("/api/v1/openapi.json").await.json()
}

#[tokio::test]
async fn the_description_names_every_native_route_with_its_access() {
    let document = described().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut lines = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let said = operation["description"].as_str().unwrap();
            let access = said.rsplit_once("Access: ").unwrap().1.trim_end_matches('.');
            lines.push(format!("{:6} {path}  ({access})", method.to_uppercase()));
        }
    }
    lines.sort_by_key(|line| line[7..].to_owned());
    insta::assert_snapshot!("routes", lines.join("\n"));
}

#[tokio::test]
async fn the_description_is_as_it_was() {
    insta::assert_json_snapshot!("openapi", described().await);
}

#[tokio::test]
async fn every_schema_that_is_named_is_there() {
    let document = described().await;
    let known: BTreeSet<String> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    let mut named = BTreeSet::new();
    collect(&document, &mut named);
    let missing: Vec<&String> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!named.is_empty());
}

fn collect(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                named.insert(reference.trim_start_matches("#/components/schemas/").to_owned());
            }
            object.values().for_each(|value| collect(value, named));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, named)),
        _ => {}
    }
}
