//! Points of metrics: what is one point, which is the latest, and their order.

use perennial_core::entity::{MetricPoint, RunBatch};
use perennial_store::metrics;

use crate::db::{Db, on_both};
use crate::fixtures::{experiment, run};
use crate::tracking::{create, log, point};

on_both! {
    a_point_logged_twice_is_there_once,
    the_latest_point_has_the_greatest_step_timestamp_value,
    history_is_ordered_and_pages,
    a_thousand_points_go_in_at_once,
}

/// Points as text, for NaN does not equal itself.
fn shown(points: &[MetricPoint]) -> Vec<String> {
    points
        .iter()
        .map(|point| format!("{} {:?} at {} step {}", point.key, point.value, point.timestamp_ms, point.step))
        .collect()
}

async fn a_point_logged_twice_is_there_once(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let points =
        vec![point("auc", 0.5, 1, 0), point("auc", f64::NAN, 1, 0), point("auc", 0.5, 1, 0), point("auc", 0.0, 1, 0)];
    for metrics in [points.clone(), points] {
        log(db, id, RunBatch { metrics, ..RunBatch::default() }).await.unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    let page = metrics::history(&mut reader, id, "auc", None, 10).await.unwrap();
    assert_eq!(shown(&page.items), ["auc 0.0 at 1 step 0", "auc NaN at 1 step 0", "auc 0.5 at 1 step 0"]);
    assert!(metrics::history(&mut reader, id, "loss", None, 10).await.unwrap().items.is_empty());
}

async fn the_latest_point_has_the_greatest_step_timestamp_value(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let cases = [
        (point("m", 1.0, 5, 0), "m 1.0 at 5 step 0"),
        (point("m", 9.0, 4, 0), "m 1.0 at 5 step 0"),
        (point("m", 2.0, 5, 0), "m 2.0 at 5 step 0"),
        (point("m", f64::NAN, 5, 0), "m 2.0 at 5 step 0"),
        (point("m", -3.0, 1, 1), "m -3.0 at 1 step 1"),
        (point("m", f64::NAN, 1, 1), "m NaN at 1 step 1"),
        (point("m", 0.0, 1, 1), "m NaN at 1 step 1"),
        (point("m", 5e-324, 1, 1), "m 5e-324 at 1 step 1"),
        (point("m", f64::INFINITY, 1, 1), "m inf at 1 step 1"),
        (point("m", 0.0, 0, -1), "m inf at 1 step 1"),
    ];
    for (logged, expected) in cases {
        log(db, id, RunBatch { metrics: vec![logged], ..RunBatch::default() }).await.unwrap();
        let mut reader = db.store.read().await.unwrap();
        assert_eq!(shown(&metrics::latest(&mut reader, id).await.unwrap()), [expected]);
    }
}

async fn history_is_ordered_and_pages(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let metrics = vec![
        point("m", 3.0, 2, 0),
        point("m", f64::NEG_INFINITY, 1, -7),
        point("m", f64::NAN, 2, 0),
        point("m", -1.0, 2, 0),
        point("m", 0.1, 1, 4),
        point("n", 1.0, 0, 0),
    ];
    log(db, id, RunBatch { metrics, ..RunBatch::default() }).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = metrics::history(&mut reader, id, "m", after.as_deref(), 2).await.unwrap();
        assert!(page.items.len() <= 2);
        all.extend(shown(&page.items));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected =
        ["m -inf at 1 step -7", "m 0.1 at 1 step 4", "m -1.0 at 2 step 0", "m NaN at 2 step 0", "m 3.0 at 2 step 0"];
    assert_eq!(all, expected);
    let refused = metrics::history(&mut reader, id, "m", Some("1_2"), 2).await.unwrap_err();
    assert_eq!(refused.to_string(), "`1_2` is not a page token of this list");
}

async fn a_thousand_points_go_in_at_once(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let metrics: Vec<MetricPoint> = (0..1_000)
        .map(|number| point(&format!("m{}", number % 7), f64::from(number) / 7.0, 1, i64::from(number)))
        .collect();
    log(db, id, RunBatch { metrics: metrics.clone(), ..RunBatch::default() }).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(metrics::latest(&mut reader, id).await.unwrap().len(), 7);
    let page = metrics::history(&mut reader, id, "m3", None, 1_000).await.unwrap();
    let expected: Vec<MetricPoint> = metrics.into_iter().filter(|point| point.key == "m3").collect();
    assert_eq!(page.items, expected);
}
