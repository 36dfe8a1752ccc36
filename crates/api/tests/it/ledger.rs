//! Every governed change has a ledger entry, and every chain is verified.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use perennial_core::cause::Cause;
use perennial_core::entity::{PipelineKind, Promotion, PromotionKind, Release, StepOutcome, StepRun};
use perennial_core::id::{ProjectId, PromotionId, StepRunId};
use perennial_core::ledger::{Chain, Entry};
use perennial_core::permission::Role;
use perennial_core::state::{PipelineRunEvent, StepRunEvent, StepRunState};
use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_kernel::{access, backup};
use perennial_store::{pipeline_runs, promotions, releases, runs, step_runs};
use perennial_testkit::{TestApp, TestModel, WALL_MS};
use serde_json::{Value, json};

use crate::support::Server;

const BASE: &str = "/api/v1/projects/flights";
const ROOT: &str = "/api/2.0/mlflow";

/// Entries of a project's chain, oldest first, each with its payload.
async fn recorded(server: &Server, project: ProjectId) -> Vec<(Entry, Value)> {
    let mut reader = server.test.app.kernel.store().read().await.unwrap();
    let chain = Chain::Project(project);
    let mut entries = perennial_store::ledger::list(&mut reader, chain, None, 1_000).await.unwrap().items;
    entries.reverse();
    let mut recorded = Vec::new();
    for entry in entries {
        let payload = perennial_store::ledger::find_payload(&mut reader, chain, entry.sequence).await.unwrap().unwrap();
        recorded.push((entry, serde_json::from_str(&payload).unwrap()));
    }
    recorded
}

fn words(entry: &Entry) -> String {
    format!("{} {}", entry.noun, entry.verb)
}

async fn post(server: &Server, path: &str, body: Value) -> Value {
    let answer = server.post(&format!("{ROOT}/{path}"), body).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

async fn begin(server: &Server, name: &str) -> String {
    let body = json!({ "experiment_id": "1", "run_name": name, "start_time": 1, "user_id": "ann" });
    post(server, "runs/create", body).await["run"]["info"]["run_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_rollback_records_the_release_that_it_refuses() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    server.test.deploy(&project, "delay", &TestModel::binary(1.0)).await.unwrap();
    let mut reader = server.test.app.kernel.store().read().await.unwrap();
    let endpoint = perennial_store::endpoints::get(&mut reader, project.id, &"delay".parse().unwrap()).await.unwrap();
    drop(reader);
    let release = Release {
        project_id: project.id,
        digest: "b".repeat(64),
        model_id: endpoint.model_id,
        number: 2,
        body: json!({}),
        ledger_head: "0".repeat(64),
        wall_ms: WALL_MS,
        project_ms: WALL_MS,
    };
    let promotion = Promotion {
        id: PromotionId::generate(),
        project_id: project.id,
        endpoint: Some(endpoint.name.clone()),
        model_id: endpoint.model_id,
        alias: endpoint.alias.clone(),
        from_number: Some(1),
        to_number: Some(2),
        kind: PromotionKind::Promotion,
        decision_id: None,
        release_digest: Some(release.digest.clone()),
        cause: Cause::person("test"),
        actor: "test".to_owned(),
        wall_ms: WALL_MS,
        project_ms: WALL_MS,
    };
    let work = server.test.app.kernel.store().write(move |tx| {
        Box::pin(async move {
            releases::insert(tx, &release).await?;
            promotions::insert(tx, &promotion).await?;
            Ok(())
        })
    });
    work.await.unwrap();
    let approver = server.test.token("ann", Role::Approver, Some(&project)).await.unwrap();
    let rolled =
        server.call_as(&approver, Method::POST, &format!("{BASE}/endpoints/delay/rollback"), Some(json!({}))).await;
    assert_eq!(rolled.status, StatusCode::OK, "{}", rolled.text());
    let mut recorded = recorded(&server, project.id).await;
    let ((refused, payload), (promoted, _)) = (recorded.pop().unwrap(), recorded.pop().unwrap());
    assert_eq!((words(&promoted).as_str(), words(&refused).as_str()), ("promotion rollback", "release refuse"));
    assert_eq!((refused.subject, refused.actor.as_str()), ("b".repeat(64), "ann"));
    assert_eq!((&payload["endpoint"], &payload["number"]), (&json!("delay"), &json!(2)));
}

#[tokio::test]
async fn a_sealed_segment_of_predictions_is_recorded_once_with_its_digest() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let tensor = |name: &str, datatype: &str, data: Value| json!({ "name": name, "datatype": datatype, "shape": [1], "data": data });
    let flight = json!({ "inputs": [
        tensor("dep_hour", "FP64", json!([7])), tensor("distance", "INT32", json!([500])), tensor("carrier", "BYTES", json!(["AA"])),
    ] });
    assert_eq!(server.post("/v2/models/delay/infer", flight).await.status, StatusCode::OK);
    let endpoint = "delay".parse().unwrap();
    for _ in 0..2 {
        // The first call seals the segment and loads its rows; the second finds nothing to seal.
        server.test.app.ingest.ingest_segments(&server.test.system(), &project, &endpoint).await.unwrap();
    }
    let log = format!("{}/delay", project.id);
    let mut recorded = recorded(&server, project.id).await;
    recorded.retain(|(entry, _)| entry.noun == "prediction_segment");
    let [(entry, payload)] = recorded.as_slice() else { panic!("{recorded:?}") };
    let number = entry.subject.rsplit('/').next().unwrap().parse().unwrap();
    let mut reader = server.test.app.kernel.store().read().await.unwrap();
    let segment = perennial_store::prediction_segments::find(&mut reader, &log, number).await.unwrap().unwrap();
    drop(reader);
    assert_eq!((entry.verb.as_str(), entry.subject.as_str()), ("seal", format!("{log}/{}", segment.number).as_str()));
    assert_eq!((&payload["digest"], &payload["requests"]), (&json!(segment.digest), &json!(1)));
}

#[tokio::test]
async fn the_runs_of_a_server_that_died_end_in_the_ledger_and_their_tokens_are_void() {
    let (server, project) = Server::with_project().await;
    let caller = server.test.system();
    let run =
        pipelines::request(&caller, &project, PipelineKind::Run, Cause::person("test"), &PipelineOptions::default())
            .await
            .unwrap();
    let tracked = begin(&server, "train").await.parse().unwrap();
    let step = "train".parse().unwrap();
    let token = access::step_token(&caller, (project.id, &project.name), &step, tracked).await.unwrap();
    let attempt = StepRun {
        id: StepRunId::generate(),
        project_id: project.id,
        pipeline_run_id: run.id,
        step,
        attempt: 1,
        state: StepRunState::Pending,
        cache_key: "key".to_owned(),
        key_parts: json!({}),
        reused_from: None,
        run_id: None,
        runner: None,
        exit: None,
        peak_memory_bytes: None,
        isolation: None,
        message: None,
        log_digest: None,
        started_ms: None,
        ended_ms: None,
    };
    let id = run.id;
    let work = server.test.app.kernel.store().write(move |tx| {
        Box::pin(async move {
            pipeline_runs::set_holder(tx, id, Some("a server that is gone")).await?;
            pipeline_runs::apply(tx, id, PipelineRunEvent::Start, None, WALL_MS).await?;
            step_runs::insert(tx, &attempt).await?;
            step_runs::apply(tx, attempt.id, StepRunEvent::Start, &StepOutcome::default(), WALL_MS).await?;
            step_runs::set_run(tx, attempt.id, tracked, "local").await?;
            Ok(())
        })
    });
    work.await.unwrap();
    let before = recorded(&server, project.id).await.len();
    let fresh = TestApp::beside(&server.test).await.unwrap();
    assert_eq!(pipelines::recover(&fresh.system()).await.unwrap().len(), 1);
    let recovered = recorded(&server, project.id).await.split_off(before);
    let verbs: Vec<String> = recovered.iter().map(|(entry, _)| words(entry)).collect();
    assert_eq!(verbs, ["token revoke", "run end"]);
    assert_eq!((&recovered[1].0.subject, &recovered[1].1["status"]), (&tracked.to_string(), &json!("KILLED")));
    let mut reader = server.test.app.kernel.store().read().await.unwrap();
    assert!(runs::get(&mut reader, tracked).await.unwrap().sealed_ms.is_some());
    assert!(access::authenticate(&server.test.app.kernel, &token.secret).await.is_err());
}

#[tokio::test]
async fn every_chain_one_may_read_is_verified_and_the_head_of_any() {
    let (server, project) = Server::with_project().await;
    let viewer = server.test.token("viewer", Role::Viewer, Some(&project)).await.unwrap();
    let all = server.get("/api/v1/verify").await.json();
    let chains: Vec<(&Value, bool)> =
        all["chains"].as_array().unwrap().iter().map(|chain| (&chain["project"], chain["holds"] == true)).collect();
    assert_eq!(chains, [(&Value::Null, true), (&json!("default"), true), (&json!("flights"), true)]);
    let own = server.call_as(&viewer, Method::GET, "/api/v1/verify", None).await.json();
    assert_eq!((own["holds"].clone(), own["chains"].as_array().unwrap().len()), (json!(true), 1));
    let of = |place: usize| all["chains"][place]["head"].as_str().unwrap().to_owned();
    for head in [of(0), of(2)] {
        assert_eq!(server.get(&format!("/api/v1/verify?head={head}")).await.json()["holds"], true);
    }
    // A caller who may not read a chain does not learn that a head belongs to it.
    let hidden = server.call_as(&viewer, Method::GET, &format!("/api/v1/verify?head={}", of(0)), None).await.json();
    assert_eq!(hidden["holds"], false);
    let unknown = server.get(&format!("/api/v1/verify?head={}", "a".repeat(64))).await.json();
    assert_eq!((unknown["holds"].clone(), unknown["chains"][2]["holds"].clone()), (json!(false), json!(true)));
    assert_eq!(server.get("/api/v1/verify?head=short").await.status, StatusCode::BAD_REQUEST);

    perennial_kernel::ledger::erase(&server.test.system(), project.id, 1).await.unwrap();
    let erased = server.get("/api/v1/verify").await.json();
    assert_eq!((erased["holds"].clone(), erased["chains"][2]["erased"].clone()), (json!(true), json!(1)));
    server.test.execute("DELETE FROM ledger_payloads WHERE chain <> 'server' AND sequence = 2").await.unwrap();
    let missing = server.get("/api/v1/verify").await.json();
    assert_eq!(missing["holds"], false);
    assert!(missing["chains"][2]["message"].as_str().unwrap().contains("its payload is missing"), "{missing}");
}

#[tokio::test]
async fn the_servers_chain_is_listed_with_its_payloads() {
    let (server, project) = Server::with_project().await;
    let listed = server.get("/api/v1/ledger").await.json();
    let first = listed["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&first["noun"], &first["subject"]), (&json!("project"), &json!(project.id)));
    let payload = server.get("/api/v1/ledger/1/payload").await.json();
    assert_eq!(payload["payload"]["name"], "flights");
    let viewer = server.test.token("viewer", Role::Viewer, Some(&project)).await.unwrap();
    for path in ["/api/v1/ledger", "/api/v1/ledger/1/payload"] {
        assert_eq!(server.call_as(&viewer, Method::GET, path, None).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_restore_is_recorded_once_with_the_heads_of_its_backup() {
    let server = Server::start().await;
    let heads = BTreeMap::from([("server".to_owned(), "a".repeat(64))]);
    for _ in 0..2 {
        backup::record_restore(&server.test.system(), &heads).await.unwrap();
    }
    let newest = server.get("/api/v1/ledger").await.json()["items"].as_array().unwrap().clone();
    let restores: Vec<&Value> = newest.iter().filter(|entry| entry["verb"] == "restore").collect();
    assert_eq!(restores.len(), 1);
    let payload = server.get(&format!("/api/v1/ledger/{}/payload", restores[0]["sequence"])).await.json();
    assert_eq!(payload["payload"]["heads"], json!(heads));
}
