//! Compares the journal with the content of the server, by id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::client::{KILLED_WORKER, ServerClient, ServerGone};
use super::heights;
use super::journal::{Delivered, Enters, Journal, Move, Predicted, Tracked};
use super::load::{NOTE, day_of, follow, held, put};
use super::project::{self, BASE, Delivery, ROWS, ROWS_SHORT};
use crate::support::{LOAD_PREDICTIONS, Place, text};

/// Keys per query for predictions.
const KEYS_PER_PAGE: u64 = 5_000;

/// After a kill and a start: the next run succeeds, and everything acknowledged is present once.
pub(super) fn compare(runtime: &Runtime, client: &ServerClient, place: &Place, journal: &Arc<Mutex<Journal>>) {
    let output = place.run(&["run"]);
    let is_held = output.status.code() == Some(1) && text(&output.stdout).contains(" is held: ");
    assert!(output.status.success() || is_held, "{}\n{}", text(&output.stdout), text(&output.stderr));
    let mut known = std::mem::take(&mut *journal.lock().unwrap());
    runtime.block_on(compare_all(client, &mut known)).expect("the server ended");
    *journal.lock().unwrap() = known;
}

async fn compare_all(client: &ServerClient, journal: &mut Journal) -> Result<(), ServerGone> {
    runs(client, journal).await?;
    orders(client, journal).await?;
    predictions(client, journal).await?;
    heights::compare(client, &mut journal.heights).await?;
    promotions(client, journal).await?;
    for run in &journal.tracked {
        tracked(client, run).await?;
    }
    ledger(client, journal).await
}

/// At the end of a project: decides about held loads, then checks that nothing is open, that the datasets equal those of
/// an uninterrupted run over the same files, and that no temporary files remain.
pub(super) fn finish(runtime: &Runtime, client: &ServerClient, place: &Place, journal: &Arc<Mutex<Journal>>) {
    let settled = async {
        for load in held(client).await? {
            let day = day_of(&load);
            let mut rows = ROWS;
            if Delivery::of(day) == Delivery::Replaced {
                put(&place.path(), day, rows);
            } else {
                let id = load["id"].as_str().unwrap();
                client.post(&format!("{BASE}/loads/{id}/accept"), &json!({})).await?;
                rows = ROWS_SHORT;
            }
            journal.lock().unwrap().files.insert(day, Delivered { rows, enters: Enters::Yes });
        }
        Ok::<_, ServerGone>(())
    };
    runtime.block_on(settled).expect("the server ended");
    compare(runtime, client, place, journal);
    runtime.block_on(all_ended(client, &journal.lock().unwrap())).expect("the server ended");
    assert!(place.good(&["verify"]).contains("is intact"));
    assert_eq!(digests(place), digests(&uninterrupted(&journal.lock().unwrap())));
    no_temporary_files(&place.path().join(".perennial"));
}

/// Pipeline runs: each acknowledged one is present once and succeeded, or failed because a worker was killed; there are no
/// others, and a trigger fired once per cause.
async fn runs(client: &ServerClient, journal: &mut Journal) -> Result<(), ServerGone> {
    for (id, is_over) in &mut journal.runs {
        if *is_over {
            continue;
        }
        let run = follow(client, id).await?;
        let state = run["state"].as_str().unwrap();
        let has_failed = state == "failed" && run.to_string().contains(KILLED_WORKER);
        assert!(has_failed || ["succeeded", "nothing-to-do"].contains(&state), "pipeline run {id} is {state}: {run}");
        *is_over = true;
        if has_failed {
            journal.runs_failed.insert(id.clone());
        }
        for step in run["steps"].as_array().unwrap() {
            let (attempt, state) = (step["id"].as_str().unwrap(), step["state"].as_str().unwrap());
            assert!(!["pending", "running"].contains(&state), "a step of run {id} is {state}: {step}");
            if state == "failed" {
                // Its process was killed; a command is tried again.
                assert!(step["step"] == "packed" || has_failed, "{step}");
                journal.attempts_killed.insert(attempt.to_owned());
            }
            if state == "interrupted" {
                journal.attempts_interrupted.insert(attempt.to_owned());
                journal.runs_resumed.insert(id.clone());
            }
        }
    }
    let all = client.list(&format!("{BASE}/pipeline-runs")).await?;
    let ours: Vec<&str> =
        all.iter().filter(|run| run["cause"]["note"] == NOTE).map(|run| run["id"].as_str().unwrap()).collect();
    let listed: BTreeSet<&str> = ours.iter().copied().collect();
    assert_eq!(ours.len(), listed.len(), "a pipeline run is listed twice");
    let lost: Vec<&String> = journal.runs.keys().filter(|id| !listed.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "pipeline runs are lost: {lost:?}");
    assert!(ours.len() as u64 <= journal.runs_sent, "{} runs for {} requests", ours.len(), journal.runs_sent);
    let mut causes = BTreeSet::new();
    for run in all.iter().filter(|run| run["cause"]["kind"] == "trigger") {
        assert!(causes.insert(run["cause"]["because"].to_string()), "a trigger fired twice: {run}");
    }
    Ok(())
}

/// Rows of each file, and the loads and versions that brought them.
async fn orders(client: &ServerClient, journal: &mut Journal) -> Result<(), ServerGone> {
    let rows = client.query("SELECT day, count(*), count(DISTINCT id) FROM orders GROUP BY day").await?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let [day, count, distinct] = [&row[0], &row[1], &row[2]].map(|cell| cell.as_u64().unwrap());
        assert_eq!(count, distinct, "rows of day {day} are present twice");
        found.insert(day, count);
    }
    for (day, file) in &mut journal.files {
        let count = found.remove(day).unwrap_or(0);
        if file.enters == Enters::Unknown {
            file.enters = if count == 0 { Enters::No } else { Enters::Yes };
        }
        let wanted = if file.enters == Enters::Yes { file.rows } else { 0 };
        assert_eq!(count, wanted, "rows of day {day}, expected from the journal: {file:?}");
    }
    assert!(found.is_empty(), "rows of days that were not delivered: {found:?}");
    let loads = settled_loads(client, "orders").await?;
    let mut paths = BTreeSet::new();
    for load in loads.iter().filter(|load| load["state"] == "committed") {
        assert!(paths.insert(load["source_path"].as_str().unwrap()), "a file was loaded twice: {load}");
    }
    let committed = |load: &Value| Some((load["id"].as_str()?.to_owned(), load["number"].as_i64()?));
    let now: BTreeMap<String, i64> = loads.iter().filter_map(committed).collect();
    for (id, number) in &journal.loads {
        assert_eq!(now.get(id), Some(number), "load {id}");
    }
    for id in &journal.accepted {
        assert!(now.contains_key(id), "the accepted load {id} is not in the dataset");
    }
    let numbers: BTreeSet<i64> = now.values().copied().collect();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), versions(client, "orders").await?);
    journal.loads = now;
    Ok(())
}

/// The loads of a dataset, none of which may be partial or have quarantined rows.
async fn settled_loads(client: &ServerClient, dataset: &str) -> Result<Vec<Value>, ServerGone> {
    let loads = client.list(&format!("{BASE}/datasets/{dataset}/loads")).await?;
    for load in &loads {
        assert!(!["staged", "committing"].contains(&load["state"].as_str().unwrap()), "a partial load: {load}");
        assert_eq!(load["set_aside"], 0, "rows in quarantine: {load}");
    }
    Ok(loads)
}

/// The version numbers of a dataset, oldest first, which may have no gaps.
async fn versions(client: &ServerClient, dataset: &str) -> Result<Vec<i64>, ServerGone> {
    let versions = client.list(&format!("{BASE}/datasets/{dataset}/versions")).await?;
    let numbers: Vec<i64> = versions.iter().rev().map(|version| version["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "versions of {dataset}");
    Ok(numbers)
}

/// Each acknowledged prediction is in the dataset once and unchanged; every other row has a key that was sent.
async fn predictions(client: &ServerClient, journal: &mut Journal) -> Result<(), ServerGone> {
    if !journal.predictions.is_empty() {
        client.post(&format!("{BASE}/{LOAD_PREDICTIONS}"), &json!({})).await?;
    }
    while journal.keys_compared < journal.keys_sent {
        let (from, to) = (journal.keys_compared, journal.keys_sent.min(journal.keys_compared + KEYS_PER_PAGE));
        let sql = format!(
            "SELECT id, prediction_id, version, part, score FROM (SELECT *, CAST(in_id AS BIGINT) AS id FROM predictions_hours) p \
             WHERE id >= {from} AND id < {to}"
        );
        let mut found = BTreeMap::new();
        for row in client.query(&sql).await? {
            let predicted = Predicted {
                id: row[1].as_str().unwrap().to_owned(),
                version: row[2].as_i64().unwrap(),
                role: row[3].as_str().unwrap().to_owned(),
                score: row[4].as_f64().unwrap(),
            };
            let before = found.insert(row[0].as_f64().unwrap() as u64, predicted);
            assert_eq!(before, None, "a prediction is present twice");
        }
        let later = journal.predictions.split_off(&to);
        for (key, acknowledged) in std::mem::replace(&mut journal.predictions, later) {
            assert_eq!(found.get(&key), Some(&acknowledged), "prediction of key {key}");
        }
        journal.predictions_found += found.len() as u64;
        journal.keys_compared = to;
    }
    let counts = client.query("SELECT count(*), count(DISTINCT prediction_id) FROM predictions_hours").await?;
    let wanted = json!(journal.predictions_found);
    assert_eq!(counts, [[wanted.clone(), wanted]], "predictions, and distinct ones");
    let loads = settled_loads(client, "predictions_hours").await?;
    let mut segments = BTreeSet::new();
    for load in loads.iter().filter(|load| load["state"] == "committed") {
        assert!(segments.insert(load["origin_id"].as_str().unwrap()), "a segment was loaded twice: {load}");
    }
    versions(client, "predictions_hours").await.map(drop)
}

/// The champion and the canary agree with the sequence of promotions.
async fn promotions(client: &ServerClient, journal: &mut Journal) -> Result<(), ServerGone> {
    let mut all = client.list(&format!("{BASE}/promotions")).await?;
    all.reverse();
    let ids: Vec<String> = all.iter().map(|promotion| promotion["id"].as_str().unwrap().to_owned()).collect();
    let known = journal.promotions.len();
    assert_eq!(ids.get(..known), Some(journal.promotions.as_slice()), "earlier promotions");
    let rollbacks: Vec<Move> = all[known..].iter().filter_map(rolled_back_by_a_person).collect();
    let more = rollbacks.len() as u64 - journal.moves.len().min(rollbacks.len()) as u64;
    let unanswered = journal.moves_sent - journal.moves.len() as u64;
    assert_eq!(rollbacks.get(..journal.moves.len()), Some(journal.moves.as_slice()), "acknowledged rollbacks");
    assert!(more <= unanswered, "{more} rollbacks beyond the acknowledged ones, {unanswered} unacknowledged");
    journal.promotions = ids;
    journal.moves.clear();
    journal.moves_sent = 0;

    let (champion, canary) = replay(&all);
    let endpoint = client.get(&format!("{BASE}/endpoints/hours")).await?;
    let is_active = ["running", "waiting"].contains(&endpoint["canary_state"].as_str().unwrap_or_default());
    assert_eq!(endpoint["champion_number"].as_i64(), champion, "{endpoint}");
    assert_eq!(endpoint["canary_number"].as_i64().filter(|_| is_active), canary, "{endpoint}");
    let answering: Vec<i64> =
        endpoint["routes"].as_array().unwrap().iter().map(|route| route["number"].as_i64().unwrap()).collect();
    let wanted: Vec<i64> = [champion, canary].into_iter().flatten().collect();
    assert_eq!(answering, wanted, "{endpoint}");
    let models = client.get(&format!("{BASE}/models")).await?;
    let named: Vec<Option<i64>> = models["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|model| model["aliases"].as_array().is_some_and(|aliases| aliases.contains(&json!("champion"))))
        .map(|model| model["number"].as_i64())
        .collect();
    assert_eq!(named, [champion], "the alias `champion`");
    Ok(())
}

fn rolled_back_by_a_person(promotion: &Value) -> Option<Move> {
    let is_ours = promotion["kind"] == "rollback" && promotion["cause"]["kind"] == "person";
    is_ours.then(|| Move { from: promotion["from_number"].as_i64().unwrap(), to: promotion["to_number"].as_i64() })
}

/// The champion and the canary after all promotions, each of which must start at the version where the one before ended.
fn replay(promotions: &[Value]) -> (Option<i64>, Option<i64>) {
    let (mut champion, mut canary) = (None, None);
    for promotion in promotions {
        let (from, to) = (promotion["from_number"].as_i64(), promotion["to_number"].as_i64());
        match promotion["kind"].as_str().unwrap() {
            "rollback" if to.is_none() => {
                assert_eq!(from, canary, "{promotion}");
                canary = None;
            }
            "canary" => {
                assert_eq!(from, champion, "{promotion}");
                canary = to;
            }
            _ => {
                assert_eq!(from, champion, "{promotion}");
                (champion, canary) = (to, None);
            }
        }
    }
    (champion, canary)
}

/// A tracked run has its acknowledged batches completely, the unacknowledged one completely or not at all, and each point
/// once.
async fn tracked(client: &ServerClient, run: &Tracked) -> Result<(), ServerGone> {
    let id = &run.id;
    let answer = client.get(&format!("/api/2.0/mlflow/runs/get?run_id={id}")).await?;
    let data = &answer["run"]["data"];
    let numbered = |list: &str, letter: char| {
        let keys = data[list].as_array().into_iter().flatten().filter_map(|entry| entry["key"].as_str());
        let mut numbers: Vec<u64> =
            keys.filter_map(|key| key.strip_prefix(letter)).filter_map(|number| number.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    };
    let batches = history(client, id, "m").await?;
    let (least, most) = (run.batches_acknowledged, run.batches_sent);
    assert_eq!(batches, (0..batches.len() as u64).collect::<Vec<_>>(), "batches of run {id}");
    assert!((least..=most).contains(&(batches.len() as u64)), "{} batches, {least} to {most} asked", batches.len());
    assert_eq!(history(client, id, "n").await?, batches, "the other metric of run {id}");
    assert_eq!(numbered("params", 'p'), batches, "params of run {id}");
    assert_eq!(numbered("tags", 't'), batches, "tags of run {id}");
    let points = history(client, id, "single").await?;
    let (least, most) = (run.points_acknowledged, run.points_sent);
    assert_eq!(points, (0..points.len() as u64).collect::<Vec<_>>(), "points of run {id}");
    assert!((least..=most).contains(&(points.len() as u64)), "{} points, {least} to {most} asked", points.len());
    Ok(())
}

/// The steps of a metric's points in order; the value of each point is its step.
async fn history(client: &ServerClient, run: &str, key: &str) -> Result<Vec<u64>, ServerGone> {
    let answer = client.get(&format!("/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key={key}")).await?;
    let number = |point: &Value, field: &str| {
        point[field].as_f64().or_else(|| point[field].as_str()?.parse().ok()).unwrap() as u64
    };
    let mut steps = Vec::new();
    for point in answer["metrics"].as_array().into_iter().flatten() {
        assert_eq!(number(point, "value"), number(point, "step"), "a point of {key}");
        steps.push(number(point, "step"));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Both chains verify, and the project's chain continues its earlier head.
async fn ledger(client: &ServerClient, journal: &mut Journal) -> Result<(), ServerGone> {
    let head = journal.head.as_ref().map_or_else(String::new, |head| format!("?head={head}"));
    for chain in [format!("{BASE}/ledger/verify{head}"), "/api/v1/ledger/verify".to_owned()] {
        let answer = client.get(&chain).await?;
        assert_eq!(answer["holds"], true, "{chain}: {answer}");
    }
    let answer = client.get(&format!("{BASE}/ledger/verify")).await?;
    journal.head = answer["head"].as_str().map(str::to_owned);
    Ok(())
}

/// Every pipeline run and every run of a step has ended, and each promotion and version is in the ledger once.
async fn all_ended(client: &ServerClient, journal: &Journal) -> Result<(), ServerGone> {
    loop {
        let mut all = client.list(&format!("{BASE}/pipeline-runs")).await?;
        all.retain(|run| ["pending", "running", "interrupted"].contains(&run["state"].as_str().unwrap()));
        let Some(open) = all.last() else { break };
        follow(client, open["id"].as_str().unwrap()).await?;
    }
    let experiment = client.get(BASE).await?["experiment_id"].clone();
    let search =
        json!({ "experiment_ids": [experiment], "filter": "attributes.status = 'RUNNING'", "max_results": 1000 });
    let found = client.post("/api/2.0/mlflow/runs/search", &search).await?;
    for run in found["runs"].as_array().into_iter().flatten() {
        assert_eq!(run["info"]["run_name"], NOTE, "the run of a step is still running: {run}");
    }
    let mut entered: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let entries = client.list(&format!("{BASE}/ledger")).await?;
    for entry in &entries {
        entered.entry(entry["noun"].as_str().unwrap()).or_default().push(entry["subject"].as_str().unwrap().to_owned());
    }
    let mut promotions = journal.promotions.clone();
    promotions.sort_unstable();
    let mut of_promotions = entered.remove("promotion").unwrap_or_default();
    of_promotions.retain(|id| promotions.binary_search(id).is_ok());
    of_promotions.sort_unstable();
    assert_eq!(of_promotions, promotions, "promotions in the ledger");
    let mut versions = entered.remove("dataset_version").unwrap_or_default();
    let count = versions.len();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), count, "a version is in the ledger twice");
    Ok(())
}

/// A project that has collected the same files without interruption.
fn uninterrupted(journal: &Journal) -> Place {
    let place = project::place_without_checks();
    for (day, file) in &journal.files {
        assert_eq!(file.enters, Enters::Yes, "day {day}");
        put(&place.path(), *day, file.rows);
    }
    place.good(&["run", "features"]);
    place
}

/// The digests of the datasets that depend only on files.
fn digests(place: &Place) -> BTreeMap<String, String> {
    let list = place.json(&["data", "list"]);
    let of = |dataset: &Value| {
        let digest = dataset.pointer("/version/digest")?.as_str()?;
        Some((dataset["name"].as_str()?.to_owned(), digest.to_owned()))
    };
    let mut digests: BTreeMap<String, String> = list["items"].as_array().unwrap().iter().filter_map(of).collect();
    digests.retain(|name, _| ["orders", "features"].contains(&name.as_str()));
    assert_eq!(digests.len(), 2, "{list}");
    digests
}

/// No staged load and no folder of a step remains.
fn no_temporary_files(data: &Path) {
    let names = |folder: &str| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(data.join(folder)) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut staging = names("staging");
    staging.sort();
    assert_eq!(staging, ["spill", "workers"]);
    assert!(!names("staging/workers").iter().any(|name| name.starts_with("source-")), "a downloaded file remains");
    assert_eq!(names("staging/spill").len(), 1, "expected one folder for queries of the running server");
    assert_eq!(names("work/steps"), [""; 0]);
}
