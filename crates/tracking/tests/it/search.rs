//! Search over runs.

use perennial_core::entity::RunBatch;
use perennial_core::id::ExperimentId;
use perennial_core::permission::Role;
use perennial_core::state::{Lifecycle, RunStatus};
use perennial_core::{ErrorCode, Result};
use perennial_kernel::Caller;
use perennial_store::Page;
use perennial_tracking::runs::{self, Begin, Run, RunData, Search};
use perennial_tracking::{experiments, limits};

use crate::support::{Tracking, experiment_id, param, point, refused, tag};

/// Runs `r0` to `r4`; the one with number `n` has metric `auc` = n / 10, param `depth` = n and tag `half` for n < 2.
async fn five_runs() -> Tracking {
    let tracking = Tracking::start().await;
    for n in 0..5_i64 {
        let begin = Begin { name: Some(format!("r{n}")), start_ms: 100 + n, ..Begin::default() };
        let (run, _) = runs::create(&tracking.caller, tracking.experiment, begin).await.unwrap();
        let batch = RunBatch {
            metrics: vec![point("auc", 1, n as f64 / 10.0)],
            params: vec![param("depth", &n.to_string())],
            tags: if n < 2 { vec![tag("half", "first")] } else { Vec::new() },
        };
        tracking.log(run.run_id, batch).await.unwrap();
        if n == 4 {
            tracking.set(run.run_id, RunStatus::Failed).await.unwrap();
        }
    }
    tracking
}

async fn search(tracking: &Tracking, filter: &str, order: &[&str]) -> Result<Page<(Run, RunData)>> {
    let wanted = Search {
        experiment_ids: vec![tracking.experiment],
        filter: filter.to_owned(),
        lifecycle: Some(Lifecycle::Active),
        order: order.iter().map(|&key| key.to_owned()).collect(),
        after: None,
        limit: 100,
    };
    runs::search(&tracking.caller, wanted).await
}

fn names(page: &Page<(Run, RunData)>) -> Vec<&str> {
    page.items.iter().map(|(run, _)| run.name.as_str()).collect()
}

#[tokio::test]
async fn a_filter_compares_metrics_params_tags_and_attributes() {
    let tracking = five_runs().await;
    for (filter, expected) in [
        ("", vec!["r0", "r1", "r2", "r3", "r4"]),
        ("metrics.auc > 0.25", vec!["r3", "r4"]),
        ("metrics.auc >= 0.1 AND metrics.auc < 0.3", vec!["r1", "r2"]),
        ("params.depth = '3'", vec!["r3"]),
        ("tags.half = 'first'", vec!["r0", "r1"]),
        ("tags.`mlflow.runName` LIKE 'r%' AND attributes.status = 'FAILED'", vec!["r4"]),
        ("attributes.start_time > 102", vec!["r3", "r4"]),
        ("metrics.unknown > 0", vec![]),
    ] {
        let found = search(&tracking, filter, &["attributes.start_time ASC"]).await.unwrap();
        assert_eq!(names(&found), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_parsed_is_refused() {
    let tracking = five_runs().await;
    for filter in [
        "metrics.auc >",
        "unknown.auc > 1",
        "metrics.auc > 'x'",
        "params.depth > '1'",
        "metrics.auc = 1 OR metrics.auc = 2",
    ] {
        let error = search(&tracking, filter, &[]).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{filter}: {}", error.message());
    }
    assert_eq!(search(&tracking, "", &["nothing.x ASC"]).await.unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn results_are_ordered_by_each_key_in_turn_and_missing_values_are_last() {
    let tracking = five_runs().await;
    let bare = tracking.begin("bare").await;
    for (order, expected) in [
        (vec!["metrics.auc DESC"], vec!["r4", "r3", "r2", "r1", "r0", "bare"]),
        (vec!["metrics.auc ASC"], vec!["r0", "r1", "r2", "r3", "r4", "bare"]),
        (vec!["tags.half ASC", "params.depth DESC"], vec!["r1", "r0", "r4", "r3", "r2", "bare"]),
    ] {
        let found = search(&tracking, "", &order).await.unwrap();
        assert_eq!(names(&found), expected, "{order:?}");
    }
    runs::delete(&tracking.caller, bare).await.unwrap();
}

#[tokio::test]
async fn a_result_comes_with_what_the_run_logged() {
    let tracking = five_runs().await;
    let found = search(&tracking, "params.depth = '1'", &[]).await.unwrap();
    let (run, data) = &found.items[0];
    assert_eq!((&data.params, &data.metrics), (&vec![param("depth", "1")], &vec![point("auc", 1, 0.1)]));
    assert_eq!(*data, tracking.data(run.run_id).await);
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_or_repeats() {
    let tracking = five_runs().await;
    let page = async |after: Option<String>, order: &str| {
        let wanted = Search {
            experiment_ids: vec![tracking.experiment],
            order: vec![order.to_owned()],
            after,
            limit: 2,
            ..Search::default()
        };
        runs::search(&tracking.caller, wanted).await
    };
    let first = page(None, "metrics.auc DESC").await.unwrap();
    let second = page(first.next.clone(), "metrics.auc DESC").await.unwrap();
    let third = page(second.next.clone(), "metrics.auc DESC").await.unwrap();
    let found = [names(&first), names(&second), names(&third)].concat();
    assert_eq!((found, &third.next), (vec!["r4", "r3", "r2", "r1", "r0"], &None));
    let error = page(first.next, "params.depth ASC").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument, "a token of another order: {}", error.message());
}

#[tokio::test]
async fn deleted_runs_are_found_when_the_search_includes_them() {
    let tracking = five_runs().await;
    let id = search(&tracking, "params.depth = '0'", &[]).await.unwrap().items[0].0.run_id;
    runs::delete(&tracking.caller, id).await.unwrap();
    for (lifecycle, count) in [(Some(Lifecycle::Active), 4), (Some(Lifecycle::Deleted), 1), (None, 5)] {
        let wanted = Search { experiment_ids: vec![tracking.experiment], lifecycle, limit: 10, ..Search::default() };
        assert_eq!(runs::search(&tracking.caller, wanted).await.unwrap().items.len(), count, "{lifecycle:?}");
    }
}

/// The number of runs that a caller finds in these experiments.
async fn count(caller: &Caller, experiment_ids: Vec<ExperimentId>) -> usize {
    let wanted = Search { experiment_ids, limit: 100, ..Search::default() };
    runs::search(caller, wanted).await.unwrap().items.len()
}

#[tokio::test]
async fn experiments_that_are_unknown_or_unreadable_have_no_runs() {
    let tracking = five_runs().await;
    let (project, sales) = tracking.other_project().await;
    runs::create(&tracking.caller, sales, Begin::default()).await.unwrap();
    let viewer = tracking.person("eve", Role::Viewer, project).await;
    let both = vec![tracking.experiment, sales, sales, experiment_id(99)];
    assert_eq!((count(&tracking.caller, both.clone()).await, count(&viewer, both).await), (6, 1));
    // Many experiments are read in one query.
    let mut many = vec![tracking.experiment, sales];
    many.extend((100..120).map(experiment_id));
    assert_eq!((count(&tracking.caller, many.clone()).await, count(&viewer, many).await), (6, 1));
    assert_eq!(count(&tracking.caller, Vec::new()).await, 0);
}

#[tokio::test]
async fn a_search_names_a_limited_number_of_experiments() {
    let tracking = Tracking::start().await;
    let experiment_ids = vec![tracking.experiment; limits::EXPERIMENTS_MAX + 1];
    let wanted = Search { experiment_ids, limit: 1, ..Search::default() };
    let result = runs::search(&tracking.caller, wanted).await;
    refused(result, ErrorCode::InvalidArgument, "a search names 50000 experiments at most");
}

#[tokio::test]
async fn runs_of_a_deleted_experiment_are_deleted_in_a_search() {
    let tracking = five_runs().await;
    experiments::delete(&tracking.caller, tracking.experiment).await.unwrap();
    assert_eq!(search(&tracking, "", &[]).await.unwrap().items.len(), 0);
}
