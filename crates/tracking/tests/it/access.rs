//! Permissions: roles on projects, and the tokens of steps.

use bytes::Bytes;
use futures::stream;
use perennial_core::entity::RunUpdate;
use perennial_core::permission::Role;
use perennial_core::{ErrorCode, Result};
use perennial_kernel::Caller;
use perennial_tracking::artifacts::{self, ArtifactLocation};
use perennial_tracking::runs::Begin;
use perennial_tracking::{PARENT_TAG, experiments, logging, runs, verify};

use crate::support::{Tracking, input, metrics, param, params, point, refused, tag};

/// Every write to a run, with its name.
async fn writes(
    tracking: &Tracking,
    caller: &Caller,
    id: perennial_core::id::RunId,
) -> Vec<(&'static str, Result<()>)> {
    let place =
        ArtifactLocation::parse(&format!("{}/{id}/artifacts/a.txt", tracking.experiment).parse().unwrap()).unwrap();
    let incoming = || stream::iter([Ok(Bytes::from_static(b"1"))]);
    let rename = RunUpdate { name: Some("two".to_owned()), ..RunUpdate::default() };
    vec![
        ("log_batch", logging::log_batch(caller, id, params(vec![param("p", "1")])).await),
        ("log_inputs", logging::log_inputs(caller, id, vec![input("d", "1")]).await),
        ("update", runs::update(caller, id, rename).await.map(drop)),
        ("put", artifacts::put(caller, place.clone(), incoming()).await),
        ("delete artifact", artifacts::delete(caller, place).await),
        ("delete", runs::delete(caller, id).await),
        ("restore", runs::restore(caller, id).await),
    ]
}

#[tokio::test]
async fn a_contributor_writes_runs_of_the_project() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let caller = tracking.person("ann", Role::Contributor, Tracking::project()).await;
    for (what, result) in writes(&tracking, &caller, id).await {
        assert!(result.is_ok(), "{what}: {result:?}");
    }
}

#[tokio::test]
async fn a_viewer_reads_runs_but_writes_none() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let caller = tracking.person("eve", Role::Viewer, Tracking::project()).await;
    assert_eq!(runs::get(&caller, id).await.unwrap().0.run_id, id);
    for (what, result) in writes(&tracking, &caller, id).await {
        assert_eq!(result.unwrap_err().code(), ErrorCode::PermissionDenied, "{what}");
    }
    let created = runs::create(&caller, tracking.experiment, Begin::default()).await;
    refused(created, ErrorCode::PermissionDenied, "lacks the permission `write`");
}

#[tokio::test]
async fn a_run_of_an_unreadable_project_is_not_found() {
    let tracking = Tracking::start().await;
    let (project, _) = tracking.other_project().await;
    let id = tracking.begin("one").await;
    let caller = tracking.person("eve", Role::Admin, project).await;
    refused(runs::get(&caller, id).await, ErrorCode::NotFound, &id.to_string());
    refused(verify(&caller, id).await, ErrorCode::NotFound, &id.to_string());
    for (what, result) in writes(&tracking, &caller, id).await {
        assert_eq!(result.unwrap_err().code(), ErrorCode::NotFound, "{what}");
    }
    let created = runs::create(&caller, tracking.experiment, Begin::default()).await;
    refused(created, ErrorCode::NotFound, "experiment");
}

#[tokio::test]
async fn an_experiment_of_an_unreadable_project_is_not_found() {
    let tracking = Tracking::start().await;
    let (project, _) = tracking.other_project().await;
    let caller = tracking.person("eve", Role::Admin, project).await;
    let id = tracking.experiment;
    refused(experiments::get(&caller, id).await, ErrorCode::NotFound, "experiment");
    refused(experiments::get_by_name(&caller, "flights").await, ErrorCode::NotFound, "`flights`");
    refused(experiments::delete(&caller, id).await, ErrorCode::NotFound, "experiment");
    refused(experiments::set_tag(&caller, id, tag("k", "1")).await, ErrorCode::NotFound, "experiment");
}

#[tokio::test]
async fn a_viewer_changes_no_experiment() {
    let tracking = Tracking::start().await;
    let caller = tracking.person("eve", Role::Viewer, Tracking::project()).await;
    let id = tracking.experiment;
    for result in [
        experiments::rename(&caller, id, "two".to_owned()).await,
        experiments::set_tag(&caller, id, tag("k", "1")).await,
        experiments::delete_tag(&caller, id, "k".to_owned()).await,
        experiments::delete(&caller, id).await,
    ] {
        refused(result, ErrorCode::PermissionDenied, "`write`");
    }
}

#[tokio::test]
async fn a_step_writes_its_own_run_and_the_runs_below_it() {
    let tracking = Tracking::start().await;
    let (own, other) = (tracking.begin("own").await, tracking.begin("other").await);
    let step = tracking.step(own);
    let (child, data) = runs::create(&step, tracking.experiment, Begin::default()).await.unwrap();
    assert_eq!(child.parent_run_id, Some(own), "a run that a step creates is below the run of the step");
    assert!(data.tags.contains(&tag(PARENT_TAG, &own.to_string())));
    let below = Begin { tags: vec![tag(PARENT_TAG, &child.run_id.to_string())], ..Begin::default() };
    let (grandchild, _) = runs::create(&step, tracking.experiment, below).await.unwrap();
    for id in [own, child.run_id, grandchild.run_id] {
        logging::log_batch(&step, id, metrics(vec![point("m", 1, 1.0)])).await.unwrap();
    }
    for (what, result) in writes(&tracking, &step, other).await {
        let error = result.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{what}");
        assert!(error.message().contains("neither the run of this step nor below it"), "{}", error.message());
    }
    assert_eq!(runs::get(&step, other).await.unwrap().0.run_id, other, "a step reads its project");
}

#[tokio::test]
async fn a_step_creates_no_run_below_a_run_of_others() {
    let tracking = Tracking::start().await;
    let (own, other) = (tracking.begin("own").await, tracking.begin("other").await);
    let begin = Begin { tags: vec![tag(PARENT_TAG, &other.to_string())], ..Begin::default() };
    let result = runs::create(&tracking.step(own), tracking.experiment, begin).await;
    refused(result, ErrorCode::PermissionDenied, "neither the run of this step nor below it");
}

#[tokio::test]
async fn a_step_changes_no_experiment() {
    let tracking = Tracking::start().await;
    let step = tracking.step(tracking.begin("own").await);
    let words = "a step's token reads its project and writes its own run, nothing else";
    refused(experiments::delete(&step, tracking.experiment).await, ErrorCode::PermissionDenied, words);
    let created = experiments::create(&step, "two".to_owned(), None, Vec::new()).await;
    refused(created, ErrorCode::PermissionDenied, words);
}
