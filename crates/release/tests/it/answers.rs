//! Answers: one version answers a whole request, and each answer is logged with its role before it is given.

use std::time::Duration;

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::port::prediction::TrafficRole::{Canary, Champion};
use perennial_core::state::AlertState;
use perennial_ingest::datasets;
use perennial_kernel::alerts;
use perennial_release::endpoints::Extra;
use perennial_release::lineage::Kind;
use perennial_testkit::{PROJECT_FILE, toml_text};

use crate::support::{ask, ask_with, listed, released, row, with_canary};

/// [`row`] without a column.
fn without(name: &str) -> Frame {
    let mut inputs = Frame::new();
    for (column, values) in row("1").into_columns().filter(|(column, _)| column != name) {
        inputs.push(column, values);
    }
    inputs
}

/// [`row`] with a column.
fn with(name: &str, column: Column) -> Frame {
    let mut inputs = without(name);
    inputs.push(name, column);
    inputs
}

fn text(value: &str) -> Column {
    Column::Text(TextColumn::encode([Some(value)]))
}

#[tokio::test]
async fn the_champion_answers_with_its_scores() {
    let trained = released(PROJECT_FILE, 1).await;
    let answer = ask(&trained, row("1"), None).await.unwrap();
    assert_eq!((answer.version, answer.role, answer.scores.values.len()), (1, Champion, 1));
    // The model of version 1 is the logistic function of 0.1 × 7 + 0.001 × 500 + 0.5 × 1 + 1.
    let expected = 1.0 / (1.0 + (-2.7_f64).exp());
    assert!((answer.scores.values[0] - expected).abs() < 1e-5, "{:?}", answer.scores.values);
}

#[tokio::test]
async fn a_missing_input_is_refused_by_name() {
    let trained = released(PROJECT_FILE, 1).await;
    for name in ["dep_hour", "distance", "carrier"] {
        let error = ask(&trained, without(name), None).await.map(|answer| answer.version).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Signature);
        assert_eq!(error.message(), format!("input `{name}` is missing"));
    }
    ask(&trained, without("flight_id"), None).await.unwrap();
    let mut few = Frame::new();
    few.push("distance", Column::Number(vec![1.0]));
    let error = ask(&trained, few, None).await.map(|answer| answer.version).unwrap_err();
    assert_eq!(error.message(), "inputs `dep_hour`, `carrier` are missing", "all of them at once");
}

#[tokio::test]
async fn an_unknown_input_is_refused_or_dropped_as_the_protocol_says() {
    let trained = released(PROJECT_FILE, 1).await;
    let inputs = || with("gate", Column::Number(vec![1.0]));
    let error = ask_with(&trained, inputs(), None, Extra::Refuse).await.map(|answer| answer.version).unwrap_err();
    assert_eq!(error.message(), "input `gate` is not known to `delay`");
    assert!(error.hint().is_some_and(|hint| hint.starts_with("it takes: ")), "{:?}", error.hint());
    let answer = ask_with(&trained, inputs(), None, Extra::Drop).await.unwrap();
    assert_eq!(answer.version, 1);
}

#[tokio::test]
async fn an_input_of_the_other_kind_is_refused_unless_it_is_missing() {
    let trained = released(PROJECT_FILE, 1).await;
    for (inputs, message) in [
        (with("dep_hour", text("noon")), "input `dep_hour` takes numbers, got the text `noon`"),
        (with("carrier", Column::Number(vec![7.0])), "input `carrier` takes text, got numbers"),
    ] {
        let error = ask(&trained, inputs, None).await.map(|answer| answer.version).unwrap_err();
        assert_eq!((error.code(), error.message()), (ErrorCode::Signature, message));
    }
    ask(&trained, with("carrier", Column::Number(vec![f64::NAN])), None).await.unwrap();
    ask(&trained, with("dep_hour", Column::Text(TextColumn::encode([None]))), None).await.unwrap();
}

#[tokio::test]
async fn the_order_of_the_columns_does_not_matter() {
    let trained = released(PROJECT_FILE, 1).await;
    let mut reversed = Frame::new();
    let columns: Vec<_> = row("1").into_columns().collect();
    for (name, column) in columns.into_iter().rev() {
        reversed.push(name, column);
    }
    let (one, two) = (ask(&trained, row("1"), None).await.unwrap(), ask(&trained, reversed, None).await.unwrap());
    assert_eq!(one.scores.values, two.scores.values);
}

#[tokio::test]
async fn one_version_answers_all_rows_of_a_request() {
    let trained = released(&with_canary(), 2).await;
    let mut inputs = Frame::new();
    let keys: Vec<String> = (0..20).map(|key| key.to_string()).collect();
    inputs.push("flight_id", Column::Text(TextColumn::encode(keys.iter().map(|key| Some(key.as_str())))));
    inputs.push("dep_hour", Column::Number(vec![7.0; 20]));
    inputs.push("distance", Column::Number(vec![500.0; 20]));
    inputs.push("carrier", Column::Text(TextColumn::encode([Some("AA"); 20])));
    let whole = ask(&trained, inputs, None).await.unwrap();
    assert_eq!(whole.scores.values.len(), 20);
    let first = ask(&trained, row("0"), None).await.unwrap();
    assert_eq!((whole.version, whole.role), (first.version, first.role), "chosen by the key of the first row");
}

#[tokio::test]
async fn every_answer_is_logged_with_version_and_role() {
    let trained = released(&with_canary(), 2).await;
    for (key, version) in [("1", 1), ("2", 2), ("3", 2)] {
        ask(&trained, row(key), Some(version)).await.unwrap();
    }
    ask(&trained, without("distance"), None).await.map(|answer| answer.version).unwrap_err();
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    trained.test.app.ingest.ingest_segments(&caller, &trained.project, &name).await.unwrap();
    let sql = "SELECT version, part, in_flight_id FROM predictions_delay";
    let page = datasets::query(&caller, &trained.project, sql.to_owned(), 9).await.unwrap();
    let mut rows: Vec<String> = page.rows.iter().map(|row| serde_json::json!(row).to_string()).collect();
    rows.sort();
    let row = |version: i64, role: &str, key: &str| serde_json::json!([version, role, key]).to_string();
    let expected = [row(1, Champion.as_str(), "1"), row(2, Canary.as_str(), "2"), row(2, Canary.as_str(), "3")];
    assert_eq!(rows, expected, "a refused request is not logged");
}

#[tokio::test]
async fn a_key_that_is_a_time_is_logged_in_one_form_by_the_timezone_of_the_project() {
    let file = toml_text::set(PROJECT_FILE, "task.key", "[\"flight_id\", \"hour\"]");
    let trained = released(&toml_text::set(&file, "project.timezone", "\"Europe/Berlin\""), 1).await;
    let instant = "2013-01-31T16:00:00Z";
    let forms = [text("2013-01-31 17:00"), text(instant), text("1359648000"), Column::Number(vec![1_359_648_000.0])];
    let none = Column::Text(TextColumn::encode([None]));
    for hour in forms.into_iter().chain([none]) {
        ask(&trained, with("hour", hour), None).await.unwrap();
    }
    let error = ask(&trained, with("hour", text("at noon")), None).await.map(|answer| answer.version).unwrap_err();
    let message = "key `hour` takes a timestamp that exists in the project's timezone, such as `2013-01-31T17:00:00Z`, \
                   or epoch seconds as a number, got the text `at noon`";
    assert_eq!((error.code(), error.message()), (ErrorCode::Signature, message));
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    trained.test.app.ingest.ingest_segments(&caller, &trained.project, &name).await.unwrap();
    let sql = "SELECT in_hour FROM predictions_delay".to_owned();
    let mut page = datasets::query(&caller, &trained.project, sql, 9).await.unwrap();
    let logged: Vec<_> = page.rows.iter_mut().map(|row| row.remove(0)).collect();
    let expected = serde_json::json!([instant, instant, instant, instant, null]);
    assert_eq!(serde_json::json!(logged), expected);
}

#[tokio::test]
async fn an_endpoint_that_cannot_log_refuses_with_an_alert_until_it_can() {
    let trained = released(PROJECT_FILE, 1).await;
    let log = format!("{}/delay", trained.project.id);
    let in_the_way = trained.test.folder.path().join("predictions").join(&log).join("1.seg");
    std::fs::create_dir_all(&in_the_way).unwrap();
    for _ in 0..3 {
        let refused = ask(&trained, row("1"), None).await.map(|answer| answer.version).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Storage, "a prediction that is not logged is not answered");
    }
    let caller = trained.test.system();
    let alert = async |state: AlertState| {
        let found = async {
            loop {
                let alerts = alerts::list(&caller, trained.project.id, None, 10).await.unwrap().items;
                if let Some(alert) = alerts.into_iter().find(|alert| alert.name == "unlogged" && alert.state == state) {
                    return alert;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("the alert has the state")
    };
    let fired = alert(AlertState::Firing).await;
    assert!(fired.message.starts_with("endpoint `delay` refuses requests: "), "{}", fired.message);
    std::fs::remove_dir(&in_the_way).unwrap();
    ask(&trained, row("1"), None).await.unwrap();
    assert_eq!(alert(AlertState::Resolved).await.id, fired.id);
}

#[tokio::test]
async fn requests_are_counted_by_version() {
    let trained = released(&with_canary(), 2).await;
    for version in [1, 1, 2] {
        ask(&trained, row("1"), Some(version)).await.unwrap();
    }
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    let state = trained.test.app.endpoints.get(&caller, &trained.project, &name).await.unwrap();
    let counts: Vec<_> = state.routes.iter().map(|route| (route.number, route.requests, route.errors)).collect();
    assert_eq!(counts, [(1, 2, 0), (2, 1, 0)]);
    assert!(state.routes.iter().all(|route| route.p50_ms.is_some() && route.p99_ms >= route.p50_ms));
}

#[tokio::test]
async fn a_release_is_explained_back_to_its_data_and_forward_to_its_endpoint() {
    let trained = released(PROJECT_FILE, 1).await;
    let (caller, digest) = (trained.test.system(), listed(&trained).await.remove(0).release.digest);
    let endpoints = &trained.test.app.endpoints;
    let explained = endpoints.explain(&caller, &trained.project, Kind::Release, &digest[..12]).await.unwrap();
    let kinds = |lines: &[perennial_release::lineage::Line]| -> Vec<String> {
        lines.iter().map(|line| line.kind.clone()).collect()
    };
    for kind in ["model_version", "evidence", "decision", "dataset_version"] {
        assert!(kinds(&explained.backward).contains(&kind.to_owned()), "{kind}: {}", explained.text());
    }
    for kind in ["promotion", "endpoint"] {
        assert!(kinds(&explained.forward).contains(&kind.to_owned()), "{kind}: {}", explained.text());
    }
    assert!(!explained.is_cut);
}

#[tokio::test]
async fn a_model_and_a_dataset_are_explained_by_name_and_number() {
    let trained = released(PROJECT_FILE, 1).await;
    let (caller, endpoints) = (trained.test.system(), &trained.test.app.endpoints);
    for (kind, id) in [
        (Kind::Model, "1"),
        (Kind::Model, "flights/1"),
        (Kind::DatasetVersion, "flown"),
        (Kind::DatasetVersion, "flown@1"),
    ] {
        let explained = endpoints.explain(&caller, &trained.project, kind, id).await.unwrap();
        assert!(explained.forward.iter().any(|line| line.kind == "release"), "{id}: {}", explained.text());
    }
    for (kind, id, hint) in [
        (Kind::Model, "newest", "a model version is its number, or `<model>/<number>`: `perennial models` lists them"),
        (Kind::Model, "7", "the newest of `flights` is 1"),
        (Kind::DatasetVersion, "flown@9", "the newest of `flown` is 1"),
        (Kind::DatasetVersion, "flown@0", "the newest of `flown` is 1"),
        (Kind::Prediction, "nonsense", ""),
    ] {
        let error = endpoints.explain(&caller, &trained.project, kind, id).await.unwrap_err();
        assert_eq!((error.code(), error.hint().unwrap_or_default()), (ErrorCode::NotFound, hint), "{id}");
    }
    let error = "planet".parse::<Kind>().unwrap_err();
    assert_eq!(error.message(), "`planet` cannot be explained: expected prediction, model, release or dataset");
}
