use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use perennial_testkit::TestModel;
use serde_json::json;

use crate::support::Server;

/// One sample of the text format: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads Prometheus' text format; panics where a line is none of it.
fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    let (mut kinds, mut samples) = (BTreeMap::new(), Vec::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "`{name}` appears twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (left, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) =
            left.split_once('{').map_or((left, ""), |(name, labels)| (name, labels.strip_suffix('}').unwrap()));
        let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            (key.to_owned(), value.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned())
        });
        let base = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|end| name.strip_suffix(end))
            .filter(|base| kinds.contains_key(*base))
            .unwrap_or(name);
        assert!(kinds.contains_key(base), "`{name}` has no type");
        samples.push((name.to_owned(), pairs.collect(), value.parse().unwrap()));
    }
    (kinds, samples)
}

#[tokio::test]
async fn metrics_count_requests_predictions_and_memory_in_prometheus_text() {
    let server = Server::with_model(&TestModel::regression(1.0)).await;
    for x in 0..3 {
        let body = json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP64", "data": [x] }] });
        assert_eq!(server.post("/v2/models/delay/infer", body).await.status, StatusCode::OK);
    }
    assert_eq!(server.post("/v2/models/delay/infer", json!({})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    let answer = server.get("/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let (kinds, samples) = parse(&answer.text());
    let value = |name: &str, wanted: &[(&str, &str)]| {
        let found = samples.iter().find(|(found, labels, _)| {
            found == name && wanted.iter().all(|(key, value)| labels.get(*key).map(String::as_str) == Some(*value))
        });
        found.map(|(_, _, value)| *value)
    };
    let route = ("route", "/v2/models/{endpoint}/infer");
    assert_eq!(value("perennial_http_requests_total", &[route, ("status", "200")]), Some(3.0));
    assert_eq!(value("perennial_http_requests_total", &[route, ("status", "400")]), Some(1.0));
    assert_eq!(value("perennial_http_requests_total", &[("route", "unknown"), ("status", "404")]), Some(1.0));
    assert_eq!(value("perennial_http_request_seconds_count", &[route]), Some(4.0));
    assert_eq!(value("perennial_http_request_seconds_bucket", &[route, ("le", "+Inf")]), Some(4.0));
    assert_eq!(
        value("perennial_prediction_requests_total", &[("endpoint", "delay"), ("version", "1"), ("role", "champion")]),
        Some(3.0)
    );
    let endpoint = [("project", "flights"), ("endpoint", "delay")];
    assert_eq!(value("perennial_prediction_seconds_count", &endpoint), Some(3.0));
    assert_eq!(value("perennial_prediction_seconds_bucket", &[endpoint[1], ("le", "+Inf")]), Some(3.0));
    assert_eq!(kinds["perennial_prediction_seconds"], "histogram");
    assert_eq!(value("perennial_endpoint_ready", &endpoint), Some(1.0));
    for gauge in ["perennial_alerts_firing", "perennial_loads_held", "perennial_approvals_waiting"] {
        assert_eq!(value(gauge, &[("project", "flights")]), Some(0.0), "{gauge}");
    }
    assert!(value("process_resident_memory_bytes", &[]).unwrap() > 1e6);
    assert_eq!(kinds["perennial_http_requests_total"], "counter");
    assert_eq!(kinds["perennial_http_request_seconds"], "histogram");
    let unique: BTreeSet<String> = samples.iter().map(|(name, labels, _)| format!("{name}{labels:?}")).collect();
    assert_eq!(unique.len(), samples.len(), "a series appears twice");
    let buckets: Vec<f64> = samples
        .iter()
        .filter(|(name, labels, _)| name.ends_with("_bucket") && labels.get("route").is_some_and(|of| of == route.1))
        .map(|(_, _, value)| *value)
        .collect();
    assert!(buckets.is_sorted(), "buckets are cumulative: {buckets:?}");
}
