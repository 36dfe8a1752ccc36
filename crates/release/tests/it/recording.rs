//! When a prediction is answered: after it was written, and with `log = "recorded"` after it was synced to disk.

use std::time::Instant;

use perennial_core::frame::{Column, Frame};
use perennial_core::id::RequestId;
use perennial_core::port::prediction::Durability;
use perennial_release::Deployment;
use perennial_release::endpoints::{Answer, Extra, Request};
use perennial_testkit::{TestApp, TestModel};

async fn ask(test: &TestApp, deployment: &Deployment) -> perennial_core::Result<Answer> {
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![1.0]));
    let id = RequestId::generate();
    let request = Request { id, inputs, version: None, extra: Extra::Refuse, began: Instant::now() };
    test.app.endpoints.answer(deployment, request).await
}

#[tokio::test]
async fn only_an_endpoint_that_records_waits_for_the_sync() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::regression(1.0)).await.unwrap();
    let mut deployment = Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    test.predictions.hold_syncs();
    assert_eq!(deployment.durability, Durability::Batched);
    assert!(ask(&test, &deployment).await.is_ok());

    deployment.durability = Durability::Synced;
    let mut answer = Box::pin(ask(&test, &deployment));
    tokio::select! {
        biased;
        answer = &mut answer => panic!("answered before the sync: {:?}", answer.map(|answer| answer.version)),
        () = test.predictions.sync_waits() => {}
    }
    test.predictions.release_syncs();
    assert!(answer.await.is_ok());
}
