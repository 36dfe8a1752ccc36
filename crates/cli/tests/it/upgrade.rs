//! Upgrades: this version opens, migrates, verifies and serves the store of an earlier version.

use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::postgres::Database;
use crate::support::{Place, Server, text};

const DAY_MS: i64 = 86_400_000;
/// The predictions of the earlier version, in the dataset and in the log.
const PREDICTIONS: u64 = 220;

fn at(path: &str) -> String {
    format!("/api/v1/projects/upgrade/{path}")
}

#[test]
fn a_store_of_3800df1_on_sqlite_is_served() {
    let (place, expected) = unpack("3800df1");
    upgraded(&place, &Server::up(&place, &[]), &expected);
}

#[test]
fn a_store_of_3800df1_on_postgres_is_served() {
    let (place, expected) = unpack("3800df1-postgres");
    let database = Database::create();
    database.load(&place.path().join("metadata.sql"));
    upgraded(&place, &Server::up(&place, &["--database", &database.url]), &expected);
}

/// The project folder of a fixture, and what its version answered.
fn unpack(name: &str) -> (Place, Value) {
    // Cargo sets the variable at each run: clones may share a target folder.
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let fixtures = Path::new(&crate_folder).join("tests/fixtures/upgrade");
    let folder = tempfile::tempdir().unwrap();
    let archive = fixtures.join(format!("{name}.tar.gz"));
    let output = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = std::fs::read(folder.path().join("expected.json")).unwrap();
    (Place { folder }, serde_json::from_slice(&expected).unwrap())
}

fn upgraded(place: &Place, server: &Server, expected: &Value) {
    lists(server, expected);
    loads(server, expected);
    predictions(place, server, expected);
    verified(place, expected);
    runs(server, expected);
    tokens(server, expected);
    rename_keys(place);
    nothing_to_do(place);
    promotion(server, expected);
    verified(place, expected);
}

/// What is listed is what the earlier version listed.
fn lists(server: &Server, expected: &Value) {
    let lists: [(&str, &[&str]); 8] = [
        ("datasets", &["/name", "/version/number", "/version/digest", "/version/rows"]),
        ("models", &["/number", "/aliases", "/content_digest", "/run_id"]),
        ("releases", &["/digest", "/number", "/verdict", "/role"]),
        ("endpoints", &["/name", "/champion_number", "/canary_number", "/canary_state", "/canary_share"]),
        ("monitors", &["/window_start_ms", "/kind", "/revision", "/number", "/facts"]),
        ("alerts", &["/id", "/name", "/state", "/message"]),
        ("pipeline_runs", &["/id", "/kind", "/state", "/message"]),
        ("ledger", &["/sequence", "/noun", "/subject", "/verb", "/actor", "/hash"]),
    ];
    for (name, fields) in lists {
        // `part` is now `role`.
        let earlier = |field: &'static str| if field == "/role" { "/part" } else { field };
        let field_of = |item: &Value, field| item.pointer(field).or_else(|| item.pointer(earlier(field))).cloned();
        let fields_of = |item: &Value| -> Vec<Value> {
            fields.iter().map(|field| field_of(item, field).unwrap_or_default()).collect()
        };
        let listed = server.list(&at(&format!("{}?limit=1000", name.replace('_', "-"))));
        // Predictions that were in the log at the upgrade make a new version of their dataset.
        let is_compared = |item: &&Value| item["name"] != "predictions_late";
        let listed: Vec<Vec<Value>> = listed.iter().filter(is_compared).map(fields_of).collect();
        let wanted = expected["lists"][name].as_array().unwrap().iter();
        let wanted: Vec<Vec<Value>> = wanted.filter(is_compared).map(fields_of).collect();
        assert!(!wanted.is_empty(), "{name}");
        // The latest are first. The scheduler may have added a run that refreshes the data for monitors.
        assert!(listed.ends_with(&wanted), "{name}:\n{listed:#?}\nexpected:\n{wanted:#?}");
        let may_grow = ["ledger", "pipeline_runs"].contains(&name);
        assert!(may_grow || listed.len() == wanted.len(), "{name}: {listed:#?}");
    }
}

/// Loads have the state that they had; `discarded` is now `rejected`.
fn loads(server: &Server, expected: &Value) {
    let state_of = |load: &Value| match load["state"].as_str().unwrap() {
        "discarded" => "rejected".to_owned(),
        state => state.to_owned(),
    };
    let fields_of = |load: &Value| {
        (
            load["id"].clone(),
            load["source_path"].clone(),
            state_of(load),
            load["arrived"].clone(),
            load["set_aside"].clone(),
        )
    };
    let listed = server.list(&at("datasets/orders/loads?limit=100"));
    let listed: Vec<_> = listed.iter().map(fields_of).collect();
    let wanted: Vec<_> = expected["loads"].as_array().unwrap().iter().map(fields_of).collect();
    assert_eq!(listed, wanted);
    for state in ["committed", "held", "rejected"] {
        assert!(listed.iter().any(|load| load.2 == state), "{state}");
    }
}

/// Champion and canary give the answers that they gave before, and an old prediction can be explained.
fn predictions(place: &Place, server: &Server, expected: &Value) {
    for stored in expected["requests"].as_array().unwrap() {
        let answer = server.post("/v2/models/late/infer", &stored["request"]);
        assert_eq!(answer["model_version"], stored["version"], "{answer}");
        assert_eq!(answer["outputs"], stored["outputs"], "{answer}");
    }
    let prediction = expected["prediction"].as_str().unwrap();
    let explained = server.get(&at(&format!("explain/prediction/{prediction}"))).to_string();
    assert!(explained.contains("data/orders/2013-01.csv"), "{explained}");
    let count = place.query("SELECT count(*) FROM predictions_late")[0][0].as_u64().unwrap();
    assert!(count >= PREDICTIONS, "{count} predictions of {PREDICTIONS}");
}

/// Today's ledger continues the head that the earlier version noted.
fn verified(place: &Place, expected: &Value) {
    let verified = place.json(&["verify", "--head", expected["head"].as_str().unwrap()]);
    assert_eq!(verified["holds"], true, "{verified}");
}

/// MLflow's runs are read as they were logged, and the open one can be continued and ended.
fn runs(server: &Server, expected: &Value) {
    const MLFLOW: &str = "/api/2.0/mlflow";
    for (name, stored) in expected["runs"].as_object().unwrap() {
        let id = stored["info"]["run_id"].as_str().unwrap();
        let run = server.get(&format!("{MLFLOW}/runs/get?run_id={id}"))["run"].clone();
        assert_eq!(run["data"], stored["data"], "{name}");
        for field in ["run_name", "experiment_id", "status", "start_time", "end_time", "artifact_uri"] {
            assert_eq!(run["info"][field], stored["info"][field], "{name}: {field}");
        }
        let history = server.get(&format!("{MLFLOW}/metrics/get-history?run_id={id}&metric_key=loss"));
        assert_eq!(history["metrics"].as_array().unwrap().len(), 50, "{name}");
        let folder = run["info"]["artifact_uri"].as_str().unwrap().strip_prefix("mlflow-artifacts:").unwrap();
        let artifact = server.get(&format!("/api/2.0/mlflow-artifacts/artifacts{folder}/notes/first.txt"));
        assert_eq!(artifact, "first\n", "{name}");
    }
    let open = expected["runs"]["open"]["info"]["run_id"].as_str().unwrap();
    let point = json!({ "run_id": open, "key": "loss", "value": 0.01, "timestamp": 1_700_000_000_100_i64, "step": 50 });
    server.post(&format!("{MLFLOW}/runs/log-metric"), &point);
    let ended = server.post(&format!("{MLFLOW}/runs/update"), &json!({ "run_id": open, "status": "FINISHED" }));
    assert_eq!(ended["run_info"]["status"], "FINISHED", "{ended}");
}

/// Tokens keep their permissions; a revoked one stays revoked.
fn tokens(server: &Server, expected: &Value) {
    let status = |name: &str, method: Method, path: &str| {
        let token = expected["tokens"][name].as_str().unwrap();
        let request = server.http().request(method, format!("{}{path}", server.address)).bearer_auth(token);
        server.block_on(request.json(&json!({})).send()).unwrap().status()
    };
    for name in ["ada", "bert", "cleo"] {
        assert_eq!(status(name, Method::GET, &at("models")), StatusCode::OK, "{name}");
    }
    assert_eq!(status("cleo", Method::POST, &at("endpoints/late/rollback")), StatusCode::FORBIDDEN);
    assert_eq!(status("dora", Method::GET, &at("models")), StatusCode::UNAUTHORIZED);
}

/// Keys that have new names are refused with these.
fn rename_keys(place: &Place) {
    let refused = text(&place.run(&["check"]).stderr);
    for (old, new) in [("within", "label_delay"), ("fresh", "evidence_ttl")] {
        assert!(refused.contains(&format!("`{old}` is now `{new}`")), "{refused}");
        place.edit("perennial.toml", &format!("{old} = "), &format!("{new} = "));
    }
}

/// Once the held load is rejected, a run finds every step up to date: the cache keys have not changed.
fn nothing_to_do(place: &Place) {
    place.held(&["run"]);
    let shown = place.json(&["data", "show", "orders"]);
    let held = shown["loads"]["items"].as_array().unwrap().iter().find(|load| load["state"] == "held").unwrap();
    place.good(&["data", "reject", held["id"].as_str().unwrap()]);
    let run = place.good(&["run"]);
    assert!(run.starts_with("nothing to do"), "{run}");
}

/// The canary continues with its counts, and becomes champion.
fn promotion(server: &Server, expected: &Value) {
    let requests = expected["requests"].as_array().unwrap();
    let ask = |stored: &Value| server.post("/v2/models/late/infer", &stored["request"])["model_version"].clone();
    let by_canary = requests.iter().find(|stored| stored["version"] == "2").unwrap();
    for _ in 0..50 {
        ask(by_canary);
    }
    let started = server.get(&at("clock"))["project_ms"].as_i64().unwrap();
    server.step("upgrade", started + 11 * DAY_MS);
    assert_eq!(server.get(&at("endpoints/late"))["champion_number"], 2);
    assert!(requests.iter().all(|stored| ask(stored) == "2"));
}
