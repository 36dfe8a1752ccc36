//! The digest of a run in the ledger: what it covers, when it is recorded, and its verification.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use futures::stream;
use perennial_core::entity::{RunBatch, RunUpdate};
use perennial_core::id::RunId;
use perennial_core::state::RunStatus;
use perennial_testkit::TestApp;
use perennial_tracking::artifacts::{self, ArtifactLocation};
use perennial_tracking::runs::Search;
use perennial_tracking::{RunVerification, VerifiedRuns, experiments, logging, runs, verify, verify_runs};
use serde_json::Value as Json;

use crate::support::{Tracking, input, metrics, param, params, point, tag, tags};

fn place(tracking: &Tracking, id: RunId, path: &str) -> ArtifactLocation {
    ArtifactLocation::parse(&format!("{}/{id}/artifacts/{path}", tracking.experiment).parse().unwrap()).unwrap()
}

async fn put(tracking: &Tracking, id: RunId, path: &str, content: &'static [u8]) {
    let incoming = stream::iter([Ok(Bytes::from_static(content))]);
    artifacts::put(&tracking.caller, place(tracking, id, path), incoming).await.unwrap();
}

/// The digests that the ledger has of a run, oldest first.
async fn digests(tracking: &Tracking, id: RunId) -> Vec<Json> {
    tracking.entries(id).await.into_iter().map(|(_, payload)| payload["logged"].clone()).collect()
}

async fn verified(tracking: &Tracking, id: RunId) -> RunVerification {
    verify(&tracking.caller, id).await.unwrap()
}

/// Changes the stored rows, as a person with access to the database can.
async fn tamper(tracking: &Tracking, sql: &'static str) {
    tracking.test.execute(sql).await.unwrap();
}

/// The content of a run: points of a metric, a param, a tag, the digest of an input, a file, and how it ends.
#[derive(Clone, Copy)]
struct Logged {
    points: [f64; 3],
    param: &'static str,
    tag: &'static str,
    input: &'static str,
    file: &'static [u8],
    status: RunStatus,
}

const LOGGED: Logged =
    Logged { points: [0.5, 0.4, 0.3], param: "1", tag: "1", input: "1", file: b"first", status: RunStatus::Finished };

/// A run that ended with this content.
async fn ended(tracking: &Tracking, logged: Logged) -> RunId {
    let id = tracking.begin("one").await;
    for (step, value) in logged.points.into_iter().enumerate() {
        tracking.log(id, metrics(vec![point("loss", step as i64, value)])).await.unwrap();
    }
    tracking.log(id, params(vec![param("p", logged.param)])).await.unwrap();
    tracking.log(id, tags(vec![tag("t", logged.tag)])).await.unwrap();
    logging::log_inputs(&tracking.caller, id, vec![input("d", logged.input)]).await.unwrap();
    put(tracking, id, "notes.txt", logged.file).await;
    tracking.set(id, logged.status).await.unwrap();
    id
}

#[tokio::test]
async fn runs_of_the_same_content_have_the_same_digest_and_of_other_content_another() {
    let tracking = Tracking::start().await;
    let digest = async |logged: Logged| digests(&tracking, ended(&tracking, logged).await).await.pop().unwrap();
    let same = digest(LOGGED).await;
    assert_eq!(digest(LOGGED).await, same);
    for (what, other) in [
        ("an earlier point", Logged { points: [0.6, 0.4, 0.3], ..LOGGED }),
        ("the latest point", Logged { points: [0.5, 0.4, 0.2], ..LOGGED }),
        ("a value that is not a number", Logged { points: [0.5, f64::NAN, 0.3], ..LOGGED }),
        ("a param", Logged { param: "2", ..LOGGED }),
        ("a tag", Logged { tag: "2", ..LOGGED }),
        ("an input", Logged { input: "2", ..LOGGED }),
        ("a file", Logged { file: b"other", ..LOGGED }),
        ("the status", Logged { status: RunStatus::Failed, ..LOGGED }),
    ] {
        assert_ne!(digest(other).await, same, "{what}");
    }
}

#[tokio::test]
async fn the_digest_does_not_depend_on_the_batches() {
    let tracking = Tracking::start().await;
    let points: Vec<_> = (0..200).map(|step| point("loss", step, step as f64)).collect();
    let mut found = Vec::new();
    for size in [1, 40, 200] {
        let id = tracking.begin("one").await;
        for batch in points.chunks(size).rev() {
            tracking.log(id, metrics(batch.to_vec())).await.unwrap();
        }
        tracking.set(id, RunStatus::Finished).await.unwrap();
        found.extend(digests(&tracking, id).await);
    }
    assert!(found.len() == 3 && found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
}

#[tokio::test]
async fn each_write_after_the_end_is_recorded_with_a_new_digest() {
    let tracking = Tracking::start().await;
    let (id, caller) = (tracking.begin("one").await, &tracking.caller);
    tracking.set(id, RunStatus::Finished).await.unwrap();
    tracking.log(id, metrics(vec![point("loss", 2, 0.4)])).await.unwrap();
    tracking.log(id, params(vec![param("p", "1")])).await.unwrap();
    tracking.log(id, tags(vec![tag("t", "1")])).await.unwrap();
    logging::delete_tag(caller, id, "t".to_owned()).await.unwrap();
    logging::log_inputs(caller, id, vec![input("d", "1")]).await.unwrap();
    tracking.rename(id, "two").await.unwrap();
    put(&tracking, id, "notes.txt", b"first").await;
    artifacts::delete(caller, place(&tracking, id, "notes.txt")).await.unwrap();

    assert_eq!(tracking.verbs(id).await, [vec!["end"], vec!["seal"; 8]].concat());
    let logged = digests(&tracking, id).await;
    assert!(logged.windows(2).all(|pair| pair[0] != pair[1]), "each write changes the digest: {logged:?}");
    assert_eq!((&logged[4], &logged[8]), (&logged[2], &logged[6]), "deleting an element restores the digest before it");
    assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
}

#[tokio::test]
async fn deleting_an_artifact_that_does_not_exist_records_nothing() {
    let tracking = Tracking::start().await;
    let id = ended(&tracking, LOGGED).await;
    artifacts::delete(&tracking.caller, place(&tracking, id, "missing.txt")).await.unwrap();
    assert_eq!(tracking.verbs(id).await, ["end"]);
}

#[tokio::test]
async fn ending_twice_records_the_same_digest() {
    let tracking = Tracking::start().await;
    let id = ended(&tracking, LOGGED).await;
    tracking.set(id, LOGGED.status).await.unwrap();
    let logged = digests(&tracking, id).await;
    assert!(logged.len() == 2 && logged[0] == logged[1], "{logged:?}");
}

#[tokio::test]
async fn a_run_without_a_digest_in_the_ledger_is_unsealed() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    assert_eq!(verified(&tracking, id).await, RunVerification::Unsealed, "active");
    tracking.set(id, RunStatus::Finished).await.unwrap();
    assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
    tracking.set(id, RunStatus::Running).await.unwrap();
    assert_eq!(verified(&tracking, id).await, RunVerification::Unsealed, "resumed");
    tamper(&tracking, "UPDATE ledger_payloads SET body = NULL").await;
    tracking.set(id, RunStatus::Finished).await.unwrap();
    tamper(&tracking, "UPDATE ledger_payloads SET body = NULL").await;
    assert_eq!(verified(&tracking, id).await, RunVerification::Unsealed, "erased");
}

#[tokio::test]
async fn deleting_and_restoring_a_run_leaves_it_intact() {
    let tracking = Tracking::start().await;
    let id = ended(&tracking, LOGGED).await;
    runs::delete(&tracking.caller, id).await.unwrap();
    assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
    runs::restore(&tracking.caller, id).await.unwrap();
    assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
}

#[tokio::test]
async fn an_altered_row_is_found() {
    for sql in [
        "UPDATE metrics SET value = 0.1 WHERE step = 1",
        "DELETE FROM metrics WHERE step = 0",
        "UPDATE params SET value = '2'",
        "UPDATE tags SET value = '2' WHERE key = 't'",
        "DELETE FROM run_inputs",
        "UPDATE run_artifacts SET blob_digest = 'x'",
        "UPDATE runs SET status = 'FAILED'",
        "UPDATE runs SET end_ms = 10",
    ] {
        let tracking = Tracking::start().await;
        let id = ended(&tracking, LOGGED).await;
        assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
        tamper(&tracking, sql).await;
        assert!(matches!(verified(&tracking, id).await, RunVerification::Altered { .. }), "{sql}");
    }
}

#[tokio::test]
async fn an_altered_sum_does_not_change_the_verification() {
    let tracking = Tracking::start().await;
    let id = ended(&tracking, LOGGED).await;
    tamper(&tracking, "DELETE FROM run_contents").await;
    assert_eq!(verified(&tracking, id).await, RunVerification::Intact, "the rows are read, not the sum");
}

#[tokio::test]
async fn a_run_of_an_earlier_version_ends_with_a_digest_of_all_of_its_elements() {
    let tracking = Tracking::start().await;
    let (earlier, same) = (tracking.begin("one").await, tracking.begin("one").await);
    let batch = || RunBatch { metrics: vec![point("loss", 1, 0.5)], params: vec![param("p", "1")], tags: Vec::new() };
    for id in [earlier, same] {
        tracking.log(id, batch()).await.unwrap();
    }
    tamper(&tracking, "DELETE FROM run_contents").await;
    for id in [earlier, same] {
        tracking.log(id, metrics(vec![point("loss", 2, 0.4)])).await.unwrap();
        tracking.set(id, RunStatus::Finished).await.unwrap();
        assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
    }
    assert_eq!(digests(&tracking, earlier).await, digests(&tracking, same).await);
}

#[tokio::test]
async fn a_run_that_an_earlier_version_ended_is_written_to_and_verified() {
    let tracking = Tracking::start().await;
    let id = ended(&tracking, LOGGED).await;
    tamper(&tracking, "DELETE FROM run_contents").await;
    put(&tracking, id, "late.txt", b"late").await;
    assert_eq!(tracking.verbs(id).await, ["end", "seal"]);
    assert_eq!(verified(&tracking, id).await, RunVerification::Intact);
}

#[tokio::test]
async fn a_new_name_without_a_status_keeps_an_active_run_unsealed() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let update = RunUpdate { status: None, end_ms: Some(5), name: Some("two".to_owned()) };
    runs::update(&tracking.caller, id, update).await.unwrap();
    assert_eq!(verified(&tracking, id).await, RunVerification::Unsealed);
}

#[tokio::test]
async fn the_ended_runs_of_version_3800df1_are_intact() {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/fixtures/upgrade/3800df1.tar.gz");
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(status.success());
    let test = TestApp::over_store(&folder.path().join("project/.perennial/metadata.sqlite")).await.unwrap();
    let caller = test.system();
    let listed = experiments::list(&caller, None).await.unwrap();
    let experiment_ids = listed.into_iter().map(|tagged| tagged.experiment.id).collect();
    let wanted = Search { experiment_ids, limit: 1_000, ..Search::default() };
    let mut intact = 0;
    for (run, _) in runs::search(&caller, wanted).await.unwrap().items {
        match verify(&caller, run.run_id).await.unwrap() {
            RunVerification::Intact => intact += 1,
            RunVerification::Unsealed => assert!(!run.status.is_terminal(), "{run:?}"),
            altered @ RunVerification::Altered { .. } => panic!("{}: {altered:?}", run.run_id),
        }
    }
    assert!(intact > 0);
}

#[tokio::test]
async fn the_runs_of_a_project_are_verified_page_by_page() {
    let tracking = Tracking::start().await;
    let mut ids = vec![tracking.begin("open").await];
    for _ in 0..4 {
        ids.push(ended(&tracking, LOGGED).await);
    }
    ids.sort();
    let project = runs::get(&tracking.caller, ids[0]).await.unwrap().0.project_id;
    tamper(&tracking, "UPDATE params SET value = '2' WHERE run_number = (SELECT max(run_number) FROM params)").await;
    let altered = *ids.last().unwrap();
    for limit in [1, 2, 5, 100] {
        let (mut all, mut pages) = (VerifiedRuns::default(), 0);
        loop {
            let page = verify_runs(&tracking.caller, project, all.next, limit).await.unwrap();
            (all.intact, all.unsealed, all.next) = (all.intact + page.intact, all.unsealed + page.unsealed, page.next);
            all.altered.extend(page.altered);
            pages += 1;
            if all.next.is_none() {
                break;
            }
        }
        assert_eq!((all.intact, all.unsealed, all.altered), (3, 1, vec![altered]), "{pages} pages of {limit}");
    }
}
