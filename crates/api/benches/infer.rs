//! One-row requests over HTTP: how many a second, and what one costs.
//!
//! `cargo bench -p perennial-api` prints the processor time of one request through the router
//! alone, then requests a second over 8 connections of this same process, with the prediction log on.

#![expect(clippy::expect_used, reason = "a benchmark that cannot begin says why and ends")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::Request;
use perennial_core::permission::Role;
use perennial_testkit::{TestApp, TestModel};
use tower::ServiceExt;

const CONNECTIONS: usize = 8;
const DURATION: Duration = Duration::from_secs(5);
const BODY: &str = r#"{"inputs":[{"name":"dep_hour","shape":[1],"datatype":"FP64","data":[7]},{"name":"distance","shape":[1],"datatype":"FP64","data":[500]},{"name":"carrier","shape":[1],"datatype":"BYTES","data":["AA"]},{"name":"flight_id","shape":[1],"datatype":"BYTES","data":["2013-06-01/AA/1"]}]}"#;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (test, token) = runtime.block_on(async {
        let (test, project) = TestApp::with_project().await.expect("an application");
        test.deploy(&project, "delay", &TestModel::binary(0.0)).await.expect("a model");
        let token = test.token("bench", Role::Viewer, Some(&project)).await.expect("a token");
        (test, token)
    });
    let router = perennial_api::router(test.app.clone(), perennial_http::Options::default());
    runtime.block_on(alone(router.clone(), &token));
    let address = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(perennial_http::serve(
            listener,
            perennial_http::PlainTcp,
            router,
            std::future::pending(),
            perennial_http::ServeLimits::default(),
        ));
        address
    });
    over_connections(address, &token);
}

fn request(token: &str) -> Request<Body> {
    let request = Request::post("/v2/models/delay/infer")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"));
    request.body(Body::from(BODY)).expect("a request")
}

/// Nanoseconds this thread was on a processor.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default()
}

async fn alone(router: axum::Router, token: &str) {
    const ROUNDS: u32 = 50_000;
    for _ in 0..1_000 {
        assert!(router.clone().oneshot(request(token)).await.is_ok_and(|answer| answer.status() == 200));
    }
    let before = processor_ns();
    for _ in 0..ROUNDS {
        let answer = router.clone().oneshot(request(token)).await;
        std::hint::black_box(&answer);
    }
    println!(
        "router alone, log on: {:.2} µs of processor time a request",
        (processor_ns() - before) as f64 / f64::from(ROUNDS) / 1e3
    );
}

fn over_connections(address: SocketAddr, token: &str) {
    let text = format!(
        "POST /v2/models/delay/infer HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let text = text.clone();
            std::thread::spawn(move || ask(address, text.as_bytes()))
        })
        .collect();
    let mut latencies: Vec<Duration> =
        clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect();
    latencies.sort();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    let rate = latencies.len() as f64 / DURATION.as_secs_f64();
    println!("{CONNECTIONS} connections: {rate:.0} requests a second, p50 {:?}, p99 {:?}", at(0.5), at(0.99));
}

/// Asks one request after the other; gives how long each took.
fn ask(address: SocketAddr, text: &[u8]) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (began, mut latencies, mut buffer) = (Instant::now(), Vec::new(), [0; 8192]);
    while began.elapsed() < DURATION {
        let sent = Instant::now();
        stream.write_all(text).expect("sent");
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..count]));
        latencies.push(sent.elapsed());
    }
    latencies
}
