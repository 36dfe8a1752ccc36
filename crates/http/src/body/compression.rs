//! Compressed request bodies: gzip and deflate, decompressed to a bounded number of bytes.
//!
//! A body is decompressed whole and off the async workers, which `tower-http` would do on the connection's own task.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use perennial_core::{Error, ErrorCode, Result};

use super::too_large;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Not at all.
    Identity,
    /// As gzip.
    Gzip,
    /// In zlib's format, as HTTP defines `deflate`.
    Deflate,
}

impl ContentEncoding {
    /// The encoding that the headers declare.
    ///
    /// # Errors
    /// When it is not supported.
    pub fn of(headers: &HeaderMap) -> Result<Self> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            other => Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("the body is encoded as `{}`, expected gzip or deflate", other.escape_debug()),
            )),
        }
    }

    /// Bytes of `body` once decompressed; `None` when only decompressing it shows.
    pub fn decompressed_bytes(self, body: &Bytes) -> Option<usize> {
        (self == Self::Identity).then_some(body.len())
    }

    /// Decompresses `body`, whose reservation the result keeps. CPU-heavy for a compressed one.
    ///
    /// # Errors
    /// When it is malformed, or holds more than `bytes_max`.
    pub fn decompress(self, body: Bytes, bytes_max: usize) -> Result<Bytes> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => read_bounded(GzDecoder::new(body.as_ref()), bytes_max).map(|bytes| keep(bytes, body)),
            Self::Deflate => read_bounded(ZlibDecoder::new(body.as_ref()), bytes_max).map(|bytes| keep(bytes, body)),
        }
    }
}

/// Decompressed bytes that keep the compressed ones, and with them the reservation.
fn keep(decompressed: Vec<u8>, compressed: Bytes) -> Bytes {
    struct Decompressed {
        bytes: Vec<u8>,
        _compressed: Bytes,
    }
    impl AsRef<[u8]> for Decompressed {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    Bytes::from_owner(Decompressed { bytes: decompressed, _compressed: compressed })
}

fn read_bounded(decoder: impl Read, bytes_max: usize) -> Result<Vec<u8>> {
    let mut decompressed = Vec::new();
    decoder.take(bytes_max as u64 + 1).read_to_end(&mut decompressed).map_err(|cause| {
        Error::new(ErrorCode::InvalidArgument, "the body cannot be decompressed").with_source(cause)
    })?;
    if decompressed.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(decompressed)
}
