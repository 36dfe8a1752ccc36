use std::time::Duration;

use http::{Method, StatusCode};
use perennial_core::port::data::Page;
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_core::state::PipelineRunEvent;
use perennial_store::pipeline_runs;
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestModel};
use serde_json::json;

use crate::support::Server;

const BASE: &str = "/api/v1/projects/flights";

#[tokio::test]
async fn submitting_makes_the_project_known_and_checking_does_not() {
    let server = Server::start().await;
    std::fs::write(server.test.folder.path().join("root/perennial.toml"), PROJECT_FILE).unwrap();
    let checked = server.post("/api/v1/check", json!({})).await.json();
    assert_eq!((checked["name"].clone(), checked["steps"].clone()), (json!("flights"), json!(["evaluation", "train"])));
    assert_eq!(server.get(BASE).await.status, StatusCode::NOT_FOUND);
    let submitted = server.post("/api/v1/projects/submit", json!({})).await;
    assert_eq!((submitted.status, submitted.json()["name"].clone()), (StatusCode::OK, json!("flights")));
    assert_eq!(server.get(BASE).await.json()["file_digest"], checked["digest"]);
    assert_eq!(server.get(BASE).await.json()["goal"], json!("predict which flights will be late"));
}

#[tokio::test]
async fn a_pipeline_run_continues_after_its_request_and_is_followed_by_its_events() {
    let (server, _) = Server::with_project().await;
    let made = server.post(&format!("{BASE}/pipeline-runs"), json!({ "kind": "run", "cause": "to see" })).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (made["kind"].clone(), made["cause"].clone()),
        (json!("run"), json!({ "kind": "person", "by": "root", "note": "to see" }))
    );
    let (mut after, mut kinds) = (0, Vec::new());
    loop {
        let page = server.get(&format!("{BASE}/pipeline-runs/{id}/events?after={after}&wait_ms=30000")).await.json();
        for event in page["events"].as_array().unwrap() {
            after = event["sequence"].as_i64().unwrap();
            kinds.push(event["body"]["event"].as_str().unwrap().to_owned());
        }
        if page["is_over"] == json!(true) && page["events"].as_array().unwrap().is_empty() {
            break;
        }
    }
    assert_eq!(kinds.last().map(String::as_str), Some("ended"), "{kinds:?}");
    let ended = server.get(&format!("{BASE}/pipeline-runs/{id}")).await.json();
    // There is no row to learn from.
    assert_eq!(ended["state"], json!("failed"), "{ended}");
    assert!(ended["steps"].is_array());
    let listed = server.get(&format!("{BASE}/pipeline-runs")).await.json();
    assert_eq!(listed["items"][0]["id"], json!(id));
}

#[tokio::test]
async fn following_waits_no_longer_than_asked() {
    let (server, project) = Server::with_project().await;
    let caller = server.test.system();
    let run = perennial_execution::pipelines::request(
        &caller,
        &project,
        perennial_execution::pipeline_runs::PipelineKind::Run,
        perennial_core::cause::Cause::person("test"),
        &perennial_execution::pipelines::PipelineOptions::default(),
    )
    .await
    .unwrap();
    let (events, is_over) =
        server.test.app.execution.events(&caller, &project, run.id, 0, Duration::from_millis(20)).await.unwrap();
    assert!(events.is_empty() && !is_over);
}

#[tokio::test]
async fn a_run_with_many_events_is_over_when_the_last_of_them_is_returned() {
    let (server, project) = Server::with_project().await;
    let (caller, options) = (server.test.system(), perennial_execution::pipelines::PipelineOptions::default());
    let kind = perennial_execution::pipeline_runs::PipelineKind::Run;
    let run = perennial_execution::pipelines::request(
        &caller,
        &project,
        kind,
        perennial_core::cause::Cause::person("test"),
        &options,
    )
    .await
    .unwrap();
    let (id, most) = (run.id, i64::from(perennial_execution::pipeline_runs::EVENTS_MAX));
    let write = server.test.app.kernel.store().write(move |tx| {
        Box::pin(async move {
            for number in 0..=most {
                pipeline_runs::add_event(tx, id, &json!({ "number": number }), 0).await?;
            }
            for event in [PipelineRunEvent::Start, PipelineRunEvent::Idle] {
                pipeline_runs::apply(tx, id, event, None, 0).await?;
            }
            perennial_core::Result::Ok(())
        })
    });
    write.await.unwrap();
    let events_after = |after: i64| server.test.app.execution.events(&caller, &project, id, after, Duration::ZERO);
    let (first, is_over) = events_after(0).await.unwrap();
    assert_eq!((first.len() as i64, is_over), (most, false));
    let (rest, is_over) = events_after(most).await.unwrap();
    assert_eq!((rest.len(), is_over), (1, true));
}

#[tokio::test]
async fn a_query_answers_rows_and_says_when_it_was_cut() {
    let (server, _) = Server::with_project().await;
    let schema = Schema { fields: vec![Field { name: "n".to_owned(), class: TypeClass::Int, nullable: false }] };
    server
        .test
        .data
        .answer("SELECT n FROM t", Page { schema, rows: (0..5).map(|n| vec![json!(n)]).collect(), truncated: false });
    let reply = server.post(&format!("{BASE}/query"), json!({ "sql": "SELECT n FROM t", "limit": 2 })).await.json();
    assert_eq!(reply, json!({ "columns": [{ "name": "n", "class": "int" }], "rows": [[0], [1]], "truncated": true }));
    let refused = server.post(&format!("{BASE}/query"), json!({ "sql": "DROP TABLE t" })).await;
    assert_eq!((refused.status, refused.json()["error"]["code"].clone()), (StatusCode::BAD_REQUEST, json!("sql")));
}

#[tokio::test]
async fn endpoints_models_and_rollback_name_the_version_that_answers() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    server.test.deploy(&project, "delay", &TestModel::binary(1.0)).await.unwrap();
    let endpoint = server.get(&format!("{BASE}/endpoints")).await.json()["items"][0].clone();
    assert_eq!(
        (endpoint["name"].clone(), endpoint["champion_number"].clone(), endpoint["routes"][0]["number"].clone()),
        (json!("delay"), json!(2), json!(2))
    );
    assert_eq!(endpoint["routes"][0]["inputs"], json!(["dep_hour", "distance", "carrier"]));
    let models = server.get(&format!("{BASE}/models")).await.json();
    let versions: Vec<(i64, usize)> = models["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["number"].as_i64().unwrap(), item["aliases"].as_array().unwrap().len()))
        .collect();
    assert_eq!(versions, [(2, 1), (1, 0)]);
    let one = server.get(&format!("{BASE}/models/flights/versions/1")).await.json();
    assert_eq!((one["version"]["number"].clone(), one["decisions"].clone()), (json!(1), json!([])));
    assert_eq!(server.get(&format!("{BASE}/models/flights/versions/9")).await.status, StatusCode::NOT_FOUND);
    let refused = server.post(&format!("{BASE}/endpoints/delay/rollback"), json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "no promotion is recorded, so there is none to undo");
}

#[tokio::test]
async fn the_ledger_is_listed_and_verified_and_another_head_is_found_out() {
    let (server, _) = Server::with_project().await;
    let listed = server.get(&format!("{BASE}/ledger")).await.json();
    assert_eq!(
        (listed["items"][0]["noun"].clone(), listed["items"][0]["verb"].clone()),
        (json!("project_file"), json!("submit"))
    );
    let verified = server.get(&format!("{BASE}/ledger/verify")).await.json();
    assert_eq!(
        (verified["holds"].clone(), verified["entries"].clone(), verified["head"].clone()),
        (json!(true), json!(1), listed["items"][0]["hash"].clone())
    );
    let same =
        server.get(&format!("{BASE}/ledger/verify?head={}", listed["items"][0]["hash"].as_str().unwrap())).await.json();
    assert_eq!(same["holds"], json!(true));
    let other = server.get(&format!("{BASE}/ledger/verify?head={}", "a".repeat(64))).await;
    assert_eq!((other.status, other.json()["holds"].clone()), (StatusCode::OK, json!(false)));
    assert_eq!(server.get(&format!("{BASE}/ledger/verify?head=short")).await.status, StatusCode::BAD_REQUEST);
    let payload = server.get(&format!("{BASE}/ledger/1/payload")).await.json();
    assert_eq!(payload["payload"]["digest"], server.get(BASE).await.json()["file_digest"]);
    assert_eq!(server.get("/api/v1/ledger/verify").await.json()["holds"], json!(true));
}

#[tokio::test]
async fn the_clock_is_read_and_moved_forward_only() {
    let (server, _) = Server::with_project().await;
    let now = server.get(&format!("{BASE}/clock")).await.json();
    assert_eq!((now["is_stepped"].clone(), now["project_at"].clone()), (json!(false), json!("2013-06-01T00:00:00Z")));
    let moved = server.post(&format!("{BASE}/clock"), json!({ "to_ms": 1_360_000_000_000_i64 })).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text());
    assert_eq!(server.get(&format!("{BASE}/clock")).await.json()["project_ms"], json!(1_360_000_000_000_i64));
    let back = server.post(&format!("{BASE}/clock"), json!({ "to_ms": 1 })).await;
    assert_eq!(back.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_alert_is_acknowledged_once_and_it_is_recorded() {
    let (server, project) = Server::with_project().await;
    let id = perennial_core::id::AlertId::generate();
    let alert = perennial_core::entity::Alert {
        id,
        project_id: project.id,
        subject: "dataset:flown".parse().unwrap(),
        name: "late".to_owned(),
        window_start_ms: 0,
        number: None,
        expression: None,
        facts: json!({}),
        message: "`flown` is late".to_owned(),
        state: perennial_core::state::AlertState::Firing,
        wall_ms: 1,
        project_ms: 1,
        settled_ms: None,
    };
    server
        .test
        .app
        .kernel
        .store()
        .write(move |tx| Box::pin(async move { Ok(perennial_store::alerts::fire(tx, &alert).await?) }))
        .await
        .unwrap();
    let acknowledged = server.post(&format!("{BASE}/alerts/{id}/acknowledge"), json!({})).await;
    assert_eq!((acknowledged.status, acknowledged.json()["state"].clone()), (StatusCode::OK, json!("acknowledged")));
    assert_eq!(server.get(&format!("{BASE}/alerts")).await.json()["items"][0]["state"], json!("acknowledged"));
    assert_eq!(server.post(&format!("{BASE}/alerts/{id}/acknowledge"), json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(server.get(&format!("{BASE}/ledger")).await.json()["items"][0]["verb"], json!("acknowledge"));
}

#[tokio::test]
async fn lists_page_by_cursor() {
    let (server, _) = Server::with_project().await;
    for place in 0..3 {
        server.test.submit(&set(PROJECT_FILE, "project.goal", &format!("'goal {place}'"))).await.unwrap();
    }
    let first = server.get(&format!("{BASE}/ledger?limit=3")).await.json();
    let second = server.get(&format!("{BASE}/ledger?limit=3&after={}", first["next"].as_str().unwrap())).await.json();
    let sequences: Vec<i64> = [first, second.clone()]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap().clone())
        .map(|item| item["sequence"].as_i64().unwrap())
        .collect();
    assert_eq!(sequences, [4, 3, 2, 1]);
    assert!(second.get("next").is_none());
}

#[tokio::test]
async fn a_backup_is_a_store_that_opens_with_everything_in_it() {
    let (server, project) = Server::with_project().await;
    let made = server.post("/api/v1/backup", json!({})).await.json();
    let folder = server.test.folder.path().join(made["folder"].as_str().unwrap());
    assert!(folder.join("blobs").is_dir() && folder.join("predictions").is_dir(), "{}", folder.display());
    let file = folder.join("metadata.sqlite");
    let copy =
        perennial_store::Store::open(&format!("sqlite://{}", file.display()), perennial_store::Options::default())
            .await
            .unwrap();
    let kept = perennial_store::projects::get(&mut copy.read().await.unwrap(), project.id).await.unwrap();
    assert_eq!(kept.name.as_str(), "flights");
    let chain = perennial_core::ledger::Chain::Project(project.id);
    let head = made["heads"][chain.to_string()].as_str().unwrap().to_owned();
    perennial_store::ledger::verify(&mut copy.read().await.unwrap(), chain, Some(&head)).await.unwrap().unwrap();
}

#[tokio::test]
async fn tokens_are_listed_without_their_secrets() {
    let server = Server::start().await;
    let made = server.post("/api/v1/tokens", json!({ "name": "ci", "role": "contributor" })).await.json();
    let listed = server.get("/api/v1/tokens").await;
    assert!(!listed.text().contains(made["secret"].as_str().unwrap()));
    let names: Vec<String> = listed.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"ci".to_owned()), "{names:?}");
    assert_eq!(
        server.post("/api/v1/tokens", json!({ "name": "x", "role": "king" })).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        server.call(Method::DELETE, &format!("/api/v1/tokens/{}", "0".repeat(32)), None).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_is_unknown_cannot_be_explained_and_a_model_is_explained_to_its_end() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let reply = server.get(&format!("{BASE}/explain/model/1")).await.json();
    assert_eq!(reply["backward"][0]["text"], json!("model flights/1, champion at `delay` now"));
    assert!(reply["text"].as_str().unwrap().contains("model flights/1"));
    assert_eq!(server.get(&format!("{BASE}/explain/model/flights/1")).await.json(), reply);
    for (path, status) in [
        ("model/2", 404),
        ("cat/1", 400),
        ("dataset/nothing", 404),
        ("release/abcd", 404),
        ("release/x", 400),
        ("prediction/x-0", 404),
    ] {
        assert_eq!(server.get(&format!("{BASE}/explain/{path}")).await.status.as_u16(), status, "{path}");
    }
    let absent = server.get(&format!("{BASE}/explain/model/9")).await.json();
    assert_eq!(absent["error"]["message"], json!("model version `flights/9` does not exist"));
    assert_eq!(absent["error"]["hint"], json!("the newest of `flights` is 1"));
    let misspelt = server.get(&format!("{BASE}/loads/nope")).await.json();
    assert_eq!(misspelt["error"]["message"], json!("`nope` is not a valid load id: expected 32 hexadecimal digits"));
}

#[tokio::test]
async fn every_list_of_an_empty_project_is_empty() {
    let (server, _) = Server::with_project().await;
    for path in [
        "datasets",
        "models",
        "releases",
        "decisions",
        "promotions",
        "endpoints",
        "monitors",
        "monitors/delay",
        "alerts",
        "pipeline-runs",
    ] {
        let answer = server.get(&format!("{BASE}/{path}")).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({ "items": [] })),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!(server.get(&format!("{BASE}/monitors/other")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&format!("{BASE}/datasets/none/loads")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&format!("{BASE}/steps/train/log")).await.status, StatusCode::NOT_FOUND);
}
