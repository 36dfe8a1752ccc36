//! One HTTP exchange byte by byte, for requests that a client library would correct or refuse to send.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest time of an exchange.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(120);
/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status; 0 when the connection ended without an answer.
    pub(super) status: u16,
    /// The status line and the header fields.
    pub(super) head: String,
    /// The body as received, without decoding chunks.
    pub(super) body: String,
}

impl Answer {
    /// The value of a header field.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// How many answers came on the connection.
    pub(super) fn count(&self) -> usize {
        1 + self.body.matches("HTTP/1.1 ").count()
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// A request in text form, with the fields that every request needs.
pub(super) fn request(method: &str, path: &str, host: &str, token: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if let Some(token) = token {
        let _ = write!(head, "Authorization: Bearer {token}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    } else if method != "GET" {
        head += "Content-Length: 0\r\n";
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Sends bytes to `host` (`address:port`) and reads until the server closes the connection.
///
/// A server may close the connection before it has read everything; what it answered until then is the answer.
pub(super) async fn exchange(host: &str, bytes: &[u8]) -> Answer {
    let mut answer = Vec::new();
    let exchanged = async {
        let Ok(stream) = TcpStream::connect(host).await else { return };
        let (reader, mut writer) = stream.into_split();
        let mut reader = reader.take(ANSWER_BYTES_MAX);
        let read = reader.read_to_end(&mut answer);
        let (_, _) = tokio::join!(writer.write_all(bytes), read);
    };
    let _ = tokio::time::timeout(EXCHANGE_TIME_MAX, exchanged).await;
    Answer::parse(&answer)
}
