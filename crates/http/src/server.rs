//! Accepts connections and answers their requests, in HTTP/1 or in HTTP/2 by prior knowledge.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::body::hold;
use crate::limits;

mod activity;
mod connections;
mod progress;
#[cfg(test)]
mod tests;

use connections::{Connections, Seat};
use progress::Progress;

/// The address of the peer; an extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddr(
    /// The address.
    pub SocketAddr,
);

/// Cancelled when the server stops; an extension of each request, so that long polls end.
#[derive(Debug, Clone)]
pub struct ShutdownSignal(
    /// The token.
    pub CancellationToken,
);

/// The connection of a request is one of those that are reserved for probes; an extension of such requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReservedConnection;

/// Turns an accepted TCP connection into the stream that HTTP is spoken over: the place of a TLS handshake.
pub trait Transport: Send + Sync + 'static {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Makes the handshake, for which it has [`limits::HEAD_TIME_MAX`].
    fn handshake(&self, connection: TcpStream) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// TCP itself.
#[derive(Debug, Clone, Copy)]
pub struct PlainTcp;

impl Transport for PlainTcp {
    type Stream = TcpStream;

    async fn handshake(&self, connection: TcpStream) -> std::io::Result<TcpStream> {
        Ok(connection)
    }
}

/// How long to wait after the system refused to accept a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two pings on an HTTP/2 connection, which is closed when the peer does not reply.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How connections are answered.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Connections at once; a further one takes the place of an idle one. See [`limits::CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// How long to wait for requests in flight when the server stops.
    pub patience: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self { connections_max: limits::CONNECTIONS_MAX, patience: Duration::MAX }
    }
}

/// Answers connections until `shutdown` completes, then waits for requests in flight.
pub async fn serve(
    listener: TcpListener,
    transport: impl Transport,
    router: axum::Router,
    shutdown: impl Future<Output = ()> + Send,
    ServeLimits { connections_max, patience }: ServeLimits,
) {
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let (connections, transport) = (Connections::new(connections_max), Arc::new(transport));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without a seat the connection is closed: more are in use than are reserved for probes.
                let Some(seat) = connections.enter(peer.ip()) else { continue };
                let (transport, router, stopping) = (transport.clone(), router.clone(), stopping.clone());
                tasks.spawn(async move {
                    let handshake = tokio::time::timeout(limits::HEAD_TIME_MAX, transport.handshake(stream));
                    let stream = tokio::select! {
                        stream = handshake => stream,
                        () = seat.evicted() => return,
                    };
                    if let Ok(Ok(stream)) = stream {
                        serve_connection(stream, peer, router, stopping, seat, Timeouts::default()).await;
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.cancel();
    tasks.close();
    if tokio::time::timeout(patience, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "stopped before all connections ended");
    }
}

async fn accept(listener: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

/// How long a connection may be without progress.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    /// While it waits for a request.
    idle: Duration,
    /// While its peer leaves a response unread.
    write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { idle: limits::HEAD_TIME_MAX, write: limits::WRITE_TIME_MAX }
    }
}

/// Answers the requests of one connection until its peer closes it, the server stops, it was idle for too long, or its
/// seat is needed. A response that the peer leaves unread is given up, too.
async fn serve_connection<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: I,
    peer: SocketAddr,
    router: axum::Router,
    stopping: CancellationToken,
    seat: Seat,
    timeouts: Timeouts,
) {
    let (activity, signal) = (seat.activity().clone(), ShutdownSignal(stopping.clone()));
    let (requests, is_reserved) = (activity.clone(), seat.is_reserved());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (answering, in_flight) = requests.clone().begin();
        request.extensions_mut().insert(PeerAddr(peer));
        request.extensions_mut().insert(signal.clone());
        if is_reserved {
            request.extensions_mut().insert(ReservedConnection);
        }
        let router = router.clone();
        async move {
            let _answering = answering;
            let answered = router.oneshot(request.map(axum::body::Body::new)).await;
            Ok::<_, Infallible>(hold(answered.unwrap_or_else(|never| match never {}), in_flight))
        }
    });
    let builder = connection_builder(timeouts.idle);
    let stream = Progress::new(stream, activity.written().clone(), timeouts.write);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut idle = tokio::time::interval_at(tokio::time::Instant::now() + timeouts.idle, timeouts.idle);
    loop {
        tokio::select! {
            // An error is the peer's: it went away, or does not speak HTTP.
            _ = connection.as_mut() => return,
            () = stopping.cancelled() => break,
            // A request that began meanwhile is answered first.
            () = seat.evicted() => if activity.has_requests() { break } else { return },
            _ = idle.tick() => if activity.was_idle() { break },
        }
    }
    connection.as_mut().graceful_shutdown();
    activity.was_idle();
    idle.reset();
    // A response under way is completed, as long as its peer reads it.
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = idle.tick() => if activity.was_idle() { return },
        }
    }
}

fn connection_builder(idle_max: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS_MAX)
        .max_header_list_size(limits::HEADERS_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL);
    builder
}
