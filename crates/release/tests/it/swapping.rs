//! Deployments that replace each other while requests are in flight.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use perennial_core::blob::BlobDigest;
use perennial_core::frame::Frame;
use perennial_core::id::ProjectId;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::port::model::LoadedModel;
use perennial_kernel::alerts::{self, AlertSubject};
use perennial_release::{Deployment, DrainTimes, EndpointRouter, LoadedVersion, Routes};
use perennial_testkit::{TestApp, TestModel};
use tokio::sync::Notify;

#[tokio::test]
async fn a_replacement_overtaken_by_a_later_one_changes_nothing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let current = || Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    let first = current();
    let second = test.deploy(&project, "delay", &TestModel::binary(1.0)).await.unwrap();
    test.app.endpoints.router.replace(first).await;
    assert_eq!(current().champion().number, second, "a deployment read earlier does not return");
    test.app.endpoints.router.replace(current()).await;
    assert_eq!(current().champion().number, second, "the same deployment may be read again");
}

#[tokio::test]
async fn a_replacement_serves_new_requests_at_once_and_waits_for_those_in_flight() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let router = &test.app.endpoints.router;
    let in_flight = router.find("delay").unwrap();
    let next = |later: i64| {
        let generation = in_flight.generation + later;
        Deployment { generation, ..Deployment::clone(&in_flight) }
    };
    let (mut first, mut second) = (pin!(router.replace(next(1))), pin!(router.replace(next(2))));
    for (replacing, later) in [(&mut first, 1), (&mut second, 2)] {
        let is_drained = futures::poll!(replacing.as_mut()).is_ready();
        assert!(!is_drained, "a request still uses the first deployment");
        assert_eq!(router.find("delay").unwrap().generation, in_flight.generation + later);
    }
    drop(in_flight);
    tokio::join!(first, second);
}

#[tokio::test]
async fn a_removed_endpoint_answers_no_new_request_and_waits_for_those_in_flight() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let router = &test.app.endpoints.router;
    let in_flight = router.find("delay").unwrap();
    let (name, generation) = (in_flight.endpoint.clone(), in_flight.generation + 1);
    let mut removing = pin!(router.remove(project.id, &name, generation));
    assert!(!futures::poll!(removing.as_mut()).is_ready());
    assert!(router.find("delay").is_none() && router.endpoints().is_empty());
    drop(in_flight);
    removing.await;
}

#[tokio::test]
async fn a_deployment_that_was_read_before_its_endpoint_was_removed_does_not_return() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let router = &test.app.endpoints.router;
    let before = Deployment::clone(&router.find("delay").unwrap());
    let (name, generation) = (before.endpoint.clone(), before.generation);
    router.remove(project.id, &name, generation - 1).await;
    assert!(router.find("delay").is_some(), "a removal of an earlier generation changes nothing");
    router.remove(project.id, &name, generation + 1).await;
    router.replace(before.clone()).await;
    assert!(router.find("delay").is_none(), "the deployment is of an earlier generation than the removal");
    router.replace(Deployment { generation: generation + 2, ..before }).await;
    assert!(router.find("delay").is_some(), "a later release answers again");
}

/// A model whose predictions end only when they are interrupted.
struct Hanging(Arc<dyn LoadedModel>, Notify);

#[async_trait]
impl LoadedModel for Hanging {
    fn signature(&self) -> &Arc<Signature> {
        self.0.signature()
    }

    async fn predict(&self, _: &Frame) -> Result<Scores, PredictError> {
        self.1.notified().await;
        Err(PredictError::Model("interrupted".to_owned()))
    }

    fn interrupt(&self) {
        self.1.notify_waiters();
    }
}

#[tokio::test]
async fn a_replacement_interrupts_predictions_that_do_not_end() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let healthy = Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    let mut hanging = healthy.clone();
    let model = Arc::new(Hanging(healthy.champion().model.clone(), Notify::new()));
    hanging.routes = Routes::new(LoadedVersion { number: 2, model, stats: Arc::default() });
    let router = EndpointRouter::with_drain_times(DrainTimes { grace: Duration::ZERO, max: Duration::MAX });
    router.replace(hanging).await;
    let in_flight = router.find("delay").unwrap();
    let request = async move { in_flight.champion().model.predict(&Frame::new()).await };
    let replacement = router.replace(Deployment { generation: healthy.generation + 1, ..healthy });
    let (answer, ()) = tokio::join!(request, replacement);
    assert!(matches!(answer, Err(PredictError::Model(_))));
}

#[tokio::test]
async fn a_replacement_does_not_wait_without_end_for_a_request_that_cannot_be_interrupted() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let first = Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    let router = EndpointRouter::with_drain_times(DrainTimes { grace: Duration::ZERO, max: Duration::ZERO });
    router.replace(first.clone()).await;
    let in_flight = router.find("delay").unwrap();
    let generation = first.generation + 1;
    router.replace(Deployment { generation, ..first }).await;
    assert_eq!(router.find("delay").unwrap().generation, generation);
    drop(in_flight);
}

#[tokio::test]
async fn a_removal_leaves_the_endpoint_of_another_project() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let router = &test.app.endpoints.router;
    router.remove(ProjectId::generate(), &"delay".parse().unwrap(), 100).await;
    assert!(router.find("delay").is_some());
}

/// A model that computes nothing while the flag is set.
struct Failing(Arc<dyn LoadedModel>, AtomicBool);

#[async_trait]
impl LoadedModel for Failing {
    fn signature(&self) -> &Arc<Signature> {
        self.0.signature()
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        self.0.predict(frame).await
    }

    fn fault(&self) -> Option<String> {
        self.1.load(Ordering::Relaxed).then(|| "its workers died".to_owned())
    }
}

#[tokio::test]
async fn an_endpoint_whose_model_computes_nothing_is_seen_with_the_cause_until_it_does() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let endpoints = &test.app.endpoints;
    let healthy = Deployment::clone(&endpoints.router.find("delay").unwrap());
    let model = Arc::new(Failing(healthy.champion().model.clone(), AtomicBool::new(true)));
    let version = LoadedVersion { number: 1, model: model.clone(), stats: Arc::default() };
    endpoints.router.replace(Deployment { routes: Routes::new(version), ..healthy }).await;
    let (caller, name) = (test.system(), "delay".parse().unwrap());
    let state = async || endpoints.get(&caller, &project, &name).await.unwrap();
    let stored = [state().await.endpoint];
    let firing = async || {
        let alerts = alerts::list_firing(&caller, project.id, 10).await.unwrap();
        alerts.into_iter().map(|alert| alert.message).collect::<Vec<_>>()
    };
    let cause = "version 1 computes nothing: its workers died";
    for _ in 0..2 {
        endpoints.catch_up(&project, &stored).await;
        assert_eq!(firing().await, [format!("endpoint `delay` does not answer: {cause}")], "one alert for one fault");
    }
    assert_eq!((state().await.fault.unwrap().message.as_str(), endpoints.unready()), (cause, 1));
    model.1.store(false, Ordering::Relaxed);
    endpoints.catch_up(&project, &stored).await;
    assert_eq!((state().await.fault, endpoints.unready(), firing().await), (None, 0, Vec::new()));
}

#[tokio::test]
async fn endpoints_are_not_ready_after_a_start_until_they_are_opened() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let next = TestApp::beside(&test).await.unwrap();
    let project = next.app.projects.get(project.id).await.unwrap();
    let (caller, endpoints, name) = (next.system(), &next.app.endpoints, "delay".parse().unwrap());
    let unopened = endpoints.begin_opening().await.unwrap();
    endpoints.catch_up(&project, &unopened).await;
    let state = endpoints.get(&caller, &project, &name).await.unwrap();
    assert_eq!((state.fault.unwrap().message.as_str(), endpoints.unready()), ("its model is being loaded", 1));
    assert!(alerts::list_firing(&caller, project.id, 10).await.unwrap().is_empty(), "a start is not a fault");
    endpoints.open_each(&unopened).await;
    let state = endpoints.get(&caller, &project, &name).await.unwrap();
    assert_eq!((state.fault, endpoints.unready(), state.routes.len()), (None, 0, 1));
}

#[tokio::test]
async fn an_endpoint_whose_model_cannot_be_loaded_is_seen_with_the_cause_until_it_answers() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let model = TestModel::binary(0.0);
    test.deploy(&project, "delay", &model).await.unwrap();
    let gone = BlobDigest::of(&model.onnx);
    test.app.kernel.services.blobs.delete(gone).await.unwrap();
    let next = TestApp::beside(&test).await.unwrap();
    let project = next.app.projects.get(project.id).await.unwrap();
    next.app.endpoints.open_all().await.unwrap();
    let (caller, name) = (next.system(), "delay".parse().unwrap());
    let state = async || next.app.endpoints.get(&caller, &project, &name).await.unwrap();
    let firing = async || {
        let alerts = alerts::list_firing(&caller, project.id, 10).await.unwrap();
        alerts.into_iter().map(|alert| (alert.subject, alert.message)).collect::<Vec<_>>()
    };
    let fault = state().await.fault.unwrap();
    assert!(fault.message.contains(&gone.to_string()), "{fault:?}");
    assert_eq!(next.app.endpoints.unready(), 1);
    let expected = format!("endpoint `delay` does not answer as recorded: {}", fault.message);
    assert_eq!(firing().await, [(AlertSubject::Endpoint(name.clone()), expected)]);
    let stored = [state().await.endpoint];
    for _ in 0..2 {
        next.app.endpoints.catch_up(&project, &stored).await;
        assert_eq!(firing().await.len(), 1, "one alert for one fault");
    }
    next.app.kernel.services.blobs.put_bytes(model.onnx.clone()).await.unwrap();
    next.clock.advance(10_000);
    next.app.endpoints.catch_up(&project, &stored).await;
    assert_eq!((state().await.fault, next.app.endpoints.unready(), firing().await), (None, 0, Vec::new()));
    assert!(next.app.endpoints.router.find("delay").is_some());
}
