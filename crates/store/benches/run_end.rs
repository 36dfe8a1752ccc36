//! Ends a run of a million metric points on SQLite while other runs log: with the sum that logging keeps, beside reading
//! the points inside the writer; and completes the sum of a run of an earlier version.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use perennial_core::entity::{MetricPoint, NewExperiment, NewRun, Run, RunBatch, RunUpdate};
use perennial_core::id::{ExperimentId, RunId};
use perennial_core::state::RunStatus;
use perennial_store::{Options, Store, experiments, metrics, projects, run_contents, runs};
use sqlx::{Connection as _, SqliteConnection};

const POINTS: i64 = 1_000_000;
/// Points in a request, the most that a client sends.
const BATCH: i64 = 1_000;
const PAGE: u32 = 10_000;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("metadata.sqlite").display());
    let store = Store::open(&url, Options::default()).await?;
    let experiment = create_experiment(&store).await?;
    let (run, other) = (create_run(&store, experiment).await?, create_run(&store, experiment).await?);

    let elapsed = log_points(&store, run.run_id).await?;
    println!("logged {POINTS} points in batches of {BATCH}: {:.0} points/s", POINTS as f64 / elapsed.as_secs_f64());

    let quiet = beside(&store, other.run_id, idle()).await?;
    println!("other writes beside an idle server: longest {:.1} ms", ms(quiet.longest));

    let by_sum = beside(&store, other.run_id, end(&store, run.run_id, false)).await?;
    println!("end by the sum: {:.2} ms; longest other write {:.1} ms", ms(by_sum.elapsed), ms(by_sum.longest));
    resume(&store, run.run_id).await?;
    let by_points = beside(&store, other.run_id, end(&store, run.run_id, true)).await?;
    println!(
        "end by reading the points: {:.2} ms; longest other write {:.1} ms",
        ms(by_points.elapsed),
        ms(by_points.longest)
    );
    println!(
        "ratio: the end {:.0}, the longest other write {:.0}",
        by_points.elapsed.as_secs_f64() / by_sum.elapsed.as_secs_f64(),
        by_points.longest.as_secs_f64() / by_sum.longest.as_secs_f64()
    );

    forget_sums(&url).await?;
    let completed =
        Box::pin(beside(&store, other.run_id, async { Ok(run_contents::complete_sum(&store, run.run_id).await?) }))
            .await?;
    println!(
        "completing the sum of an earlier run: {:.0} ms; longest other write {:.1} ms",
        ms(completed.elapsed),
        ms(completed.longest)
    );
    store.close().await?;
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

async fn create_experiment(store: &Store) -> Result<ExperimentId> {
    let new = NewExperiment {
        project_id: projects::default_id(),
        name: "bench".to_owned(),
        artifact_location: None,
        artifact_root: "mlflow-artifacts:".to_owned(),
        created_ms: 1,
        tags: Vec::new(),
    };
    Ok(store.write(move |tx| Box::pin(async move { Ok(experiments::create(tx, &new).await?.id) })).await?)
}

async fn create_run(store: &Store, experiment_id: ExperimentId) -> Result<Run> {
    let new = NewRun {
        run_id: RunId::generate(),
        experiment_id,
        parent_run_id: None,
        name: "run".to_owned(),
        user_id: "bench".to_owned(),
        status: RunStatus::Running,
        start_ms: 1,
        tags: Vec::new(),
    };
    Ok(store.write(move |tx| Box::pin(async move { Ok(runs::create(tx, &new).await?) })).await?)
}

fn point(step: i64) -> MetricPoint {
    let key = ["loss", "auc", "lr", "norm"][step as usize % 4].to_owned();
    MetricPoint { key, value: step as f64 / 7.0, timestamp_ms: 1_700_000_000_000 + step, step }
}

async fn log(store: &Store, id: RunId, metrics: Vec<MetricPoint>) -> Result<()> {
    let batch = RunBatch { metrics, ..RunBatch::default() };
    store.write(move |tx| Box::pin(async move { Ok(runs::log_batch(tx, id, &batch).await.map(drop)?) })).await?;
    Ok(())
}

async fn log_points(store: &Store, id: RunId) -> Result<Duration> {
    let begun = Instant::now();
    for start in (0..POINTS).step_by(BATCH as usize) {
        log(store, id, (start..start + BATCH).map(point).collect()).await?;
    }
    Ok(begun.elapsed())
}

async fn resume(store: &Store, id: RunId) -> Result<()> {
    let update = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
    store.write(move |tx| Box::pin(async move { Ok(runs::update(tx, id, &update).await.map(drop)?) })).await?;
    Ok(())
}

/// Ends a run in one transaction, with the sum of its content or by reading all of its points.
async fn end(store: &Store, id: RunId, by_points: bool) -> Result<()> {
    let update = RunUpdate { status: Some(RunStatus::Finished), end_ms: Some(2), name: None };
    store
        .write(move |tx| {
            Box::pin(async move {
                runs::update(tx, id, &update).await?;
                if !by_points {
                    run_contents::find_sum(tx, id).await?;
                    return Ok(());
                }
                for key in ["loss", "auc", "lr", "norm"] {
                    let mut after = None;
                    loop {
                        let page = metrics::history(tx, id, key, after.as_deref(), PAGE).await?;
                        std::hint::black_box(&page.items);
                        let Some(next) = page.next else { break };
                        after = Some(next);
                    }
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

async fn idle() -> Result<()> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// Turns the runs into runs of an earlier version.
async fn forget_sums(url: &str) -> Result<()> {
    let mut conn = SqliteConnection::connect(url).await?;
    sqlx::raw_sql("DELETE FROM run_contents").execute(&mut conn).await?;
    Ok(())
}

struct Measured {
    elapsed: Duration,
    longest: Duration,
}

/// Measures `work`, and the longest write of a point to another run that begins before `work` ends.
async fn beside(store: &Store, other: RunId, work: impl Future<Output = Result<()>>) -> Result<Measured> {
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, is_done) = (store.clone(), is_done.clone());
        async move {
            let (mut longest, mut step) = (Duration::ZERO, now_step());
            while !is_done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                log(&store, other, vec![point(step)]).await?;
                longest = longest.max(begun.elapsed());
                step += 1;
            }
            anyhow::Ok(longest)
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    work.await?;
    let elapsed = begun.elapsed();
    is_done.store(true, Ordering::Relaxed);
    let longest = writer.await.context("the writer panicked")??;
    Ok(Measured { elapsed, longest })
}

/// A step that no earlier measurement used.
fn now_step() -> i64 {
    static NEXT: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(POINTS);
    NEXT.fetch_add(POINTS, Ordering::Relaxed)
}
