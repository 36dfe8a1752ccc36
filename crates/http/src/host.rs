//! The Unix socket over which commands of the server's own user reach it.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::server::ShutdownSignal;

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Marks a request over the server's Unix socket, by a process of the server's own user; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct HostPeer;

/// Answers connections of admitted peers until `shutdown` completes, then waits up to `patience` for requests in flight.
/// The connection of any other peer is closed.
pub async fn serve_host(
    listener: UnixListener,
    is_admitted: fn(&UCred) -> bool,
    router: axum::Router,
    shutdown: impl Future<Output = ()> + Send,
    patience: Duration,
) {
    let (connections, stopping) = (TaskTracker::new(), CancellationToken::new());
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // Shutdown also ends the wait for one of the connections to close.
        let next = async { (permits.clone().acquire_owned().await.ok(), listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            () = &mut shutdown => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(async move {
                    let _permit = permit;
                    match stream.peer_cred() {
                        Ok(peer) if is_admitted(&peer) => serve_connection(stream, router, stopping).await,
                        peer => tracing::warn!(?peer, "a connection to the Unix socket was refused"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the Unix socket was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.cancel();
    connections.close();
    if tokio::time::timeout(patience, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "stopped before all connections to the Unix socket ended");
    }
}

/// Answers the requests of one connection until its peer closes it or the server stops.
async fn serve_connection(stream: UnixStream, router: axum::Router, stopping: CancellationToken) {
    let signal = ShutdownSignal(stopping.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(HostPeer);
        request.extensions_mut().insert(signal.clone());
        let router = router.clone();
        async move {
            let answer = router.oneshot(request.map(axum::body::Body::new)).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // An error is the peer's: it went away, or does not speak HTTP.
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    // A response under way is completed.
    let _ = connection.await;
}
