//! Pipeline runs that train, evaluate and release, over rows that the fake data engine is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use perennial_core::rule::Verdict;
use perennial_core::state::PipelineRunState;
use perennial_execution::pipeline_runs::{self, PipelineKind};
use perennial_store::evidence;
use perennial_testkit::{PROJECT_FILE, TestModel, TrainedProject, by_person, by_trigger};
use serde_json::json;

use crate::support::{entries, release_again};

#[tokio::test]
async fn a_version_that_was_rolled_back_does_not_come_back_by_a_comment() {
    let flown = TrainedProject::start().await;
    for (number, intercept) in [(1, 0.0), (2, 1.0)] {
        flown.renew(number, TestModel::binary(intercept)).await;
        assert_eq!(flown.release(by_person()).await, format!("version {number} answers at `delay`"));
    }
    flown
        .test
        .app
        .endpoints
        .rollback(&flown.test.system(), &flown.project, &"delay".parse().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(flown.answers(), Some(1));
    flown.test.submit(&format!("{PROJECT_FILE}\n# another release of the same version\n")).await.unwrap();
    let refused =
        "version 2 was rolled back at `delay` by perennial; `perennial release --again REASON` releases it again";
    for cause in [by_trigger(), by_person()] {
        let (_, ended) = flown.run(PipelineKind::Release, cause).await;
        let ended = ended.unwrap();
        assert_eq!(ended.message.as_deref(), Some(refused));
        let release = ended.release.unwrap();
        assert_eq!((release.verdict, release.released, release.version), (Some(Verdict::Pass), false, Some(2)));
        assert_eq!(release.reasons, ["version 2 was rolled back at `delay` by perennial"]);
        assert_eq!(flown.answers(), Some(1));
    }
    assert_eq!(release_again(&flown, "mended").await, "version 2 answers at `delay`");
    let entry = entries(&flown, "release").await.pop().unwrap();
    assert_eq!((entry.verb.as_str(), entry.actor.as_str()), ("allow", "perennial"));
}

#[tokio::test]
async fn a_release_applies_the_endpoints_of_the_project_file() {
    let flown = TrainedProject::start().await;
    flown.renew(1, TestModel::binary(0.0)).await;
    flown.release(by_person()).await;
    let (without, _) = PROJECT_FILE.split_once("[endpoints.delay]").unwrap();
    flown.test.write_file(without).unwrap();
    flown.test.app.projects.submit(&flown.test.system()).await.unwrap();
    flown.run(PipelineKind::Run, by_person()).await.1.unwrap();
    assert_eq!(flown.answers(), Some(1), "a run leaves it as it is");
    assert!(flown.release(by_person()).await.contains("nothing answers at `delay` any more"));
    assert_eq!(flown.answers(), None);
}

#[tokio::test]
async fn evidence_is_gathered_beside_the_champion_it_is_known_by() {
    let flown = Arc::new(TrainedProject::start().await);
    flown.renew(1, TestModel::binary(0.0)).await;
    flown.release(by_person()).await;
    flown.renew(2, TestModel::binary(1.0)).await;
    let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::downgrade(&flown));
    flown.test.data.before_frame(move |sql| {
        // The trainer reads the rows first, then the evaluation: another version is released in between.
        let is_evaluation = sql.starts_with("SELECT *") && asked.fetch_add(1, Ordering::AcqRel) == 1;
        let flown = over.upgrade().filter(|_| is_evaluation);
        Box::pin(async move {
            if let Some(flown) = flown {
                flown.test.deploy(&flown.project, "delay", &TestModel::binary(2.0)).await.unwrap();
            }
        })
    });
    let (run, ended) = flown.run(PipelineKind::Run, by_person()).await;
    ended.unwrap();
    assert_eq!(flown.answers(), Some(2), "a version was released during the evaluation");
    let steps = pipeline_runs::steps(&flown.test.system(), &flown.project, run.id).await.unwrap();
    let (evaluation, _) = steps.iter().find(|(step, _)| step.step.as_str() == "evaluation").unwrap();
    let mut reader = flown.test.app.kernel.store().read().await.unwrap();
    let found = evidence::find_by_step_run(&mut reader, evaluation.id).await.unwrap().unwrap();
    let champion = found.body["models"].as_array().unwrap().iter().find(|model| model["name"] == "champion").unwrap();
    assert_eq!((&champion["number"], &champion["digest"]), (&json!(1), &evaluation.key_parts["champion"]));
}

#[tokio::test]
async fn a_failed_run_says_what_to_do() {
    let flown = TrainedProject::start().await;
    flown.rows(1).await;
    let (run, ended) = flown.run(PipelineKind::Run, by_person()).await;
    assert_eq!(ended.unwrap_err().message(), "step `train` failed: this trainer trains nothing");
    let (caller, wait) = (flown.test.system(), Duration::ZERO);
    let (events, _) = flown.test.app.execution.events(&caller, &flown.project, run.id, 0, wait).await.unwrap();
    assert_eq!(events.last().unwrap().body["hint"], "give it a model");
}

#[tokio::test]
async fn a_panic_ends_the_run_as_failed_and_the_next_run_begins() {
    let flown = TrainedProject::start().await;
    flown.renew(1, TestModel::binary(0.0)).await;
    flown.release(by_person()).await;
    let faults = AtomicUsize::new(1);
    flown.test.data.before_frame(move |sql| {
        let is_fault = sql.starts_with("SELECT \"hour\"")
            && faults.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok();
        Box::pin(async move { assert!(!is_fault, "a fault") })
    });
    let (run, ended) = flown.run(PipelineKind::Run, by_person()).await;
    assert_eq!(ended.unwrap_err().message(), "a fault of the server interrupted the run");
    let run = pipeline_runs::get(&flown.test.system(), &flown.project, run.id).await.unwrap();
    assert_eq!(run.state, PipelineRunState::Failed);
    flown.run(PipelineKind::Run, by_person()).await.1.unwrap();
}
