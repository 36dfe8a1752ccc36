//! The clients that keep the server busy. Each writes into the journal what it asks for before it asks,
//! and what was acknowledged once the whole answer is there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::asking::{Asking, Cut};
use super::files::{self, BASE, Chance, FIRST, Fate, ROWS, ROWS_SHORT};
use super::journal::{Delivered, Enters, Journal, Move, Predicted, Tracked};
use crate::support::Place;

/// Note of our pipeline runs, by which they are known.
pub(super) const NOTE: &str = "campaign";
/// Requests until the second model is champion, at most.
const SET_UP_REQUESTS_MAX: u64 = 20_000;
/// What a client goes on doing until the server is gone.
type Forever = Result<Infallible, Cut>;

/// One client.
struct Client {
    asking: Asking,
    folder: PathBuf,
    journal: Arc<Mutex<Journal>>,
    chance: Chance,
    answered: watch::Receiver<u64>,
}

/// Starts every client; each ends when the server does.
pub(super) fn start(asking: &Asking, place: &Place, journal: &Arc<Mutex<Journal>>, chance: &mut Chance) -> JoinSet<()> {
    let (sender, answered) = watch::channel(0);
    let sender = Arc::new(sender);
    let mut client = || Client {
        asking: asking.clone(),
        folder: place.path(),
        journal: journal.clone(),
        chance: chance.fork(),
        answered: answered.clone(),
    };
    let mut clients = JoinSet::new();
    clients.spawn(to_its_end(predict(client(), sender.clone())));
    clients.spawn(to_its_end(predict(client(), sender)));
    clients.spawn(to_its_end(run_pipelines(client())));
    clients.spawn(to_its_end(roll_back(client())));
    clients.spawn(to_its_end(settle_held(client())));
    clients.spawn(to_its_end(explain(client())));
    clients.spawn(to_its_end(track(client())));
    clients
}

async fn to_its_end(client: impl Future<Output = Forever>) {
    let Err(Cut) = client.await;
}

/// Brings the project to two models that answered, the second by a canary.
pub(super) async fn set_up(asking: &Asking, place: &Place, journal: &Arc<Mutex<Journal>>) {
    let (_sender, answered) = watch::channel(0);
    let chance = Chance::new(0);
    let mut client =
        Client { asking: asking.clone(), folder: place.path(), journal: journal.clone(), chance, answered };
    for days in [0..FIRST - 2, FIRST - 2..FIRST] {
        days.for_each(|_| client.deliver());
        let run = client.run("release").await.unwrap();
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    for _ in 0..SET_UP_REQUESTS_MAX {
        client.answer().await.unwrap();
        if asking.get(&format!("{BASE}/endpoints/hours")).await.unwrap()["champion_number"] == 2 {
            return;
        }
    }
    let endpoint = asking.get(&format!("{BASE}/endpoints/hours")).await.unwrap();
    let runs = asking.list(&format!("{BASE}/pipeline-runs")).await.unwrap();
    panic!("the second model did not become champion: {endpoint}\n{runs:#?}");
}

/// Follows a pipeline run to its end.
pub(super) async fn follow(asking: &Asking, id: &str) -> Result<Value, Cut> {
    let run = format!("{BASE}/pipeline-runs/{id}");
    let mut after = 0;
    loop {
        let page = asking.get(&format!("{run}/events?after={after}&wait_ms=20000")).await?;
        if page["is_over"] == true {
            return asking.get(&run).await;
        }
        after = page["events"].as_array().and_then(|events| events.last()?["sequence"].as_i64()).unwrap_or(after);
    }
}

/// Writes a day's file; whoever lists files meanwhile sees all of it or nothing.
pub(super) fn put(folder: &Path, day: u64, rows: u64) {
    let fresh = folder.join(format!("{day}.fresh"));
    std::fs::write(&fresh, files::content(day, rows)).unwrap();
    std::fs::rename(fresh, folder.join(files::path(day))).unwrap();
}

/// The day of a load's file.
pub(super) fn day_of(load: &Value) -> u64 {
    let path = load["source_path"].as_str().unwrap();
    path.trim_start_matches("data/").trim_end_matches(".csv").parse().unwrap()
}

async fn predict(mut client: Client, answered: Arc<watch::Sender<u64>>) -> Forever {
    loop {
        client.answer().await?;
        answered.send_modify(|count| *count += 1);
    }
}

/// New files arrive, and runs and releases are asked for. The server collects by itself meanwhile, too.
async fn run_pipelines(mut client: Client) -> Forever {
    loop {
        for _ in 0..=client.chance.below(2) {
            client.deliver();
        }
        let kind = if client.chance.below(2) == 0 { "release" } else { "run" };
        client.run(kind).await?;
    }
}

async fn roll_back(mut client: Client) -> Forever {
    loop {
        client.answers(10, 150).await?;
        client.journal().moves_asked += 1;
        let path = format!("{BASE}/endpoints/hours/rollback");
        let (status, answer) = client.asking.ask(Method::POST, &path, Some(&json!({}))).await?;
        let mut journal = client.journal();
        if status.is_success() {
            journal.moves.push(told(answer["message"].as_str().unwrap()));
            journal.moves_acknowledged += 1;
        } else {
            // Somebody else moved the alias at the same time: nothing was done.
            assert!(status.is_client_error(), "rollback: {status} {answer}");
            journal.moves_asked -= 1;
        }
    }
}

/// What a rollback says that it did.
fn told(message: &str) -> Move {
    let numbers: Vec<i64> =
        message.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    match (message.starts_with("the canary of version"), numbers.as_slice()) {
        (true, [canary, _]) => Move { from: *canary, to: None },
        (false, [before, now]) => Move { from: *now, to: Some(*before) },
        _ => panic!("an answer of another shape: {message}"),
    }
}

/// A person looks at held loads: releases them, or brings the file as it should be.
async fn settle_held(mut client: Client) -> Forever {
    loop {
        client.answers(100, 300).await?;
        for load in held(&client.asking).await? {
            let day = day_of(&load);
            match Fate::of(day) {
                Fate::Released => {
                    client.enters(day, Enters::Maybe);
                    let id = load["id"].as_str().unwrap();
                    client.asking.post(&format!("{BASE}/loads/{id}/release"), &json!({})).await?;
                    client.enters(day, Enters::Surely);
                    client.journal().releases.insert(id.to_owned());
                }
                _ => {
                    client.journal().files.insert(day, Delivered { rows: ROWS, enters: Enters::Surely });
                    put(&client.folder, day, ROWS);
                }
            }
        }
    }
}

/// Loads of orders that are held.
pub(super) async fn held(asking: &Asking) -> Result<Vec<Value>, Cut> {
    let mut loads = asking.list(&format!("{BASE}/datasets/orders/loads")).await?;
    loads.retain(|load| load["state"] == "held");
    Ok(loads)
}

/// Lineage of a prediction is asked for, which brings the log into its dataset.
async fn explain(mut client: Client) -> Forever {
    loop {
        client.answers(150, 400).await?;
        let id = client.journal().predictions.values().next_back().map(|predicted| predicted.id.clone());
        if let Some(id) = id {
            client.asking.get(&format!("{BASE}/explain/prediction/{id}")).await?;
        }
    }
}

/// Runs that log batches of everything, and single points.
async fn track(mut client: Client) -> Forever {
    const MLFLOW: &str = "/api/2.0/mlflow/runs";
    let experiment = client.asking.get(BASE).await?["experiment_id"].clone();
    loop {
        let begin = json!({ "experiment_id": experiment, "run_name": NOTE, "start_time": 1 });
        let run = client.asking.post(&format!("{MLFLOW}/create"), &begin).await?;
        let id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        client.journal().tracked.push(Tracked { id: id.clone(), ..Tracked::default() });
        for _ in 0..20 + client.chance.below(40) {
            client.answers(2, 10).await?;
            if client.chance.below(3) > 0 {
                let number = client.tracked(|run| &mut run.batches_asked);
                let point = |key: &str| json!({ "key": key, "value": number, "timestamp": number, "step": number });
                let text = number.to_string();
                let batch = json!({
                    "run_id": id, "metrics": [point("m"), point("n")],
                    "params": [{ "key": format!("p{number}"), "value": text }],
                    "tags": [{ "key": format!("t{number}"), "value": text }],
                });
                client.asking.post(&format!("{MLFLOW}/log-batch"), &batch).await?;
                client.tracked(|run| &mut run.batches_acknowledged);
            } else {
                let number = client.tracked(|run| &mut run.points_asked);
                let single =
                    json!({ "run_id": id, "key": "single", "value": number, "timestamp": number, "step": number });
                client.asking.post(&format!("{MLFLOW}/log-metric"), &single).await?;
                client.tracked(|run| &mut run.points_acknowledged);
            }
        }
    }
}

impl Client {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap()
    }

    /// Waits until so many more requests are answered: `least`, and up to `more` on top.
    async fn answers(&mut self, least: u64, more: u64) -> Result<(), Cut> {
        let wanted = *self.answered.borrow() + least + self.chance.below(more);
        self.answered.wait_for(|answered| *answered >= wanted).await.map(drop).map_err(|_| Cut)
    }

    /// Counts up a number of the tracked run at work; gives what it was.
    fn tracked(&self, which: impl Fn(&mut Tracked) -> &mut u64) -> u64 {
        let mut journal = self.journal();
        let number = which(journal.tracked.last_mut().unwrap());
        *number += 1;
        *number - 1
    }

    fn enters(&self, day: u64, enters: Enters) {
        self.journal().files.get_mut(&day).unwrap().enters = enters;
    }

    /// Puts the next day's file in place.
    fn deliver(&self) {
        let mut journal = self.journal();
        let day = journal.files.len() as u64;
        let (rows, enters) = match Fate::of(day) {
            Fate::Whole => (ROWS, Enters::Surely),
            Fate::Released | Fate::Repaired => (ROWS_SHORT, Enters::Not),
        };
        journal.files.insert(day, Delivered { rows, enters });
        drop(journal);
        put(&self.folder, day, rows);
    }

    /// Asks for a pipeline run and follows it to its end.
    async fn run(&self, kind: &str) -> Result<Value, Cut> {
        self.journal().runs_asked += 1;
        let asked = json!({ "kind": kind, "cause": NOTE });
        let run = self.asking.post(&format!("{BASE}/pipeline-runs"), &asked).await?;
        let id = run["id"].as_str().unwrap().to_owned();
        self.journal().runs.insert(id.clone(), false);
        follow(&self.asking, &id).await
    }

    /// Asks for predictions of up to three rows, each with a key of its own.
    async fn answer(&mut self) -> Result<(), Cut> {
        let rows = 1 + self.chance.below(3);
        let first = {
            let mut journal = self.journal();
            journal.keys_asked += rows;
            journal.keys_asked - rows
        };
        let keys: Vec<u64> = (first..first + rows).collect();
        let numbers: Vec<f64> = keys.iter().map(|_| self.chance.below(1_000) as f64 / 100.0).collect();
        let kinds: Vec<&str> = keys.iter().map(|_| ["a", "b", "c"][self.chance.below(3) as usize]).collect();
        let input = |name: &str, datatype: &str, data: Value| json!({ "name": name, "shape": [rows], "datatype": datatype, "data": data });
        let asked = json!({ "inputs": [
            input("id", "INT64", json!(keys)),
            input("x1", "FP64", json!(numbers)),
            input("x2", "FP64", json!(numbers)),
            input("kind", "BYTES", json!(kinds)),
            input("product", "FP64", json!(numbers)),
        ] });
        let answer = self.asking.post("/v2/models/hours/infer", &asked).await?;
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
                    part: answer["parameters"]["part"].as_str().unwrap().to_owned(),
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
