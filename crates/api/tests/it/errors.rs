use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use perennial_api::{Access, Options};
use serde_json::json;
use tokio::sync::Notify;

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
async fn an_error_tells_code_message_hint_and_the_requests_id() {
    let server = Server::start().await;
    let answer = server.get("/api/v1/projects/nowhere").await;
    let told = answer.json();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(told["error"]["code"], "not-found");
    assert_eq!(told["error"]["message"], "project `nowhere` does not exist");
    assert!(told["error"]["hint"].as_str().unwrap().contains("perennial run"));
    assert_eq!(told["request_id"].as_str(), answer.header("x-request-id"));
}

#[tokio::test]
async fn each_protocol_tells_errors_its_own_way() {
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
async fn a_wrong_method_is_told_in_the_paths_protocol() {
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
    let file = perennial_testkit::PROJECT_FILE.replace("metric = \"auc\"", "metrik = \"auc\"");
    std::fs::write(server.test.folder.path().join("root/perennial.toml"), &file).unwrap();
    for path in ["/api/v1/check", "/api/v1/projects/submit"] {
        let answer = server.post(path, json!({})).await;
        let told = answer.json();
        assert_eq!(
            (answer.status, told["error"]["code"].clone()),
            (StatusCode::BAD_REQUEST, json!("project-file")),
            "{path}"
        );
        let mistakes = told["error"]["diagnostics"].as_array().unwrap();
        let mistake = mistakes.iter().find(|mistake| mistake["words"] == "metrik").unwrap_or_else(|| panic!("{told}"));
        assert_eq!(mistake["file"], "perennial.toml");
        let line = file.lines().position(|line| line.starts_with("metrik")).unwrap() + 1;
        assert_eq!(mistake["line"], json!(line));
        let offset = mistake["offset"].as_u64().unwrap() as usize;
        assert_eq!(&file[offset..offset + mistake["length"].as_u64().unwrap() as usize], "metrik");
        assert!(mistake["suggestion"].as_str().unwrap().contains("metric"));
    }
}

#[tokio::test]
async fn bodies_and_parameters_that_do_not_read_are_refused_with_the_reason() {
    let (server, _) = Server::with_project().await;
    let runs = "/api/v1/projects/flights/pipeline-runs";
    let cases = [
        (vec![("content-type", "application/json")], "{".to_owned(), "does not read"),
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
    let told = server.post_raw("/api/v1/projects/flights/query", &json, huge.clone()).await;
    assert_eq!(
        (told.status, told.json()["error"]["code"].clone()),
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

async fn broken_handler() -> StatusCode {
    tokio::task::yield_now().await;
    panic!("broken")
}

#[tokio::test]
async fn a_handler_that_panics_is_an_answer_like_any_other_fault() {
    let server = Server::start().await;
    let broken = axum::routing::get(broken_handler);
    let router = perennial_api::router_with(server.test.app.clone(), Options::default(), |routes| {
        routes.page("/broken", Access::Public, broken)
    });
    let server = Server { router, ..server };
    let answer = server.get("/broken").await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].clone()),
        (StatusCode::INTERNAL_SERVER_ERROR, json!("internal"))
    );
    assert!(!answer.text().contains("broken"), "the cause is for the log");
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_goes_on_when_its_caller_goes_away() {
    let server = Server::start().await;
    let (begun, go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (begun.clone(), go.clone(), done.clone());
    let slow = axum::routing::post(move || async move {
        signals.0.notify_one();
        signals.1.notified().await;
        signals.2.notify_one();
    });
    let router = perennial_api::router_with(server.test.app.clone(), Options::default(), |routes| {
        routes.page("/slow", Access::Known, slow)
    });
    let server = Server { router, ..server };
    tokio::select! {
        _ = server.call(Method::POST, "/slow", None) => panic!("it waits"),
        () = begun.notified() => {}
    }
    go.notify_one();
    done.notified().await;
}

#[tokio::test]
async fn one_request_more_than_there_is_room_for_is_told_to_come_back() {
    let server = Server::start().await;
    let inside = Arc::new(AtomicUsize::new(0));
    let entered = inside.clone();
    let wait = axum::routing::get(move || async move {
        entered.fetch_add(1, Ordering::AcqRel);
        std::future::pending::<()>().await;
    });
    let router = perennial_api::router_with(server.test.app.clone(), Options::default(), |routes| {
        routes.page("/wait", Access::Known, wait)
    });
    let server = Arc::new(Server { router, ..server });
    let ask = || {
        let server = server.clone();
        tokio::spawn(async move { server.get("/wait").await.status })
    };
    let waiting: Vec<_> = (0..perennial_api::limits::REQUESTS_MAX).map(|_| ask()).collect();
    while inside.load(Ordering::Acquire) < perennial_api::limits::REQUESTS_MAX {
        tokio::task::yield_now().await;
    }
    let refused = server.get("/api/v1/projects").await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    assert_eq!(server.get("/health").await.status, StatusCode::OK, "a busy server is alive");
    // Whoever leaves makes room.
    waiting[0].abort();
    while server.get("/api/v1/projects").await.status != StatusCode::OK {
        tokio::task::yield_now().await;
    }
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
