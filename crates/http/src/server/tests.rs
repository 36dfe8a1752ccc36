use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const IDLE_MAX: Duration = Duration::from_millis(20);

/// A client's end of a connection to a server that answers `hello` at `/`.
fn connect(stopping: &CancellationToken, idle_max: Duration) -> DuplexStream {
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let (client, server) = tokio::io::duplex(4096);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    tokio::spawn(serve_connection(server, peer, router, stopping.clone(), idle_max));
    client
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
