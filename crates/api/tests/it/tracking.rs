//! MLflow's tracking API to the letter, inside the process.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use perennial_core::permission::Role;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const ROOT: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

async fn post(server: &Server, path: &str, body: Value) -> Answer {
    server.post(&format!("{ROOT}/{path}"), body).await
}

async fn get(server: &Server, path: &str) -> Answer {
    server.get(&format!("{ROOT}/{path}")).await
}

async fn begin(server: &Server, body: Value) -> String {
    let answer = post(server, "runs/create", body).await;
    answer.json()["run"]["info"]["run_id"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

/// The status and the code of an error.
fn status_and_code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["error_code"].as_str().unwrap_or_default().to_owned())
}

fn refused(answer: &Answer, words: &str) {
    assert_eq!(status_and_code(answer), (400, "INVALID_PARAMETER_VALUE".to_owned()), "{}", answer.text());
    assert!(answer.json()["message"].as_str().unwrap().contains(words), "{}", answer.text());
}

async fn file(server: &Server, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut builder = Request::builder()
        .method(method)
        .uri(format!("{FILES}/{path}"))
        .header("authorization", format!("Bearer {}", server.admin));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    server.send(builder.body(Body::from(body.to_vec())).unwrap()).await
}

#[tokio::test]
async fn a_new_run_has_both_names_of_its_id_and_no_nulls() {
    let (server, project) = Server::with_project().await;
    let body = json!({ "experiment_id": project.experiment.to_string(), "run_name": "one", "start_time": "1370044800000", "user_id": "ann" });
    let answer = post(&server, "runs/create", body).await;
    let run = &answer.json()["run"];
    let id = run["info"]["run_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    let expected = json!({
        "info": {
            "run_id": id, "run_uuid": id, "run_name": "one", "experiment_id": "1", "user_id": "ann", "status": "RUNNING",
            "start_time": 1_370_044_800_000_i64, "artifact_uri": format!("mlflow-artifacts:/1/{id}/artifacts"), "lifecycle_stage": "active",
        },
        "data": { "tags": [{ "key": "mlflow.runName", "value": "one" }] },
        "inputs": {},
        "outputs": {},
    });
    assert_eq!(*run, expected);
}

#[tokio::test]
async fn fields_are_taken_in_either_spelling_and_a_body_encoded_twice() {
    let (server, _) = Server::with_project().await;
    let id = begin(&server, json!({ "experimentId": "1", "runName": "camel" })).await;
    let twice = json!(json!({ "run_uuid": id, "key": "k", "value": "v" }).to_string());
    assert_eq!(post(&server, "runs/set-tag", twice).await.text(), "{}");
    let read = get(&server, &format!("runs/get?run_uuid={id}")).await.json();
    assert_eq!(read["run"]["data"]["tags"][0], json!({ "key": "k", "value": "v" }));
    refused(&post(&server, "runs/delete", json!({ "run_id": id, "runId": id })).await, "two spellings");
    let plain =
        server.post_raw(&format!("{ROOT}/runs/delete"), &[("content-type", "text/plain")], b"{}".to_vec()).await;
    refused(&plain, "Content-Type must be application/json");
}

#[tokio::test]
async fn a_route_that_is_not_there_says_so_in_the_words_clients_know() {
    let server = Server::start().await;
    for path in ["/api/2.0/mlflow/runs/no-such", "/api/3.0/mlflow/traces/search", "/ajax-api/2.0/mlflow/nothing"] {
        assert_eq!(
            status_and_code(&server.post(path, json!({})).await),
            (404, "ENDPOINT_NOT_FOUND".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn messages_of_validation_are_those_clients_match() {
    let (server, _) = Server::with_project().await;
    let id = begin(&server, json!({ "experiment_id": "1" })).await;
    refused(
        &post(&server, "runs/log-metric", json!({ "run_id": id, "key": "m", "timestamp": 1 })).await,
        "Missing value for required parameter 'value'.",
    );
    let batch = json!({ "run_id": id, "metrics": [{ "key": "m", "value": 1, "timestamp": "soon" }] });
    refused(
        &post(&server, "runs/log-batch", batch).await,
        "Invalid value \"soon\" for parameter 'metrics[0].timestamp' supplied",
    );
    let batch = json!({ "run_id": id, "params": [{ "key": "p", "value": 1 }] });
    refused(&post(&server, "runs/log-batch", batch).await, "Invalid value 1 for parameter 'params[0].value' supplied");
    let long = json!({ "run_id": id, "tags": [{ "key": "k".repeat(251), "value": "" }] });
    refused(&post(&server, "runs/log-batch", long).await, "'tags[0].key' exceeds the maximum length of 250 characters");
    for key in ["", "a!b", "/a", "../a", "a//b", ".", "a/./b"] {
        let answer = post(&server, "runs/log-parameter", json!({ "run_id": id, "key": key, "value": "v" })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key}");
    }
    refused(
        &post(&server, "experiments/search", json!({})).await,
        "Missing value for required parameter 'max_results'.",
    );
    refused(
        &post(&server, "runs/search", json!({ "max_results": 50_001 })).await,
        "Invalid value 50001 for parameter 'max_results' supplied",
    );
}

#[tokio::test]
async fn a_batch_is_kept_whole_or_not_at_all() {
    let (server, _) = Server::with_project().await;
    let id = begin(&server, json!({ "experiment_id": "1" })).await;
    post(&server, "runs/log-parameter", json!({ "run_id": id, "key": "p", "value": "1" })).await;
    let batch = json!({
        "run_id": id, "metrics": [{ "key": "m", "value": 1, "timestamp": 1 }], "tags": [{ "key": "t", "value": "1" }],
        "params": [{ "key": "q", "value": "1" }, { "key": "p", "value": "2" }],
    });
    refused(&post(&server, "runs/log-batch", batch).await, "Changing param values is not allowed");
    let data = get(&server, &format!("runs/get?run_id={id}")).await.json()["run"]["data"].clone();
    assert_eq!((data["params"].as_array().unwrap().len(), data.get("metrics")), (1, None));
    let twice = json!({ "run_id": id, "params": [{ "key": "q", "value": "1" }, { "key": "q", "value": "1" }] });
    refused(&post(&server, "runs/log-batch", twice).await, "Duplicate parameter keys");
    let many: Vec<Value> = (0..1_001).map(|n| json!({ "key": "m", "value": n, "timestamp": n })).collect();
    refused(&post(&server, "runs/log-batch", json!({ "run_id": id, "metrics": many })).await, "at most 1000 metrics");
}

#[tokio::test]
async fn values_that_are_not_finite_travel_by_name_and_the_latest_is_kept() {
    let (server, _) = Server::with_project().await;
    let id = begin(&server, json!({ "experiment_id": "1" })).await;
    for (value, step) in [(json!("NaN"), 3), (json!("0.5"), 1), (json!(0.25), 2)] {
        post(
            &server,
            "runs/log-metric",
            json!({ "run_id": id, "key": "m", "value": value, "timestamp": 7, "step": step }),
        )
        .await;
    }
    post(&server, "runs/log-metric", json!({ "run_id": id, "key": "i", "value": "-Infinity", "timestamp": 7 })).await;
    let metrics = get(&server, &format!("runs/get?run_id={id}")).await.json()["run"]["data"]["metrics"].clone();
    assert_eq!(metrics[0], json!({ "key": "i", "value": f64::MIN, "timestamp": 7, "step": 0 }));
    assert_eq!(metrics[1], json!({ "key": "m", "value": "NaN", "timestamp": 7, "step": 3 }));
    let first = get(&server, &format!("metrics/get-history?run_id={id}&metric_key=m&max_results=2")).await.json();
    let token = first["next_page_token"].as_str().unwrap();
    let rest = get(&server, &format!("metrics/get-history?run_id={id}&metric_key=m&max_results=2&page_token={token}"))
        .await
        .json();
    let steps: Vec<i64> = [&first, &rest]
        .iter()
        .flat_map(|page| page["metrics"].as_array().unwrap().clone())
        .map(|point| point["step"].as_i64().unwrap())
        .collect();
    assert_eq!((steps, rest.get("next_page_token")), (vec![1, 2, 3], None));
    assert_eq!(get(&server, &format!("metrics/get-history?run_id={}&metric_key=m", "0".repeat(32))).await.text(), "{}");
}

#[tokio::test]
async fn artifact_paths_that_leave_their_folder_are_refused() {
    let (server, _) = Server::with_project().await;
    let id = begin(&server, json!({ "experiment_id": "1" })).await;
    let at = |path: &str| format!("1/{id}/artifacts/{path}");
    for path in
        ["..%2fx", "a/%2e%2e/x", "%252e%252e/x", "a%2523b", "%2fetc", "a%5cb", "a%00", "a/", "a//b", "..%25252fx"]
    {
        refused(&file(&server, Method::PUT, &at(path), &[], b"x").await, "Invalid path");
    }
    let listed = server.get(&format!("{FILES}?path=1/{id}/artifacts/../../x")).await;
    refused(&listed, "Invalid path");
    for elsewhere in [
        format!("2/{id}/artifacts/a"),
        format!("1/{}/artifacts/a", "0".repeat(32)),
        "1/a".to_owned(),
        "1/models/m-1/artifacts/a".to_owned(),
    ] {
        assert_eq!(status_and_code(&file(&server, Method::PUT, &elsewhere, &[], b"x").await).0, 404, "{elsewhere}");
    }
}

#[tokio::test]
async fn files_come_back_whole_and_in_parts() {
    let (server, _) = Server::with_project().await;
    let id = begin(&server, json!({ "experiment_id": "1" })).await;
    let at = |path: &str| format!("1/{id}/artifacts/{path}");
    assert_eq!(file(&server, Method::PUT, &at("d/page.html"), &[], b"0123456789").await.text(), "{}");
    let whole = file(&server, Method::GET, &at("d/page.html"), &[], b"").await;
    assert_eq!(
        (whole.text().as_str(), whole.header("content-type"), whole.header("content-disposition")),
        ("0123456789", Some("text/html"), Some("attachment; filename=\"page.html\""))
    );
    assert!(whole.header("etag").is_some() && whole.header("x-content-type-options") == Some("nosniff"));
    let part = file(&server, Method::GET, &at("d/page.html"), &[("range", "bytes=2-4")], b"").await;
    assert_eq!(
        (part.status, part.text().as_str(), part.header("content-range")),
        (StatusCode::PARTIAL_CONTENT, "234", Some("bytes 2-4/10"))
    );
    let last = file(&server, Method::GET, &at("d/page.html"), &[("range", "bytes=-3")], b"").await;
    assert_eq!(last.text(), "789");
    assert_eq!(
        file(&server, Method::GET, &at("d/page.html"), &[("range", "bytes=10-")], b"").await.status,
        StatusCode::RANGE_NOT_SATISFIABLE
    );
    refused(&file(&server, Method::GET, &at("d"), &[], b"").await, "is a folder");
    refused(&file(&server, Method::PUT, &at("d"), &[], b"x").await, "is a folder");
    refused(&file(&server, Method::PUT, &at("d/page.html/x"), &[], b"x").await, "is a file");
    assert_eq!(
        status_and_code(&file(&server, Method::GET, &at("nothing"), &[], b"").await),
        (404, "RESOURCE_DOES_NOT_EXIST".to_owned())
    );
    let listed = server.get(&format!("{FILES}?path=1/{id}/artifacts")).await.json();
    assert_eq!(listed, json!({ "files": [{ "path": "d", "is_dir": true }] }));
    let listed = get(&server, &format!("artifacts/list?run_id={id}&path=d")).await.json();
    assert_eq!(listed["files"], json!([{ "path": "d/page.html", "is_dir": false, "file_size": 10 }]));
    assert_eq!(file(&server, Method::DELETE, &at("d"), &[], b"").await.status, StatusCode::OK);
    assert_eq!(server.get(&format!("{FILES}?path=1/{id}/artifacts")).await.text(), "{}");
}

#[tokio::test]
async fn what_a_caller_may_not_read_is_not_there_and_what_they_may_not_write_is_refused() {
    let (server, project) = Server::with_project().await;
    let id = begin(&server, json!({ "experiment_id": "1" })).await;
    let hidden = begin(&server, json!({ "experiment_id": "0" })).await;
    let viewer = server.test.token("eve", Role::Viewer, Some(&project)).await.unwrap();
    let ask =
        async |method: Method, path: String, body: Option<Value>| server.call_as(&viewer, method, &path, body).await;
    assert_eq!(ask(Method::GET, format!("{ROOT}/runs/get?run_id={id}"), None).await.status, StatusCode::OK);
    let gone = ask(Method::GET, format!("{ROOT}/runs/get?run_id={hidden}"), None).await;
    assert_eq!(status_and_code(&gone), (404, "RESOURCE_DOES_NOT_EXIST".to_owned()));
    assert_eq!(
        status_and_code(&ask(Method::GET, format!("{ROOT}/experiments/get?experiment_id=0"), None).await).0,
        404
    );
    let search = json!({ "experiment_ids": ["0", "1"] });
    let found = ask(Method::POST, format!("{ROOT}/runs/search"), Some(search)).await.json();
    assert_eq!(found["runs"].as_array().unwrap().len(), 1);
    for (path, body) in [
        ("runs/set-tag", json!({ "run_id": id, "key": "k", "value": "v" })),
        ("runs/create", json!({ "experiment_id": "1" })),
        ("runs/delete", json!({ "run_id": id })),
        ("experiments/delete", json!({ "experiment_id": "1" })),
        ("experiments/create", json!({ "name": "mine" })),
    ] {
        let answer = ask(Method::POST, format!("{ROOT}/{path}"), Some(body)).await;
        assert_eq!(status_and_code(&answer), (403, "PERMISSION_DENIED".to_owned()), "{path}");
    }
    let anonymous =
        server.send(Request::get(format!("{ROOT}/runs/get?run_id={id}")).body(Body::empty()).unwrap()).await;
    assert_eq!(status_and_code(&anonymous), (401, "UNAUTHENTICATED".to_owned()));
}

#[tokio::test]
async fn an_experiment_deleted_takes_its_runs_along_and_brings_them_back() {
    let (server, _) = Server::with_project().await;
    let made = post(&server, "experiments/create", json!({ "name": "by hand" })).await.json()["experiment_id"].clone();
    let id = begin(&server, json!({ "experiment_id": made })).await;
    let body = json!({ "experiment_id": made });
    assert_eq!(post(&server, "experiments/delete", body.clone()).await.text(), "{}");
    assert_eq!(status_and_code(&post(&server, "experiments/delete", body.clone()).await).0, 404);
    refused(&post(&server, "runs/set-tag", json!({ "run_id": id, "key": "k", "value": "v" })).await, "deleted");
    refused(&post(&server, "experiments/update", json!({ "experiment_id": made, "new_name": "x" })).await, "deleted");
    let again = post(&server, "experiments/create", json!({ "name": "by hand" })).await;
    assert_eq!(status_and_code(&again), (400, "RESOURCE_ALREADY_EXISTS".to_owned()));
    post(&server, "experiments/restore", body).await;
    assert_eq!(post(&server, "runs/set-tag", json!({ "run_id": id, "key": "k", "value": "v" })).await.text(), "{}");
    let listed = get(&server, "experiments/search?max_results=2&order_by=name%20DESC").await.json();
    let names: Vec<&str> =
        listed["experiments"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((names, listed["next_page_token"].is_string()), (vec!["flights", "by hand"], true));
}

#[tokio::test]
async fn the_ajax_api_answers_alike() {
    let server = Server::start().await;
    let both = [
        server.get("/api/2.0/mlflow/experiments/get?experiment_id=0").await,
        server.get("/ajax-api/2.0/mlflow/experiments/get?experiment_id=0").await,
    ];
    assert_eq!(both[0].json(), both[1].json());
    assert_eq!(server.get("/ajax-api/3.0/mlflow/server-info").await.json()["workspaces_enabled"], json!(false));
    assert_eq!(server.get("/version").await.text(), "3.17.2");
}
