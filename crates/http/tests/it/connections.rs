//! Over real connections.

use axum::body::Body;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use perennial_http::{Access, PlainTcp, Transport, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Running, Server};

async fn start(transport: impl Transport) -> Running {
    let server = Server::start(|routes| {
        routes.get("/hello", Access::Authenticated, || async { "hello" }).post(
            "/echo",
            Access::Authenticated,
            |body: String| async move { body },
        )
    })
    .await;
    Running::over(server, transport, limits::CONNECTIONS_MAX).await
}

#[tokio::test]
async fn http2_is_answered_by_prior_knowledge_behind_the_same_checks() {
    let Running { address, stop, ended, server } = start(PlainTcp).await;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let ask = |request: http::request::Builder, body: &str| {
        let request = request.header("authorization", format!("Bearer {}", server.admin));
        client.request(request.body(Body::from(body.to_owned())).unwrap())
    };
    let (first, second) = tokio::join!(
        ask(Request::get(format!("http://{address}/hello")), ""),
        ask(Request::post(format!("http://{address}/echo")), "an echo"),
    );
    for (answer, expected) in [(first.unwrap(), "hello"), (second.unwrap(), "an echo")] {
        assert_eq!((answer.version(), answer.status()), (Version::HTTP_2, StatusCode::OK));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expected);
    }
    let foreign = Request::post(format!("http://{address}/echo")).header("origin", "http://evil.example.com");
    assert_eq!(ask(foreign, "").await.unwrap().status(), StatusCode::FORBIDDEN);
    stop.send(()).unwrap();
    ended.await.unwrap();
}

/// Makes no handshake with its first connection.
struct FirstHangs(std::sync::atomic::AtomicBool);

impl Transport for FirstHangs {
    type Stream = TcpStream;

    async fn handshake(&self, connection: TcpStream) -> std::io::Result<TcpStream> {
        if !self.0.swap(true, std::sync::atomic::Ordering::AcqRel) {
            std::future::pending::<()>().await;
        }
        Ok(connection)
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_delays_no_other_connection() {
    let running = start(FirstHangs(std::sync::atomic::AtomicBool::new(false))).await;
    let _hanging = TcpStream::connect(running.address).await.unwrap();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = format!(
        "GET /hello HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        running.server.admin
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
}
