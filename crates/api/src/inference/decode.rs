//! Compressed bodies.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use perennial_core::{Error, ErrorCode, Result};

use crate::extract::too_large;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
    /// In zlib's wrapping, as HTTP defines it.
    Deflate,
}

impl Encoding {
    /// Bytes that working on a body may take: nobody knows how much a compressed one holds.
    pub(super) fn bytes(self, body: &Bytes) -> usize {
        if self == Self::Plain { body.len() } else { usize::MAX }
    }
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

/// The body itself, at most `bytes_max` of it: a small one may hold a huge one.
pub(super) fn decode(encoding: Encoding, body: Bytes, bytes_max: usize) -> Result<Bytes> {
    match encoding {
        Encoding::Plain => Ok(body),
        Encoding::Gzip => inflate(GzDecoder::new(body.as_ref()), bytes_max),
        Encoding::Deflate => inflate(ZlibDecoder::new(body.as_ref()), bytes_max),
    }
}

fn inflate(decoder: impl Read, bytes_max: usize) -> Result<Bytes> {
    let mut out = Vec::new();
    decoder
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|cause| Error::new(ErrorCode::InvalidArgument, "the body does not decompress").with_source(cause))?;
    if out.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(out.into())
}
