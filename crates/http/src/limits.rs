//! Named limits of everything that grows with requests. Beyond one the response is a clear error.

use std::time::Duration;

/// Bytes of a form that a page posts.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a refused body that are still read, so that a client in the middle of sending reads the refusal.
pub const DISCARDED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How long a body, or the next part of a streamed one, may take to arrive.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the transport handshake, the head of a request, and an idle connection may last.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
/// Connections at once; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Concurrent requests on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 256;
/// Bytes of the header fields of an HTTP/2 request.
pub const HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// Requests in flight at once; a further one is answered 503.
pub const REQUESTS_MAX: usize = 2_048;
