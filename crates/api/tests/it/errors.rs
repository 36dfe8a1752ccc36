use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn every_answer_carries_its_id_and_the_headers_that_protect_it() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for path in ["/health", "/nowhere", "/api/v1/projects"] {
        let answer = server.get(path).await;
        ids.push(answer.header("x-request-id").unwrap().to_owned());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(
            answer.header("content-security-policy"),
            Some("default-src 'none'; frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    assert!(ids.iter().all(|id| id.len() == 32) && ids[0] != ids[1]);
}

#[tokio::test]
async fn an_error_has_code_message_hint_and_the_id_of_the_request() {
    let server = Server::start().await;
    let answer = server.get("/api/v1/projects/nowhere").await;
    let reply = answer.json();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(reply["error"]["code"], "not-found");
    assert_eq!(reply["error"]["message"], "project `nowhere` does not exist");
    assert!(reply["error"]["hint"].as_str().unwrap().contains("perennial run"));
    assert_eq!(reply["request_id"].as_str(), answer.header("x-request-id"));
}

#[tokio::test]
async fn each_protocol_has_its_own_error_format() {
    let server = Server::start().await;
    let unknown = server.get("/v2/models/nothing").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.json()["error"].as_str().unwrap().contains("endpoint `nothing` does not exist"));
    for path in ["/v2/systemsharedmemory/status", "/v2/logging", "/v2/trace/setting"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    let scoring = server.post("/endpoints/nothing/invocations", json!({})).await;
    assert_eq!(scoring.json()["error_code"], "RESOURCE_DOES_NOT_EXIST");
    let mlflow = server.get("/api/2.0/mlflow/no-such-thing").await;
    assert_eq!(
        (mlflow.status, mlflow.json()["error_code"].clone()),
        (StatusCode::NOT_FOUND, json!("ENDPOINT_NOT_FOUND"))
    );
}

#[tokio::test]
async fn a_wrong_method_is_answered_in_the_protocol_of_the_path() {
    let server = Server::start().await;
    let native = server.call(Method::DELETE, "/health", None).await;
    assert_eq!(
        (native.status, native.json()["error"]["code"].clone()),
        (StatusCode::METHOD_NOT_ALLOWED, json!("invalid-argument"))
    );
    let inference = server.get("/v2/models/x/infer").await;
    assert_eq!(inference.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(inference.json()["error"].is_string());
}

#[tokio::test]
async fn a_project_file_with_mistakes_is_answered_with_each_of_them() {
    let server = Server::start().await;
    let file = perennial_testkit::toml_text::rename(perennial_testkit::PROJECT_FILE, "task.metric", "metrik");
    std::fs::write(server.test.folder.path().join("root/perennial.toml"), &file).unwrap();
    for path in ["/api/v1/check", "/api/v1/projects/submit"] {
        let answer = server.post(path, json!({})).await;
        let reply = answer.json();
        assert_eq!(
            (answer.status, reply["error"]["code"].clone()),
            (StatusCode::BAD_REQUEST, json!("project-file")),
            "{path}"
        );
        let mistakes = reply["error"]["diagnostics"].as_array().unwrap();
        let mistake = mistakes.iter().find(|mistake| mistake["words"] == "metrik").unwrap_or_else(|| panic!("{reply}"));
        assert_eq!(mistake["file"], "perennial.toml");
        let line = file.lines().position(|line| line.starts_with("metrik")).unwrap() + 1;
        assert_eq!(mistake["line"], json!(line));
        let offset = mistake["offset"].as_u64().unwrap() as usize;
        assert_eq!(&file[offset..offset + mistake["length"].as_u64().unwrap() as usize], "metrik");
        assert!(mistake["suggestion"].as_str().unwrap().contains("metric"));
    }
}

#[tokio::test]
async fn malformed_bodies_and_parameters_are_refused_with_the_reason() {
    let (server, _) = Server::with_project().await;
    let runs = "/api/v1/projects/flights/pipeline-runs";
    let cases = [
        (vec![("content-type", "application/json")], "{".to_owned(), "cannot parse"),
        (vec![("content-type", "application/json")], json!({ "kind": "fly" }).to_string(), "fly"),
        (vec![("content-type", "application/json")], json!({ "kind": "run", "optoins": {} }).to_string(), "optoins"),
        (vec![("content-type", "text/plain")], json!({ "kind": "run" }).to_string(), "application/json"),
        (vec![], json!({ "kind": "run" }).to_string(), "application/json"),
    ];
    for (headers, body, wanted) in cases {
        let answer = server.post_raw(runs, &headers, body.into_bytes()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.message().contains(wanted), "{}", answer.text());
    }
    for path in [
        format!("{runs}?limit=many"),
        format!("{runs}/not-an-id"),
        "/api/v1/projects/flights/ledger?after=x".to_owned(),
    ] {
        assert_eq!(server.get(&path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_whether_it_says_so_or_not() {
    let (server, _) = Server::with_project().await;
    let huge = vec![b' '; perennial_api::limits::BODY_BYTES_MAX + 1];
    let json = [("content-type", "application/json")];
    let reply = server.post_raw("/api/v1/projects/flights/query", &json, huge.clone()).await;
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].clone()),
        (StatusCode::PAYLOAD_TOO_LARGE, json!("too-large"))
    );
    let chunks = futures::stream::iter(
        huge.chunks(65_536).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let request = Request::post("/api/v1/projects/flights/query")
        .header("authorization", format!("Bearer {}", server.admin))
        .header("content-type", "application/json")
        .body(Body::from_stream(chunks))
        .unwrap();
    assert_eq!(server.send(request).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}
