//! Where a request is computed: a small one on its connection's task; a large or compressed one on the blocking pool.

use std::future::Future;

use http::request::Parts;
use perennial_core::{Error, Result};
use perennial_http::HttpError;
use tokio::runtime::Handle;

use crate::limits;
use crate::state::ApiState;

/// Runs `work` on a body of `bytes` (`None`: unknown until decompressed): on the calling task when they are few, else on
/// a blocking thread, which then also waits for the model. Callers share the large ones that are computed at the same time;
/// `parts` are those of the request.
pub(super) async fn run_or_offload<T: Send + 'static>(
    state: &ApiState,
    parts: &Parts,
    bytes: Option<usize>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T, HttpError> {
    if bytes.is_some_and(|bytes| bytes <= limits::INFER_INLINE_BYTES) {
        return Ok(work.await?);
    }
    let (permit, runtime) = (state.perimeter.admit_large_prediction(parts)?, Handle::current());
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        runtime.block_on(work)
    });
    Ok(done.await.map_err(|panic| Error::internal("an inference request ended abruptly", panic))??)
}
