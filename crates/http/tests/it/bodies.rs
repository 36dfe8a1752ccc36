//! The bytes of bodies, which are reserved before they are read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request as HttpRequest;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, StatusCode, header};
use perennial_core::permission::Role;
use perennial_http::{Access, HttpError, body, limits};
use tokio::sync::Semaphore;

use crate::support::{Answer, Server};

/// The largest body of the route.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

async fn server() -> Server {
    let read = |request: HttpRequest| async move {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts, body, BODY_BYTES_MAX).await?;
        Ok::<_, HttpError>(bytes.len().to_string())
    };
    Server::start(|routes| routes.post("/read", Access::Authenticated, read).post("/sign-in", Access::Public, read))
        .await
}

async fn authorization(server: &Server, name: &str) -> String {
    format!("Bearer {}", server.test.token(name, Role::Viewer, None).await.unwrap())
}

/// A body of `first` that never ends; `begun` gets a permit when the server reads on after it.
fn endless(first: Bytes, begun: Arc<Semaphore>) -> Body {
    let more = stream::once(async move {
        begun.add_permits(1);
        std::future::pending::<Result<Bytes, std::io::Error>>().await
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(more))
}

async fn post(server: &Server, authorization: &str, declared: Option<usize>, body: Body) -> Answer {
    let request = Request::post("/read").header(header::AUTHORIZATION, authorization);
    let request = declared.into_iter().fold(request, |request, bytes| request.header(header::CONTENT_LENGTH, bytes));
    server.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn bodies_of_one_principal_leave_room_for_those_of_others() {
    for declares in [true, false] {
        let (server, begun) = (Arc::new(server().await), Arc::new(Semaphore::new(0)));
        let (ada, bob) = (authorization(&server, "ada").await, authorization(&server, "bob").await);
        let share = (limits::BODY_BYTES_SHARE_MAX / BODY_BYTES_MAX as u64) as usize;
        let first = Bytes::from(vec![b'x'; if declares { 1 } else { BODY_BYTES_MAX }]);
        let reading: Vec<_> = (0..share)
            .map(|_| {
                let (server, ada, body) = (server.clone(), ada.clone(), endless(first.clone(), begun.clone()));
                tokio::spawn(async move { post(&server, &ada, declares.then_some(BODY_BYTES_MAX), body).await.status })
            })
            .collect();
        begun.acquire_many(share as u32).await.unwrap().forget();
        let further = || Body::from(vec![b'x'; 1024 * 1024]);
        let refused = post(&server, &ada, None, further()).await;
        assert_eq!(
            (refused.status, refused.text.as_str(), refused.header("retry-after")),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy: bodies of yours of 134217728 bytes are being processed",
                Some("1")
            )
        );
        assert_eq!(post(&server, &ada, None, Body::from("small")).await.text, "5", "small bodies are not counted");
        assert_eq!(post(&server, &bob, None, further()).await.text, "1048576");
        // A request that ends gives its bytes back.
        for reading in reading {
            reading.abort();
        }
        begun.close();
        server.test.app.kernel.work.stop(std::time::Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_body_without_credentials_has_to_be_small() {
    let server = server().await;
    let post = |bytes: usize| Request::post("/sign-in").body(Body::from("x".repeat(bytes))).unwrap();
    assert_eq!(server.send(post(limits::PUBLIC_BODY_BYTES_MAX)).await.status, StatusCode::OK);
    assert_eq!(server.send(post(limits::PUBLIC_BODY_BYTES_MAX + 1)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_compressed_body_reserves_what_it_may_hold() {
    let (server, begun) = (Arc::new(server().await), Arc::new(Semaphore::new(0)));
    let ada = authorization(&server, "ada").await;
    let reading: Vec<_> = (0..4)
        .map(|_| {
            let request = Request::post("/read").header(header::AUTHORIZATION, &ada).header("content-encoding", "gzip");
            let (server, request) = (server.clone(), request.body(endless(Bytes::from("x"), begun.clone())).unwrap());
            tokio::spawn(async move { server.send(request).await.status })
        })
        .collect();
    begun.acquire_many(4).await.unwrap().forget();
    let refused = post(&server, &ada, None, Body::from(vec![b'x'; 1024 * 1024])).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    reading.iter().for_each(tokio::task::JoinHandle::abort);
}
