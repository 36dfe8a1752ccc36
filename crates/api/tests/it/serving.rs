//! Serving over real connections, also while the routes of an endpoint change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use perennial_http::{PlainTcp, ServeLimits};
use perennial_testkit::TestModel;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_swaps_under_load_drop_nothing_and_mix_no_versions() {
    let (server, project) = Server::with_project().await;
    // Version n answers x + 1000 n.
    server.test.deploy(&project, "delay", &TestModel::regression(1_000.0)).await.unwrap();
    let server = Arc::new(server);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (server, stop, asked) = (server.clone(), stop.clone(), asked.clone());
            tokio::spawn(async move {
                let mut newest = 0;
                while !stop.load(Ordering::Acquire) {
                    let body =
                        json!({ "inputs": [{ "name": "x", "shape": [2], "datatype": "FP64", "data": [client, 1] }] });
                    let answer = server.post("/v2/models/delay/infer", body).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let reply = answer.json();
                    let version: u32 = reply["model_version"].as_str().unwrap().parse().unwrap();
                    let base = f64::from(version) * 1_000.0;
                    assert_eq!(reply["outputs"][0]["data"], json!([base + f64::from(client), base + 1.0]));
                    assert!(version >= newest, "version {version} answered after {newest}");
                    newest = version;
                    asked.fetch_add(1, Ordering::Relaxed);
                    // A connection waits for its client between two requests.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for number in 2..=101_i64 {
        let made =
            server.test.deploy(&project, "delay", &TestModel::regression(number as f32 * 1_000.0)).await.unwrap();
        assert_eq!(made, number);
        // The promotion is acknowledged: from now on no answer is an older version's.
        let reply = server
            .post(
                "/v2/models/delay/infer",
                json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP64", "data": [0] }] }),
            )
            .await
            .json();
        assert_eq!(reply["model_version"], json!(number.to_string()));
    }
    stop.store(true, Ordering::Release);
    for client in clients {
        client.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > 100);
}

struct Running {
    address: std::net::SocketAddr,
    token: String,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
    _server: Server,
}

async fn running(patience: Duration) -> Running {
    let server = Server::with_model(&TestModel::regression(1.0)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, router) = (listener.local_addr().unwrap(), server.router.clone());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        // A sender that is gone stops as well.
        let _ = stopped.await;
    };
    let limits = ServeLimits { patience, ..ServeLimits::default() };
    let ended = tokio::spawn(perennial_http::serve(listener, PlainTcp, router, shutdown, limits));
    Running { address, token: server.admin.clone(), stop, ended, _server: server }
}

fn request(token: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST /v2/models/delay/infer HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let is_whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").map(|text| text.parse::<usize>().unwrap())
            });
            body.len() >= length.unwrap_or(0)
        });
        if is_whole || count == 0 {
            return text;
        }
    }
}

#[tokio::test]
async fn a_connection_answers_one_request_after_the_other() {
    let running = running(Duration::MAX).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for x in 0..5 {
        let body = json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP64", "data": [x] }] });
        stream.write_all(request(&running.token, &body).as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(&format!("\"data\":[{}.0]", x + 1)), "{answer}");
    }
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_takes_nothing_new() {
    let Running { address, token, stop, ended, _server } = running(Duration::MAX).await;
    let whole =
        request(&token, &json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP64", "data": [41] }] }));
    let (first, rest) = whole.split_at(whole.len() - 5);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    // The server has read the head: the request is in flight.
    let mut other = TcpStream::connect(address).await.unwrap();
    other.write_all(request(&token, &json!({})).as_bytes()).await.unwrap();
    read_answer(&mut other).await;
    stop.send(()).unwrap();
    stream.write_all(rest.as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert!(answer.contains("\"data\":[42.0]"), "{answer}");
    ended.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_keeps_no_server_from_stopping() {
    let Running { address, token, stop, ended, _server } = running(Duration::ZERO).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = request(&token, &json!({})).replace("content-length: 2", "expect: 100-continue\r\ncontent-length: 200");
    stream.write_all(head.trim_end_matches("{}").as_bytes()).await.unwrap();
    // The server waits for the body.
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 100"));
    stop.send(()).unwrap();
    ended.await.unwrap();
    let refused = stream.try_read(&mut [0]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock, "the server waited for the connection to end");
}

#[tokio::test]
async fn a_client_that_waits_for_events_is_answered_when_the_server_stops() {
    let (server, project) = Server::with_project().await;
    let caller = server.test.system();
    let kind = perennial_execution::pipeline_runs::PipelineKind::Run;
    let run = perennial_execution::pipelines::request(
        &caller,
        &project,
        kind,
        perennial_core::cause::Cause::person("test"),
        &perennial_execution::pipelines::PipelineOptions::default(),
    )
    .await
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stopped) = (listener.local_addr().unwrap(), tokio_util::sync::CancellationToken::new());
    let (router, shutdown) = (server.router.clone(), stopped.clone().cancelled_owned());
    let ended = tokio::spawn(perennial_http::serve(listener, PlainTcp, router, shutdown, ServeLimits::default()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = format!("/api/v1/projects/flights/pipeline-runs/{}/events?wait_ms=30000", run.id);
    let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", server.admin);
    stream.write_all(text.as_bytes()).await.unwrap();
    let in_flight = tokio::time::timeout(Duration::from_secs(60), async {
        while server.get("/metrics").await.text().lines().all(|line| line != "perennial_requests_in_flight 2") {
            tokio::task::yield_now().await;
        }
    });
    assert!(in_flight.await.is_ok(), "the request is not in flight");
    let began = std::time::Instant::now();
    stopped.cancel();
    assert!(read_answer(&mut stream).await.contains("\"events\":[]"));
    ended.await.unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
