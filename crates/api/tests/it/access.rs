use axum::body::Body;
use http::{Method, Request, StatusCode};
use perennial_api::Protocol;
use perennial_core::permission::Role;
use perennial_http::{Options, PeerAddr};
use perennial_kernel::access;
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel};
use serde_json::json;
use tower::ServiceExt;

use crate::support::Server;

#[tokio::test]
async fn public_routes_answer_anybody_and_no_other_does() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    for path in ["/health", "/ready", "/v2/health/live", "/v2/health/ready", "/version", "/api/v1/openapi.json"] {
        let answer = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/metrics",
        "/v2",
        "/v2/models/delay",
        "/endpoints/delay/ping",
        "/api/v1/projects",
        "/api/v1/projects/flights",
        "/api/v1/tokens",
    ] {
        let answer = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            answer
                .headers
                .get_all("www-authenticate")
                .iter()
                .any(|value| value.to_str().unwrap().starts_with("Bearer")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_token_is_taken_as_bearer_and_as_basic_password() {
    let server = Server::start().await;
    let basic = |text: String| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let cases = [
        (format!("Bearer {}", server.admin), StatusCode::OK),
        (format!("bearer {}", server.admin), StatusCode::OK),
        (basic(format!("anybody:{}", server.admin)), StatusCode::OK),
        ("Bearer prn_unknown".to_owned(), StatusCode::UNAUTHORIZED),
        (basic("anybody:wrong".to_owned()), StatusCode::UNAUTHORIZED),
        (basic("no colon".to_owned()), StatusCode::UNAUTHORIZED),
        (format!("Digest {}", server.admin), StatusCode::UNAUTHORIZED),
        (server.admin.clone(), StatusCode::UNAUTHORIZED),
    ];
    for (header, expected) in cases {
        let request = Request::get("/api/v1/projects").header("authorization", &header).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.status, expected, "{header}");
    }
}

#[tokio::test]
async fn each_role_may_what_it_holds_on_its_project_and_nothing_elsewhere() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let base = "/api/v1/projects/flights";
    // Method, path, the least role it takes, and the answer to those who hold it.
    let read = [
        base.to_owned(),
        format!("{base}/datasets"),
        format!("{base}/endpoints"),
        format!("{base}/ledger"),
        format!("{base}/alerts"),
        "/v2/models/delay".to_owned(),
    ];
    let write = [
        (format!("{base}/alerts/{}/acknowledge", "0".repeat(32)), StatusCode::NOT_FOUND),
        (format!("{base}/predictions/load"), StatusCode::OK),
    ];
    let approve = [
        (format!("{base}/endpoints/delay/rollback"), StatusCode::CONFLICT),
        (format!("{base}/loads/{}/accept", "0".repeat(32)), StatusCode::NOT_FOUND),
    ];
    let manage = [(format!("{base}/clock"), StatusCode::BAD_REQUEST)];
    for role in [Role::Viewer, Role::Contributor, Role::Approver, Role::Admin] {
        let name = format!("{}-of-flights", role.as_str());
        let token = server.test.token(&name, role, Some(&project)).await.unwrap();
        for path in &read {
            assert_eq!(server.call_as(&token, Method::GET, path, None).await.status, StatusCode::OK, "{role:?} {path}");
        }
        let posts = write
            .iter()
            .map(|post| (post, Role::Contributor))
            .chain(approve.iter().map(|post| (post, Role::Approver)))
            .chain(manage.iter().map(|post| (post, Role::Admin)));
        for ((path, held), least) in posts {
            let expected = if role >= least { *held } else { StatusCode::FORBIDDEN };
            assert_eq!(
                server.call_as(&token, Method::POST, path, Some(json!({}))).await.status,
                expected,
                "{role:?} {path}"
            );
        }
        // They have no role on the server.
        for path in ["/metrics", "/api/v1/tokens"] {
            assert_eq!(
                server.call_as(&token, Method::GET, path, None).await.status,
                StatusCode::FORBIDDEN,
                "{role:?} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_project_one_may_not_read_looks_like_one_that_is_not_there() {
    let (server, _) = Server::with_project().await;
    let other =
        server.test.submit(&set(PROJECT_FILE, "project.name", "'trains'").replace("delay", "lag")).await.unwrap();
    let token = server.test.token("guest", Role::Admin, Some(&other)).await.unwrap();
    let hidden = server.call_as(&token, Method::GET, "/api/v1/projects/flights", None).await;
    let missing = server.call_as(&token, Method::GET, "/api/v1/projects/nowhere", None).await;
    assert_eq!((hidden.status, missing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(hidden.message().replace("flights", "nowhere"), missing.message());
    let listed = server.call_as(&token, Method::GET, "/api/v1/projects", None).await.json();
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["trains"]);
}

#[tokio::test]
async fn an_endpoint_that_several_projects_have_is_asked_by_its_long_name() {
    let (server, flights) = Server::with_project().await;
    server.test.deploy(&flights, "delay", &TestModel::binary(0.0)).await.unwrap();
    let trains = server.test.submit(&set(PROJECT_FILE, "project.name", "'trains'")).await.unwrap();
    assert_eq!(server.get("/v2/models/delay/ready").await.status, StatusCode::OK, "it is unique yet");
    server.test.deploy(&trains, "delay", &TestModel::binary(1.0)).await.unwrap();
    // MLflow's clients know one status for everything that the request can mend.
    let paths = [
        ("/v2/models/delay", StatusCode::CONFLICT),
        ("/v2/models/delay/ready", StatusCode::CONFLICT),
        ("/endpoints/delay/ping", StatusCode::BAD_REQUEST),
    ];
    for (path, status) in paths {
        let refused = server.get(path).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
        assert!(refused.text().contains("endpoint `delay` exists in several projects"), "{path}: {}", refused.text());
    }
    let refused = server.post("/v2/models/delay/infer", json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    for path in ["/v2/models/flights.delay", "/v2/models/trains.delay"] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.json()["name"].as_str()),
            (StatusCode::OK, path.rsplit('/').next()),
            "{path}"
        );
    }
    for project in ["flights", "trains"] {
        let ping = server.get(&format!("/projects/{project}/endpoints/delay/ping")).await;
        assert_eq!(ping.status, StatusCode::OK, "{project}: {}", ping.text());
    }
    let row = json!({ "dataframe_records": [{ "dep_hour": 1, "distance": 2, "carrier": "AA" }] });
    let answers = async |project: &str| {
        let path = format!("/projects/{project}/endpoints/delay/invocations");
        let answer = server.post(&path, row.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["predictions"][0]["probability"].as_f64().unwrap()
    };
    assert!(answers("flights").await < answers("trains").await, "each by its own model");
    for absent in
        ["/v2/models/ships.delay", "/projects/ships/endpoints/delay/ping", "/projects/trains/endpoints/lag/ping"]
    {
        assert_eq!(server.get(absent).await.status, StatusCode::NOT_FOUND, "{absent}");
    }
    let index = server.call(Method::POST, "/v2/repository/index", None).await.json();
    let names: Vec<&str> = index.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"flights.delay") && names.contains(&"trains.delay"), "{names:?}");
    // A caller that may read one of the projects does not see the other.
    let token = server.test.token("guest", Role::Viewer, Some(&trains)).await.unwrap();
    let own = server.call_as(&token, Method::GET, "/v2/models/delay", None).await;
    assert_eq!((own.status, own.json()["name"].as_str()), (StatusCode::OK, Some("delay")));
    let hidden = server.call_as(&token, Method::GET, "/v2/models/flights.delay", None).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_endpoint_of_another_project_is_answered_as_one_that_does_not_exist() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let other =
        server.test.submit(&set(PROJECT_FILE, "project.name", "'trains'").replace("delay", "lag")).await.unwrap();
    let token = server.test.token("guest", Role::Admin, Some(&other)).await.unwrap();
    // Another server over the same store, which has not opened its endpoints yet.
    let services = perennial_testkit::TestApp::beside(&server.test).await.unwrap();
    let router = perennial_api::router(services.app.clone(), Options::default());
    let unopened = Server { test: services, router, admin: server.admin.clone() };
    for (method, path) in [
        (Method::GET, "/v2/models/delay"),
        (Method::GET, "/v2/models/delay/ready"),
        (Method::POST, "/v2/models/delay/infer"),
        (Method::POST, "/endpoints/delay/invocations"),
        (Method::GET, "/endpoints/delay/version"),
    ] {
        for server in [&server, &unopened] {
            let hidden = server.call_as(&token, method.clone(), path, Some(json!({}))).await;
            let absent = path.replace("delay", "absent");
            let absent = server.call_as(&token, method.clone(), &absent, Some(json!({}))).await;
            assert_eq!((hidden.status, absent.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND), "{path}");
            assert_eq!(hidden.text().replace("delay", "absent"), absent.text());
        }
    }
    let index = server.call_as(&token, Method::POST, "/v2/repository/index", None).await;
    assert_eq!(index.json(), json!([]));
}

#[tokio::test]
async fn an_experiment_of_another_project_is_answered_as_one_that_does_not_exist() {
    let (server, flights) = Server::with_project().await;
    let trains =
        server.test.submit(&set(PROJECT_FILE, "project.name", "'trains'").replace("delay", "lag")).await.unwrap();
    let token = server.test.token("guest", Role::Admin, Some(&trains)).await.unwrap();
    let call = async |method: Method, path: &str, body: Option<serde_json::Value>| {
        server.call_as(&token, method, &format!("/api/2.0/mlflow/experiments/{path}"), body).await
    };
    let hidden = call(Method::GET, "get-by-name?experiment_name=flights", None).await;
    let absent = call(Method::GET, "get-by-name?experiment_name=absent", None).await;
    assert_eq!((hidden.status, hidden.text().replace("flights", "absent")), (absent.status, absent.text()));
    let id = flights.experiment;
    for path in [format!("get?experiment_id={id}"), "get?experiment_id=999".to_owned()] {
        assert_eq!(call(Method::GET, &path, None).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // The name is free in the caller's project: the answers to two attempts are those for an unused name.
    for name in ["flights", "absent"] {
        let created = call(Method::POST, "create", Some(json!({ "name": name }))).await;
        assert_eq!(created.status, StatusCode::OK, "{name}: {}", created.text());
        let again = call(Method::POST, "create", Some(json!({ "name": name }))).await;
        assert_eq!(again.json()["error_code"], "RESOURCE_ALREADY_EXISTS", "{name}");
        let found = call(Method::GET, &format!("get-by-name?experiment_name={name}"), None).await.json();
        assert_eq!(found["experiment"]["experiment_id"], created.json()["experiment_id"], "{name}");
        let renamed = json!({ "experiment_id": created.json()["experiment_id"], "new_name": "Default" });
        assert_eq!(call(Method::POST, "update", Some(renamed)).await.status, StatusCode::OK, "{name}");
        let back = json!({ "experiment_id": created.json()["experiment_id"], "new_name": name });
        assert_eq!(call(Method::POST, "update", Some(back)).await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn a_steps_token_reads_its_project_and_starts_nothing() {
    let (server, project) = Server::with_project().await;
    let token = access::step_token(
        &server.test.system(),
        (project.id, &project.name),
        &"train".parse().unwrap(),
        perennial_core::id::RunId::generate(),
    )
    .await
    .unwrap();
    let read = server.call_as(&token.secret, Method::GET, "/api/v1/projects/flights", None).await;
    assert_eq!(read.status, StatusCode::OK);
    let run = server
        .call_as(&token.secret, Method::POST, "/api/v1/projects/flights/pipeline-runs", Some(json!({ "kind": "run" })))
        .await;
    assert_eq!(run.status, StatusCode::FORBIDDEN);
    assert!(run.message().contains("a step's token"), "{}", run.text());
    let edited = set(PROJECT_FILE, "project.goal", "'predict delays'");
    std::fs::write(server.test.folder.path().join("root/perennial.toml"), edited).unwrap();
    let submitted = server.call_as(&token.secret, Method::POST, "/api/v1/projects/submit", None).await;
    assert_eq!(submitted.status, StatusCode::FORBIDDEN, "{}", submitted.text());
}

#[tokio::test]
async fn a_steps_token_that_outlived_its_server_is_void_after_the_next_start() {
    let (server, project) = Server::with_project().await;
    let (system, step) = (server.test.system(), "train".parse().unwrap());
    let token = access::step_token(&system, (project.id, &project.name), &step, perennial_core::id::RunId::generate())
        .await
        .unwrap();
    perennial_execution::pipelines::recover(&system).await.unwrap();
    let read = server.call_as(&token.secret, Method::GET, "/api/v1/projects/flights", None).await;
    assert_eq!(read.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_token_is_void_at_once_though_it_was_used_a_moment_ago() {
    let server = Server::start().await;
    let made = server.post("/api/v1/tokens", json!({ "name": "ci", "role": "viewer" })).await.json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        assert_eq!(server.call_as(&secret, Method::GET, "/metrics", None).await.status, StatusCode::OK);
    }
    let revoked = server.call(Method::DELETE, &format!("/api/v1/tokens/{}", made["id"].as_str().unwrap()), None).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(server.call_as(&secret, Method::GET, "/metrics", None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_principal_grants_no_more_than_it_has() {
    let (server, project) = Server::with_project().await;
    let token = server.test.token("lead", Role::Admin, Some(&project)).await.unwrap();
    let own = server
        .call_as(
            &token,
            Method::POST,
            "/api/v1/tokens",
            Some(json!({ "name": "a", "role": "viewer", "project": "flights" })),
        )
        .await;
    assert_eq!(own.status, StatusCode::OK);
    let whole =
        server.call_as(&token, Method::POST, "/api/v1/tokens", Some(json!({ "name": "b", "role": "viewer" }))).await;
    assert_eq!(whole.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn other_hosts_and_origins_are_refused_before_anybody_is_asked_who_they_are() {
    let server = Server::start().await;
    let with =
        |name: &str, value: &str| Request::post("/api/v1/check").header(name, value).body(Body::empty()).unwrap();
    for (name, value) in
        [("host", "evil.example.com"), ("origin", "http://evil.example.com"), ("sec-fetch-site", "cross-site")]
    {
        let answer = server.send(with(name, value)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(answer.json()["error"]["code"], "cross-site");
    }
    let ours = perennial_api::router(
        server.test.app.clone(),
        Options { hosts: vec!["ml.example.org".to_owned()], ..Options::default() },
    );
    let answer = ours
        .oneshot(Request::get("/health").header("host", "ml.example.org").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn without_authentication_only_this_machine_is_answered() {
    let test = TestApp::start().await.unwrap();
    let router = perennial_api::router(test.app.clone(), Options { auth: false, ..Options::default() });
    let ask = |peer: Option<&str>| {
        let mut request = Request::get("/api/v1/projects").header("host", "localhost").body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
        }
        router.clone().oneshot(request)
    };
    assert_eq!(ask(Some("127.0.0.1:1")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ask(Some("[::1]:1")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ask(Some("[::ffff:127.0.0.1]:1")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ask(Some("10.0.0.9:1")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask(None).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_by_cookie_needs_the_sessions_form_token() {
    let server = Server::start().await;
    std::fs::write(server.test.folder.path().join("root/perennial.toml"), PROJECT_FILE).unwrap();
    let secret = access::log_in(&server.test.app.kernel, &server.admin).await.unwrap();
    let csrf = access::session(&server.test.app.kernel, &secret).await.unwrap().unwrap().csrf_token;
    let cookie = format!("other=1; {}={secret}", perennial_http::SESSION_COOKIE);
    let read = Request::get("/api/v1/projects").header("cookie", &cookie).body(Body::empty()).unwrap();
    assert_eq!(server.send(read).await.status, StatusCode::OK);
    let post = |token: Option<&str>| {
        let request = Request::post("/api/v1/check").header("cookie", &cookie);
        let request = token.into_iter().fold(request, |request, token| request.header("x-csrf-token", token));
        request.body(Body::empty()).unwrap()
    };
    for refused in [post(None), post(Some("wrong")), post(Some("")), post(Some(&csrf[1..]))] {
        let answer = server.send(refused).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].clone()),
            (StatusCode::FORBIDDEN, json!("cross-site"))
        );
    }
    assert_eq!(server.send(post(Some(&csrf))).await.status, StatusCode::OK);
    // A session has no effect after signing out.
    access::log_out(&server.test.app.kernel, &secret).await.unwrap();
    assert_eq!(server.send(post(Some(&csrf))).await.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn each_path_has_its_protocol() {
    for (path, protocol) in [
        ("/v2", Protocol::Inference),
        ("/v2/models/x/infer", Protocol::Inference),
        ("/v22", Protocol::Native),
        ("/endpoints/x/invocations", Protocol::Scoring),
        ("/api/2.0/mlflow/runs/get", Protocol::Mlflow),
        ("/ajax-api/3.0/mlflow/traces", Protocol::Mlflow),
        ("/api/v1/projects", Protocol::Native),
        ("/", Protocol::Native),
    ] {
        assert_eq!(Protocol::of(path), protocol, "{path}");
    }
}
