//! Clients that exhaust a limit, over real connections: other clients are answered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use perennial_core::permission::Role;
use perennial_http::extract::Form;
use perennial_http::{Access, PlainTcp, limits, raise_open_file_limit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::{Running, Server};

/// Requests of the client that exhausts a limit: more than the server answers at once.
const ATTEMPTS: usize = limits::REQUESTS_MAX + 12;
/// How long the server may take for anything.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A server, and a semaphore that gets a permit when a long poll begins.
async fn start(connections_max: usize) -> (Running, Arc<Semaphore>) {
    raise_open_file_limit();
    let waiting = Arc::new(Semaphore::new(0));
    let begun = waiting.clone();
    let wait = move || async move {
        begun.add_permits(1);
        std::future::pending::<()>().await;
    };
    let server = Server::start(|routes| {
        routes
            .get("/hello", Access::Authenticated, || async { "hello" })
            .post("/sign-in", Access::Public, |Form(fields): Form<Vec<(String, String)>>| async move {
                fields.len().to_string()
            })
            .long_poll("/wait", Access::Authenticated, wait)
            .liveness("/health", || async { "alive" })
            .probe("/ready", || async { "ready" })
            .probe("/never", std::future::pending::<()>)
            .scrape("/metrics", Access::Authenticated, || async { "metrics" })
            .scrape("/endless", Access::Authenticated, std::future::pending::<()>)
    })
    .await;
    (Running::over(server, PlainTcp, connections_max).await, waiting)
}

/// A connection from an address of this machine, on which `request` was sent.
async fn send(address: SocketAddr, from: [u8; 4], request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((IpAddr::from(from), 0))).unwrap();
    let mut stream = timeout(WAIT_MAX, socket.connect(address)).await.expect("the server accepts").unwrap();
    // A server without room may have closed the connection.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

/// The response to `request`, which another address sends.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = send(address, [127, 0, 0, 2], request).await;
    let mut answer = String::new();
    timeout(WAIT_MAX, stream.read_to_string(&mut answer)).await.expect("the server answers").unwrap();
    answer
}

fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n")
}

fn sign_in(body: &str) -> String {
    format!(
        "POST /sign-in HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 7\r\n\r\n{body}"
    )
}

/// Sends `request` [`ATTEMPTS`] times from one address, and waits until all but `accepted` are refused with 429. Returns
/// the connections of those that wait.
async fn exhaust(
    address: SocketAddr,
    request: &str,
    accepted: usize,
) -> FuturesUnordered<impl Future<Output = String> + use<>> {
    let mut connections = Vec::new();
    for _ in 0..ATTEMPTS {
        connections.push(send(address, [127, 0, 0, 1], request).await);
    }
    let mut reading: FuturesUnordered<_> = connections
        .into_iter()
        .map(|mut stream| async move {
            let mut start = [0; 12];
            match stream.read_exact(&mut start).await {
                Ok(_) => String::from_utf8_lossy(&start).into_owned(),
                Err(error) => error.to_string(),
            }
        })
        .collect();
    for _ in 0..ATTEMPTS - accepted {
        let refused = timeout(WAIT_MAX, reading.next()).await.expect("requests beyond the share are refused");
        assert_eq!(refused.as_deref(), Some("HTTP/1.1 429"));
    }
    reading
}

fn assert_ok(answer: &str, body: &str) {
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(body), "{answer}");
}

#[tokio::test]
async fn half_sent_log_in_forms_leave_room_for_other_clients() {
    let (Running { address, server, stop, ended }, _) = start(limits::CONNECTIONS_MAX).await;
    let half_sent = exhaust(address, &sign_in("token"), limits::PUBLIC_REQUESTS_SHARE_MAX).await;
    assert_ok(&ask(address, &sign_in("token=a")).await, "1");
    assert_ok(&ask(address, &get("/hello", &server.admin)).await, "hello");
    assert_ok(&ask(address, &get("/health", "")).await, "alive");
    // Each form ends after a time, with or without its client.
    let late: Vec<String> = timeout(WAIT_MAX, half_sent.collect()).await.expect("a form has a deadline");
    assert!(late.iter().all(|answer| answer == "HTTP/1.1 504"), "{late:?}");
    stop.send(()).unwrap();
    ended.await.unwrap();
}

#[tokio::test]
async fn long_polls_of_one_viewer_leave_room_for_other_clients() {
    let (Running { address, server, stop: _stop, .. }, _) = start(limits::CONNECTIONS_MAX).await;
    let viewer = server.test.token("viewer", Role::Viewer, None).await.unwrap();
    let waiting = exhaust(address, &get("/wait", &viewer), limits::LONG_POLLS_SHARE_MAX).await;
    for (path, token, body) in
        [("/hello", &server.admin, "hello"), ("/hello", &viewer, "hello"), ("/metrics", &server.admin, "metrics")]
    {
        assert_ok(&ask(address, &get(path, token)).await, body);
    }
    assert_ok(&ask(address, &get("/health", "")).await, "alive");
    assert_eq!(waiting.len(), limits::LONG_POLLS_SHARE_MAX);
}

#[tokio::test]
async fn probes_and_scrapes_of_one_client_leave_room_for_those_of_others() {
    let (Running { address, server, stop: _stop, .. }, _) = start(limits::CONNECTIONS_MAX).await;
    let _probes = exhaust(address, &get("/never", ""), limits::PROBES_SHARE_MAX).await;
    let viewer = server.test.token("viewer", Role::Viewer, None).await.unwrap();
    let _scrapes = exhaust(address, &get("/endless", &viewer), limits::SCRAPES_SHARE_MAX).await;
    assert_ok(&ask(address, &get("/ready", "")).await, "ready");
    assert_ok(&ask(address, &get("/metrics", &server.admin)).await, "metrics");
    let mut same = send(address, [127, 0, 0, 1], &get("/health", "")).await;
    let mut answer = String::new();
    timeout(WAIT_MAX, same.read_to_string(&mut answer)).await.expect("the server answers").unwrap();
    assert_ok(&answer, "alive");
}

#[tokio::test]
async fn connections_without_requests_leave_room_for_other_clients() {
    const CONNECTIONS_MAX: usize = 16;
    let (Running { address, server, stop: _stop, .. }, _) = start(CONNECTIONS_MAX).await;
    let mut idle = Vec::new();
    for _ in 0..4 * CONNECTIONS_MAX {
        // The first line of a request, and nothing more.
        idle.push(send(address, [127, 0, 0, 1], "GET /hello HTTP/1.1\r\n").await);
    }
    assert_ok(&ask(address, &get("/hello", &server.admin)).await, "hello");
    assert_ok(&ask(address, &get("/health", "")).await, "alive");
}

#[tokio::test]
async fn probes_are_answered_while_every_connection_is_in_use() {
    const CONNECTIONS_MAX: usize = 4;
    let (Running { address, server, stop: _stop, .. }, waiting) = start(CONNECTIONS_MAX).await;
    let mut busy = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        busy.push(send(address, [127, 0, 0, 1], &get("/wait", &server.admin)).await);
    }
    let _begun =
        timeout(WAIT_MAX, waiting.acquire_many(CONNECTIONS_MAX as u32)).await.expect("all are in use").unwrap();
    let refused = ask(address, &get("/hello", &server.admin)).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    assert_ok(&ask(address, &get("/health", "")).await, "alive");
    assert_ok(&ask(address, &get("/metrics", &server.admin)).await, "metrics");
}
