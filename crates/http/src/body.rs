//! Request bodies: read whole within a limit, or as a stream, and decompressed.

mod compression;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use perennial_core::{Error, ErrorCode, Result};

use crate::limits;

pub use compression::ContentEncoding;

/// Reads a body whole. One larger than `bytes_max` is refused, before it is read when it declares its length.
pub async fn read(headers: &HeaderMap, mut body: Body, bytes_max: usize) -> Result<Bytes> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) {
        // A client that asked whether to send the body (100-continue) has not sent it.
        if !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large(bytes_max));
    }
    let collected = tokio::time::timeout(limits::BODY_TIME_MAX, Limited::new(&mut body, bytes_max).collect()).await;
    let collected = collected.map_err(|_| {
        Error::new(ErrorCode::Timeout, format!("the body did not arrive within {} s", limits::BODY_TIME_MAX.as_secs()))
    })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(bytes_max))
        }
        Err(cause) => Err(Error::new(ErrorCode::InvalidArgument, "the body was cut off").with_source(cause)),
    }
}

/// Reads the rest of a refused body and drops it: a client in the middle of sending leaves the response unread, and
/// closing the connection before that discards the response. Bounded in bytes and in time.
async fn discard(mut body: Body) {
    let reading = async {
        let mut left = limits::DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // A client that sends more, or too slowly, does not get to read the response.
    let _ = tokio::time::timeout(limits::BODY_TIME_MAX, reading).await;
}

/// The bytes of a body of any length; each part has to arrive within [`limits::BODY_TIME_MAX`].
pub fn stream(body: Body) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold(body.into_data_stream(), |mut parts| async move {
        match tokio::time::timeout(limits::BODY_TIME_MAX, parts.next()).await {
            Ok(part) => part.map(|part| (part.map_err(std::io::Error::other), parts)),
            Err(late) => Some((Err(late.into()), parts)),
        }
    })
}

/// The error of a body over its limit.
pub fn too_large(bytes_max: usize) -> Error {
    Error::new(ErrorCode::TooLarge, format!("the body is larger than {bytes_max} bytes")).with_hint("send less at once")
}
