//! Segments of the prediction log: each is loaded into the dataset of its endpoint once.

use perennial_core::name::EndpointName;
use perennial_core::state::AlertState;
use perennial_ingest::predictions::dataset_of;
use perennial_testkit::fakes::Call;

use crate::support::{FLOWN, TestProject};

struct Log {
    test: TestProject,
    endpoint: EndpointName,
}

impl Log {
    async fn start() -> Self {
        let test = TestProject::start(FLOWN).await;
        Self { test, endpoint: "delay".parse().unwrap() }
    }

    fn name(&self) -> String {
        format!("{}/delay", self.test.project.id)
    }

    /// Logs predictions, a request each.
    fn predict(&self, count: usize) {
        for _ in 0..count {
            self.test.test.predict(&self.name()).unwrap();
        }
    }

    async fn ingest(&self) {
        let ingest = &self.test.test.app.ingest;
        ingest.ingest_segments(&self.test.test.system(), &self.test.project, &self.endpoint).await.unwrap();
    }

    /// Rows and version of the dataset.
    async fn rows_and_number(&self) -> (u64, i64) {
        let versions = self.test.versions("predictions_delay").await;
        versions.first().map_or((0, 0), |version| (version.row_count, version.number))
    }

    /// Numbers of the sealed segments that are still in the log.
    fn segments(&self) -> Vec<i64> {
        self.test.test.app.kernel.services.predictions.seal(&self.name()).unwrap()
    }
}

#[tokio::test]
async fn each_segment_is_loaded_once_and_removed_from_the_log() {
    let log = Log::start().await;
    log.ingest().await;
    assert_eq!(log.rows_and_number().await, (0, 0), "an empty log makes no dataset");
    log.predict(2);
    log.ingest().await;
    assert_eq!(log.rows_and_number().await, (2, 1));
    log.ingest().await;
    assert_eq!(log.rows_and_number().await, (2, 1), "nothing new makes no version");
    log.predict(1);
    log.ingest().await;
    assert_eq!(log.rows_and_number().await, (3, 2));
    assert!(log.segments().is_empty());
    assert_eq!(log.test.values("SELECT version FROM predictions_delay").await, "1 1 1");
}

#[tokio::test]
async fn a_segment_that_cannot_be_loaded_stays_alerts_once_and_leaves_the_others() {
    let log = Log::start().await;
    log.predict(1);
    assert_eq!(log.segments(), [1]);
    log.predict(1);
    for _ in 0..2 {
        log.test.test.data.fail_next(Call::Stage);
        log.ingest().await;
        assert_eq!(log.rows_and_number().await, (1, 1), "the second segment is loaded");
        assert_eq!(log.segments(), [1], "nothing is lost");
    }
    let [(name, state, message)] = &log.test.alerts().await[..] else { panic!("one alert") };
    assert_eq!((name.as_str(), *state), ("stuck", AlertState::Firing));
    assert!(
        message.starts_with("predictions of `delay` (segment 1) cannot be loaded into their dataset: "),
        "{message}"
    );
    assert!(message.ends_with("; they stay in the log and are retried"), "{message}");
    log.ingest().await;
    assert_eq!(log.rows_and_number().await, (2, 2));
    assert_eq!(log.test.alerts().await[0].1, AlertState::Resolved);
    assert!(log.segments().is_empty());
}

#[tokio::test]
async fn a_segment_interrupted_at_any_call_is_loaded_exactly_once() {
    for call in [Call::Stage, Call::BeforeCommit, Call::AfterCommit, Call::Discard] {
        let log = Log::start().await;
        log.predict(3);
        log.test.test.data.fail_next(call);
        log.ingest().await;
        assert_eq!(log.segments(), [1], "{call:?}");
        log.ingest().await;
        assert_eq!(log.rows_and_number().await, (3, 1), "{call:?}");
        assert!(log.segments().is_empty(), "{call:?}");
        log.ingest().await;
        assert_eq!(log.rows_and_number().await, (3, 1), "{call:?}");
    }
}

#[tokio::test]
async fn a_prediction_that_the_dataset_has_already_is_quarantined() {
    let log = Log::start().await;
    log.predict(1);
    log.ingest().await;
    let (first, digest) = (log.rows_and_number().await, log.test.versions("predictions_delay").await.remove(0).digest);
    log.predict(1);
    log.ingest().await;
    assert_eq!((first, log.rows_and_number().await), ((1, 1), (2, 2)), "ids differ");
    assert_ne!(log.test.versions("predictions_delay").await[0].digest, digest);
}

#[tokio::test]
async fn the_dataset_of_an_endpoint_is_named_after_it() {
    assert_eq!(dataset_of(&"delay".parse().unwrap()).unwrap().as_str(), "predictions_delay");
    let longest: EndpointName = "e".repeat(63).parse().unwrap();
    let error = dataset_of(&longest).unwrap_err();
    assert!(error.message().ends_with("is too long: the dataset of its predictions has a longer name"), "{error}");
}
