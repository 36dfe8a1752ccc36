//! Where a request is computed: a small one on its connection's task; a large or compressed one on the blocking pool.

use std::future::Future;

use perennial_core::{Error, ErrorCode, Result};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::limits;
use crate::state::ApiState;

/// Runs `work` on a body of `bytes` (`None`: unknown until decompressed): on the calling task when they are few, else on
/// a blocking thread, which then also waits for the model. At most [`INFER_LARGE_MAX`](limits::INFER_LARGE_MAX) large
/// requests run at the same time.
pub(super) async fn run_or_offload<T: Send + 'static>(
    state: &ApiState,
    bytes: Option<usize>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    if bytes.is_some_and(|bytes| bytes <= limits::INFER_INLINE_BYTES) {
        return work.await;
    }
    let (permit, runtime) = (try_acquire(state)?, Handle::current());
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        runtime.block_on(work)
    });
    done.await.map_err(|panic| Error::internal("an inference request ended abruptly", panic))?
}

fn try_acquire(state: &ApiState) -> Result<OwnedSemaphorePermit> {
    state.large_requests.clone().try_acquire_owned().map_err(|_| {
        Error::new(ErrorCode::Busy, format!("{} large requests are in flight", limits::INFER_LARGE_MAX))
            .with_hint("try again in a moment")
    })
}
