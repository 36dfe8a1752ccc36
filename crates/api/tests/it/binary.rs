use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use async_trait::async_trait;
use flate2::Compression;
use http::StatusCode;
use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::port::model::LoadedModel;
use perennial_release::{Deployment, LoadedVersion, Routes};
use perennial_testkit::TestModel;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const INFER: &str = "/v2/models/delay/infer";

fn texts(values: &[&str]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|text| [(text.len() as u32).to_le_bytes().to_vec(), text.as_bytes().to_vec()].concat())
        .collect()
}

fn raw(name: &str, datatype: &str, rows: usize, bytes: &[u8]) -> (Value, Vec<u8>) {
    (
        json!({ "name": name, "shape": [rows, 1], "datatype": datatype, "parameters": { "binary_data_size": bytes.len() } }),
        bytes.to_vec(),
    )
}

/// A request as `tritonclient` sends it: JSON, then the tensors, no content type.
fn request(inputs: &[(Value, Vec<u8>)], more: Value) -> (usize, Vec<u8>) {
    let mut json = json!({ "inputs": inputs.iter().map(|(input, _)| input.clone()).collect::<Vec<_>>() });
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut body = json.to_string().into_bytes();
    let length = body.len();
    body.extend(inputs.iter().flat_map(|(_, bytes)| bytes.clone()));
    (length, body)
}

async fn send(server: &Server, length: usize, body: Vec<u8>) -> Answer {
    server.post_raw(INFER, &[("inference-header-content-length", &length.to_string())], body).await
}

fn two_flights() -> Vec<(Value, Vec<u8>)> {
    let hours: Vec<u8> = [7_f64, 8.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let distances: Vec<u8> = [500_i32, 1_000].iter().flat_map(|value| value.to_le_bytes()).collect();
    vec![
        raw("dep_hour", "FP64", 2, &hours),
        raw("distance", "INT32", 2, &distances),
        raw("carrier", "BYTES", 2, &texts(&["AA", "Ü"])),
    ]
}

/// The outputs of a binary answer: their JSON, and each one's bytes.
fn split(answer: &Answer) -> (Value, Vec<Vec<u8>>) {
    let length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    let json: Value = serde_json::from_slice(&answer.bytes[..length]).unwrap();
    let mut rest = &answer.bytes[length..];
    let outputs = json["outputs"].as_array().unwrap().iter().map(|output| {
        let size = output["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
        let (taken, behind) = rest.split_at(size);
        rest = behind;
        taken.to_vec()
    });
    let outputs = outputs.collect();
    assert!(rest.is_empty());
    (json, outputs)
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

#[tokio::test]
async fn raw_tensors_are_answered_with_raw_tensors() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let (length, body) = request(&two_flights(), json!({ "parameters": { "binary_data_output": true } }));
    let answer = send(&server, length, body).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::OK, Some("application/octet-stream")),
        "{}",
        answer.text()
    );
    let (json, outputs) = split(&answer);
    assert_eq!((json["outputs"][0]["shape"].clone(), json["outputs"][0].get("data")), (json!([2]), None));
    assert_eq!(outputs[0], [1_i64.to_le_bytes(), 1_i64.to_le_bytes()].concat());
    let expected = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    let probabilities = doubles(&outputs[1]);
    assert!(
        (probabilities[0] - expected(1.7)).abs() < 1e-6 && (probabilities[1] - expected(1.85)).abs() < 1e-6,
        "{probabilities:?}"
    );
}

#[tokio::test]
async fn a_json_request_may_ask_for_raw_outputs_and_each_output_for_itself() {
    let server = Server::with_model(&TestModel::regression(1.0)).await;
    let input = json!([{ "name": "x", "shape": [1], "datatype": "FP64", "data": [2] }]);
    let answer = server
        .post_raw(
            INFER,
            &[],
            json!({ "inputs": input, "parameters": { "binary_data_output": true } }).to_string().into_bytes(),
        )
        .await;
    assert_eq!(doubles(&split(&answer).1[0]), [3.0]);
    let own = json!({ "inputs": input, "parameters": { "binary_data_output": true }, "outputs": [{ "name": "prediction", "parameters": { "binary_data": false } }] });
    let answer = server.post_raw(INFER, &[], own.to_string().into_bytes()).await;
    assert_eq!(
        (answer.header("inference-header-content-length"), answer.json()["outputs"][0]["data"].clone()),
        (None, json!([3.0]))
    );
}

#[tokio::test]
async fn texts_and_numbers_of_every_type_are_read() {
    let server = Server::with_model(&TestModel::regression(0.0)).await;
    let cases: [(&str, Vec<u8>, f64); 12] = [
        ("BOOL", vec![1], 1.0),
        ("INT8", vec![0xff], -1.0),
        ("INT16", (-300_i16).to_le_bytes().to_vec(), -300.0),
        ("INT32", (-70_000_i32).to_le_bytes().to_vec(), -70_000.0),
        ("INT64", (-(1_i64 << 40)).to_le_bytes().to_vec(), -1_099_511_627_776.0),
        ("UINT8", vec![200], 200.0),
        ("UINT16", 60_000_u16.to_le_bytes().to_vec(), 60_000.0),
        ("UINT32", 4_000_000_000_u32.to_le_bytes().to_vec(), 4_000_000_000.0),
        ("UINT64", 12_u64.to_le_bytes().to_vec(), 12.0),
        ("FP16", vec![0x00, 0xc1], -2.5),
        ("BF16", vec![0x20, 0x40], 2.5),
        ("FP32", 0.5_f32.to_le_bytes().to_vec(), 0.5),
    ];
    for (datatype, bytes, expected) in cases {
        let (length, body) = request(&[raw("x", datatype, 1, &bytes)], json!({}));
        let reply = send(&server, length, body).await.json();
        assert_eq!(reply["outputs"][0]["data"], json!([expected as f32]), "{datatype}");
    }
}

#[tokio::test]
async fn sizes_that_do_not_add_up_are_refused_by_name() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let flights = two_flights();
    let (length, body) = request(&flights, json!({}));
    let with = |place: usize, tensor: (Value, Vec<u8>)| {
        let mut changed = flights.clone();
        changed[place] = tensor;
        request(&changed, json!({}))
    };
    let cases = [
        ((length, body[..body.len() - 1].to_vec()), "`carrier`"),
        ((length, [body.clone(), vec![0]].concat()), "1 bytes at the end"),
        ((body.len() + 1, body.clone()), "`Inference-Header-Content-Length`"),
        (with(0, raw("dep_hour", "FP64", 2, &[0; 15])), "`dep_hour` has 15 bytes, expected 2 elements of 8"),
        (with(2, raw("carrier", "BYTES", 2, &texts(&["AA"]))), "`carrier` end within element 1"),
        (with(2, raw("carrier", "BYTES", 1, &texts(&["AA", "UA"]))), "rows"),
        (with(2, raw("carrier", "BYTES", 2, &[255, 255, 255, 255])), "`carrier` end within element 0"),
        (
            with(2, raw("carrier", "BYTES", 2, &[texts(&["AA"]), vec![1, 0, 0, 0, 0xff]].concat())),
            "element 1 of input `carrier` is not UTF-8",
        ),
        (
            with(0, raw("dep_hour", "INT64", 2, &[[0xff; 8], i64::MAX.to_le_bytes()].concat())),
            "`dep_hour` takes numbers that a double holds exactly, got `9223372036854775807`",
        ),
    ];
    for ((length, body), wanted) in cases {
        let answer = send(&server, length, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wanted}");
        assert!(answer.json()["error"].as_str().unwrap().contains(wanted), "{wanted}: {}", answer.text());
    }
    let no_number = server.post_raw(INFER, &[("inference-header-content-length", "many")], body).await;
    assert_eq!(no_number.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn compressed_requests_are_read_and_one_that_unfolds_without_end_is_not() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let (length, body) = request(&two_flights(), json!({}));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&body).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&body).unwrap();
    for (encoding, compressed) in [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap())] {
        // The header counts uncompressed bytes.
        let headers = [("content-encoding", encoding), ("inference-header-content-length", &length.to_string())];
        let answer = server.post_raw(INFER, &headers, compressed).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}: {}", answer.text());
    }
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1024 * 1024];
    (0..=perennial_api::limits::INFER_BYTES_MAX / zeros.len()).for_each(|_| bomb.write_all(&zeros).unwrap());
    let answer = server.post_raw(INFER, &[("content-encoding", "gzip")], bomb.finish().unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let broken = server.post_raw(INFER, &[("content-encoding", "gzip")], b"plain".to_vec()).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
}

/// Predicts with another model, and records the threads on which it was called.
struct Recording(Arc<dyn LoadedModel>, Mutex<Vec<ThreadId>>);

#[async_trait]
impl LoadedModel for Recording {
    fn signature(&self) -> &Arc<Signature> {
        self.0.signature()
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        self.1.lock().unwrap().push(std::thread::current().id());
        self.0.predict(frame).await
    }
}

#[tokio::test]
async fn a_small_compressed_request_is_answered_on_a_blocking_thread() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let current = Deployment::clone(&server.test.app.endpoints.router.find("delay").unwrap());
    let champion = current.champion().clone();
    let recording = Arc::new(Recording(champion.model.clone(), Mutex::default()));
    let routes = Routes::new(LoadedVersion { model: recording.clone(), ..champion });
    server.test.app.endpoints.router.replace(Deployment { routes, ..current }).await;
    let (length, body) = request(&two_flights(), json!({}));
    let length = length.to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&body).unwrap();
    let plain = [("inference-header-content-length", length.as_str())];
    server.post_raw(INFER, &plain, body).await;
    let compressed = [("inference-header-content-length", length.as_str()), ("content-encoding", "gzip")];
    server.post_raw(INFER, &compressed, gzip.finish().unwrap()).await;
    let [first, second] = recording.1.lock().unwrap()[..] else { panic!("two requests are answered") };
    assert_eq!(first, std::thread::current().id());
    assert_ne!(second, first, "its decompressed size is unknown");
}

#[tokio::test]
async fn integer_classes_come_as_integers() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::multiclass_of_integers()).await.unwrap();
    let bytes: Vec<u8> = [-9_f64, 9.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let (length, body) =
        request(&[raw("x", "FP64", 2, &bytes)], json!({ "parameters": { "binary_data_output": true } }));
    let (_, outputs) = split(&send(&server, length, body).await);
    assert_eq!(outputs[0], [1_i64, 10].iter().flat_map(|class| class.to_le_bytes()).collect::<Vec<u8>>());
}

#[tokio::test]
async fn classes_come_as_prefixed_texts() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::multiclass()).await.unwrap();
    let bytes: Vec<u8> = [-9_f64, 9.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let (length, body) =
        request(&[raw("x", "FP64", 2, &bytes)], json!({ "parameters": { "binary_data_output": true } }));
    let (_, outputs) = split(&send(&server, length, body).await);
    assert_eq!(outputs[0], texts(&["early", "never"]));
    assert_eq!(doubles(&outputs[1]).len(), 6);
}
