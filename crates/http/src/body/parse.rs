//! Parsing of bodies: large ones on blocking threads, a few at a time.

use std::sync::LazyLock;

use bytes::Bytes;
use perennial_core::{Error, Result};
use tokio::sync::Semaphore;

use crate::limits;

/// Permits of large bodies that are parsed.
static PARSES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(limits::PARSES_MAX));

/// Parses a body with `parse`: one of at most [`limits::PARSE_INLINE_BYTES`] at once, a larger one on a blocking thread
/// as soon as fewer than [`limits::PARSES_MAX`] are being parsed.
///
/// # Errors
/// Those of `parse`.
pub async fn parse<T: Send + 'static>(
    bytes: Bytes,
    parse: impl FnOnce(&[u8]) -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes.len() <= limits::PARSE_INLINE_BYTES {
        return parse(&bytes);
    }
    let permit = PARSES.acquire().await.map_err(|closed| Error::internal("bodies cannot be parsed", closed))?;
    let parsed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        parse(&bytes)
    });
    parsed.await.map_err(|panic| Error::internal("the parsing of a body ended abruptly", panic))?
}
