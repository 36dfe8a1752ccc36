//! The settings of an endpoint in the project file hold as soon as a submission is applied.

use std::io::Write;

use flate2::Compression;
use http::StatusCode;
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestModel};
use serde_json::json;

use crate::support::Server;

const INFER: &str = "/v2/models/delay/infer";
const INVOCATIONS: &str = "/endpoints/delay/invocations";

#[tokio::test]
async fn an_endpoint_takes_requests_up_to_the_size_it_declares() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::regression(0.0)).await.unwrap();
    let declares = |size: &str| set(PROJECT_FILE, "endpoints.delay.max_body", &format!("'{size}'"));
    let status =
        async |path: &str, headers: &[(&str, &str)], body: Vec<u8>| server.post_raw(path, headers, body).await.status;
    for (size, expected) in [("1 kB", StatusCode::PAYLOAD_TOO_LARGE), ("2 kB", StatusCode::BAD_REQUEST)] {
        server.test.submit(&declares(size)).await.unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&[b' '; 1_001]).unwrap();
        let compressed = gzip.finish().unwrap();
        for path in [INFER, INVOCATIONS] {
            assert_eq!(status(path, &[], vec![b' '; 1_001]).await, expected, "{path} {size}");
            let headers = [("content-encoding", "gzip")];
            assert_eq!(status(path, &headers, compressed.clone()).await, expected, "{path} {size}, compressed");
            assert_eq!(status(path, &[], vec![b' '; 1_000]).await, StatusCode::BAD_REQUEST, "{path} {size}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_declared_no_more_is_not_there_after_a_start_either() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::regression(0.0)).await.unwrap();
    let asked = json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP64", "data": [1.0] }] });
    assert_eq!(server.post(INFER, asked.clone()).await.status, StatusCode::OK);
    let (without, _) = PROJECT_FILE.split_once("[endpoints.delay]").unwrap();
    server.test.submit(without).await.unwrap();
    assert_eq!(server.post(INFER, asked.clone()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/api/v1/projects/flights/endpoints").await.json()["items"], json!([]));
    server.test.app.endpoints.open_all().await.unwrap();
    assert_eq!(server.post(INFER, asked).await.status, StatusCode::NOT_FOUND);
    let ledger = server.get("/api/v1/projects/flights/ledger?limit=1").await.json();
    let entry = &ledger["items"][0];
    assert_eq!(
        (&entry["noun"], &entry["subject"], &entry["verb"]),
        (&json!("endpoint"), &json!("delay"), &json!("retire"))
    );
}
