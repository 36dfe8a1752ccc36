//! Predictions are loaded from the log into their dataset, whatever types clients send and even if a segment is
//! damaged, and are compared with their outcomes.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{LOAD_PREDICTIONS, Place, Server, instant};

const FILE: &str = r#"[project]
name = "orders"
goal = "Predict which orders will be late"

[task]
kind = "binary"
data = "orders"
target = "late"
key = ["id", "day"]
time = "at"
test = "1 month"
label_delay = "20 days"
metric = "auc"

[datasets.orders]
source = { files = "data/orders.csv" }
mode = "replace"
key = ["id"]

[steps.train]
train = "linear"

[steps.evaluation]
evaluate = ["train"]

[gates]
better = "candidate.auc >= 0.5"

[release]
model = "train"

[endpoints.late]

[monitors.late]
endpoint = "late"
window = "1 month"
alerts = { stale = "auc < 0.1" }
"#;

/// Orders of a month.
const ROWS: i64 = 200;
/// The key of April's first order. The keys of the last orders are greater than a double can represent.
const APRIL: i64 = 4_000;
/// The first integer that a double cannot represent.
const BEYOND_DOUBLE: i64 = 9_007_199_254_740_993;
const INFER: &str = "/v2/models/late/infer";

fn month_start(number: u8) -> i64 {
    instant(&format!("2013-{number:02}-01T00:00:00Z"))
}

fn at(path: &str) -> String {
    format!("/api/v1/projects/orders/{path}")
}

/// The keys of a month's orders.
fn keys(number: u8) -> Vec<i64> {
    let first = if number == 4 { APRIL } else { i64::from(number) * 1_000 };
    let beyond = (0..50).filter(|_| number == 4).map(|place| BEYOND_DOUBLE + 2 * place);
    (first..first + ROWS).chain(beyond).collect()
}

/// The time of an order, by its position in the month.
fn asked_at(number: u8, place: i64) -> Timestamp {
    Timestamp::from_millisecond(month_start(number) + place * 3_600_000).unwrap()
}

fn day(when: Timestamp) -> String {
    when.strftime("%F").to_string()
}

/// All orders until April. April's outcomes are missing unless April is over.
fn orders(is_april_over: bool) -> String {
    let mut text = "id,day,at,a,late\n".to_owned();
    for number in 1..=4 {
        for (place, key) in keys(number).into_iter().enumerate() {
            let place = place as i64;
            let when = asked_at(number, place);
            let a = (place % 5) as f64 / 2.0 - 1.0;
            let noise = ((place * 7_919 + i64::from(number)) % 1_000) as f64 / 500.0 - 1.0;
            let late = if number < 4 || is_april_over { (a + 1.5 * noise > 0.0).to_string() } else { String::new() };
            writeln!(text, "{key},{},{when},{a},{late}", day(when)).unwrap();
        }
    }
    text
}

/// A server in the middle of April, with version 1 as champion.
fn serving() -> (Place, Server) {
    let place = Place::with_file(FILE);
    let server = Server::up(&place, &[]);
    server.step("orders", month_start(4));
    place.write("data/orders.csv", orders(false));
    server.step("orders", month_start(4) + 1);
    let output = place.good(&["release"]);
    assert!(output.contains("version 1 answers at `late`"), "{output}");
    server.step("orders", month_start(4) + 14 * 86_400_000);
    (place, server)
}

/// Requests predictions for some of April's orders, with keys of a datatype; gives the id of the request.
fn ask(server: &Server, datatype: &str, asked: &Value, a: &Value) -> String {
    let (april, asked) = (keys(4), asked.as_array().unwrap());
    let rows = asked.len();
    let days = asked.iter().map(|key| {
        let place = april.iter().position(|known| key.to_string().trim_matches('"') == known.to_string());
        json!(day(asked_at(4, place.unwrap_or_default() as i64)))
    });
    let tensor = |name: &str, datatype: &str, data: &Value| json!({ "name": name, "shape": [rows], "datatype": datatype, "data": data });
    let inputs =
        [tensor("id", datatype, &json!(asked)), tensor("day", "BYTES", &days.collect()), tensor("a", "FP64", a)];
    server.post(INFER, &json!({ "inputs": inputs }))["parameters"]["request_id"].as_str().unwrap().to_owned()
}

/// Requests predictions for one order after the other, with integer keys.
fn ask_one_by_one(server: &Server, keys: std::ops::Range<i64>) -> Vec<String> {
    keys.map(|key| ask(server, "INT64", &json!([key]), &json!([1]))).collect()
}

/// Loads the log into its dataset, and explains a prediction.
fn load(server: &Server, request: &str) {
    server.post(&at(LOAD_PREDICTIONS), &json!({}));
    explain(server, request);
}

fn explain(server: &Server, request: &str) {
    let answer = server.get(&at(&format!("explain/prediction/{request}-0")));
    assert!(answer.to_string().contains("answered by version 1"), "{answer}");
}

#[test]
fn predictions_with_inputs_of_any_type_are_loaded_and_joined_with_outcomes() {
    let (place, server) = serving();
    let texts = |keys: &[i64]| json!(keys.iter().map(ToString::to_string).collect::<Vec<_>>());
    let all = keys(4);
    // Each round fills a segment: integers; then fractions, and keys as text; then keys that only text can represent,
    // and missing numbers; then invalid keys.
    let whole: Vec<i64> = (0..100).map(|place| place % 3 - 1).collect();
    load(&server, &ask(&server, "INT64", &json!(all[..100]), &json!(whole)));
    load(&server, &ask(&server, "BYTES", &texts(&all[100..200]), &json!(vec![0.5; 100])));
    load(&server, &ask(&server, "BYTES", &texts(&all[200..]), &json!(vec![Value::Null; 50])));
    ask(&server, "FP64", &json!([1.5]), &json!([f64::MAX]));
    ask(&server, "FP64", &json!([null]), &json!(["-Infinity"]));
    load(&server, &ask(&server, "BYTES", &json!(["abc"]), &json!([-f64::MAX])));

    let counts = "SELECT count(*), count(in_a), count(in_id), count(DISTINCT prediction_id) FROM predictions_late";
    assert_eq!(place.query(counts), [[json!(253), json!(203), json!(252), json!(253)]]);
    let found = place.query(&format!(
        "SELECT in_id, in_a FROM predictions_late WHERE in_id IN ('{APRIL}', '{}', '{BEYOND_DOUBLE}', 'abc') ORDER BY in_id",
        APRIL + 100
    ));
    let found: Vec<&str> = found.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(found, ["4000", "4100", "9007199254740993", "abc"]);
    assert!(server.list(&at("alerts")).is_empty(), "a segment could not be loaded");

    // April is over: each prediction is compared with its outcome, whatever the type of its key.
    place.write("data/orders.csv", orders(true));
    server.step("orders", month_start(5) + 1);
    let results = server.list(&at("monitors"));
    let quality = results.iter().find(|result| result["kind"] == json!("quality")).expect("quality of April");
    let facts = &quality["facts"];
    assert!(facts["auc"].as_f64().unwrap() > 0.5, "{facts}");
    assert_eq!(facts["rows"], json!(253.0));
    assert!((facts["labelled"].as_f64().unwrap() - 250.0 / 253.0).abs() < 1e-9, "{facts}");
    assert!(facts["drift"]["features"]["a"].as_f64().unwrap() > 0.0, "{facts}");
}

#[test]
fn a_damaged_segment_blocks_neither_others_nor_a_start_and_is_retried() {
    let (place, server) = serving();
    let before = ask_one_by_one(&server, APRIL..APRIL + 10);
    server.kill();
    // Next to the open segment there is a damaged one.
    let folder = log_of(&place);
    let last = std::fs::read_dir(&folder).unwrap().map(|entry| number_of(&entry.unwrap().path())).max().unwrap();
    let (good, broken) = (folder.join(format!("{last}.seg")), folder.join(format!("{}.seg", last + 1)));
    let kept = std::fs::read(&good).unwrap();
    std::fs::write(&broken, b"no segment at all").unwrap();

    let server = Server::up(&place, &[]);
    let after = ask_one_by_one(&server, APRIL + 10..APRIL + 20);
    for request in before.iter().chain(&after) {
        load(&server, request);
    }
    assert_eq!(place.query("SELECT count(*) FROM predictions_late"), [[json!(20)]]);
    assert_eq!(std::fs::read(&broken).unwrap(), b"no segment at all", "the damaged segment was changed");
    let alerts = server.list(&at("alerts"));
    assert_eq!(alerts.len(), 1, "expected one alert: {alerts:?}");
    let message = alerts[0]["message"].as_str().unwrap();
    for words in ["predictions of `late`", &format!("segment {}", last + 1), "retried"] {
        assert!(message.contains(words), "{message}");
    }

    // The segment is readable again, and contains rows that are already loaded.
    std::fs::write(&broken, kept).unwrap();
    let last = ask_one_by_one(&server, APRIL + 20..APRIL + 21);
    explain(&server, &after[0]);
    explain(&server, &last[0]);
    assert!(broken.exists(), "explaining loads nothing");
    load(&server, &last[0]);
    assert!(!broken.exists());
    assert_eq!(place.query("SELECT count(*) FROM predictions_late"), [[json!(21)]]);
    let (_, alerts) = server.ask(Method::GET, &at("alerts"), None);
    assert_eq!(alerts["items"][0]["state"], json!("resolved"), "{alerts}");
    assert!(place.good(&["verify"]).contains("is intact"));
}

/// The folder of the endpoint's log.
fn log_of(place: &Place) -> PathBuf {
    let logs = place.path().join(".perennial/predictions");
    let mut projects = std::fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path().join("late"));
    projects.find(|log| log.is_dir()).unwrap()
}

fn number_of(segment: &std::path::Path) -> i64 {
    segment.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}
