//! The load: one thread with keep-alive connections, each of which sends one request after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The number of connections.
pub(crate) const CONNECTIONS: usize = 8;

/// The greatest length of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The results of one round.
pub(crate) struct Round {
    /// The latency of each request.
    pub(crate) times: Vec<Duration>,
    /// The duration of the round.
    pub(crate) lasted: Duration,
    /// The CPU time that the load used.
    pub(crate) used: Duration,
}

/// The bytes of an HTTP request; a null body means no body.
pub(crate) fn http(method: &str, path: &str, token: Option<&str>, body: &Value) -> Vec<u8> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{token}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and gives the body of the answer; a status other than 200 is an error.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (mut begins, mut ends) = (0, None);
        while ends.is_none_or(|ends| self.buffer.len() < ends) {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed before the end of an answer");
            }
            if ends.is_none()
                && let Some(head) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                begins = head + 4;
                let length = length(&self.buffer[..head])?;
                ends = Some(begins + length);
            }
        }
        if !self.buffer.starts_with(b"HTTP/1.1 200") {
            bail!("the status is not 200: {}", String::from_utf8_lossy(&self.buffer));
        }
        Ok(&self.buffer[begins..])
    }
}

/// The content length in the head of an answer.
fn length(head: &[u8]) -> Result<usize> {
    const NAME: &str = "content-length:";
    let head = std::str::from_utf8(head)?;
    let line = head.lines().find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)));
    let length = line.with_context(|| format!("an answer without length: {head}"))?[NAME.len()..].trim().parse()?;
    if length > ANSWER_BYTES_MAX {
        bail!("an answer of {length} bytes");
    }
    Ok(length)
}

/// Sends requests over all connections for a time. Each connection starts with another request.
pub(crate) async fn round(port: u16, requests: &Arc<[Vec<u8>]>, lasts: Duration) -> Result<Round> {
    let mut connections = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(Connection::open(port).await?);
    }
    let (began, used) = (Instant::now(), processor_time()?);
    for (number, mut connection) in open.into_iter().enumerate() {
        let (requests, first) = (requests.clone(), number * requests.len() / CONNECTIONS);
        connections.spawn(async move {
            let mut times = Vec::new();
            for request in requests.iter().cycle().skip(first) {
                let sent = Instant::now();
                connection.ask(request).await?;
                times.push(sent.elapsed());
                if began.elapsed() >= lasts {
                    break;
                }
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = connections.join_next().await {
        times.extend(done??);
    }
    Ok(Round { times, lasted: began.elapsed(), used: processor_time()?.saturating_sub(used) })
}

/// The CPU time of this thread, which produces the whole load.
fn processor_time() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().context("schedstat starts with the CPU time")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}
