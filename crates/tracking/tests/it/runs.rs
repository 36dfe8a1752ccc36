//! Creating, updating, deleting and restoring runs.

use perennial_core::ErrorCode;
use perennial_core::entity::{NewRun, RunUpdate};
use perennial_core::id::RunId;
use perennial_core::state::{Lifecycle, RunStatus};
use perennial_store::runs as rows;
use perennial_tracking::runs::{self, Begin};
use perennial_tracking::{NAME_TAG, PARENT_TAG, experiments, limits};

use crate::support::{Tracking, experiment_id, metrics, param, params, point, refused, tag, tags};

fn tag_of(data: &perennial_core::entity::RunData, key: &str) -> Option<String> {
    data.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone())
}

#[tokio::test]
async fn a_new_run_is_running_and_has_its_name_as_a_tag() {
    let tracking = Tracking::start().await;
    let (run, data) = tracking.begin_with(Some("one"), vec![tag("k", "v")]).await.unwrap();
    assert_eq!((run.name.as_str(), run.status, run.lifecycle), ("one", RunStatus::Running, Lifecycle::Active));
    assert_eq!(data.tags, [tag("k", "v"), tag(NAME_TAG, "one")]);
    assert_eq!(run.artifact_uri, format!("mlflow-artifacts:/{}/{}/artifacts", tracking.experiment, run.run_id));
}

#[tokio::test]
async fn a_run_without_a_name_gets_a_random_one() {
    let tracking = Tracking::start().await;
    for name in [None, Some("")] {
        let (run, data) = tracking.begin_with(name, Vec::new()).await.unwrap();
        assert_eq!(run.name.split('-').count(), 3, "{}", run.name);
        assert_eq!(tag_of(&data, NAME_TAG), Some(run.name));
    }
}

#[tokio::test]
async fn a_name_given_as_a_tag_is_the_name() {
    let tracking = Tracking::start().await;
    let (run, data) = tracking.begin_with(None, vec![tag(NAME_TAG, "tagged")]).await.unwrap();
    assert_eq!((run.name.as_str(), data.tags), ("tagged", vec![tag(NAME_TAG, "tagged")]));
    let both = tracking.begin_with(Some("one"), vec![tag(NAME_TAG, "two")]).await;
    refused(both, ErrorCode::InvalidArgument, "with different values: `one` and `two`");
    assert!(tracking.begin_with(Some("one"), vec![tag(NAME_TAG, "one")]).await.is_ok());
}

#[tokio::test]
async fn a_tag_key_occurs_once_in_a_new_run() {
    let tracking = Tracking::start().await;
    let twice = tracking.begin_with(None, vec![tag("k", "1"), tag("k", "2")]).await;
    refused(twice, ErrorCode::InvalidArgument, "Duplicate tag keys have been submitted: \"k\"");
}

#[tokio::test]
async fn a_run_name_has_a_longest_length() {
    let tracking = Tracking::start().await;
    let longest = "ä".repeat(limits::RUN_NAME_CHARS_MAX);
    let run = tracking.begin_with(Some(&longest), Vec::new()).await.unwrap().0;
    let too_long = format!("{longest}a");
    let words = "'run_name' exceeds the maximum length of 1000 characters";
    refused(tracking.begin_with(Some(&too_long), Vec::new()).await, ErrorCode::InvalidArgument, words);
    refused(tracking.rename(run.run_id, &too_long).await, ErrorCode::InvalidArgument, words);
    let tagged = tracking.log(run.run_id, tags(vec![tag(NAME_TAG, &too_long)])).await;
    refused(tagged, ErrorCode::InvalidArgument, words);
}

#[tokio::test]
async fn the_name_of_a_run_and_its_tag_are_one() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let name = async || {
        let (run, data) = runs::get(&tracking.caller, id).await.unwrap();
        (run.name, tag_of(&data, NAME_TAG).unwrap())
    };
    tracking.log(id, tags(vec![tag(NAME_TAG, "two")])).await.unwrap();
    assert_eq!(name().await, ("two".to_owned(), "two".to_owned()));
    tracking.rename(id, "three").await.unwrap();
    tracking.rename(id, "").await.unwrap();
    assert_eq!(name().await, ("three".to_owned(), "three".to_owned()), "an empty name changes nothing");
}

#[tokio::test]
async fn the_parent_of_a_run_is_named_by_a_tag() {
    let tracking = Tracking::start().await;
    let parent = tracking.begin("parent").await;
    let (child, _) = tracking.begin_with(None, vec![tag(PARENT_TAG, &parent.to_string())]).await.unwrap();
    assert_eq!(child.parent_run_id, Some(parent));
    let (alone, _) = tracking.begin_with(None, vec![tag(PARENT_TAG, "")]).await.unwrap();
    assert_eq!(alone.parent_run_id, None);
    let malformed = tracking.begin_with(None, vec![tag(PARENT_TAG, "x")]).await;
    assert_eq!(malformed.unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn a_run_in_a_missing_or_deleted_experiment_is_refused() {
    let tracking = Tracking::start().await;
    let missing = runs::create(&tracking.caller, experiment_id(99), Begin::default()).await;
    refused(missing, ErrorCode::NotFound, "99");
    experiments::delete(&tracking.caller, tracking.experiment).await.unwrap();
    refused(tracking.begin_with(None, Vec::new()).await, ErrorCode::InvalidArgument, "not deleted");
}

#[tokio::test]
async fn a_run_reaches_every_status_but_never_scheduled_again() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for status in [RunStatus::Finished, RunStatus::Failed, RunStatus::Killed, RunStatus::Running] {
        assert_eq!(tracking.set(id, status).await.unwrap().status, status);
    }
    let error = tracking.set(id, RunStatus::Scheduled).await.unwrap_err();
    assert_eq!(runs::get(&tracking.caller, id).await.unwrap().0.status, RunStatus::Running, "{}", error.message());
}

#[tokio::test]
async fn the_end_of_a_run_is_kept_when_an_update_has_none() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    assert_eq!(tracking.set(id, RunStatus::Finished).await.unwrap().end_ms, Some(9));
    let update = RunUpdate { status: Some(RunStatus::Failed), end_ms: None, name: None };
    assert_eq!(runs::update(&tracking.caller, id, update).await.unwrap().end_ms, Some(9));
}

#[tokio::test]
async fn the_ledger_records_the_end_the_resumption_and_the_next_end() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.set(id, RunStatus::Finished).await.unwrap();
    tracking.set(id, RunStatus::Running).await.unwrap();
    tracking.log(id, metrics(vec![point("loss", 1, 0.5)])).await.unwrap();
    tracking.set(id, RunStatus::Failed).await.unwrap();
    let entries = tracking.entries(id).await;
    let verbs: Vec<&str> = entries.iter().map(|(verb, _)| verb.as_str()).collect();
    assert_eq!(verbs, ["end", "resume", "end"], "logging to a resumed run is not recorded");
    assert_eq!((&entries[0].1["status"], &entries[1].1["status"]), (&"FINISHED".into(), &"RUNNING".into()));
    assert!(entries[1].1.get("logged").is_none());
    assert_ne!(entries[0].1["logged"], entries[2].1["logged"]);
}

#[tokio::test]
async fn an_active_run_has_no_entry_in_the_ledger() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.log(id, params(vec![param("p", "1")])).await.unwrap();
    tracking.rename(id, "two").await.unwrap();
    tracking.set(id, RunStatus::Running).await.unwrap();
    assert_eq!(tracking.verbs(id).await, [""; 0]);
}

#[tokio::test]
async fn a_deleted_run_is_read_but_not_written() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    runs::delete(&tracking.caller, id).await.unwrap();
    assert_eq!(runs::get(&tracking.caller, id).await.unwrap().0.lifecycle, Lifecycle::Deleted);
    refused(tracking.log(id, params(vec![param("p", "1")])).await, ErrorCode::InvalidArgument, "deleted");
    refused(tracking.rename(id, "two").await, ErrorCode::InvalidArgument, "deleted");
    refused(tracking.set(id, RunStatus::Finished).await, ErrorCode::InvalidArgument, "deleted");
    runs::restore(&tracking.caller, id).await.unwrap();
    tracking.log(id, params(vec![param("p", "1")])).await.unwrap();
}

#[tokio::test]
async fn deleting_or_restoring_twice_is_recorded_once() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for _ in 0..2 {
        runs::delete(&tracking.caller, id).await.unwrap();
    }
    for _ in 0..2 {
        runs::restore(&tracking.caller, id).await.unwrap();
    }
    assert_eq!(
        tracking.entries(id).await.iter().map(|(verb, _)| verb.as_str()).collect::<Vec<_>>(),
        ["delete", "restore"]
    );
}

#[tokio::test]
async fn a_run_that_does_not_exist_is_not_found() {
    let tracking = Tracking::start().await;
    let id = RunId::generate();
    refused(runs::get(&tracking.caller, id).await, ErrorCode::NotFound, &id.to_string());
    refused(runs::delete(&tracking.caller, id).await, ErrorCode::NotFound, &id.to_string());
    refused(tracking.set(id, RunStatus::Finished).await, ErrorCode::NotFound, &id.to_string());
}

#[tokio::test]
async fn a_scheduled_run_is_started_before_it_ends() {
    let tracking = Tracking::start().await;
    let new = NewRun {
        run_id: RunId::generate(),
        experiment_id: tracking.experiment,
        parent_run_id: None,
        name: "step".to_owned(),
        user_id: "perennial".to_owned(),
        status: RunStatus::Scheduled,
        start_ms: 1,
        tags: Vec::new(),
    };
    let id = new.run_id;
    let store = tracking.test.app.kernel.store();
    store.write(move |tx| Box::pin(async move { Ok(rows::create(tx, &new).await.map(drop)?) })).await.unwrap();
    for status in [RunStatus::Scheduled, RunStatus::Running, RunStatus::Killed] {
        assert_eq!(tracking.set(id, status).await.unwrap().status, status);
    }
    assert_eq!(tracking.verbs(id).await, ["end"]);
}
