//! Gates: a candidate is released when every gate holds; what is refused changes nothing that answers.

use perennial_core::frame::{Column, Frame};
use perennial_core::port::data::{DataEngine as _, FrameRequest};
use perennial_core::rule::Verdict;
use perennial_core::state::PipelineRunState;
use perennial_execution::pipeline_runs::{self, PipelineKind};
use perennial_release::{models, releases};
use perennial_testkit::{PROJECT_FILE, TestModel, TrainedProject, by_person, toml_text};

use crate::support::{alias, endpoint, entries, listed, promotions, refused, release_next, released, with_gate};

/// A gate that no candidate passes.
const IMPOSSIBLE: &str = "candidate.auc > 1.0";

#[tokio::test]
async fn a_candidate_is_released_when_its_gates_hold() {
    let trained = TrainedProject::of(&with_gate("candidate.auc >= 0.0 && candidate.rows > 100")).await;
    assert_eq!(release_next(&trained, 1).await, "version 1 answers at `delay`");
    assert_eq!((trained.answers(), alias(&trained).await), (Some(1), Some(1)));
    let [release] = &listed(&trained).await[..] else { panic!("one release") };
    assert_eq!(release.decision.as_ref().map(|decision| decision.verdict), Some(Verdict::Pass));
}

#[tokio::test]
async fn a_candidate_whose_gate_does_not_hold_is_refused_and_the_message_names_the_gate() {
    let trained = TrainedProject::of(&with_gate(IMPOSSIBLE)).await;
    let message = release_next(&trained, 1).await;
    assert!(message.starts_with("version 1 refused: auc 0."), "{message}");
    assert!(message.ends_with("; gate `good` does not hold: candidate.auc > 1.0"), "{message}");
}

#[tokio::test]
async fn a_refused_candidate_changes_nothing_that_answers() {
    let trained = released(PROJECT_FILE, 1).await;
    let before = endpoint(&trained, "delay").await;
    trained.test.submit(&with_gate(IMPOSSIBLE)).await.unwrap();
    let message = release_next(&trained, 2).await;
    assert!(message.starts_with("version 2 refused"), "{message}");
    assert_eq!((trained.answers(), alias(&trained).await), (Some(1), Some(1)));
    let after = endpoint(&trained, "delay").await;
    assert_eq!((after.champion_number, after.canary_number), (before.champion_number, None));
    assert_eq!(promotions(&trained).await.len(), 1);
}

#[tokio::test]
async fn a_refused_candidate_is_a_version_with_its_decision() {
    let trained = TrainedProject::of(&with_gate(IMPOSSIBLE)).await;
    release_next(&trained, 1).await;
    let caller = trained.test.system();
    let version = models::version(&caller, &trained.project, "flights", 1).await.unwrap();
    let [decision] = &version.decisions[..] else { panic!("one decision") };
    assert_eq!((decision.verdict, decision.champion_number), (Verdict::Fail, None));
    let gate = &decision.body.gates[0];
    assert_eq!((gate.gate.as_str(), gate.expression.as_str()), ("good", IMPOSSIBLE));
    assert_eq!(gate.evaluation.verdict, Verdict::Fail);
    assert!(version.aliases.is_empty());
}

#[tokio::test]
async fn clauses_about_the_champion_are_skipped_while_there_is_none() {
    let trained = TrainedProject::of(&with_gate("candidate.auc > champion.auc")).await;
    assert_eq!(release_next(&trained, 1).await, "version 1 answers at `delay`");
    let message = release_next(&trained, 2).await;
    assert!(message.ends_with("gate `good` does not hold: candidate.auc > champion.auc"), "equal: {message}");
    assert!(message.contains(", champion 0."), "both values are stated: {message}");
    assert_eq!(trained.answers(), Some(1));
}

#[tokio::test]
async fn a_candidate_is_compared_with_the_champion_on_the_same_rows() {
    let trained = released(&with_gate("candidate.auc >= champion.auc"), 2).await;
    assert_eq!(trained.answers(), Some(2));
    let release = listed(&trained).await.pop().unwrap();
    let decision = release.decision.unwrap();
    assert_eq!((decision.number, decision.champion_number), (2, Some(1)));
    let (_, evidence) =
        perennial_release::evidence::get(&trained.test.system(), &trained.project, decision.evidence_id).await.unwrap();
    let rows = |name: &str| evidence.model(name).unwrap().facts["rows"].as_f64();
    assert_eq!(rows("candidate"), rows("champion"));
}

#[tokio::test]
async fn every_gate_that_does_not_hold_is_named() {
    let file = format!("{}also = \"candidate.rows < 1\"\nfine = \"candidate.rows > 1\"\n", with_gate(IMPOSSIBLE));
    let trained = TrainedProject::of(&file).await;
    let message = release_next(&trained, 1).await;
    assert!(message.contains("gate `good` does not hold: candidate.auc > 1.0"), "{message}");
    assert!(message.contains("gate `also` does not hold: candidate.rows < 1"), "{message}");
    assert!(!message.contains("`fine`"), "{message}");
}

#[tokio::test]
async fn a_gate_whose_facts_are_missing_blocks() {
    // Without declared slice columns there is no first slice.
    let trained = TrainedProject::of(&with_gate("candidate.slices[0].auc > 0.0")).await;
    let message = release_next(&trained, 1).await;
    assert!(message.starts_with("version 1 undecided, which blocks: "), "{message}");
    assert!(message.contains("gate `good` could not be evaluated: "), "{message}");
    assert_eq!((trained.answers(), alias(&trained).await), (None, None));
}

#[tokio::test]
async fn the_same_evidence_and_gates_are_decided_once() {
    let trained = TrainedProject::of(&with_gate(IMPOSSIBLE)).await;
    release_next(&trained, 1).await;
    let (_, ended) = trained.run(PipelineKind::Release, by_person()).await;
    let ended = ended.unwrap();
    assert_eq!(ended.state, PipelineRunState::NothingToDo);
    assert!(ended.message.unwrap().starts_with("version 1 refused"), "the decision is stated again");
    assert_eq!(entries(&trained, "decision").await.len(), 1);
    assert_eq!(entries(&trained, "release").await.len(), 1);
}

#[tokio::test]
async fn another_gate_makes_another_release_of_the_same_version() {
    let trained = TrainedProject::of(&with_gate(IMPOSSIBLE)).await;
    release_next(&trained, 1).await;
    trained.test.submit(&with_gate("candidate.auc > 0.0")).await.unwrap();
    assert_eq!(trained.release(by_person()).await, "version 1 answers at `delay`");
    let all = listed(&trained).await;
    assert_eq!(all.iter().map(|listed| listed.release.number).collect::<Vec<_>>(), [1, 1]);
    assert_ne!(all[0].release.digest, all[1].release.digest);
    assert_eq!(all.iter().map(|listed| listed.role.is_some()).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_candidate_that_is_the_champion_already_is_not_decided() {
    let trained = released(PROJECT_FILE, 1).await;
    trained.renew(2, TestModel::binary(1.0)).await;
    let message = trained.release(by_person()).await;
    assert_eq!(message, "the candidate is version 1, the champion already");
    assert_eq!((entries(&trained, "decision").await.len(), promotions(&trained).await.len()), (1, 1));
}

#[tokio::test]
async fn a_run_decides_and_releases_nothing() {
    let trained = TrainedProject::start().await;
    trained.renew(1, TestModel::binary(0.0)).await;
    let (_, ended) = trained.run(PipelineKind::Run, by_person()).await;
    let message = ended.unwrap().message.unwrap();
    assert!(message.starts_with("version 1 passed: auc 0."), "{message}");
    assert_eq!((trained.answers(), alias(&trained).await), (None, None));
    assert_eq!(entries(&trained, "decision").await.len(), 1);
    assert_eq!(trained.release(by_person()).await, "version 1 answers at `delay`");
    assert_eq!(entries(&trained, "decision").await.len(), 1, "the release uses the decision");
}

#[tokio::test]
async fn a_decision_and_its_release_are_recorded_in_the_ledger() {
    let trained = released(PROJECT_FILE, 1).await;
    let release = listed(&trained).await.remove(0);
    let (created, decided) = (entries(&trained, "release").await, entries(&trained, "decision").await);
    assert_eq!((created[0].subject.as_str(), created[0].verb.as_str()), (release.release.digest.as_str(), "create"));
    assert_eq!(
        (decided[0].subject.as_str(), decided[0].verb.as_str()),
        (&*release.decision.unwrap().id.to_string(), "decide")
    );
    let versions = entries(&trained, "model_version").await;
    assert_eq!((versions[0].subject.as_str(), versions[0].verb.as_str()), ("flights/1", "create"));
}

#[tokio::test]
async fn a_project_without_endpoints_has_releases_that_answer_nowhere() {
    let (file, _) = PROJECT_FILE.split_once("[endpoints.delay]").unwrap();
    let trained = TrainedProject::of(file).await;
    let message = release_next(&trained, 1).await;
    assert_eq!(message, "version 1 may be released, but no `[endpoints.*]` is declared");
    assert_eq!(alias(&trained).await, None);
}

#[tokio::test]
async fn a_release_whose_sources_cannot_be_collected_releases_nothing() {
    let trained = TrainedProject::start().await;
    trained.renew(1, TestModel::binary(0.0)).await;
    trained.test.data.offer("data/bad.csv", "n,m\n1\n");
    let error = refused(&trained).await;
    assert!(error.message().ends_with("; nothing was released"), "{}", error.message());
    assert_eq!((trained.answers(), alias(&trained).await), (None, None));
}

#[tokio::test]
async fn a_release_is_found_by_four_or_more_digits_of_its_digest() {
    let trained = released(PROJECT_FILE, 1).await;
    let (caller, digest) = (trained.test.system(), listed(&trained).await.remove(0).release.digest);
    for length in [4, 12, digest.len()] {
        let found = releases::get(&caller, &trained.project, &digest[..length]).await.unwrap();
        assert_eq!(found.release.digest, digest);
    }
    for (prefix, message) in [
        (&digest[..3], "is not a release: expected the first 4 or more lowercase hexadecimal digits of its digest"),
        ("ABCD", "is not a release: expected the first 4 or more lowercase hexadecimal digits of its digest"),
        ("latest", "is not a release: expected the first 4 or more lowercase hexadecimal digits of its digest"),
    ] {
        let error = releases::get(&caller, &trained.project, prefix).await.unwrap_err();
        assert_eq!(error.message(), format!("`{prefix}` {message}"));
    }
    let other = if digest.starts_with('0') { "1111" } else { "0000" };
    let error = releases::get(&caller, &trained.project, other).await.unwrap_err();
    assert_eq!(error.code(), perennial_core::ErrorCode::NotFound);
}

#[tokio::test]
async fn a_feature_that_is_known_only_with_the_outcome_is_refused_until_it_is_allowed_and_nothing_is_trained_again() {
    const ROWS: &str = "SELECT * FROM \"flown\"";
    let trained = TrainedProject::of(PROJECT_FILE).await;
    let request = FrameRequest { sql: ROWS.to_owned(), tables: Vec::new(), keys: Vec::new() };
    let before = trained.test.data.frame(request).await.unwrap();
    // The oldest rows have no outcome, and no arrival either.
    let missing = before.rows() - 200;
    let mut frame = Frame::new();
    for (name, column) in before.into_columns() {
        let column = match column {
            Column::Number(values) if name == "late" => Column::Number(masked(&values, missing)),
            Column::Number(values) if name == "distance" => {
                frame.push("arrived", Column::Number(masked(&values, missing)));
                Column::Number(values)
            }
            column => column,
        };
        frame.push(name, column);
    }
    trained.test.data.answer_frame(ROWS, frame);
    let message = release_next(&trained, 1).await;
    assert!(message.starts_with("version 1 refused") && message.contains("leak: `arrived` is missing"), "{message}");
    assert!(message.contains("`[task] ignore`") && message.contains("`[task] allow`"), "{message}");
    trained.test.submit(&toml_text::set(PROJECT_FILE, "task.allow", "[\"arrived\"]")).await.unwrap();
    let (run, ended) = trained.run(PipelineKind::Release, by_person()).await;
    assert_eq!(ended.unwrap().message.as_deref(), Some("version 1 answers at `delay`"));
    let steps = pipeline_runs::steps(&trained.test.system(), &trained.project, run.id).await.unwrap();
    assert!(steps.is_empty(), "{steps:?}");
}

fn masked(values: &[f64], from: usize) -> Vec<f64> {
    values.iter().enumerate().map(|(row, value)| if row < from { *value } else { f64::NAN }).collect()
}
