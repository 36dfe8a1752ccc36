//! The server's Unix socket.

use std::time::Duration;

use perennial_http::serve_host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the server may take for anything.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// More connections than are open at once.
const ATTEMPTS: usize = 257;

/// A connection that has received a response and stays open.
async fn open(path: &std::path::Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: perennial\r\n\r\n").await.unwrap();
    stream
}

#[tokio::test]
async fn a_stop_ends_the_socket_while_all_of_its_connections_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let stop = CancellationToken::new();
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
    let stopped = stop.clone().cancelled_owned();
    let serving = tokio::spawn(serve_host(listener, |_| true, router, stopped, Duration::from_millis(100)));
    let mut connections = Vec::with_capacity(ATTEMPTS);
    for _ in 0..ATTEMPTS {
        connections.push(open(&path).await);
    }
    // All but the last are answered, which waits for one of them to close.
    for stream in &mut connections[..ATTEMPTS - 1] {
        timeout(WAIT_MAX, stream.read_u8()).await.expect("an answer").unwrap();
    }
    stop.cancel();
    timeout(WAIT_MAX, serving).await.expect("the socket is closed").unwrap();
}
