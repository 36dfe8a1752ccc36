//! A token gives the role that was requested and nothing else, and is recorded in the ledger.

use std::sync::Arc;

use http::{Method, StatusCode};
use perennial_core::id::RunId;
use perennial_core::ledger::Chain;
use perennial_core::permission::Role;
use perennial_kernel::access;
use perennial_projects::ProjectState;
use perennial_testkit::PROJECT_FILE;
use perennial_testkit::toml_text::set;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const TOKENS: &str = "/api/v1/tokens";

/// A server with the projects `flights` and `trains`.
async fn two_projects() -> (Server, Arc<ProjectState>, Arc<ProjectState>) {
    let (server, flights) = Server::with_project().await;
    let trains = set(PROJECT_FILE, "project.name", "'trains'").replace("delay", "lag");
    let trains = server.test.submit(&trains).await.unwrap();
    (server, flights, trains)
}

async fn ask(server: &Server, asking: &str, name: &str, role: &str, project: Option<&str>) -> Answer {
    let body = json!({ "name": name, "role": role, "project": project });
    server.call_as(asking, Method::POST, TOKENS, Some(body)).await
}

fn secret(answer: &Answer) -> String {
    answer.json()["secret"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

async fn status(server: &Server, token: &str, path: &str) -> StatusCode {
    server.call_as(token, Method::GET, path, None).await.status
}

/// Entries of a chain, oldest first, as noun, verb and payload.
async fn recorded(server: &Server, chain: Chain) -> Vec<(String, String, Value)> {
    let mut reader = server.test.app.kernel.store().read().await.unwrap();
    let mut entries = perennial_store::ledger::list(&mut reader, chain, None, 1_000).await.unwrap().items;
    entries.reverse();
    let mut recorded = Vec::new();
    for entry in entries {
        let payload = perennial_store::ledger::find_payload(&mut reader, chain, entry.sequence).await.unwrap().unwrap();
        recorded.push((entry.noun, entry.verb, serde_json::from_str(&payload).unwrap()));
    }
    recorded
}

#[tokio::test]
async fn the_name_of_another_principal_gives_no_token_of_theirs() {
    let (server, flights, trains) = two_projects().await;
    let app = &server.test.app.kernel;
    access::host(app).await.unwrap();
    let link = access::admin_link(app).await.unwrap();
    access::use_admin_link(app, &link).await.unwrap();
    let step = "train".parse().unwrap();
    access::step_token(&server.test.system(), (trains.id, &trains.name), &step, RunId::generate()).await.unwrap();
    server.test.token("bob", Role::Contributor, Some(&trains)).await.unwrap();
    let lead = server.test.token("lead", Role::Admin, Some(&flights)).await.unwrap();
    for name in [
        "host",
        "admin",
        "root",
        "bob",
        "step:trains/train",
        "step:flights/train",
        "perennial",
        "local",
        "Admin",
        "HOST",
    ] {
        for asking in [&lead, &server.admin] {
            let answer = ask(&server, asking, name, "viewer", Some("flights")).await;
            assert!(
                [StatusCode::CONFLICT, StatusCode::BAD_REQUEST].contains(&answer.status),
                "{name}: {}",
                answer.text()
            );
        }
    }
    // Only callers who manage the grant learn whose name it is.
    let hidden = ask(&server, &lead, "bob", "viewer", Some("flights")).await;
    assert_eq!(hidden.message(), "the name `bob` is taken");
    let shown = ask(&server, &server.admin, "bob", "viewer", Some("flights")).await;
    assert_eq!(
        shown.message(),
        "`bob` exists already, as contributor on project `trains`: its tokens give exactly that"
    );
}

#[tokio::test]
async fn a_token_of_a_project_gives_nothing_on_the_server_or_another_project() {
    let (server, flights, _) = two_projects().await;
    let lead = server.test.token("lead", Role::Admin, Some(&flights)).await.unwrap();
    let made = secret(&ask(&server, &lead, "deputy", "admin", Some("flights")).await);
    assert_eq!(status(&server, &made, "/api/v1/projects/flights").await, StatusCode::OK);
    assert_eq!(status(&server, &made, "/api/v1/projects/trains").await, StatusCode::NOT_FOUND);
    for path in [TOKENS, "/metrics", "/api/v1/ledger", "/api/v1/ledger/verify"] {
        assert_eq!(status(&server, &made, path).await, StatusCode::FORBIDDEN, "{path}");
    }
    for (name, project) in [("x", None), ("deputy", None)] {
        assert_eq!(ask(&server, &made, name, "viewer", project).await.status, StatusCode::FORBIDDEN, "{name}");
    }
    // A project they may not read is none.
    let hidden = ask(&server, &made, "x", "viewer", Some("trains")).await;
    let missing = ask(&server, &made, "x", "viewer", Some("nowhere")).await;
    assert_eq!((hidden.status, missing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(hidden.message().replace("trains", "nowhere"), missing.message());
}

#[tokio::test]
async fn the_same_name_gives_the_same_grant_or_none() {
    let server = Server::start().await;
    let first = secret(&ask(&server, &server.admin, "alice", "viewer", None).await);
    let second = secret(&ask(&server, &server.admin, "alice", "viewer", None).await);
    let raised = ask(&server, &server.admin, "alice", "admin", None).await;
    assert_eq!(
        (raised.status, raised.message()),
        (
            StatusCode::CONFLICT,
            "`alice` exists already, as viewer on the server: its tokens give exactly that".to_owned()
        )
    );
    let lowered = ask(&server, &server.admin, "root", "viewer", None).await;
    assert_eq!(lowered.status, StatusCode::CONFLICT);
    for token in [&first, &second] {
        assert_eq!(status(&server, token, "/metrics").await, StatusCode::OK);
        assert_eq!(status(&server, token, TOKENS).await, StatusCode::FORBIDDEN);
    }
    let listed = server.get(TOKENS).await.json();
    let alices: Vec<usize> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|principal| principal["name"] == "alice")
        .map(|principal| principal["tokens"].as_array().unwrap().len())
        .collect();
    assert_eq!(alices, [2], "one principal with two tokens");
}

#[tokio::test]
async fn a_principal_without_a_valid_token_may_get_another_role() {
    let (server, flights, _) = two_projects().await;
    let made = ask(&server, &server.admin, "alice", "viewer", None).await;
    let lead = server.test.token("lead", Role::Admin, Some(&flights)).await.unwrap();
    let id = made.json()["id"].as_str().unwrap().to_owned();
    server.call_as(&server.admin, Method::DELETE, &format!("{TOKENS}/{id}"), None).await;
    let taken = ask(&server, &lead, "alice", "admin", Some("flights")).await;
    assert_eq!(taken.message(), "the name `alice` is taken", "what is not theirs to manage is not theirs to change");
    let raised = secret(&ask(&server, &server.admin, "alice", "contributor", Some("flights")).await);
    assert_eq!(status(&server, &raised, "/api/v1/projects/flights").await, StatusCode::OK);
    assert_eq!(status(&server, &raised, "/metrics").await, StatusCode::FORBIDDEN, "the role before is gone");
    let entries = |recorded: Vec<(String, String, Value)>| {
        let grants = recorded.into_iter().filter(|(noun, _, payload)| noun == "grant" && payload["name"] == "alice");
        grants.map(|(_, verb, payload)| (verb, payload["role"].clone())).collect::<Vec<_>>()
    };
    let of_server = entries(recorded(&server, Chain::Server).await);
    assert_eq!(of_server, [("create".to_owned(), json!("viewer")), ("delete".to_owned(), json!("viewer"))]);
    assert_eq!(
        entries(recorded(&server, Chain::Project(flights.id)).await),
        [("create".to_owned(), json!("contributor"))]
    );
}

#[tokio::test]
async fn a_name_with_invalid_characters_is_refused() {
    let server = Server::start().await;
    for name in ["", "a b", "a:b", "a\nb", "аdmin", &"x".repeat(129)] {
        let answer = ask(&server, &server.admin, name, "viewer", None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name:?}");
    }
    for name in ["ann@example.org", "ci-1", &"x".repeat(128)] {
        assert_eq!(ask(&server, &server.admin, name, "viewer", None).await.status, StatusCode::OK, "{name:?}");
    }
    assert_eq!(ask(&server, &server.admin, "admin", "admin", None).await.status, StatusCode::OK, "who links sign in");
}

#[tokio::test]
async fn a_caller_who_manages_the_grant_of_a_token_revokes_it() {
    let (server, flights, trains) = two_projects().await;
    let lead = server.test.token("lead", Role::Admin, Some(&flights)).await.unwrap();
    let own = ask(&server, &lead, "ann", "viewer", Some("flights")).await;
    let system = server.test.system();
    let other = access::create_person_token(&system, "bob", Role::Viewer, Some(trains.id)).await.unwrap();
    let whole = access::create_person_token(&system, "eve", Role::Viewer, None).await.unwrap();
    let end = async |id: &str| server.call_as(&lead, Method::DELETE, &format!("{TOKENS}/{id}"), None).await.status;
    for id in [other.id.to_string(), whole.id.to_string(), "0".repeat(32)] {
        assert_eq!(end(&id).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(status(&server, &other.secret, "/api/v1/projects/trains").await, StatusCode::OK);
    assert_eq!(end(own.json()["id"].as_str().unwrap()).await, StatusCode::OK);
    assert_eq!(status(&server, &secret(&own), "/api/v1/projects/flights").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn roles_are_granted_listed_and_revoked_by_name() {
    let (server, flights, _) = two_projects().await;
    let made = secret(&ask(&server, &server.admin, "ann", "viewer", None).await);
    let lead = server.test.token("lead", Role::Admin, Some(&flights)).await.unwrap();
    let path = "/api/v1/principals/ann/grants";
    let approver = json!({ "role": "approver", "project": "flights" });
    let granted = server.call_as(&lead, Method::POST, path, Some(approver.clone())).await;
    assert_eq!(granted.json()["message"], "`ann` is approver on project `flights`", "{}", granted.text());
    let again = server.call_as(&lead, Method::POST, path, Some(approver)).await;
    assert_eq!(again.json()["message"], "`ann` was already approver on project `flights`");
    let of_ann = async |path: &str| {
        let listed = server.get(path).await.json();
        listed["items"].as_array().unwrap().iter().find(|principal| principal["name"] == "ann").unwrap().clone()
    };
    let held = json!([
        { "role": "viewer", "project": null, "origin": "direct" },
        { "role": "approver", "project": "flights", "origin": "direct" },
    ]);
    assert_eq!(of_ann("/api/v1/principals").await["grants"], held);
    let with_tokens = of_ann(TOKENS).await;
    assert_eq!((&with_tokens["grants"], &with_tokens["role"]), (&held, &Value::Null));

    let revoke = format!("{path}?role=approver&project=flights");
    assert_eq!(server.call_as(&made, Method::DELETE, &revoke, None).await.status, StatusCode::FORBIDDEN);
    let revoked = server.call_as(&lead, Method::DELETE, &revoke, None).await;
    assert_eq!(revoked.json()["message"], "`ann` is no longer approver on project `flights`");
    assert_eq!(of_ann(TOKENS).await["role"], "viewer");
    let hidden = json!({ "role": "viewer", "project": "trains" });
    assert_eq!(server.call_as(&lead, Method::POST, path, Some(hidden)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.call_as(&lead, Method::GET, "/api/v1/principals", None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_without_a_role_gives_every_grant_of_its_principal() {
    let (server, _, _) = two_projects().await;
    ask(&server, &server.admin, "ann", "viewer", None).await;
    let path = "/api/v1/principals/ann/grants";
    server.call_as(&server.admin, Method::POST, path, Some(json!({ "role": "admin", "project": "trains" }))).await;
    let body = json!({ "name": "ann" });
    let made = secret(&server.call_as(&server.admin, Method::POST, TOKENS, Some(body)).await);
    assert_eq!(ask(&server, &made, "bob", "viewer", Some("trains")).await.status, StatusCode::OK);
    assert_eq!(ask(&server, &made, "eve", "viewer", Some("flights")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(status(&server, &made, "/api/v1/projects/flights").await, StatusCode::OK);
}

#[tokio::test]
async fn a_steps_token_begins_no_browser_session() {
    let (server, flights, _) = two_projects().await;
    let step = "train".parse().unwrap();
    let token =
        access::step_token(&server.test.system(), (flights.id, &flights.name), &step, RunId::generate()).await.unwrap();
    let refused = access::log_in(&server.test.app.kernel, &token.secret).await.unwrap_err();
    assert_eq!(refused.code(), perennial_core::ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn a_session_ends_with_the_token_it_was_begun_with() {
    let server = Server::start().await;
    let app = &server.test.app.kernel;
    let token = access::create_person_token(&server.test.system(), "ann", Role::Viewer, None).await.unwrap();
    let session = access::log_in(app, &token.secret).await.unwrap();
    assert!(access::session(app, &session).await.unwrap().is_some());
    access::revoke_token(&server.test.system(), token.id).await.unwrap();
    assert!(access::session(app, &session).await.unwrap().is_none());
}

#[tokio::test]
async fn access_is_recorded_in_the_chain_of_its_project_and_never_with_a_secret() {
    let (server, flights, _) = two_projects().await;
    let app = &server.test.app.kernel;
    let lead = server.test.token("lead", Role::Admin, Some(&flights)).await.unwrap();
    let made = ask(&server, &lead, "ann", "viewer", Some("flights")).await;
    server.call_as(&lead, Method::DELETE, &format!("{TOKENS}/{}", made.json()["id"].as_str().unwrap()), None).await;
    let link = access::admin_link(app).await.unwrap();
    let cookie = access::use_admin_link(app, &link).await.unwrap();
    let hosts = [access::host(app).await.unwrap(), access::host(app).await.unwrap()];
    assert_eq!(hosts[0], hosts[1]);

    let words = |entries: &[(String, String, Value)]| {
        entries.iter().map(|(noun, verb, _)| format!("{noun} {verb}")).collect::<Vec<_>>()
    };
    let (on_server, on_project) =
        (recorded(&server, Chain::Server).await, recorded(&server, Chain::Project(flights.id)).await);
    assert_eq!(
        words(&on_server),
        [
            // flights; the administrator of this test; trains
            "project create",
            "principal create",
            "grant create",
            "token create",
            "project create",
            // lead, ann
            "principal create",
            "principal create",
            // the link
            "login_link create",
            "principal create",
            "grant create",
            "login_link use",
            // two hosts, one after the other, are one principal
            "principal create",
            "grant create",
        ]
    );
    assert_eq!(
        words(&on_project),
        ["project_file submit", "grant create", "token create", "grant create", "token create", "token revoke",]
    );
    let grant = &on_project[3].2;
    assert_eq!(
        (&grant["name"], &grant["role"], &grant["project"]),
        (&json!("ann"), &json!("viewer"), &json!(flights.id))
    );
    let mut secrets = vec![server.admin.clone(), lead, secret(&made), link, cookie];
    for holder in access::list_principals(&server.test.system()).await.unwrap() {
        secrets.extend(holder.tokens.into_iter().map(|token| token.secret_hash));
    }
    let all = format!("{on_server:?}{on_project:?}");
    assert!(secrets.iter().all(|secret| !all.contains(secret.as_str())), "a secret is in the ledger");
    let verified = server.get("/api/v1/verify").await.json();
    assert_eq!(verified["holds"], true, "{verified}");
}
