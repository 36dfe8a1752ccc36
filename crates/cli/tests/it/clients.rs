//! Clients of other projects against the built server.

use std::process::Command;

use serde_json::json;

use crate::support::{Place, Server, text};

/// Rows for which every client requests predictions.
const ROWS: usize = 200;

/// The Python interpreter of the tests, with the original clients installed.
pub(crate) fn python() -> String {
    std::env::var("PERENNIAL_TEST_PYTHON").expect(
        "PERENNIAL_TEST_PYTHON must name a Python with the packages of conformance/requirements.txt: run the tests by `cargo xtask test`",
    )
}

/// Runs a script of `conformance/` against the server, with further environment variables; fails if a check fails.
pub(crate) fn run_conformance(server: &Server, script: &str, variables: &[(&str, &str)]) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(python())
        .arg(format!("{}/../../conformance/{script}", env!("CARGO_MANIFEST_DIR")))
        .current_dir(home.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("MLFLOW_TRACKING_URI", &server.address)
        .env("MLFLOW_TRACKING_TOKEN", &server.token)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success() && said.starts_with("passed"), "{script}:\n{said}\n{}", text(&output.stderr));
}

/// Compares the predictions that each client gets from version 1 at `delay` with those of ONNX Runtime.
pub(crate) fn compare_with_onnx_runtime(place: &Place, server: &Server, project: &str) {
    let model = server.get("/v2/models/delay");
    let columns: Vec<&str> =
        model["inputs"].as_array().unwrap().iter().map(|input| input["name"].as_str().unwrap()).collect();
    let sql = format!("SELECT {} FROM features ORDER BY flight_id LIMIT {ROWS}", columns.join(", "));
    let rows = place.folder.path().join("rows.json");
    std::fs::write(&rows, json!({ "columns": columns, "rows": place.query(&sql) }).to_string()).unwrap();
    let versions = server.list(&format!("/api/v1/projects/{project}/models"));
    let version = versions.iter().find(|version| version["number"] == json!(1)).unwrap();
    let variables = [
        ("ENDPOINT", "delay"),
        ("VERSION", "1"),
        ("RUN_ID", version["run_id"].as_str().unwrap()),
        ("ROWS", rows.to_str().unwrap()),
    ];
    run_conformance(server, "scoring_clients.py", &variables);
}

#[test]
fn tritonclient_and_curl_get_the_predictions_of_onnx_runtime() {
    let place = Place::example("flights");
    for folder in ["data/schedule", "data/weather", "data/arrivals"] {
        place.keep_only(folder, |name| name < "2013-04");
    }
    let server = Server::up(&place, &[]);
    let output = place.good(&["release"]);
    assert!(output.contains("version 1 answers at `delay`"), "{output}");
    compare_with_onnx_runtime(&place, &server, "flight-delays");
}
