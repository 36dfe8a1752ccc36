//! Request bodies: read whole within a limit, or as a stream, decompressed, and parsed.

mod account;
mod compression;
mod held;
mod parse;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http::header;
use http::request::Parts;
use http_body_util::BodyExt;
use perennial_core::{Error, ErrorCode, Result};

use crate::limits;

pub(crate) use account::BodyAccount;
pub use compression::ContentEncoding;
pub(crate) use held::hold;
pub use parse::parse;

/// Reads a body whole. Its bytes are reserved before they are read, and stay so until the handler has ended and the body
/// is dropped. One larger than `bytes_max` is refused, before it is read when it declares its length.
///
/// # Errors
/// When the body is too large, late or cut off, or when too many bytes of bodies are reserved.
pub async fn read(parts: &Parts, mut body: Body, bytes_max: usize) -> Result<Bytes> {
    let account = BodyAccount::of(parts)?;
    let bytes_max = account.limit(bytes_max);
    let declared = declared_length(parts);
    let fits = match declared {
        Some(length) if length > bytes_max as u64 => Err(too_large(bytes_max)),
        // Once it is decompressed it may have as many bytes as the limit allows.
        _ if ContentEncoding::of(&parts.headers)? != ContentEncoding::Identity => account.reserve(bytes_max),
        Some(length) => account.reserve(length as usize),
        None => Ok(()),
    };
    if let Err(refusal) = fits {
        // A client that asked whether to send the body (100-continue) has not sent it.
        if !parts.headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(refusal);
    }
    let time_max = if bytes_max <= limits::FORM_BYTES_MAX { limits::FORM_TIME_MAX } else { limits::BODY_TIME_MAX };
    let late = |_| Error::new(ErrorCode::Timeout, format!("the body did not arrive within {} s", time_max.as_secs()));
    let collecting = collect(&account, &mut body, declared, bytes_max);
    match tokio::time::timeout(time_max, collecting).await.map_err(late)? {
        Ok(bytes) => Ok(account.attach(bytes)),
        Err(refusal) => {
            if refusal.code() != ErrorCode::InvalidArgument {
                discard(body).await;
            }
            Err(refusal)
        }
    }
}

fn declared_length(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Collects the parts of a body, each reserved before it is kept.
async fn collect(account: &BodyAccount, body: &mut Body, declared: Option<u64>, bytes_max: usize) -> Result<Bytes> {
    let mut first = None;
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|cause| Error::new(ErrorCode::InvalidArgument, "the body was cut off").with_source(cause))?;
        let Ok(part) = frame.into_data() else { continue };
        let length = collected.len() + first.as_ref().map_or(0, Bytes::len) + part.len();
        if length > bytes_max {
            return Err(too_large(bytes_max));
        }
        if declared.is_none() && length > limits::BODY_BYTES_UNCOUNTED {
            account.reserve(length.next_multiple_of(limits::BODY_BYTES_STEP).min(bytes_max))?;
        }
        if first.is_none() && collected.is_empty() {
            // Most bodies come in one part, which is not copied.
            first = Some(part);
            continue;
        }
        if let Some(first) = first.take() {
            collected.reserve(declared.map_or(length, |declared| declared as usize));
            collected.extend_from_slice(&first);
        }
        collected.extend_from_slice(&part);
    }
    Ok(first.unwrap_or_else(|| collected.freeze()))
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
