use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::activity::Activity;
use super::*;

const IDLE_MAX: Duration = Duration::from_millis(20);

/// Bytes of the response at `/large`.
const LARGE: usize = 1024 * 1024;

/// A client's end of a connection to a server that answers `hello` at `/`, and the task that answers it.
fn accepted(stopping: &CancellationToken, idle_max: Duration) -> (DuplexStream, JoinHandle<()>) {
    let router = axum::Router::new()
        .route("/", axum::routing::get(|| async { "hello" }))
        .route("/large", axum::routing::get(|| async { "x".repeat(LARGE) }));
    let (client, server) = tokio::io::duplex(4096);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let seat = Connections::new(1).enter(peer.ip()).unwrap();
    let timeouts = Timeouts { idle: idle_max, write: idle_max };
    let answering = tokio::spawn(serve_connection(server, peer, router, stopping.clone(), seat, timeouts));
    (client, answering)
}

fn connect(stopping: &CancellationToken, idle_max: Duration) -> DuplexStream {
    accepted(stopping, idle_max).0
}

async fn ended(answering: JoinHandle<()>) {
    tokio::time::timeout(Duration::from_secs(10), answering).await.expect("the server gives up").unwrap();
}

async fn read_to_end(mut client: DuplexStream) -> String {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut answer)).await;
    closed.expect("the server closes the connection").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_closed() {
    let began = Instant::now();
    assert_eq!(read_to_end(connect(&CancellationToken::new(), IDLE_MAX)).await, "");
    assert!(began.elapsed() >= IDLE_MAX);
}

#[tokio::test]
async fn a_connection_that_stops_within_the_version_is_closed() {
    let mut client = connect(&CancellationToken::new(), IDLE_MAX);
    client.write_all(b"PRI * HT").await.unwrap();
    read_to_end(client).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_answer() {
    let mut client = connect(&CancellationToken::new(), IDLE_MAX);
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(read_to_end(client).await.ends_with("hello"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_the_server_stops() {
    let stopping = CancellationToken::new();
    let mut client = connect(&stopping, Duration::from_secs(3600));
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    client.read_u8().await.unwrap();
    stopping.cancel();
    assert!(read_to_end(client).await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_loses_its_connection() {
    for requests in [1, 1000] {
        let (mut client, answering) = accepted(&CancellationToken::new(), IDLE_MAX);
        let request = "GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(requests);
        // Of many requests the server reads as many as it answers.
        let _ = tokio::time::timeout(IDLE_MAX, client.write_all(request.as_bytes())).await;
        ended(answering).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_delay_a_stop_for_ever() {
    let stopping = CancellationToken::new();
    let (mut client, answering) = accepted(&stopping, IDLE_MAX);
    client.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    client.read_u8().await.unwrap();
    stopping.cancel();
    ended(answering).await;
}

#[tokio::test]
async fn an_http2_client_that_takes_no_part_of_a_response_loses_its_connection() {
    let (mut client, answering) = accepted(&CancellationToken::new(), IDLE_MAX);
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // SETTINGS: the window of each stream is 0.
    client.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await.unwrap();
    // HEADERS of stream 1: GET, http, path `/large`, authority `a`.
    let head = [&[0x82, 0x86, 0x04, 6][..], b"/large", &[0x01, 1], b"a"].concat();
    let frame = [&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1][..], &head].concat();
    client.write_all(&frame).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut answer = Vec::new();
        // The server may reset the stream.
        let _ = client.read_to_end(&mut answer).await;
        answer.len()
    });
    ended(answering).await;
    assert!(reading.await.unwrap() < LARGE, "the body is not sent");
}

#[tokio::test]
async fn a_client_that_reads_a_few_bytes_at_a_time_loses_its_connection() {
    let (mut client, answering) = accepted(&CancellationToken::new(), IDLE_MAX);
    client.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let reading = tokio::spawn(async move {
        let (mut read, mut pace) = (0, tokio::time::interval(Duration::from_millis(1)));
        while client.read_u8().await.is_ok() {
            read += 1;
            pace.tick().await;
        }
        read
    });
    ended(answering).await;
    assert!(reading.await.unwrap() < LARGE, "the rest is not sent");
}

#[test]
fn a_connection_that_writes_a_response_is_in_use_and_one_that_writes_pings_is_idle() {
    let activity = Activity::new();
    drop(activity.clone().begin());
    assert_eq!((activity.was_idle(), activity.was_idle()), (false, true));
    activity.written().fetch_add(limits::WRITTEN_MIN, Ordering::Relaxed);
    assert_eq!((activity.was_idle(), activity.was_idle()), (false, true));
    activity.written().fetch_add(limits::WRITTEN_MIN - 1, Ordering::Relaxed);
    assert!(activity.was_idle());
}

#[test]
fn a_response_that_is_not_read_keeps_its_request_in_flight() {
    let activity = Activity::new();
    let (answering, in_flight) = activity.clone().begin();
    drop(answering);
    assert!(activity.has_requests() && activity.idle_since().is_none());
    drop(in_flight);
    assert!(activity.idle_since().is_some());
}
