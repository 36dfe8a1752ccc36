//! Named limits of everything that grows with requests. Beyond one the response is a clear error.
//!
//! A share is the most that one principal, or one peer before its principal is known, may hold: it leaves room for
//! others.

use std::time::Duration;

/// Bytes of a form that a page posts.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a body whose sender is not authenticated: a log-in form.
pub const PUBLIC_BODY_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all bodies that are being read or processed at the same time; a further one is answered 503.
pub const BODY_BYTES_TOTAL_MAX: u64 = 256 * 1024 * 1024;
/// The share of [`BODY_BYTES_TOTAL_MAX`] of one principal: four bodies of the largest size.
pub const BODY_BYTES_SHARE_MAX: u64 = 128 * 1024 * 1024;
/// Bytes of a body that is not counted in [`BODY_BYTES_TOTAL_MAX`]: the number of requests bounds their sum.
pub const BODY_BYTES_UNCOUNTED: usize = 16 * 1024;
/// Bytes by which the reservation of a body without a declared length grows while it arrives.
pub const BODY_BYTES_STEP: usize = 256 * 1024;
/// Bytes of a body that is parsed on the task of its connection; a larger one is parsed on a blocking thread.
pub const PARSE_INLINE_BYTES: usize = 64 * 1024;
/// Large bodies that are parsed at the same time; others wait.
pub const PARSES_MAX: usize = 4;
/// Bytes of a refused body that are still read, so that a client in the middle of sending reads the refusal.
pub const DISCARDED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How long a body, or the next part of a streamed one, may take to arrive.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a body of at most [`FORM_BYTES_MAX`] may take to arrive.
pub const FORM_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the transport handshake, the head of a request, and an idle connection may last.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
/// How long the peer may take for each [`WRITTEN_MIN`] bytes of a response.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of a response that the peer takes within [`WRITE_TIME_MAX`], or loses its connection.
pub const WRITTEN_MIN: u64 = 1024;
/// Connections at once, as far as the limit of open files allows. When there are as many, the connection that has been
/// idle for longest is closed, one of the peer with the most connections.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Connections beyond [`CONNECTIONS_MAX`] while none is idle: on these, probes alone are answered.
pub const CONNECTIONS_RESERVED: usize = 64;
/// Concurrent requests on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 256;
/// Bytes of the header fields of an HTTP/2 request.
pub const HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// Authenticated requests in flight at once, until their responses are read; a further one is answered 503.
pub const REQUESTS_MAX: usize = 2_048;
/// The share of [`REQUESTS_MAX`] of one principal; a further request is answered 429.
pub const REQUESTS_SHARE_MAX: usize = 512;
/// Long polls that wait at once; a further one is answered 503.
pub const LONG_POLLS_MAX: usize = 1_024;
/// The share of [`LONG_POLLS_MAX`] of one principal; a further one is answered 429.
pub const LONG_POLLS_SHARE_MAX: usize = 64;
/// Requests in flight at once that need no credentials, such as log-in forms; a further one is answered 503.
pub const PUBLIC_REQUESTS_MAX: usize = 256;
/// The share of [`PUBLIC_REQUESTS_MAX`] of one peer; a further request is answered 429.
pub const PUBLIC_REQUESTS_SHARE_MAX: usize = 64;
/// Requests that are being authenticated at once; a further one is answered 503.
pub const AUTHENTICATIONS_MAX: usize = 4_096;
/// The share of [`AUTHENTICATIONS_MAX`] of one peer, which may be a proxy of many clients; a further request is answered
/// 429.
pub const AUTHENTICATIONS_SHARE_MAX: usize = 2_048;
/// Probes in flight at once that ask whether the server is ready. No other request takes their room; one that asks whether
/// the server is alive needs none.
pub const PROBES_MAX: usize = 64;
/// The share of [`PROBES_MAX`] of one peer; a further one is answered 429.
pub const PROBES_SHARE_MAX: usize = 16;
/// Requests for the metrics in flight at once; a further one is answered 503.
pub const SCRAPES_MAX: usize = 16;
/// The share of [`SCRAPES_MAX`] of one principal; a further one is answered 429.
pub const SCRAPES_SHARE_MAX: usize = 4;
/// Large predictions that are computed at once; a further one is answered 503.
pub const LARGE_PREDICTIONS_MAX: usize = 32;
/// The share of [`LARGE_PREDICTIONS_MAX`] of one principal; a further one is answered 429.
pub const LARGE_PREDICTIONS_SHARE_MAX: usize = 8;
