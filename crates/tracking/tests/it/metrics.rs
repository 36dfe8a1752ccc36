//! Points of metrics: order, latest value, values that are not finite, pages.

use perennial_core::ErrorCode;
use perennial_core::entity::MetricPoint;
use perennial_core::id::RunId;
use perennial_core::permission::Role;
use perennial_tracking::logging;

use crate::support::{Tracking, metrics, point, refused};

async fn history(tracking: &Tracking, id: RunId, key: &str) -> Vec<MetricPoint> {
    logging::history(&tracking.caller, id, key, None, 1_000).await.unwrap().items
}

#[tokio::test]
async fn history_is_ordered_by_timestamp_step_and_value() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let at = |timestamp_ms, step, value| MetricPoint { key: "m".to_owned(), value, timestamp_ms, step };
    let ordered = vec![at(1, 5, 0.1), at(2, 1, 0.2), at(2, 1, 0.3), at(2, 2, 0.0)];
    let mut shuffled = ordered.clone();
    shuffled.reverse();
    tracking.log(id, metrics(shuffled)).await.unwrap();
    assert_eq!(history(&tracking, id, "m").await, ordered);
}

#[tokio::test]
async fn a_point_logged_twice_is_stored_once() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for _ in 0..2 {
        tracking.log(id, metrics(vec![point("m", 1, 0.5), point("m", 1, 0.5), point("m", 2, 0.5)])).await.unwrap();
    }
    assert_eq!(history(&tracking, id, "m").await, [point("m", 1, 0.5), point("m", 2, 0.5)]);
}

#[tokio::test]
async fn the_latest_value_is_that_of_the_greatest_step() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.log(id, metrics(vec![point("m", 3, 0.3), point("m", 1, 0.1)])).await.unwrap();
    tracking.log(id, metrics(vec![point("m", 2, 0.2)])).await.unwrap();
    assert_eq!(tracking.data(id).await.metrics, [point("m", 3, 0.3)]);
}

#[tokio::test]
async fn nan_is_stored_and_infinities_become_the_largest_finite_values() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let points = values.into_iter().enumerate().map(|(step, value)| point("m", step as i64, value)).collect();
    tracking.log(id, metrics(points)).await.unwrap();
    let stored: Vec<f64> = history(&tracking, id, "m").await.into_iter().map(|point| point.value).collect();
    assert!(stored[0].is_nan());
    assert_eq!(stored[1..], [f64::MAX, f64::MIN]);
}

#[tokio::test]
async fn a_timestamp_before_the_epoch_is_refused() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let early = MetricPoint { timestamp_ms: -1, ..point("m", 0, 1.0) };
    let result = tracking.log(id, metrics(vec![point("m", 0, 1.0), early])).await;
    refused(result, ErrorCode::InvalidArgument, "Invalid value -1 for parameter 'metrics[1].timestamp'");
}

#[tokio::test]
async fn a_negative_step_is_accepted() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let point = MetricPoint { key: "m".to_owned(), value: 1.0, timestamp_ms: 0, step: -7 };
    tracking.log(id, metrics(vec![point.clone()])).await.unwrap();
    assert_eq!(history(&tracking, id, "m").await, [point]);
}

#[tokio::test]
async fn pages_of_history_follow_each_other_without_gaps() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let all: Vec<MetricPoint> = (0..25).map(|step| point("m", step, step as f64)).collect();
    tracking.log(id, metrics(all.clone())).await.unwrap();
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = logging::history(&tracking.caller, id, "m", after.as_deref(), 10).await.unwrap();
        found.extend(page.items);
        pages += 1;
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!((found, pages), (all, 3));
    let foreign = logging::history(&tracking.caller, id, "m", Some("x"), 10).await;
    refused(foreign, ErrorCode::InvalidArgument, "page token");
}

#[tokio::test]
async fn the_history_of_an_unknown_metric_or_run_is_empty() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    assert_eq!(history(&tracking, id, "m").await, []);
    assert_eq!(history(&tracking, RunId::generate(), "m").await, []);
}

#[tokio::test]
async fn the_history_of_an_unreadable_run_is_empty() {
    let tracking = Tracking::start().await;
    let (project, _) = tracking.other_project().await;
    let id = tracking.begin("one").await;
    tracking.log(id, metrics(vec![point("m", 1, 1.0)])).await.unwrap();
    let stranger = tracking.person("eve", Role::Viewer, project).await;
    assert_eq!(logging::history(&stranger, id, "m", None, 10).await.unwrap().items, []);
    assert_eq!(history(&tracking, id, "m").await.len(), 1);
}
