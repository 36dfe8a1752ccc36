//! One-row predictions, and MLflow's calls that log metrics, over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::load::{self, Connection, http};
use crate::support::{Server, good, quantile};
use crate::{LOGGED_ROUNDS, ROUND, ROUNDS, Version, medians, row};

/// The number of different rows in the requests.
const ROWS: usize = 256;
/// Metrics in a batch, and batches in a round.
const BATCH: usize = 1_000;
const BATCHES: usize = 20;
/// Single metrics in a round.
const SINGLE: usize = 500;
/// The duration of the load before the measurement.
const WARM_UP: Duration = Duration::from_secs(3);

/// A running server of one version.
struct Running {
    _server: Server,
    port: u16,
    token: String,
}

impl Running {
    fn start(version: &Version) -> Result<Self> {
        let (server, _, port) = version.start("flights")?;
        let create = &mut version.command("flights", &["tokens", "create", "bench", "--role", "admin"]);
        let token = good(create)?.trim().to_owned();
        Ok(Self { _server: server, port, token })
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        http(method, path, Some(&self.token), body)
    }

    async fn ask(&self, connection: &mut Connection, method: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = connection.ask(&self.request(method, path, body)).await;
        Ok(serde_json::from_slice(answer.with_context(|| format!("{method} {path}"))?)?)
    }

    /// One request for each of the latest flights whose inputs are all known.
    async fn predictions(&self) -> Result<Arc<[Vec<u8>]>> {
        let mut connection = Connection::open(self.port).await?;
        let metadata = self.ask(&mut connection, "GET", "/v2/models/delay", &Value::Null).await?;
        let inputs = metadata["inputs"].as_array().context("the endpoint describes its inputs")?;
        let names: Vec<&str> = inputs.iter().filter_map(|input| input["name"].as_str()).collect();
        let known: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let sql = format!(
            "SELECT {} FROM features WHERE late IS NOT NULL AND {} ORDER BY flight_id DESC",
            names.join(", "),
            known.join(" AND ")
        );
        let body = json!({ "sql": sql, "limit": ROWS });
        let page = self.ask(&mut connection, "POST", "/api/v1/projects/flight-delays/query", &body).await?;
        let rows = page["rows"].as_array().context("the query has rows")?;
        let tensor = |(input, value): (&Value, &Value)| json!({ "name": input["name"], "shape": [1], "datatype": input["datatype"], "data": [value] });
        let body = |row: &Value| {
            let values = row.as_array().context("a row is a list")?;
            let body = json!({ "inputs": inputs.iter().zip(values).map(tensor).collect::<Vec<_>>() });
            Ok(self.request("POST", "/v2/models/delay/infer", &body))
        };
        rows.iter().map(body).collect()
    }

    /// Logs metrics to a new run: metrics per second in batches, and one by one.
    async fn log(&self) -> Result<Vec<f64>> {
        let mut connection = Connection::open(self.port).await?;
        let call = |name: &str| format!("/api/2.0/mlflow/{name}");
        let created = json!({ "experiment_id": self.experiment(&mut connection).await? });
        let run = self.ask(&mut connection, "POST", &call("runs/create"), &created).await?;
        let run = run["run"]["info"]["run_id"].as_str().context("the run has an id")?.to_owned();
        let metric = |step: usize| json!({ "key": "loss", "value": 0.5, "timestamp": 1_700_000_000_000_u64 + step as u64, "step": step });

        let batches: Vec<Vec<u8>> = (0..BATCHES)
            .map(|batch| {
                let metrics: Vec<Value> = (0..BATCH).map(|step| metric(batch * BATCH + step)).collect();
                self.request("POST", &call("runs/log-batch"), &json!({ "run_id": run, "metrics": metrics }))
            })
            .collect();
        let batched = rate(&mut connection, &batches).await? * BATCH as f64;
        let singles: Vec<Vec<u8>> = (0..SINGLE)
            .map(|step| {
                let mut body = metric(BATCH * BATCHES + step);
                body["run_id"] = json!(run);
                self.request("POST", &call("runs/log-metric"), &body)
            })
            .collect();
        Ok(vec![batched, rate(&mut connection, &singles).await?])
    }

    /// The experiment of the benchmark.
    async fn experiment(&self, connection: &mut Connection) -> Result<String> {
        let name = format!("bench-{}", unique());
        let made = self.ask(connection, "POST", "/api/2.0/mlflow/experiments/create", &json!({ "name": name })).await?;
        Ok(made["experiment_id"].as_str().context("the experiment has an id")?.to_owned())
    }
}

/// A name that no other round has.
fn unique() -> u128 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos()
}

/// Requests per second, one after the other.
async fn rate(connection: &mut Connection, requests: &[Vec<u8>]) -> Result<f64> {
    let began = Instant::now();
    for request in requests {
        connection.ask(request).await?;
    }
    Ok(requests.len() as f64 / began.elapsed().as_secs_f64())
}

/// Prints the lines of both versions, whose servers run at the same time and are asked in turn.
pub(crate) async fn measure(versions: &[Version; 2]) -> Result<()> {
    let running = [Running::start(&versions[0])?, Running::start(&versions[1])?];
    let mut requests = Vec::new();
    for server in &running {
        requests.push(server.predictions().await?);
        load::round(server.port, &requests[requests.len() - 1], WARM_UP).await?;
    }
    let mut predicted = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for ((server, requests), predicted) in running.iter().zip(&requests).zip(&mut predicted) {
            let mut round = load::round(server.port, requests, ROUND).await?;
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            predicted.push(vec![
                round.times.len() as f64 / round.lasted.as_secs_f64(),
                ms(quantile(&mut round.times, 0.5)),
                ms(quantile(&mut round.times, 0.99)),
                round.used.as_secs_f64() / round.lasted.as_secs_f64(),
            ]);
        }
    }
    row("one-row requests", &predicted.map(medians), &["a second", "p50, ms", "p99, ms", "cores used by the load"]);
    let mut logged = [Vec::new(), Vec::new()];
    for _ in 0..LOGGED_ROUNDS {
        for (server, logged) in running.iter().zip(&mut logged) {
            logged.push(server.log().await?);
        }
    }
    row("MLflow's metrics", &logged.map(medians), &["a second in batches of 1,000", "a second one by one"]);
    Ok(())
}
