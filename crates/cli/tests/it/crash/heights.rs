//! A second project on the server, whose model ONNX Runtime computes in workers.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::{KILLED_WORKER, ServerClient, ServerGone};
use super::journal::Journal;
use crate::support::{LOAD_PREDICTIONS, Place, Server, text};

/// The path of the project in the API.
pub(super) const BASE: &str = "/api/v1/projects/heights";
/// Keys per query for predictions.
const KEYS_PER_PAGE: u64 = 5_000;

const PROJECT: &str = r#"[project]
name = "heights"
goal = "Predict the height"

[task]
kind = "regression"
data = "measured"
target = "height"
key = ["id"]
time = "at"
test = "1 day"
metric = "rmse"

[datasets.measured]
source = { files = "data/*.csv", settle = "0 s" }
mode = "append"
key = ["id"]

[steps.model]
run = ["sh", "-c", "mkdir model && cp model.onnx model"]
code = ["model.onnx"]
env = "system"
outputs = { model = { path = "model", kind = "model" } }

[steps.evaluation]
evaluate = ["model"]

[gates]
useful = "candidate.r2 > -1000"

[release]
model = "model"

[endpoints.heights]
"#;

/// Writes a model of an operator that the built-in evaluator does not have.
const MODEL: &str = "import sys, onnx
from onnx import TensorProto, helper
column = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1])
graph = helper.make_graph([helper.make_node('Erf', ['x'], ['y'])], 'heights', [column('x')], [column('y')])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), sys.argv[1])
";

/// What the client of the endpoint knows.
#[derive(Debug, Default)]
pub(super) struct Heights {
    /// Keys that were sent: all keys below this number.
    keys_sent: u64,
    /// Keys whose predictions were compared after an earlier kill: all keys below this number.
    keys_compared: u64,
    /// The id and the score of each acknowledged prediction that was not compared yet, by key.
    predictions: BTreeMap<u64, (String, f64)>,
    /// Predictions acknowledged so far.
    pub(super) acknowledged: u64,
}

/// The folder of the project.
pub(super) fn place() -> Place {
    let place = Place::with_file(PROJECT);
    let rows = (0..40).map(|id| format!("{id},2020-01-{:02}T00:00:00Z,{},{}\n", 1 + id / 10, id % 7, id % 5));
    place.write("data/1.csv", "id,at,x,height\n".to_owned() + &rows.collect::<String>());
    let python = std::env::var_os("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with onnx: run the tests by `cargo xtask test`");
    let output = Command::new(python).args(["-c", MODEL]).arg(place.path().join("model.onnx")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    place
}

/// Releases the model to the endpoint.
pub(super) fn release(server: &Server, place: &Place) {
    let mut command = place.command(&["release"]);
    command.env("PERENNIAL_SERVER", &server.address).env("PERENNIAL_TOKEN", &server.token);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

/// Requests a prediction for one row with a unique key.
pub(super) async fn answer(server: &ServerClient, journal: &Arc<Mutex<Journal>>) -> Result<(), ServerGone> {
    let key = {
        let mut journal = journal.lock().unwrap();
        journal.heights.keys_sent += 1;
        journal.heights.keys_sent - 1
    };
    let input = |name: &str, datatype: &str, value: Value| json!({ "name": name, "shape": [1], "datatype": datatype, "data": [value] });
    let body = json!({ "inputs": [input("id", "INT64", json!(key)), input("x", "FP64", json!(key as f64 / 1e4))] });
    let (status, answer) = server.ask(Method::POST, "/v2/models/heights/infer", Some(&body)).await?;
    let words = answer.to_string();
    let mut journal = journal.lock().unwrap();
    if status == StatusCode::SERVICE_UNAVAILABLE && words.contains(KILLED_WORKER) {
        journal.requests_failed += 1;
        return Ok(());
    }
    assert!(status.is_success(), "{status} {words}");
    let id = format!("{}-0", answer["parameters"]["request_id"].as_str().unwrap());
    let score = answer["outputs"][0]["data"][0].as_f64().unwrap();
    journal.heights.predictions.insert(key, (id, score));
    journal.heights.acknowledged += 1;
    Ok(())
}

/// Each acknowledged prediction is in the dataset once and unchanged, and no prediction is there twice.
pub(super) async fn compare(client: &ServerClient, heights: &mut Heights) -> Result<(), ServerGone> {
    if heights.keys_sent == heights.keys_compared {
        return Ok(());
    }
    client.post(&format!("{BASE}/{LOAD_PREDICTIONS}"), &json!({})).await?;
    while heights.keys_compared < heights.keys_sent {
        let (from, to) = (heights.keys_compared, heights.keys_sent.min(heights.keys_compared + KEYS_PER_PAGE));
        let sql = format!(
            "SELECT CAST(in_id AS BIGINT), prediction_id, score FROM predictions_heights \
             WHERE CAST(in_id AS BIGINT) >= {from} AND CAST(in_id AS BIGINT) < {to} AND score IS NOT NULL"
        );
        let mut found = BTreeMap::new();
        for row in client.query_in(BASE, &sql).await? {
            let prediction = (row[1].as_str().unwrap().to_owned(), row[2].as_f64().unwrap());
            let before = found.insert(row[0].as_u64().unwrap(), prediction);
            assert_eq!(before, None, "a prediction of `heights` is present twice");
        }
        let later = heights.predictions.split_off(&to);
        for (key, acknowledged) in std::mem::replace(&mut heights.predictions, later) {
            assert_eq!(found.get(&key), Some(&acknowledged), "prediction of key {key} of `heights`");
        }
        heights.keys_compared = to;
    }
    let twice = client
        .query_in(
            BASE,
            "SELECT prediction_id FROM predictions_heights GROUP BY prediction_id HAVING count(*) > 1 LIMIT 9",
        )
        .await?;
    assert_eq!(twice, [[Value::Null; 1]; 0], "predictions of `heights` that are present twice");
    Ok(())
}
