//! The clients that keep the server busy. Each one records a request in the journal before it sends it, and the
//! acknowledgement once the response is complete.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{ServerClient, ServerGone};
use super::heights;
use super::journal::{Delivered, Enters, Journal, Move, Predicted, Tracked};
use super::project::{self, BASE, Delivery, FIRST, ROWS, ROWS_SHORT};
use crate::chance::Chance;
use crate::support::{LOAD_PREDICTIONS, Place};

/// The cause of the clients' pipeline runs, by which they are recognised.
pub(super) const NOTE: &str = "campaign";
/// The greatest number of requests until the second model is champion.
const SET_UP_REQUESTS_MAX: u64 = 20_000;
/// A client runs until the server ends.
type Forever = Result<Infallible, ServerGone>;

/// One client of the server, with its journal.
struct Worker {
    server: ServerClient,
    folder: PathBuf,
    journal: Arc<Mutex<Journal>>,
    chance: Chance,
    answered: watch::Receiver<u64>,
}

/// Starts every client; each ends when the server ends.
pub(super) fn start(
    server: &ServerClient,
    place: &Place,
    journal: &Arc<Mutex<Journal>>,
    chance: &mut Chance,
) -> JoinSet<()> {
    let (sender, answered) = watch::channel(0);
    let sender = Arc::new(sender);
    let mut worker = || Worker {
        server: server.clone(),
        folder: place.path(),
        journal: journal.clone(),
        chance: chance.fork(),
        answered: answered.clone(),
    };
    let mut clients = JoinSet::new();
    clients.spawn(to_its_end(predict(worker(), sender.clone())));
    clients.spawn(to_its_end(predict(worker(), sender)));
    clients.spawn(to_its_end(predict_heights(worker())));
    clients.spawn(to_its_end(run_pipelines(worker())));
    clients.spawn(to_its_end(roll_back(worker())));
    clients.spawn(to_its_end(settle_held(worker())));
    clients.spawn(to_its_end(explain(worker())));
    clients.spawn(to_its_end(track(worker())));
    clients
}

async fn to_its_end(client: impl Future<Output = Forever>) {
    let Err(ServerGone) = client.await;
}

/// Releases two models, the second through a canary.
pub(super) async fn set_up(server: &ServerClient, place: &Place, journal: &Arc<Mutex<Journal>>) {
    let (_sender, answered) = watch::channel(0);
    let chance = Chance::new(0);
    let mut worker =
        Worker { server: server.clone(), folder: place.path(), journal: journal.clone(), chance, answered };
    for days in [0..FIRST - 2, FIRST - 2..FIRST] {
        days.for_each(|_| worker.deliver());
        let run = worker.run("release").await.unwrap();
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    for _ in 0..SET_UP_REQUESTS_MAX {
        worker.answer().await.unwrap();
        if server.get(&format!("{BASE}/endpoints/hours")).await.unwrap()["champion_number"] == 2 {
            return;
        }
    }
    let endpoint = server.get(&format!("{BASE}/endpoints/hours")).await.unwrap();
    let runs = server.list(&format!("{BASE}/pipeline-runs")).await.unwrap();
    panic!("the second model did not become champion: {endpoint}\n{runs:#?}");
}

/// Releases what is held because two kills met the same work, and waits until the endpoints answer.
pub(super) async fn release_held(server: &ServerClient) {
    for base in [BASE, heights::BASE] {
        for held in server.list(&format!("{base}/held")).await.unwrap() {
            let id = held["id"].as_str().unwrap();
            server.post(&format!("{base}/held/{id}/release"), &json!({})).await.unwrap();
        }
    }
    let ready = async {
        for endpoint in ["hours", "heights"] {
            let path = format!("/v2/models/{endpoint}/ready");
            while !server.ask(Method::GET, &path, None).await.unwrap().0.is_success() {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), ready).await.expect("the endpoints answer");
}

/// Follows a pipeline run to its end.
pub(super) async fn follow(server: &ServerClient, id: &str) -> Result<Value, ServerGone> {
    let run = format!("{BASE}/pipeline-runs/{id}");
    let mut after = 0;
    loop {
        let page = server.get(&format!("{run}/events?after={after}&wait_ms=20000")).await?;
        if page["is_over"] == true {
            return server.get(&run).await;
        }
        after = page["events"].as_array().and_then(|events| events.last()?["sequence"].as_i64()).unwrap_or(after);
    }
}

/// Writes the file of a day so that a reader sees either the complete file or none.
pub(super) fn put(folder: &Path, day: u64, rows: u64) {
    let fresh = folder.join(format!("{day}.fresh"));
    std::fs::write(&fresh, project::content(day, rows)).unwrap();
    std::fs::rename(fresh, folder.join(project::path(day))).unwrap();
}

/// The day of the file of a load.
pub(super) fn day_of(load: &Value) -> u64 {
    let path = load["source_path"].as_str().unwrap();
    path.trim_start_matches("data/").trim_end_matches(".csv").parse().unwrap()
}

async fn predict(mut worker: Worker, answered: Arc<watch::Sender<u64>>) -> Forever {
    loop {
        worker.answer().await?;
        answered.send_modify(|count| *count += 1);
    }
}

/// Requests predictions of the model that workers compute.
async fn predict_heights(mut worker: Worker) -> Forever {
    loop {
        worker.answers(1, 4).await?;
        heights::answer(&worker.server, &worker.journal).await?;
    }
}

/// Delivers files, and starts runs and releases. The scheduler of the server collects files, too.
async fn run_pipelines(mut worker: Worker) -> Forever {
    loop {
        for _ in 0..=worker.chance.below(2) {
            worker.deliver();
        }
        let kind = if worker.chance.below(2) == 0 { "release" } else { "run" };
        worker.run(kind).await?;
    }
}

async fn roll_back(mut worker: Worker) -> Forever {
    loop {
        worker.answers(10, 150).await?;
        worker.journal().moves_sent += 1;
        let path = format!("{BASE}/endpoints/hours/rollback");
        let (status, answer) = worker.server.ask(Method::POST, &path, Some(&json!({}))).await?;
        let mut journal = worker.journal();
        if status.is_success() {
            journal.moves.push(parse_rollback(answer["message"].as_str().unwrap()));
            journal.moves_acknowledged += 1;
        } else {
            // Another request moved the alias at the same time: this rollback had no effect.
            assert!(status.is_client_error(), "rollback: {status} {answer}");
            journal.moves_sent -= 1;
        }
    }
}

/// Parses the message of a rollback.
fn parse_rollback(message: &str) -> Move {
    let numbers: Vec<i64> =
        message.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    match (message.starts_with("the canary of version"), numbers.as_slice()) {
        (true, [canary, _]) => Move { from: *canary, to: None },
        (false, [before, now]) => Move { from: *now, to: Some(*before) },
        _ => panic!("an unexpected message: {message}"),
    }
}

/// Accepts held loads, or delivers the complete file.
async fn settle_held(mut worker: Worker) -> Forever {
    loop {
        worker.answers(100, 300).await?;
        for load in held(&worker.server).await? {
            let day = day_of(&load);
            match Delivery::of(day) {
                Delivery::Accepted => {
                    worker.enters(day, Enters::Unknown);
                    let id = load["id"].as_str().unwrap();
                    if worker.ask(Method::POST, &format!("loads/{id}/accept")).await?.is_some() {
                        worker.enters(day, Enters::Yes);
                        worker.journal().accepted.insert(id.to_owned());
                    }
                }
                _ => {
                    worker.journal().files.insert(day, Delivered { rows: ROWS, enters: Enters::Yes });
                    put(&worker.folder, day, ROWS);
                }
            }
        }
    }
}

/// The held loads of `orders`.
pub(super) async fn held(server: &ServerClient) -> Result<Vec<Value>, ServerGone> {
    let mut loads = server.list(&format!("{BASE}/datasets/orders/loads")).await?;
    loads.retain(|load| load["state"] == "held");
    Ok(loads)
}

/// Loads the prediction log into its dataset, and explains predictions.
async fn explain(mut worker: Worker) -> Forever {
    loop {
        worker.answers(150, 400).await?;
        let id = worker.journal().predictions.values().next_back().map(|predicted| predicted.id.clone());
        if let Some(id) = id {
            if worker.ask(Method::POST, LOAD_PREDICTIONS).await?.is_some() {
                worker.ask(Method::GET, &format!("explain/prediction/{id}")).await?;
            }
        }
    }
}

/// Logs batches and single points to MLflow runs.
async fn track(mut worker: Worker) -> Forever {
    const MLFLOW: &str = "/api/2.0/mlflow/runs";
    let experiment = worker.server.get(BASE).await?["experiment_id"].clone();
    loop {
        let begin = json!({ "experiment_id": experiment, "run_name": NOTE, "start_time": 1 });
        let run = worker.server.post(&format!("{MLFLOW}/create"), &begin).await?;
        let id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        worker.journal().tracked.push(Tracked { id: id.clone(), ..Tracked::default() });
        for _ in 0..20 + worker.chance.below(40) {
            worker.answers(2, 10).await?;
            if worker.chance.below(3) > 0 {
                let number = worker.tracked(|run| &mut run.batches_sent);
                let point = |key: &str| json!({ "key": key, "value": number, "timestamp": number, "step": number });
                let text = number.to_string();
                let batch = json!({
                    "run_id": id, "metrics": [point("m"), point("n")],
                    "params": [{ "key": format!("p{number}"), "value": text }],
                    "tags": [{ "key": format!("t{number}"), "value": text }],
                });
                worker.server.post(&format!("{MLFLOW}/log-batch"), &batch).await?;
                worker.tracked(|run| &mut run.batches_acknowledged);
            } else {
                let number = worker.tracked(|run| &mut run.points_sent);
                let single =
                    json!({ "run_id": id, "key": "single", "value": number, "timestamp": number, "step": number });
                worker.server.post(&format!("{MLFLOW}/log-metric"), &single).await?;
                worker.tracked(|run| &mut run.points_acknowledged);
            }
        }
    }
}

impl Worker {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap()
    }

    /// Sends a request about the project that a worker of the server computes; `None` when that worker was killed.
    async fn ask(&self, method: Method, path: &str) -> Result<Option<Value>, ServerGone> {
        let body = (method == Method::POST).then(|| json!({}));
        let answer = self.server.ask_worker(method, &format!("{BASE}/{path}"), body.as_ref()).await?;
        self.journal().requests_failed += u64::from(answer.is_none());
        Ok(answer)
    }

    /// Waits until at least `least` more requests are answered, and a random number below `more` in addition.
    async fn answers(&mut self, least: u64, more: u64) -> Result<(), ServerGone> {
        let wanted = *self.answered.borrow() + least + self.chance.below(more);
        self.answered.wait_for(|answered| *answered >= wanted).await.map(drop).map_err(|_| ServerGone)
    }

    /// Increments a counter of the latest tracked run; gives its value before.
    fn tracked(&self, which: impl Fn(&mut Tracked) -> &mut u64) -> u64 {
        let mut journal = self.journal();
        let number = which(journal.tracked.last_mut().unwrap());
        *number += 1;
        *number - 1
    }

    fn enters(&self, day: u64, enters: Enters) {
        self.journal().files.get_mut(&day).unwrap().enters = enters;
    }

    /// Delivers the file of the next day.
    fn deliver(&self) {
        let mut journal = self.journal();
        let day = journal.files.len() as u64;
        let (rows, enters) = match Delivery::of(day) {
            Delivery::Complete => (ROWS, Enters::Yes),
            Delivery::Accepted | Delivery::Replaced => (ROWS_SHORT, Enters::No),
        };
        journal.files.insert(day, Delivered { rows, enters });
        drop(journal);
        put(&self.folder, day, rows);
    }

    /// Starts a pipeline run and follows it to its end.
    async fn run(&self, kind: &str) -> Result<Value, ServerGone> {
        self.journal().runs_sent += 1;
        // Versions that were rolled back are released again, so that the alias keeps moving.
        let again = (kind == "release").then_some(NOTE);
        let body = json!({ "kind": kind, "cause": NOTE, "options": { "again": again } });
        let run = self.server.post(&format!("{BASE}/pipeline-runs"), &body).await?;
        let id = run["id"].as_str().unwrap().to_owned();
        self.journal().runs.insert(id.clone(), false);
        follow(&self.server, &id).await
    }

    /// Requests predictions for up to three rows with unique keys.
    async fn answer(&mut self) -> Result<(), ServerGone> {
        let rows = 1 + self.chance.below(3);
        let first = {
            let mut journal = self.journal();
            journal.keys_sent += rows;
            journal.keys_sent - rows
        };
        let keys: Vec<u64> = (first..first + rows).collect();
        let numbers: Vec<f64> = keys.iter().map(|_| self.chance.below(1_000) as f64 / 100.0).collect();
        let kinds: Vec<&str> = keys.iter().map(|_| ["a", "b", "c"][self.chance.below(3) as usize]).collect();
        let input = |name: &str, datatype: &str, data: Value| json!({ "name": name, "shape": [rows], "datatype": datatype, "data": data });
        let body = json!({ "inputs": [
            input("id", "INT64", json!(keys)),
            input("x1", "FP64", json!(numbers)),
            input("x2", "FP64", json!(numbers)),
            input("kind", "BYTES", json!(kinds)),
            input("product", "FP64", json!(numbers)),
        ] });
        let answer = self.server.post("/v2/models/hours/infer", &body).await?;
        let scores = answer["outputs"][0]["data"].as_array().unwrap();
        assert_eq!(scores.len() as u64, rows, "{answer}");
        let request = answer["parameters"]["request_id"].as_str().unwrap();
        let predicted: BTreeMap<u64, Predicted> = keys
            .into_iter()
            .zip(scores)
            .enumerate()
            .map(|(row, (key, score))| {
                let predicted = Predicted {
                    id: format!("{request}-{row}"),
                    version: answer["model_version"].as_str().unwrap().parse().unwrap(),
                    role: answer["parameters"]["role"].as_str().unwrap().to_owned(),
                    score: score.as_f64().unwrap(),
                };
                (key, predicted)
            })
            .collect();
        let mut journal = self.journal();
        journal.predictions_acknowledged += rows;
        journal.predictions.extend(predicted);
        Ok(())
    }
}
