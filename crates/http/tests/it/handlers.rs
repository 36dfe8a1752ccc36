//! What happens around a handler.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use perennial_core::id::RunId;
use perennial_core::permission::Role;
use perennial_http::{Access, Options, limits};
use perennial_kernel::access;
use perennial_testkit::TestApp;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::support::Server;

async fn panics() -> StatusCode {
    tokio::task::yield_now().await;
    panic!("broken")
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_as_an_internal_error_with_its_id() {
    let server = Server::start(|routes| {
        let routes = routes.get("/broken", Access::Public, panics).post("/broken", Access::Public, panics);
        routes.probe("/health", || async {})
    })
    .await;
    for method in [Method::GET, Method::POST] {
        let answer = server.call(method.clone(), "/broken").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{method}");
        assert_eq!(answer.text, "internal: the server could not answer this request", "the cause is for the log");
        assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
    }
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_runs_to_its_end_when_its_client_disconnects() {
    let (begun, go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (begun.clone(), go.clone(), done.clone());
    let slow = move || async move {
        signals.0.notify_one();
        signals.1.notified().await;
        signals.2.notify_one();
    };
    let server = Server::start(|routes| routes.post("/slow", Access::Authenticated, slow)).await;
    tokio::select! {
        _ = server.call(Method::POST, "/slow") => panic!("the handler waits"),
        () = begun.notified() => {}
    }
    go.notify_one();
    done.notified().await;
}

/// `Authorization` headers of `count` principals.
async fn tokens(server: &Server, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for place in 0..count {
        let token = server.test.token(&format!("user-{place}"), Role::Viewer, None).await.unwrap();
        tokens.push(format!("Bearer {token}"));
    }
    tokens
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_probes_are_not() {
    const WAIT_MAX: Duration = Duration::from_secs(60);
    let inside = Arc::new(Semaphore::new(0));
    let entered = inside.clone();
    let wait = move || async move {
        entered.add_permits(1);
        std::future::pending::<()>().await;
    };
    let server = Server::start(|routes| {
        routes
            .get("/wait", Access::Authenticated, wait)
            .get("/fast", Access::Authenticated, || async {})
            .probe("/health", || async {})
    })
    .await;
    let tokens = tokens(&server, limits::REQUESTS_MAX / limits::REQUESTS_SHARE_MAX).await;
    let server = Arc::new(server);
    let ask = |place: usize| {
        let (server, request) = (server.clone(), Request::get("/wait"));
        let request = request.header("authorization", &tokens[place % tokens.len()]).body(Body::empty()).unwrap();
        tokio::spawn(async move { server.send(request).await.status })
    };
    let waiting: Vec<_> = (0..limits::REQUESTS_MAX).map(ask).collect();
    let all = u32::try_from(limits::REQUESTS_MAX).unwrap();
    let entered = timeout(WAIT_MAX, inside.acquire_many(all)).await;
    assert!(entered.is_ok(), "only {} requests were admitted", inside.available_permits());
    let refused = server.get("/fast").await;
    assert_eq!(
        (refused.status, refused.text.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "busy: 2048 requests are in flight")
    );
    assert_eq!(server.get("/health").await.status, StatusCode::OK, "a busy server is alive");
    // A request that ends makes room.
    waiting[0].abort();
    let admitted = timeout(WAIT_MAX, async {
        while server.get("/fast").await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    });
    assert!(admitted.await.is_ok(), "a request that has ended still counts");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_change_counts_as_in_flight_after_its_client_has_gone() {
    const WAIT_MAX: Duration = Duration::from_secs(60);
    let (inside, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entered, gate) = (inside.clone(), go.clone());
    let wait = move || async move {
        entered.add_permits(1);
        gate.acquire().await.unwrap().forget();
    };
    let server = Server::start(|routes| {
        routes.post("/wait", Access::Authenticated, wait).get("/fast", Access::Authenticated, || async {})
    })
    .await;
    let tokens = tokens(&server, limits::REQUESTS_MAX / limits::REQUESTS_SHARE_MAX).await;
    let server = Arc::new(server);
    let all = u32::try_from(limits::REQUESTS_MAX).unwrap();
    let clients: Vec<_> = (0..limits::REQUESTS_MAX)
        .map(|place| {
            let (server, request) = (server.clone(), Request::post("/wait"));
            let request = request.header("authorization", &tokens[place % tokens.len()]).body(Body::empty()).unwrap();
            tokio::spawn(async move { server.send(request).await.status })
        })
        .collect();
    timeout(WAIT_MAX, inside.acquire_many(all)).await.expect("all are admitted").unwrap().forget();
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    for client in clients {
        assert!(client.await.unwrap_err().is_cancelled());
    }
    assert_eq!(server.get("/fast").await.status, StatusCode::SERVICE_UNAVAILABLE, "the changes are still under way");
    go.add_permits(limits::REQUESTS_MAX);
    server.test.app.kernel.work.stop(WAIT_MAX).await;
    assert_eq!(server.get("/fast").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stopping_server_refuses_changes_except_those_of_running_steps() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let server = Server::over(test, Options::default(), |routes| {
        let routes = routes.post("/change", Access::Authenticated, || async {});
        routes.post("/public", Access::Public, || async {}).get("/read", Access::Authenticated, || async {})
    })
    .await;
    let (system, step) = (server.test.system(), "train".parse().unwrap());
    let token = access::step_token(&system, (project.id, &project.name), &step, RunId::generate()).await.unwrap();
    server.test.app.kernel.work.stop(Duration::MAX).await;
    for path in ["/change", "/public"] {
        let refused = server.call(Method::POST, path).await;
        assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
        assert_eq!(refused.text, "not-ready: the server is stopping and accepts no changes");
    }
    assert_eq!(server.get("/read").await.status, StatusCode::OK);
    let of_step = Request::post("/change").header("authorization", format!("Bearer {}", token.secret));
    assert_eq!(server.send(of_step.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_response_keeps_the_headers_of_its_handler() {
    let server = Server::start(|routes| {
        routes.get("/kept", Access::Public, || async { ([("cache-control", "max-age=60")], "kept") })
    })
    .await;
    let answer = server.get("/kept").await;
    assert_eq!(answer.header("cache-control"), Some("max-age=60"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
}

#[tokio::test]
async fn requests_that_no_route_matches_are_answered_as_their_path_is() {
    let server = Server::start(|routes| routes.get("/here", Access::Public, || async {})).await;
    let unknown = server.get("/elsewhere").await;
    assert_eq!(
        (unknown.status, unknown.text.as_str()),
        (StatusCode::NOT_FOUND, "not-found: route `/elsewhere` does not exist")
    );
    let wrong = server.call(Method::DELETE, "/here").await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.text, "invalid-argument: method `DELETE` is not allowed at `/here`");
}
