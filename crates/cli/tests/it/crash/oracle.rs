//! The journal compared with what is there, by id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::asking::{Asking, Cut};
use super::files::{self, BASE, Fate, ROWS, ROWS_SHORT};
use super::journal::{Delivered, Enters, Journal, Move, Predicted, Tracked};
use super::load::{NOTE, day_of, follow, held, put};
use crate::support::{NOWHERE, Place, text};

/// Keys whose predictions are asked for at once.
const KEYS_A_PAGE: u64 = 5_000;

/// After a kill and a start: the next run succeeds, and everything acknowledged is there once.
pub(super) fn compare(runtime: &Runtime, asking: &Asking, place: &Place, journal: &Arc<Mutex<Journal>>) {
    let told = place.run(&["run"]);
    let is_held = told.status.code() == Some(1) && text(&told.stdout).contains(" is held: ");
    assert!(told.status.success() || is_held, "{}\n{}", text(&told.stdout), text(&told.stderr));
    let mut known = std::mem::take(&mut *journal.lock().unwrap());
    runtime.block_on(compare_all(asking, &mut known)).expect("the server went away");
    *journal.lock().unwrap() = known;
}

async fn compare_all(asking: &Asking, journal: &mut Journal) -> Result<(), Cut> {
    runs(asking, journal).await?;
    orders(asking, journal).await?;
    predictions(asking, journal).await?;
    promotions(asking, journal).await?;
    for run in &journal.tracked {
        tracked(asking, run).await?;
    }
    ledger(asking, journal).await
}

/// At a round's end: nothing is held or open any more, what is there is what a calm run makes of the
/// same files, and nothing lies about.
pub(super) fn finish(runtime: &Runtime, asking: &Asking, place: &Place, journal: &Arc<Mutex<Journal>>) {
    let settled = async {
        for load in held(asking).await? {
            let day = day_of(&load);
            let mut rows = ROWS;
            if Fate::of(day) == Fate::Repaired {
                put(&place.path(), day, rows);
            } else {
                let id = load["id"].as_str().unwrap();
                asking.post(&format!("{BASE}/loads/{id}/release"), &json!({})).await?;
                rows = ROWS_SHORT;
            }
            journal.lock().unwrap().files.insert(day, Delivered { rows, enters: Enters::Surely });
        }
        Ok::<_, Cut>(())
    };
    runtime.block_on(settled).expect("the server went away");
    compare(runtime, asking, place, journal);
    runtime.block_on(all_over(asking, &journal.lock().unwrap())).expect("the server went away");
    assert!(place.good(&["verify"]).contains("the ledger holds"));
    assert_eq!(digests(place), digests(&calm(&journal.lock().unwrap())));
    nothing_lies_about(&place.path().join(".perennial"));
}

/// Pipeline runs: each acknowledged one is there once and ended well, none has come from nowhere, and
/// a trigger fired once for each cause.
async fn runs(asking: &Asking, journal: &mut Journal) -> Result<(), Cut> {
    for (id, is_over) in &mut journal.runs {
        if *is_over {
            continue;
        }
        let run = follow(asking, id).await?;
        let state = run["state"].as_str().unwrap();
        assert!(["succeeded", "nothing-to-do"].contains(&state), "pipeline run {id} is {state}: {run}");
        *is_over = true;
        for step in run["steps"].as_array().unwrap() {
            let (attempt, state) = (step["id"].as_str().unwrap(), step["state"].as_str().unwrap());
            assert!(!["pending", "running", "failed"].contains(&state), "a step of run {id} is {state}: {step}");
            if state == "interrupted" {
                journal.attempts_interrupted.insert(attempt.to_owned());
                journal.runs_resumed.insert(id.clone());
            }
        }
    }
    let all = asking.list(&format!("{BASE}/pipeline-runs")).await?;
    let ours: Vec<&str> =
        all.iter().filter(|run| run["cause"]["note"] == NOTE).map(|run| run["id"].as_str().unwrap()).collect();
    let there: BTreeSet<&str> = ours.iter().copied().collect();
    assert_eq!(ours.len(), there.len(), "a pipeline run is listed twice");
    let lost: Vec<&String> = journal.runs.keys().filter(|id| !there.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "pipeline runs are lost: {lost:?}");
    assert!(ours.len() as u64 <= journal.runs_asked, "{} runs for {} requests", ours.len(), journal.runs_asked);
    let mut causes = BTreeSet::new();
    for run in all.iter().filter(|run| run["cause"]["kind"] == "trigger") {
        assert!(causes.insert(run["cause"]["because"].to_string()), "a trigger fired twice: {run}");
    }
    Ok(())
}

/// Rows of each file, and the loads and versions that brought them.
async fn orders(asking: &Asking, journal: &mut Journal) -> Result<(), Cut> {
    let rows = asking.query("SELECT day, count(*), count(DISTINCT id) FROM orders GROUP BY day").await?;
    let mut there = BTreeMap::new();
    for row in &rows {
        let [day, count, distinct] = [&row[0], &row[1], &row[2]].map(|cell| cell.as_u64().unwrap());
        assert_eq!(count, distinct, "rows of day {day} are there twice");
        there.insert(day, count);
    }
    for (day, file) in &mut journal.files {
        let count = there.remove(day).unwrap_or(0);
        if file.enters == Enters::Maybe {
            file.enters = if count == 0 { Enters::Not } else { Enters::Surely };
        }
        let wanted = if file.enters == Enters::Surely { file.rows } else { 0 };
        assert_eq!(count, wanted, "rows of day {day}, of which is known: {file:?}");
    }
    assert!(there.is_empty(), "rows of days that never came: {there:?}");
    let loads = settled_loads(asking, "orders").await?;
    let mut paths = BTreeSet::new();
    for load in loads.iter().filter(|load| load["state"] == "committed") {
        assert!(paths.insert(load["source_path"].as_str().unwrap()), "a file was loaded twice: {load}");
    }
    let committed = |load: &Value| Some((load["id"].as_str()?.to_owned(), load["number"].as_i64()?));
    let now: BTreeMap<String, i64> = loads.iter().filter_map(committed).collect();
    for (id, number) in &journal.loads {
        assert_eq!(now.get(id), Some(number), "load {id}");
    }
    for id in &journal.releases {
        assert!(now.contains_key(id), "the released load {id} is not in the dataset");
    }
    let numbers: BTreeSet<i64> = now.values().copied().collect();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), versions(asking, "orders").await?);
    journal.loads = now;
    Ok(())
}

/// Loads of a dataset: none is half there, and nothing came that was there already.
async fn settled_loads(asking: &Asking, dataset: &str) -> Result<Vec<Value>, Cut> {
    let loads = asking.list(&format!("{BASE}/datasets/{dataset}/loads")).await?;
    for load in &loads {
        assert!(!["staged", "committing"].contains(&load["state"].as_str().unwrap()), "half a load: {load}");
        assert_eq!(load["set_aside"], 0, "rows that came twice: {load}");
    }
    Ok(loads)
}

/// Numbers of a dataset's versions, oldest first; they follow each other without holes.
async fn versions(asking: &Asking, dataset: &str) -> Result<Vec<i64>, Cut> {
    let versions = asking.list(&format!("{BASE}/datasets/{dataset}/versions")).await?;
    let numbers: Vec<i64> = versions.iter().rev().map(|version| version["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "versions of {dataset}");
    Ok(numbers)
}

/// Each acknowledged prediction is in the dataset once, as it was answered; what else is there was asked for.
async fn predictions(asking: &Asking, journal: &mut Journal) -> Result<(), Cut> {
    if !journal.predictions.is_empty() {
        asking.ask(Method::GET, &format!("{BASE}/{NOWHERE}"), None).await?;
    }
    while journal.keys_settled < journal.keys_asked {
        let (from, to) = (journal.keys_settled, journal.keys_asked.min(journal.keys_settled + KEYS_A_PAGE));
        let sql = format!(
            "SELECT id, prediction_id, version, part, score FROM (SELECT *, CAST(in_id AS BIGINT) AS id FROM predictions_hours) p \
             WHERE id >= {from} AND id < {to}"
        );
        let mut there = BTreeMap::new();
        for row in asking.query(&sql).await? {
            let predicted = Predicted {
                id: row[1].as_str().unwrap().to_owned(),
                version: row[2].as_i64().unwrap(),
                part: row[3].as_str().unwrap().to_owned(),
                score: row[4].as_f64().unwrap(),
            };
            let before = there.insert(row[0].as_f64().unwrap() as u64, predicted);
            assert_eq!(before, None, "a prediction is there twice");
        }
        let later = journal.predictions.split_off(&to);
        for (key, acknowledged) in std::mem::replace(&mut journal.predictions, later) {
            assert_eq!(there.get(&key), Some(&acknowledged), "prediction of key {key}");
        }
        journal.predictions_there += there.len() as u64;
        journal.keys_settled = to;
    }
    let counts = asking.query("SELECT count(*), count(DISTINCT prediction_id) FROM predictions_hours").await?;
    let wanted = json!(journal.predictions_there);
    assert_eq!(counts, [[wanted.clone(), wanted]], "predictions, and distinct ones");
    let loads = settled_loads(asking, "predictions_hours").await?;
    let mut segments = BTreeSet::new();
    for load in loads.iter().filter(|load| load["state"] == "committed") {
        assert!(segments.insert(load["origin_id"].as_str().unwrap()), "a segment was loaded twice: {load}");
    }
    versions(asking, "predictions_hours").await.map(drop)
}

/// Who answers, as the promotions say that follow each other.
async fn promotions(asking: &Asking, journal: &mut Journal) -> Result<(), Cut> {
    let mut all = asking.list(&format!("{BASE}/promotions")).await?;
    all.reverse();
    let ids: Vec<String> = all.iter().map(|promotion| promotion["id"].as_str().unwrap().to_owned()).collect();
    let known = journal.promotions.len();
    assert_eq!(ids.get(..known), Some(journal.promotions.as_slice()), "promotions that were there before");
    let found: Vec<Move> = all[known..].iter().filter_map(rolled_back_by_a_person).collect();
    let more = found.len() as u64 - journal.moves.len().min(found.len()) as u64;
    let unanswered = journal.moves_asked - journal.moves.len() as u64;
    assert_eq!(found.get(..journal.moves.len()), Some(journal.moves.as_slice()), "rollbacks that were acknowledged");
    assert!(more <= unanswered, "{more} rollbacks were made beyond those acknowledged, {unanswered} were unanswered");
    journal.promotions = ids;
    journal.moves.clear();
    journal.moves_asked = 0;

    let (champion, canary) = replayed(&all);
    let endpoint = asking.get(&format!("{BASE}/endpoints/hours")).await?;
    let is_live = ["running", "waiting"].contains(&endpoint["canary_state"].as_str().unwrap_or_default());
    assert_eq!(endpoint["champion_number"].as_i64(), champion, "{endpoint}");
    assert_eq!(endpoint["canary_number"].as_i64().filter(|_| is_live), canary, "{endpoint}");
    let answering: Vec<i64> =
        endpoint["live"].as_array().unwrap().iter().map(|live| live["number"].as_i64().unwrap()).collect();
    let wanted: Vec<i64> = [champion, canary].into_iter().flatten().collect();
    assert_eq!(answering, wanted, "{endpoint}");
    let models = asking.get(&format!("{BASE}/models")).await?;
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

/// The champion and the canary after every promotion, each of which begins where the one before ended.
fn replayed(promotions: &[Value]) -> (Option<i64>, Option<i64>) {
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

/// A tracked run has its acknowledged batches whole, the unanswered one whole or not at all, and points once.
async fn tracked(asking: &Asking, run: &Tracked) -> Result<(), Cut> {
    let id = &run.id;
    let told = asking.get(&format!("/api/2.0/mlflow/runs/get?run_id={id}")).await?;
    let data = &told["run"]["data"];
    let numbered = |list: &str, letter: char| {
        let keys = data[list].as_array().into_iter().flatten().filter_map(|entry| entry["key"].as_str());
        let mut numbers: Vec<u64> =
            keys.filter_map(|key| key.strip_prefix(letter)).filter_map(|number| number.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    };
    let batches = history(asking, id, "m").await?;
    let (least, most) = (run.batches_acknowledged, run.batches_asked);
    assert_eq!(batches, (0..batches.len() as u64).collect::<Vec<_>>(), "batches of run {id}");
    assert!((least..=most).contains(&(batches.len() as u64)), "{} batches, {least} to {most} asked", batches.len());
    assert_eq!(history(asking, id, "n").await?, batches, "the other metric of run {id}");
    assert_eq!(numbered("params", 'p'), batches, "params of run {id}");
    assert_eq!(numbered("tags", 't'), batches, "tags of run {id}");
    let points = history(asking, id, "single").await?;
    let (least, most) = (run.points_acknowledged, run.points_asked);
    assert_eq!(points, (0..points.len() as u64).collect::<Vec<_>>(), "points of run {id}");
    assert!((least..=most).contains(&(points.len() as u64)), "{} points, {least} to {most} asked", points.len());
    Ok(())
}

/// Steps of a metric's points, in order; each point has its step as its value.
async fn history(asking: &Asking, run: &str, key: &str) -> Result<Vec<u64>, Cut> {
    let told = asking.get(&format!("/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key={key}")).await?;
    let number = |point: &Value, field: &str| {
        point[field].as_f64().or_else(|| point[field].as_str()?.parse().ok()).unwrap() as u64
    };
    let mut steps = Vec::new();
    for point in told["metrics"].as_array().into_iter().flatten() {
        assert_eq!(number(point, "value"), number(point, "step"), "a point of {key}");
        steps.push(number(point, "step"));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Both chains hold, and the project's goes on where it was.
async fn ledger(asking: &Asking, journal: &mut Journal) -> Result<(), Cut> {
    let head = journal.head.as_ref().map_or_else(String::new, |head| format!("?head={head}"));
    for chain in [format!("{BASE}/ledger/verify{head}"), "/api/v1/ledger/verify".to_owned()] {
        let told = asking.get(&chain).await?;
        assert_eq!(told["holds"], true, "{chain}: {told}");
    }
    let told = asking.get(&format!("{BASE}/ledger/verify")).await?;
    journal.head = told["head"].as_str().map(str::to_owned);
    Ok(())
}

/// Every pipeline run has ended, no run of a step is left as if it went on, and each promotion and
/// version entered the ledger once.
async fn all_over(asking: &Asking, journal: &Journal) -> Result<(), Cut> {
    loop {
        let mut all = asking.list(&format!("{BASE}/pipeline-runs")).await?;
        all.retain(|run| ["pending", "running", "interrupted"].contains(&run["state"].as_str().unwrap()));
        let Some(open) = all.last() else { break };
        follow(asking, open["id"].as_str().unwrap()).await?;
    }
    let experiment = asking.get(BASE).await?["experiment_id"].clone();
    let search =
        json!({ "experiment_ids": [experiment], "filter": "attributes.status = 'RUNNING'", "max_results": 1000 });
    let found = asking.post("/api/2.0/mlflow/runs/search", &search).await?;
    for run in found["runs"].as_array().into_iter().flatten() {
        assert_eq!(run["info"]["run_name"], NOTE, "a step's run goes on after its step: {run}");
    }
    let mut entered: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let entries = asking.list(&format!("{BASE}/ledger")).await?;
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
    assert_eq!(versions.len(), count, "a version entered the ledger twice");
    Ok(())
}

/// A place where the same files were collected once, in peace.
fn calm(journal: &Journal) -> Place {
    let place = files::calm_place();
    for (day, file) in &journal.files {
        assert_eq!(file.enters, Enters::Surely, "day {day}");
        put(&place.path(), *day, file.rows);
    }
    place.good(&["run", "features"]);
    place
}

/// Digests of the datasets whose rows come from files.
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

/// Staged loads and folders of steps are gone once nothing needs them.
fn nothing_lies_about(data: &Path) {
    let names = |folder: &str| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(data.join(folder)) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("staging"), ["spill"]);
    assert_eq!(names("staging/spill").len(), 1, "one folder for the queries of the server that is up");
    assert_eq!(names("work/steps"), [""; 0]);
}
