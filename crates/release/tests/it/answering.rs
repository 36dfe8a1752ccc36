//! Which requests are answered, logged and counted.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use perennial_core::frame::{Column, Frame};
use perennial_core::id::RequestId;
use perennial_core::ledger::Chain;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::permission::Role;
use perennial_core::port::model::LoadedModel;
use perennial_core::port::prediction::TrafficRole;
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode};
use perennial_release::endpoints::{Answer, Extra, Request};
use perennial_release::lineage::Kind;
use perennial_release::{Deployment, LoadedVersion, RequestStats, Route, Routes};
use perennial_store::{datasets, ledger};
use perennial_testkit::{TestApp, TestModel};

/// Takes whole numbers only.
struct Integers(Arc<dyn LoadedModel>);

#[async_trait]
impl LoadedModel for Integers {
    fn signature(&self) -> &Arc<Signature> {
        self.0.signature()
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        match frame.column("x") {
            Some(Column::Number(values)) if values.iter().all(|value| value.fract() == 0.0) => {
                self.0.predict(frame).await
            }
            _ => Err(PredictError::Input("column `x` has a value that is not an integer".to_owned())),
        }
    }
}

/// Its runtime completes nothing.
struct Killed(Arc<dyn LoadedModel>, ErrorCode);

#[async_trait]
impl LoadedModel for Killed {
    fn signature(&self) -> &Arc<Signature> {
        self.0.signature()
    }

    async fn predict(&self, _: &Frame) -> Result<Scores, PredictError> {
        Err(PredictError::Runtime(Error::new(self.1, "the worker died").with_hint("try again")))
    }
}

/// An endpoint whose champion adds 1 to its input.
async fn endpoint() -> (TestApp, Deployment) {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::regression(1.0)).await.unwrap();
    let deployment = Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    (test, deployment)
}

/// The version, as one that takes whole numbers only.
fn integers(version: &LoadedVersion, number: i64) -> LoadedVersion {
    LoadedVersion { number, model: Arc::new(Integers(version.model.clone())), stats: Arc::default() }
}

async fn ask(test: &TestApp, deployment: &Deployment, x: f64) -> perennial_core::Result<Answer> {
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![x]));
    test.app.endpoints.answer(deployment, request(inputs)).await
}

fn request(inputs: Frame) -> Request {
    Request { id: RequestId::generate(), inputs, version: None, extra: Extra::Refuse, began: Instant::now() }
}

fn counts(stats: &RequestStats) -> [u64; 3] {
    [stats.requests(), stats.errors(), stats.fallbacks()]
}

fn logged(test: &TestApp, deployment: &Deployment) -> u64 {
    let predictions = &test.app.kernel.services.predictions;
    let segments = predictions.seal(&deployment.log).unwrap();
    segments.into_iter().map(|number| predictions.read(&deployment.log, number).unwrap().records).sum()
}

#[tokio::test]
async fn a_runtime_that_does_not_complete_a_prediction_says_whether_a_retry_may_succeed() {
    let (test, mut deployment) = endpoint().await;
    let champion = deployment.champion().clone();
    for code in [ErrorCode::NotReady, ErrorCode::Busy, ErrorCode::Timeout, ErrorCode::TooLarge] {
        let model = Arc::new(Killed(champion.model.clone(), code));
        deployment.routes = Routes::new(LoadedVersion { number: 1, model, stats: Arc::default() });
        let error = ask(&test, &deployment, 1.0).await.err().unwrap();
        assert_eq!((error.code(), error.hint()), (code, Some("try again")));
        assert_eq!(error.message(), "version 1 failed to answer: the worker died");
        assert_eq!(counts(&deployment.champion().stats), [1, 1, 0]);
    }
    deployment.routes = Routes::new(LoadedVersion {
        number: 1,
        model: Arc::new(Killed(champion.model.clone(), ErrorCode::Internal)),
        stats: Arc::default(),
    });
    let error = ask(&test, &deployment, 1.0).await.err().unwrap();
    assert_eq!((error.code(), error.message()), (ErrorCode::Internal, "version 1 failed to answer"));
}

/// Has many classes.
struct Wide(Arc<Signature>);

#[async_trait]
impl LoadedModel for Wide {
    fn signature(&self) -> &Arc<Signature> {
        &self.0
    }

    async fn predict(&self, _: &Frame) -> Result<Scores, PredictError> {
        panic!("its scores take too much memory")
    }
}

#[tokio::test]
async fn rows_whose_scores_take_too_much_memory_are_refused() {
    let (test, mut deployment) = endpoint().await;
    let champion = deployment.champion().clone();
    let classes = (0..65_536).map(|class| class.to_string()).collect();
    let signature = Signature { task: TaskKind::Multiclass, classes, ..Signature::clone(champion.model.signature()) };
    deployment.routes = Routes::new(LoadedVersion { model: Arc::new(Wide(Arc::new(signature))), ..champion });
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![1.0; 513]));
    let request = request(inputs);
    let error = test.app.endpoints.answer(&deployment, request).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert_eq!(error.message(), "513 rows of 65536 classes are sent, at most 512 rows are taken at once");
}

#[tokio::test]
async fn a_value_that_a_model_does_not_take_is_refused_and_counts_as_no_error_of_the_model() {
    let (test, mut deployment) = endpoint().await;
    deployment.routes = Routes::new(integers(deployment.champion(), 1));
    for wrong in [0.5, f64::NAN] {
        let error = ask(&test, &deployment, wrong).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::Signature);
        assert_eq!(error.message(), "version 1: column `x` has a value that is not an integer");
    }
    assert_eq!((counts(&deployment.champion().stats), logged(&test, &deployment)), ([0, 0, 0], 0));
    assert_eq!(ask(&test, &deployment, 2.0).await.unwrap().scores.values, [3.0]);
    assert_eq!((counts(&deployment.champion().stats), logged(&test, &deployment)), ([1, 0, 0], 1));
}

#[tokio::test]
async fn the_champion_answers_what_the_canary_does_not_take() {
    let (test, mut deployment) = endpoint().await;
    let champion = deployment.champion().clone();
    let canary = Route { version: integers(&champion, 2), role: TrafficRole::Canary, share: 1.0 };
    deployment.routes = Routes::with_shares(champion, vec![canary], String::new());
    let [whole, half] = [ask(&test, &deployment, 2.0).await.unwrap(), ask(&test, &deployment, 0.5).await.unwrap()];
    assert_eq!((whole.role, whole.version), (TrafficRole::Canary, 2));
    assert_eq!((half.role, half.version, half.scores.values), (TrafficRole::Fallback, 1, vec![1.5]));
    assert_eq!(counts(&deployment.routes.canary().unwrap().version.stats), [1, 0, 1]);
    assert_eq!(counts(&deployment.champion().stats), [1, 0, 0]);
}

#[tokio::test]
async fn a_request_that_cannot_be_logged_counts_as_an_error() {
    let (test, mut deployment) = endpoint().await;
    deployment.log = "a/name/with/too/many/components".to_owned();
    assert!(ask(&test, &deployment, 2.0).await.is_err());
    assert_eq!(counts(&deployment.champion().stats), [1, 1, 0]);
}

#[tokio::test]
async fn explaining_a_prediction_reads_the_log_and_writes_nothing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    test.deploy(&project, "delay", &TestModel::regression(1.0)).await.unwrap();
    let deployment = Deployment::clone(&test.app.endpoints.router.find("delay").unwrap());
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![2.0, 0.5]));
    let id = RequestId::generate();
    let request = Request { id, inputs, version: None, extra: Extra::Refuse, began: Instant::now() };
    test.app.endpoints.answer(&deployment, request).await.unwrap();
    let viewer = test.caller("ada", Role::Viewer).await.unwrap();
    let head = async || {
        let mut reader = test.app.kernel.store().read().await.unwrap();
        let datasets = datasets::list(&mut reader, project.id).await.unwrap().len();
        (datasets, ledger::head(&mut reader, Chain::Project(project.id)).await.unwrap())
    };
    let before = head().await;
    let explain = async |id: String| test.app.endpoints.explain(&viewer, &project, Kind::Prediction, &id).await;
    let text = explain(format!("{id}-1")).await.unwrap().text();
    for line in ["answered by version 1 as champion at `delay`", "asked: x 0.5", "answered: score 1.5"] {
        assert!(text.contains(line), "{text}");
    }
    for absent in [format!("{id}-2"), format!("{}-0", RequestId::generate())] {
        assert_eq!(explain(absent).await.unwrap_err().code(), ErrorCode::NotFound);
    }
    assert_eq!(head().await, before);
}
