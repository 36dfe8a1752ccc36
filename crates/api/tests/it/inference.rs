use http::StatusCode;
use perennial_core::frame::TextColumn;
use perennial_core::port::data::Values;
use perennial_testkit::{PROJECT_FILE, TestModel, toml_text};
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const INFER: &str = "/v2/models/delay/infer";

fn tensor(name: &str, datatype: &str, data: Value) -> Value {
    let rows = data.as_array().unwrap().len();
    json!({ "name": name, "shape": [rows], "datatype": datatype, "data": data })
}

fn flight() -> Value {
    json!({ "inputs": [tensor("dep_hour", "FP64", json!([7])), tensor("distance", "INT32", json!([500])), tensor("carrier", "BYTES", json!(["AA"]))] })
}

/// What `TestModel::binary` answers.
fn probability(hour: f64, distance: f64, carrier: f64, intercept: f64) -> f64 {
    1.0 / (1.0 + (-(0.1 * hour + 0.001 * distance + 0.5 * carrier + intercept)).exp())
}

fn near(value: &Value, wanted: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
}

#[tokio::test]
async fn a_request_with_more_values_than_the_limit_is_refused() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let tensor = |name: usize| json!({ "name": name.to_string(), "shape": [100_000], "datatype": "BOOL", "parameters": { "binary_data_size": 100_000 } });
    let json = json!({ "inputs": (0..101).map(tensor).collect::<Vec<_>>() }).to_string();
    let mut body = json.clone().into_bytes();
    body.resize(body.len() + 101 * 100_000, 0);
    let length = json.len().to_string();
    let answer = server.post_raw(INFER, &[("inference-header-content-length", &length)], body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text());
    assert!(answer.text().contains("more than 10000000 values together"), "{}", answer.text());
}

#[tokio::test]
async fn one_row_is_answered_with_label_probability_version_and_ids() {
    let server = Server::with_model(&TestModel::binary(-1.0)).await;
    let answer = server.post(INFER, flight()).await;
    let reply = answer.json();
    assert_eq!(answer.status, StatusCode::OK, "{reply}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((reply["model_name"].clone(), reply["model_version"].clone()), (json!("delay"), json!("1")));
    let request_id = reply["parameters"]["request_id"].as_str().unwrap();
    assert_eq!(reply["id"], json!(request_id));
    assert_eq!(answer.header("x-request-id"), Some(request_id));
    assert_eq!(reply["outputs"][0], json!({ "name": "label", "datatype": "INT64", "shape": [1], "data": [1] }));
    assert_eq!(
        (
            reply["outputs"][1]["name"].clone(),
            reply["outputs"][1]["datatype"].clone(),
            reply["outputs"][1]["shape"].clone()
        ),
        (json!("probability"), json!("FP64"), json!([1]))
    );
    near(&reply["outputs"][1]["data"][0], probability(7.0, 500.0, 1.0, -1.0));
}

#[tokio::test]
async fn a_clients_id_comes_back_and_unknown_parameters_are_passed_over() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let mut body = flight();
    body["id"] = json!("my \"own\" id");
    body["parameters"] = json!({ "content_type": "pd", "n": 1.5 });
    body["model_name"] = json!("delay");
    body["inputs"][0]["parameters"] = json!({ "content_type": "np" });
    let reply = server.post(INFER, body).await.json();
    assert_eq!(reply["id"], json!("my \"own\" id"));
    assert_ne!(reply["parameters"]["request_id"], reply["id"]);
}

#[tokio::test]
async fn columns_come_flat_or_nested_in_any_order_and_of_any_number_type() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let body = json!({ "inputs": [
        { "datatype": "BYTES", "data": [["AA"], ["UA"], ["ZZ"]], "shape": [3, 1], "name": "carrier" },
        { "name": "distance", "shape": [3], "datatype": "UINT16", "data": [100, 200, 300] },
        { "name": "dep_hour", "shape": [3, 1], "datatype": "FP32", "data": [1, 2.5, 3] },
    ] });
    let reply = server.post(INFER, body).await.json();
    let data = &reply["outputs"][1]["data"];
    near(&data[0], probability(1.0, 100.0, 1.0, 0.0));
    near(&data[1], probability(2.5, 200.0, 2.0, 0.0));
    near(&data[2], probability(3.0, 300.0, 0.0, 0.0));
}

#[tokio::test]
async fn missing_values_are_null_nan_or_bare_words() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let expected = probability(0.0, 500.0, 0.0, 0.0);
    for missing in ["null", "\"NaN\"", "NaN"] {
        let body = format!(
            r#"{{"inputs": [{{"name":"dep_hour","shape":[1],"datatype":"FP64","data":[{missing}]}},
            {{"name":"distance","shape":[1],"datatype":"FP64","data":[500]}},{{"name":"carrier","shape":[1],"datatype":"BYTES","data":[null]}}]}}"#
        );
        let answer = server.post_raw(INFER, &[], body.into_bytes()).await;
        assert_eq!(answer.status, StatusCode::OK, "{missing}: {}", answer.text());
        near(&answer.json()["outputs"][1]["data"][0], expected);
    }
}

#[tokio::test]
async fn infinity_is_a_number_and_what_json_cannot_say_is_null() {
    let server = Server::with_model(&TestModel::regression(1.0)).await;
    let body = r#"{"inputs":[{"name":"x","shape":[3],"datatype":"FP64","data":[-Infinity, "Infinity", 1]}]}"#;
    let reply = server.post_raw(INFER, &[], body.as_bytes().to_vec()).await.json();
    assert_eq!(reply["outputs"][0]["data"], json!([null, null, 2.0]));
}

#[tokio::test]
async fn the_key_is_an_optional_input_and_never_reaches_the_model() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let mut body = flight();
    body["inputs"].as_array_mut().unwrap().push(tensor("flight_id", "BYTES", json!(["2013-06-01/AA/1"])));
    assert_eq!(server.post(INFER, body).await.status, StatusCode::OK);
    let mut number = flight();
    number["inputs"].as_array_mut().unwrap().push(tensor("flight_id", "INT64", json!([42])));
    assert_eq!(server.post(INFER, number).await.status, StatusCode::OK);
}

#[tokio::test]
async fn regression_and_multiclass_have_outputs_of_their_own() {
    let regression = Server::with_model(&TestModel::regression(5.0)).await;
    let body = json!({ "inputs": [tensor("x", "FP64", json!([1.5, -5]))] });
    assert_eq!(
        regression.post(INFER, body).await.json()["outputs"],
        json!([{ "name": "prediction", "datatype": "FP64", "shape": [2], "data": [6.5, 0.0] }])
    );
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::multiclass()).await.unwrap();
    let reply = server.post(INFER, json!({ "inputs": [tensor("x", "FP64", json!([-9, 9]))] })).await.json();
    assert_eq!(
        reply["outputs"][0],
        json!({ "name": "label", "datatype": "BYTES", "shape": [2], "data": ["early", "never"] })
    );
    assert_eq!(
        (reply["outputs"][1]["shape"].clone(), reply["outputs"][1]["data"].as_array().unwrap().len()),
        (json!([2, 3]), 6)
    );
    let best = json!({ "inputs": [tensor("x", "FP64", json!([9]))], "outputs": [{ "name": "probabilities", "parameters": { "classification": 2 } }] });
    let reply = server.post(INFER, best).await.json();
    let classes: Vec<&str> = reply["outputs"][0]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().rsplit(':').next().unwrap())
        .collect();
    assert_eq!((classes, reply["outputs"][0]["shape"].clone()), (vec!["never", "late"], json!([1, 2])));
}

#[tokio::test]
async fn classes_are_named_in_the_type_of_the_outcomes() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::multiclass()).await.unwrap();
    let body = || json!({ "inputs": [tensor("x", "FP64", json!([-9, 9]))] });
    let reply = server.post(INFER, body()).await.json();
    assert_eq!(reply["parameters"]["classes"], json!(r#"["early","late","never"]"#));
    server.test.deploy(&project, "delay", &TestModel::multiclass_of_integers()).await.unwrap();
    let reply = server.post(INFER, body()).await.json();
    assert_eq!(reply["outputs"][0], json!({ "name": "label", "datatype": "INT64", "shape": [2], "data": [1, 10] }));
    assert_eq!(reply["parameters"]["classes"], json!("[1,2,10]"));
    let metadata = server.get("/v2/models/delay").await.json();
    assert_eq!(metadata["properties"]["classes"], json!([1, 2, 10]));
    assert_eq!(metadata["outputs"][0], json!({ "name": "label", "datatype": "INT64", "shape": [-1] }));
}

#[tokio::test]
async fn outputs_are_those_asked_for_in_that_order() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let mut body = flight();
    body["outputs"] = json!([{ "name": "probability" }]);
    let reply = server.post(INFER, body.clone()).await.json();
    assert_eq!(reply["outputs"].as_array().unwrap().len(), 1);
    body["outputs"] = json!([{ "name": "score" }]);
    refused(&server.post(INFER, body).await, &["output `score`", "label, probability"]);
}

#[tokio::test]
async fn no_rows_are_answered_with_none() {
    let server = Server::with_model(&TestModel::regression(0.0)).await;
    let answer =
        server.post(INFER, json!({ "inputs": [{ "name": "x", "shape": [0], "datatype": "FP64", "data": [] }] })).await;
    assert_eq!(
        (answer.status, answer.json()["outputs"][0]["data"].clone()),
        (StatusCode::OK, json!([])),
        "{}",
        answer.text()
    );
}

fn refused(answer: &Answer, words: &[&str]) {
    let reply = answer.json();
    let text = reply["error"].as_str().unwrap_or_else(|| panic!("no text in `error`: {reply}"));
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[tokio::test]
async fn each_wrong_request_is_refused_by_name_of_the_column() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let change = |place: usize, tensor: Value| {
        let mut body = flight();
        body["inputs"][place] = tensor;
        body
    };
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (json!({}), vec!["inputs"]),
        (json!({ "inputs": [] }), vec!["`inputs` is empty"]),
        (change(0, tensor("dep_hour", "FLOAT", json!([1]))), vec!["`dep_hour`", "`FLOAT`", "FP64"]),
        (change(0, tensor("dep_hour", "FP64", json!(["soon"]))), vec!["`dep_hour`", "`soon`", "expected a number"]),
        (change(0, tensor("dep_hour", "INT32", json!([1.5]))), vec!["`dep_hour`", "`1.5`", "whole number"]),
        (change(0, tensor("dep_hour", "INT8", json!([200]))), vec!["`dep_hour`", "`200`", "8 bits"]),
        (change(0, tensor("dep_hour", "UINT8", json!([-1]))), vec!["`dep_hour`", "`-1`"]),
        (change(0, tensor("dep_hour", "INT64", json!([9_007_199_254_740_993_i64]))), vec!["`dep_hour`", "exactly"]),
        (change(0, tensor("dep_hour", "INT32", json!([null]))), vec!["`dep_hour`", "null"]),
        (change(0, tensor("dep_hour", "BOOL", json!([2]))), vec!["`dep_hour`", "true or false"]),
        (change(0, tensor("dep_hour", "FP16", json!([2]))), vec!["`dep_hour`", "FP32"]),
        (change(0, tensor("dep_hour", "BYTES", json!(["7"]))), vec!["`dep_hour`", "takes numbers", "`7`"]),
        (change(2, tensor("carrier", "FP64", json!([7]))), vec!["`carrier`", "takes text"]),
        (change(2, tensor("carrier", "BYTES", json!([7]))), vec!["`carrier`", "expected a text"]),
        (
            change(0, json!({ "name": "dep_hour", "shape": [2], "datatype": "FP64", "data": [1] })),
            vec!["`dep_hour`", "1 elements", "says 2"],
        ),
        (
            change(0, json!({ "name": "dep_hour", "shape": [-1], "datatype": "FP64", "data": [1] })),
            vec!["`dep_hour`", "negative dimension -1"],
        ),
        (
            change(0, json!({ "name": "dep_hour", "shape": [1, 2], "datatype": "FP64", "data": [1, 2] })),
            vec!["`dep_hour`", "[1, 2]", "[n] or [n, 1]"],
        ),
        (
            change(0, json!({ "name": "dep_hour", "shape": [], "datatype": "FP64", "data": [1] })),
            vec!["`dep_hour`", "[]"],
        ),
        (
            change(0, json!({ "name": "dep_hour", "shape": [2], "datatype": "FP64", "data": [1, 2] })),
            vec!["1 rows", "`dep_hour` has 2"],
        ),
        (
            change(0, json!({ "name": "dep_hour", "shape": [1], "datatype": "FP64" })),
            vec!["`dep_hour`", "neither `data`"],
        ),
        (change(0, json!({ "name": "dep_hour", "shape": [1], "datatype": "FP64", "data": 1 })), vec!["not an array"]),
        (change(0, json!({ "name": "dep_hour", "shape": [1], "datatype": "FP64", "data": [{}] })), vec!["object"]),
        (change(0, tensor("distance", "FP64", json!([1]))), vec!["`distance` is sent twice"]),
        (change(0, tensor("speed", "FP64", json!([1]))), vec!["`speed` is not known", "dep_hour, distance, carrier"]),
        (
            json!({ "inputs": [tensor("dep_hour", "FP64", json!([1])), tensor("carrier", "BYTES", json!(["AA"]))] }),
            vec!["`distance` is missing"],
        ),
    ];
    for (body, words) in cases {
        refused(&server.post(INFER, body).await, &words);
    }
    refused(&server.post_raw(INFER, &[], b"not json".to_vec()).await, &["cannot parse the request"]);
    refused(&server.post_raw(INFER, &[("content-encoding", "br")], b"{}".to_vec()).await, &["`br`", "gzip"]);
}

#[tokio::test]
async fn a_huge_body_or_too_many_rows_are_refused() {
    let server = Server::with_model(&TestModel::regression(0.0)).await;
    let huge = server.post_raw(INFER, &[], vec![b' '; perennial_api::limits::INFER_BYTES_MAX + 1]).await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(huge.json()["error"].as_str().unwrap().contains("larger than"));
    let rows = perennial_api::limits::INFER_ROWS_MAX + 1;
    let many = server
        .post(INFER, json!({ "inputs": [{ "name": "x", "shape": [rows], "datatype": "FP64", "data": vec![0; rows] }] }))
        .await;
    assert_eq!(many.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(many.json()["error"].as_str().unwrap().contains("`x`"));
}

#[tokio::test]
async fn many_rows_are_answered_beside_the_connection() {
    let server = Server::with_model(&TestModel::regression(1.0)).await;
    let values: Vec<f64> = (0..10_000).map(f64::from).collect();
    let reply = server
        .post(INFER, json!({ "inputs": [{ "name": "x", "shape": [10_000], "datatype": "FP64", "data": values }] }))
        .await
        .json();
    let data = reply["outputs"][0]["data"].as_array().unwrap();
    assert_eq!((data.len(), data[9_999].as_f64()), (10_000, Some(10_000.0)));
}

#[tokio::test]
async fn unknown_models_and_versions_are_not_found() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    for path in ["/v2/models/other/infer", "/v2/models/delay/versions/2/infer", "/v2/models/delay/versions/x/infer"] {
        let answer = server.post(path, flight()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text());
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(server.post("/v2/models/delay/versions/1/infer", flight()).await.json()["model_version"], json!("1"));
}

#[tokio::test]
async fn metadata_describes_inputs_and_outputs() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let reply = server.get("/v2/models/delay").await.json();
    assert_eq!(reply["versions"], json!(["1"]));
    assert_eq!(reply["platform"], json!("onnx_onnxv1"));
    assert_eq!(
        reply["inputs"],
        json!([
            { "name": "dep_hour", "datatype": "FP64", "shape": [-1] },
            { "name": "distance", "datatype": "FP64", "shape": [-1] },
            { "name": "carrier", "datatype": "BYTES", "shape": [-1] },
        ])
    );
    assert_eq!(
        reply["outputs"],
        json!([{ "name": "label", "datatype": "INT64", "shape": [-1] }, { "name": "probability", "datatype": "FP64", "shape": [-1] }])
    );
    assert_eq!(server.get("/v2/models/delay/versions/1").await.json()["inputs"], reply["inputs"]);
    for path in ["/v2", "/v2/"] {
        let metadata = server.get(path).await.json();
        assert!(metadata["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")), "{path}");
    }
    assert_eq!(server.get("/v2/models/delay/ready").await.json(), json!({ "name": "delay", "ready": true }));
    assert_eq!(server.get("/v2/models/delay/versions/7/ready").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/v2/health/ready").await.json(), json!({ "live": true, "ready": true }));
    assert_eq!(server.get("/v2/health/live").await.json(), json!({ "live": true }));
    let index = server.call(http::Method::POST, "/v2/repository/index", None).await;
    assert_eq!(index.json(), json!([{ "name": "delay", "version": "1", "state": "READY", "reason": "" }]));
}

#[tokio::test]
async fn an_endpoint_whose_model_is_not_loaded_is_not_ready() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    // Another server over the same store, which has not opened its endpoints yet.
    let services = perennial_testkit::TestApp::beside(&server.test).await.unwrap();
    let router = perennial_api::router(services.app.clone(), perennial_http::Options::default());
    let fresh = Server { test: services, router, admin: server.admin.clone() };
    let answer = fresh.post(INFER, flight()).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, Some("1")),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn an_endpoint_that_cannot_answer_makes_the_server_not_ready_and_requests_get_the_cause() {
    let (server, project) = Server::with_project().await;
    let model = TestModel::binary(0.0);
    server.test.deploy(&project, "delay", &model).await.unwrap();
    assert_eq!(server.get("/ready").await.status, StatusCode::OK);
    let gone = perennial_core::blob::BlobDigest::of(&model.onnx);
    server.test.app.kernel.services.blobs.delete(gone).await.unwrap();
    let services = perennial_testkit::TestApp::beside(&server.test).await.unwrap();
    services.app.endpoints.open_all().await.unwrap();
    let router = perennial_api::router(services.app.clone(), perennial_http::Options::default());
    let fresh = Server { test: services, router, admin: server.admin.clone() };
    for probe in ["/ready", "/v2/health/ready"] {
        let answer = fresh.get(probe).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{probe}");
        assert!(answer.text().contains("endpoints that cannot answer: 1"), "{probe}: {}", answer.text());
        assert!(!answer.text().contains("delay"), "{probe} is public and names no endpoint: {}", answer.text());
    }
    assert_eq!(fresh.get("/health").await.status, StatusCode::OK);
    let answer = fresh.post(INFER, flight()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains(&gone.to_string()), "the cause: {}", answer.text());
    let listed = fresh.get("/api/v1/projects/flights/endpoints/delay").await.json();
    assert_eq!((&listed["is_ready"], &listed["routes"]), (&json!(false), &json!([])), "{listed}");
    assert!(listed["fault"]["message"].as_str().unwrap().contains(&gone.to_string()), "{listed}");
}

#[tokio::test]
async fn every_answered_request_is_in_the_prediction_log() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let reply = server.post(INFER, flight()).await.json();
    let log = format!("{}/delay", project.id);
    let predictions = &server.test.app.kernel.services.predictions;
    let segment = predictions.read(&log, predictions.seal(&log).unwrap()[0]).unwrap();
    let values = |name: &str| &segment.columns.iter().find(|column| column.name == name).unwrap().values;
    let text = |text: &str| Values::Text(TextColumn::encode([Some(text)]));
    assert_eq!(*values("request_id"), text(reply["parameters"]["request_id"].as_str().unwrap()));
    assert_eq!(*values("in_carrier"), text("AA"));
    assert_eq!(*values("version"), Values::Int(vec![1]));
    assert_eq!(*values("status"), Values::Int(vec![200]));
    assert_eq!(*values("score"), Values::Float(vec![reply["outputs"][1]["data"][0].as_f64().unwrap()]));
}

#[tokio::test]
async fn other_project_files_have_other_keys() {
    let (server, _) = Server::with_project().await;
    let project = server.test.submit(&toml_text::set(PROJECT_FILE, "task.key", "['tail', 'day']")).await.unwrap();
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let mut body = flight();
    body["inputs"].as_array_mut().unwrap().push(tensor("day", "INT64", json!([1])));
    assert_eq!(server.post(INFER, body.clone()).await.status, StatusCode::OK);
    body["inputs"].as_array_mut().unwrap().push(tensor("flight_id", "INT64", json!([1])));
    refused(&server.post(INFER, body).await, &["`flight_id` is not known"]);
}
