//! Accepts connections and answers their requests, in HTTP/1 or in HTTP/2 by prior knowledge.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::limits;

mod progress;
#[cfg(test)]
mod tests;

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

/// Answers connections until `shutdown` completes, then waits up to `patience` for requests in flight.
pub async fn serve(
    listener: TcpListener,
    transport: impl Transport,
    router: axum::Router,
    shutdown: impl Future<Output = ()> + Send,
    patience: Duration,
) {
    let (connections, stopping) = (TaskTracker::new(), CancellationToken::new());
    let (permits, transport) = (Arc::new(Semaphore::new(limits::CONNECTIONS_MAX)), Arc::new(transport));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let (transport, router, stopping) = (transport.clone(), router.clone(), stopping.clone());
                connections.spawn(async move {
                    let handshake = tokio::time::timeout(limits::HEAD_TIME_MAX, transport.handshake(stream)).await;
                    if let Ok(Ok(stream)) = handshake {
                        serve_connection(stream, peer, router, stopping, limits::HEAD_TIME_MAX).await;
                    }
                    drop(permit);
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
    connections.close();
    if tokio::time::timeout(patience, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "stopped before all connections ended");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>)> {
    let permit = permits.clone().acquire_owned().await.ok();
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

/// Answers the requests of one connection until its peer closes it, the server stops, or it was idle for `idle_max`. A
/// response that the peer leaves unread is given up after `idle_max`, too.
async fn serve_connection<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: I,
    peer: SocketAddr,
    router: axum::Router,
    stopping: CancellationToken,
    idle_max: Duration,
) {
    let (activity, signal) = (Arc::new(Activity::default()), ShutdownSignal(stopping.clone()));
    let requests = activity.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let in_flight = requests.clone().begin();
        request.extensions_mut().insert(PeerAddr(peer));
        request.extensions_mut().insert(signal.clone());
        let router = router.clone();
        async move {
            let _in_flight = in_flight;
            Ok::<_, Infallible>(
                router.oneshot(request.map(axum::body::Body::new)).await.unwrap_or_else(|never| match never {}),
            )
        }
    });
    let builder = connection_builder(idle_max);
    let stream = Progress::new(stream, activity.written.clone(), idle_max);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut idle = tokio::time::interval_at(tokio::time::Instant::now() + idle_max, idle_max);
    loop {
        tokio::select! {
            // An error is the peer's: it went away, or does not speak HTTP.
            _ = connection.as_mut() => return,
            () = stopping.cancelled() => break,
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

/// Bytes that a connection in use writes at least between two checks. Fewer are pings.
const WRITTEN_MIN: u64 = 1024;

/// The requests of one connection and what was written of their responses, by which an idle one is found: HTTP/2 has no
/// timeout for that, and neither has the time before the first bytes give the version.
#[derive(Default)]
struct Activity {
    in_flight: AtomicUsize,
    /// Whether a request began since [`Activity::was_idle`] was last asked.
    began: AtomicBool,
    /// Bytes written since then.
    written: Arc<AtomicU64>,
}

impl Activity {
    fn begin(self: Arc<Self>) -> ActiveRequest {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.began.store(true, Ordering::Relaxed);
        ActiveRequest(self)
    }

    /// Whether since the last call no request was in flight, and no response was read by the peer.
    fn was_idle(&self) -> bool {
        let has_begun = self.began.swap(false, Ordering::Relaxed);
        let has_written = self.written.swap(0, Ordering::Relaxed) >= WRITTEN_MIN;
        !has_begun && !has_written && self.in_flight.load(Ordering::Relaxed) == 0
    }
}

/// A request in flight, until it is dropped.
struct ActiveRequest(Arc<Activity>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
