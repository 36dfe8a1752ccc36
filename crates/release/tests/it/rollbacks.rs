//! Versions that are put back: without waiting, and not before they can answer.

use std::sync::Arc;

use futures::FutureExt;

use perennial_core::blob::BlobDigest;
use perennial_core::cause::Cause;
use perennial_core::entity::{Endpoint, Promotion, PromotionKind};
use perennial_core::id::PromotionId;
use perennial_projects::ProjectState;
use perennial_store::{endpoints as endpoint_rows, promotions};
use perennial_testkit::{TestApp, TestModel};

/// An endpoint at which version 2 answers in place of version 1.
async fn with_two_versions() -> (TestApp, Arc<ProjectState>) {
    let (test, project) = TestApp::with_project().await.unwrap();
    for intercept in [0.0, 1.0] {
        test.deploy(&project, "delay", &TestModel::binary(intercept)).await.unwrap();
    }
    let endpoint = endpoint(&test, &project).await;
    let promotion = Promotion {
        id: PromotionId::generate(),
        project_id: project.id,
        endpoint: Some(endpoint.name),
        model_id: endpoint.model_id,
        alias: endpoint.alias,
        from_number: Some(1),
        to_number: Some(2),
        kind: PromotionKind::Promotion,
        decision_id: None,
        release_digest: None,
        cause: Cause::person("test"),
        actor: "test".to_owned(),
        wall_ms: 0,
        project_ms: 0,
    };
    let store = test.app.kernel.store();
    store.write(move |tx| Box::pin(async move { Ok(promotions::insert(tx, &promotion).await?) })).await.unwrap();
    (test, project)
}

async fn endpoint(test: &TestApp, project: &ProjectState) -> Endpoint {
    let name = "delay".parse().unwrap();
    endpoint_rows::get(&mut test.app.kernel.store().read().await.unwrap(), project.id, &name).await.unwrap()
}

fn answers(test: &TestApp) -> i64 {
    test.app.endpoints.router.find("delay").unwrap().champion().number
}

#[tokio::test]
async fn a_rollback_waits_for_no_training() {
    let (test, project) = with_two_versions().await;
    let compute = &test.app.kernel.compute;
    let _trainings = [compute.acquire(project.id).await.unwrap(), compute.acquire(project.id).await.unwrap()];
    assert!(compute.acquire(project.id).now_or_never().is_none(), "no further training begins");
    let name = "delay".parse().unwrap();
    let before = test.app.endpoints.get(&test.system(), &project, &name).await.unwrap().before;
    test.app.endpoints.rollback(&test.system(), &project, &name, None).await.unwrap();
    assert_eq!((before, answers(&test)), (Some(1), 1));
    assert_eq!(test.app.endpoints.get(&test.system(), &project, &name).await.unwrap().before, None);
}

#[tokio::test]
async fn a_version_that_cannot_answer_is_refused_before_anything_is_recorded() {
    let (test, project) = with_two_versions().await;
    let before = endpoint(&test, &project).await;
    let gone = BlobDigest::of(&TestModel::binary(0.0).onnx);
    test.app.kernel.services.blobs.delete(gone).await.unwrap();
    test.app.endpoints.rollback(&test.system(), &project, &before.name, None).await.unwrap_err();
    assert_eq!(endpoint(&test, &project).await, before);
    assert_eq!(answers(&test), 2);
    let known =
        promotions::list(&mut test.app.kernel.store().read().await.unwrap(), project.id, None, 10).await.unwrap();
    assert_eq!(known.items.len(), 1);
}
