//! The sum of a run's content: it follows every change, and ending a run reads no element.

use perennial_core::digest::run_digest;
use perennial_core::entity::{MetricPoint, Run, RunArtifact, RunBatch, RunInput, RunUpdate};
use perennial_core::id::RunId;
use perennial_core::state::{Lifecycle, RunStatus};
use perennial_store::{experiments, run_artifacts, run_contents, runs};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, experiment, run};
use crate::tracking::{create, log, param, point, tag};

on_both! {
    the_sum_follows_every_change,
    points_that_are_there_already_are_not_summed_again,
    ending_a_run_reads_no_point,
    a_run_of_an_earlier_version_is_summed_once,
    a_sum_that_is_completed_between_writes_covers_them,
    concurrent_writers_of_a_run_are_all_summed,
    the_sum_does_not_depend_on_the_order_or_the_batches,
    a_write_that_is_undone_leaves_the_sum,
    deleting_and_restoring_an_experiment_leaves_the_sums_of_its_runs,
}

#[derive(Debug, Clone)]
enum Operation {
    Points(Vec<(u8, i64)>),
    Param(u8),
    Tags(Vec<(u8, u8)>),
    DeleteTag(u8),
    Input(u8, u8),
    Artifact(u8, u8),
    DeleteArtifacts(u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    let few = || 0_u8..4;
    prop_oneof![
        3 => prop::collection::vec((few(), 0_i64..60), 1..80).prop_map(Operation::Points),
        2 => few().prop_map(Operation::Param),
        2 => prop::collection::vec((few(), few()), 1..4).prop_map(Operation::Tags),
        1 => few().prop_map(Operation::DeleteTag),
        1 => (few(), few()).prop_map(|(name, source)| Operation::Input(name, source)),
        2 => (few(), few()).prop_map(|(path, digest)| Operation::Artifact(path, digest)),
        1 => few().prop_map(Operation::DeleteArtifacts),
    ]
}

/// Values that the databases treat specially among others.
fn value(step: i64) -> f64 {
    match step % 7 {
        0 => 0.0,
        1 => -0.0,
        2 => f64::NAN,
        3 => f64::INFINITY,
        step => step as f64 / 3.0,
    }
}

async fn apply(db: &Db, id: RunId, operation: Operation) {
    let batch = RunBatch::default();
    let result = match operation {
        Operation::Points(points) => {
            let points = points.into_iter().map(|(key, step)| point(&format!("m{key}"), value(step), 0, step / 2));
            log(db, id, RunBatch { metrics: points.collect(), ..batch }).await
        }
        Operation::Param(key) => {
            log(db, id, RunBatch { params: vec![param(&format!("p{key}"), "1"), param("p0", "1")], ..batch }).await
        }
        Operation::Tags(tags) => {
            let tags = tags.into_iter().map(|(key, value)| tag(&format!("t{key}"), &value.to_string()));
            log(db, id, RunBatch { tags: tags.collect(), ..batch }).await
        }
        Operation::DeleteTag(key) => {
            write_tx!(db.store, tx => { Ok(runs::delete_tag(tx, id, &format!("t{key}")).await.map(drop)?) })
                .or_else(|error| if error.message().contains("does not exist") { Ok(()) } else { Err(error) })
        }
        Operation::Input(name, source) => {
            let input = RunInput {
                name: format!("d{name}"),
                digest: "1".to_owned(),
                source_type: "local".to_owned(),
                source: source.to_string(),
                schema: None,
                profile: Some("{}".to_owned()),
                tags: json!({ "context": source, "share": 0.1 }),
            };
            write_tx!(db.store, tx => { Ok(runs::log_inputs(tx, id, &[input]).await.map(drop)?) })
        }
        Operation::Artifact(path, digest) => {
            let artifact = artifact(&format!("model/{path}"), &digest.to_string());
            write_tx!(db.store, tx => { Ok(run_artifacts::upsert(tx, id, &artifact).await.map(drop)?) })
        }
        Operation::DeleteArtifacts(path) => {
            let path = if path == 0 { "model".to_owned() } else { format!("model/{path}") };
            write_tx!(db.store, tx => { Ok(run_artifacts::delete(tx, id, &path).await.map(drop)?) })
        }
    };
    result.unwrap();
}

fn artifact(path: &str, digest: &str) -> RunArtifact {
    RunArtifact { path: path.to_owned(), blob_digest: digest.to_owned(), size_bytes: 1, updated_ms: NOW }
}

/// The digest of a run by its stored sum, if that is complete, and the one that its elements give.
async fn digests(db: &Db, id: RunId) -> (Option<String>, String) {
    let mut reader = db.store.read().await.unwrap();
    let run = runs::get(&mut reader, id).await.unwrap();
    let stored = run_contents::find_sum(&mut reader, id).await.unwrap();
    let computed = run_contents::compute_sum(&mut reader, &run).await.unwrap();
    (stored.map(|sum| run_digest(&run, &sum)), run_digest(&run, &computed))
}

async fn assert_followed(db: &Db, id: RunId, what: &str) {
    let (stored, computed) = digests(db, id).await;
    assert_eq!(stored, Some(computed), "{what}");
}

async fn the_sum_follows_every_change(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    assert_followed(db, id, "created").await;
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(11), ..Config::default() });
    let operations = prop::collection::vec(operation(), 80).new_tree(&mut runner).unwrap().current();
    for operation in operations {
        let what = format!("{operation:?}");
        apply(db, id, operation).await;
        assert_followed(db, id, &what).await;
    }
}

/// Points of two metrics, more than are returned by the database one by one.
fn many(steps: std::ops::Range<i64>) -> Vec<MetricPoint> {
    steps.map(|step| point(if step % 2 == 0 { "loss" } else { "auc" }, step as f64, NOW, step)).collect()
}

async fn points_that_are_there_already_are_not_summed_again(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    for (what, metrics) in [
        ("new", many(0..500)),
        ("all there", many(0..500)),
        ("some there", many(300..900)),
        ("twice in a batch", [many(900..950), many(900..950)].concat()),
        ("one, there", many(3..4)),
        ("few, some there", many(940..960)),
    ] {
        log(db, id, RunBatch { metrics, ..RunBatch::default() }).await.unwrap();
        assert_followed(db, id, what).await;
    }
}

async fn end(db: &Db, id: RunId) -> Run {
    let update = RunUpdate { status: Some(RunStatus::Finished), end_ms: Some(NOW), name: None };
    write_tx!(db.store, tx => {
        let run = runs::update(tx, id, &update).await?;
        runs::seal(tx, id, NOW).await?;
        assert!(run_contents::find_sum(tx, id).await?.is_some());
        Ok(run)
    })
    .unwrap()
}

async fn ending_a_run_reads_no_point(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    log(db, id, RunBatch { metrics: many(0..5_000), ..RunBatch::default() }).await.unwrap();
    let (stored, _) = digests(db, id).await;
    // A statement that reads points, params or artifacts fails from here on.
    db.execute(
        "ALTER TABLE metrics RENAME TO metrics_away; ALTER TABLE latest_metrics RENAME TO latest_metrics_away;
         ALTER TABLE params RENAME TO params_away; ALTER TABLE run_artifacts RENAME TO run_artifacts_away;",
    )
    .await;
    let ended = end(db, id).await;
    let mut reader = db.store.read().await.unwrap();
    let sum = run_contents::find_sum(&mut reader, id).await.unwrap().unwrap();
    assert_ne!(Some(run_digest(&ended, &sum)), stored, "the status is part of the digest");
}

async fn a_run_of_an_earlier_version_is_summed_once(db: &Db) {
    let id = earlier_run(db).await;
    let (before, after) = (many(50..150), many(140..200));
    log(db, id, RunBatch { metrics: before, tags: vec![tag("t", "1")], ..RunBatch::default() }).await.unwrap();
    assert_eq!(digests(db, id).await.0, None, "its sum is incomplete");
    run_contents::complete_sum(&db.store, id).await.unwrap();
    assert_followed(db, id, "summed").await;
    log(db, id, RunBatch { metrics: after, tags: vec![tag("t", "2")], ..RunBatch::default() }).await.unwrap();
    assert_followed(db, id, "written to afterwards").await;
    run_contents::complete_sum(&db.store, id).await.unwrap();
    assert_followed(db, id, "summed again").await;
}

/// A run that an earlier version created, with 100 points.
async fn earlier_run(db: &Db) -> RunId {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    log(db, id, RunBatch { metrics: many(0..100), ..RunBatch::default() }).await.unwrap();
    db.execute("DELETE FROM run_contents").await;
    id
}

async fn a_sum_that_is_completed_between_writes_covers_them(db: &Db) {
    let id = earlier_run(db).await;
    let writer = |start: i64| async move {
        for step in start..start + 40 {
            log(db, id, RunBatch { metrics: many(step..step + 3), ..RunBatch::default() }).await.unwrap();
        }
    };
    let complete = || run_contents::complete_sum(&db.store, id);
    // Three writers with common points, and two computations at the same time.
    let (first, second, ..) = futures::join!(complete(), complete(), writer(80), writer(100), writer(110));
    first.unwrap();
    second.unwrap();
    assert_followed(db, id, "completed between writes").await;
}

async fn concurrent_writers_of_a_run_are_all_summed(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let writes = (0..60_u8).map(|index| async move {
        let operation = match index % 4 {
            0 => Operation::Points((0..40).map(|step| (index % 3, step + i64::from(index / 2))).collect()),
            1 => Operation::Tags(vec![(index % 3, index)]),
            2 => Operation::Artifact(index % 3, index),
            _ => Operation::Input(index % 5, index),
        };
        apply(db, id, operation).await;
    });
    futures::future::join_all(writes).await;
    assert_followed(db, id, "after all writes").await;
}

async fn the_sum_does_not_depend_on_the_order_or_the_batches(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(7), ..Config::default() });
    let mut sums = Vec::new();
    for size in [1, 7, 64, 300] {
        let id = create(db, run(&experiment)).await.run_id;
        let points = Just(many(0..300)).prop_shuffle().new_tree(&mut runner).unwrap().current();
        for batch in points.chunks(size) {
            log(db, id, RunBatch { metrics: batch.to_vec(), ..RunBatch::default() }).await.unwrap();
        }
        assert_followed(db, id, &format!("batches of {size}")).await;
        sums.push(run_contents::find_sum(&mut db.store.read().await.unwrap(), id).await.unwrap().unwrap());
    }
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]));
}

async fn a_write_that_is_undone_leaves_the_sum(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    log(db, id, RunBatch { params: vec![param("p", "1")], ..RunBatch::default() }).await.unwrap();
    let refused = RunBatch { metrics: many(0..100), params: vec![param("p", "2")], ..RunBatch::default() };
    log(db, id, refused).await.unwrap_err();
    assert_followed(db, id, "refused").await;
}

async fn deleting_and_restoring_an_experiment_leaves_the_sums_of_its_runs(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    log(db, id, RunBatch { metrics: many(0..10), ..RunBatch::default() }).await.unwrap();
    for lifecycle in [Lifecycle::Deleted, Lifecycle::Active] {
        let number = experiment.id;
        write_tx!(db.store, tx => { Ok(experiments::set_lifecycle(tx, number, lifecycle, NOW).await?) }).unwrap();
        assert_followed(db, id, lifecycle.as_str()).await;
    }
}
