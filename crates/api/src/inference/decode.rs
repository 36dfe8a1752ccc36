//! Compressed bodies.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use perennial_core::{Error, ErrorCode, Result};

use crate::extract::too_large;
use crate::options::limits;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
    /// In zlib's wrapping, as HTTP defines it.
    Deflate,
}

/// What the headers say.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Encoding::Plain) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Plain),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "deflate" => Ok(Encoding::Deflate),
        other => Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the body is encoded as `{}`, expected gzip or deflate", other.escape_debug()),
        )),
    }
}

/// The body itself, at most [`limits::INFER_BYTES_MAX`] of it: a small one may hold a huge one.
pub(super) fn decode(encoding: Encoding, body: Bytes) -> Result<Bytes> {
    match encoding {
        Encoding::Plain => Ok(body),
        Encoding::Gzip => inflate(GzDecoder::new(body.as_ref())),
        Encoding::Deflate => inflate(ZlibDecoder::new(body.as_ref())),
    }
}

fn inflate(decoder: impl Read) -> Result<Bytes> {
    let mut out = Vec::new();
    decoder
        .take(limits::INFER_BYTES_MAX as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|cause| Error::new(ErrorCode::InvalidArgument, "the body does not decompress").because(cause))?;
    if out.len() > limits::INFER_BYTES_MAX {
        return Err(too_large(limits::INFER_BYTES_MAX));
    }
    Ok(out.into())
}
