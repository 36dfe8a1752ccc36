//! One-row requests of the Open Inference Protocol over HTTP, compared with MLServer: the same LightGBM model of 500
//! trees, the same flights, the same load. Perennial authenticates each request and writes each prediction to its log,
//! as it does by default.
//!
//! `cargo xtask bench serving` runs it. It prints figures, and fails only if the predictions differ.

#[path = "../support/load.rs"]
mod load;
mod mlserver;
mod project;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tools.rs"]
mod tools;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use load::{CONNECTIONS, Connection, http};
use project::{MODEL, Released};
use serde_json::Value;
use support::{Server, machine, quantile};
use tools::{python, versions};

/// The duration of the load before the measurement.
const WARM_UP: Duration = Duration::from_secs(3);
/// The duration of one round.
const ROUND: Duration = Duration::from_secs(5);
/// Measured rounds; the result is the median of each figure.
const ROUNDS: usize = 5;
/// The time limit of a start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The greatest allowed difference of two probabilities: the ONNX file contains 32-bit numbers.
const DIFFERENCE_MAX: f64 = 1e-5;

/// The figures of a server under load.
struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
    /// The number of cores that the load itself used.
    load: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (training, tools) = (python("PERENNIAL_TEST_PYTHON")?, python("PERENNIAL_BENCH_PYTHON")?);
    println!("{}; {}", machine(), versions(&tools, &["mlserver", "mlserver-lightgbm", "lightgbm"])?);
    let place = tempfile::tempdir()?;
    eprintln!("preparing: a year of flights, collected, trained in Python and released");
    let folder = project::release(place.path(), &training)?;
    println!("\nOne row per request, {CONNECTIONS} connections, median of {ROUNDS} rounds of {} s", ROUND.as_secs());
    println!("| server | requests/s | p50 | p99 | Perennial's rate relative to it | cores used by the load |");
    println!("|---|---|---|---|---|---|");

    let (mut server, port) = project::start(&folder)?;
    wait(&mut server, port, "/ready").await?;
    let token = until(&mut server, async || project::token(&folder)).await?;
    let released = Released::fetch(port, &token).await?;
    let path = format!("/v2/models/{MODEL}/infer");
    let requests = released.by_name().iter().map(|body| http("POST", &path, Some(&token), body)).collect();
    let ours = answers(port, &requests, "probability").await?;
    let figures = measure(port, &requests).await?;
    let rate = figures.rate;
    row("Perennial, prediction log on", rate, &figures);
    drop(server);

    let repository = mlserver::repository(place.path(), &released.booster)?;
    let requests = released.by_place().iter().map(|body| http("POST", &path, None, body)).collect();
    for setting in &mlserver::SETTINGS {
        let (mut server, port) = mlserver::start(&tools, &repository, setting)?;
        wait(&mut server, port, &format!("/v2/models/{MODEL}/ready")).await?;
        agree(&ours, &answers(port, &requests, "predict").await?)?;
        row(setting.title, rate, &measure(port, &requests).await?);
    }
    println!("\nAll servers gave the same {} probabilities to {DIFFERENCE_MAX:e}.", ours.len());
    Ok(())
}

/// Waits until a request for `path` is answered with status 200.
async fn wait(server: &mut Server, port: u16, path: &str) -> Result<()> {
    let request = http("GET", path, None, &Value::Null);
    until(server, async || Connection::open(port).await?.ask(&request).await.map(drop)).await
}

/// Retries while a server starts.
async fn until<T>(server: &mut Server, attempt: impl AsyncFn() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if began.elapsed() > START_TIMEOUT => return Err(error.context("the server does not answer")),
            Err(_) => server.alive()?,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The single value of an output for each request.
async fn answers(port: u16, requests: &Arc<[Vec<u8>]>, output: &str) -> Result<Vec<f64>> {
    let mut connection = Connection::open(port).await?;
    let mut numbers = Vec::new();
    for request in requests.iter() {
        let answer: Value = serde_json::from_slice(connection.ask(request).await?)?;
        let outputs = answer["outputs"].as_array().context("an answer without outputs")?;
        let found = outputs.iter().find(|found| found["name"] == output);
        numbers.push(found.and_then(|found| found["data"][0].as_f64()).with_context(|| format!("no {output}"))?);
    }
    Ok(numbers)
}

fn agree(ours: &[f64], theirs: &[f64]) -> Result<()> {
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if ours.len() != theirs.len() || apart > DIFFERENCE_MAX {
        bail!("the servers disagree: probabilities differ by up to {apart:e}");
    }
    Ok(())
}

async fn measure(port: u16, requests: &Arc<[Vec<u8>]>) -> Result<Figures> {
    load::round(port, requests, WARM_UP).await?;
    let (mut rates, mut p50, mut p99, mut loads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut round = load::round(port, requests, ROUND).await?;
        rates.push(round.times.len() as f64 / round.lasted.as_secs_f64());
        p50.push(quantile(&mut round.times, 0.5));
        p99.push(quantile(&mut round.times, 0.99));
        loads.push(round.used.as_secs_f64() / round.lasted.as_secs_f64());
    }
    Ok(Figures {
        rate: middle(&mut rates),
        p50: quantile(&mut p50, 0.5),
        p99: quantile(&mut p99, 0.5),
        load: middle(&mut loads),
    })
}

fn middle(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

fn row(title: &str, ours: f64, figures: &Figures) {
    let Figures { rate, p50, p99, load } = figures;
    let ms = |time: &Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    println!("| {title} | {rate:.0} | {} | {} | {:.1} | {load:.2} |", ms(p50), ms(p99), ours / rate);
}
