//! Clients that others made, against the built server.

use std::process::Command;

use serde_json::json;

use crate::support::{Place, Server, text};

/// Rows that every client asks about.
const ROWS: usize = 200;

/// The Python of the tests, with the real clients.
pub(crate) fn python() -> String {
    std::env::var("PERENNIAL_TEST_PYTHON").expect(
        "PERENNIAL_TEST_PYTHON must name a Python with the packages of conformance/requirements.txt: run the tests by `cargo xtask test`",
    )
}

/// Runs a script of `conformance/` against the server, with further variables; it has to hold.
pub(crate) fn conforms(server: &Server, script: &str, variables: &[(&str, &str)]) {
    let home = tempfile::tempdir().unwrap();
    let told = Command::new(python())
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
    let said = text(&told.stdout);
    assert!(told.status.success() && said.starts_with("held"), "{script}:\n{said}\n{}", text(&told.stderr));
}

/// Compares what `delay`, answered by version 1, tells each client with what ONNX Runtime says of the model's file.
pub(crate) fn all_agree_with_onnx_runtime(place: &Place, server: &Server, project: &str) {
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
    conforms(server, "scoring_clients.py", &variables);
}

#[test]
fn tritonclient_and_curl_get_the_numbers_of_onnx_runtime() {
    let place = Place::example("flights");
    for folder in ["data/schedule", "data/weather", "data/arrivals"] {
        place.keep_only(folder, |name| name < "2013-04");
    }
    let server = Server::up(&place, &[]);
    let told = place.good(&["release"]);
    assert!(told.contains("version 1 answers at `delay`"), "{told}");
    all_agree_with_onnx_runtime(&place, &server, "flight-delays");
}
