//! Where a request is computed: a small one on its connection's task; one that is large, compressed, or whose model
//! answers few requests at a time, on the blocking pool.

use perennial_core::{Error, ErrorCode, Result};
use tokio::sync::OwnedSemaphorePermit;

use crate::limits;
use crate::state::ApiState;

/// Runs `work` on a body of `bytes` (`None`: unknown until decompressed), which `may_wait` for other requests.
pub(super) async fn run_or_offload<T: Send + 'static>(
    state: &ApiState,
    bytes: Option<usize>,
    may_wait: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let is_small = bytes.is_some_and(|bytes| bytes <= limits::INFER_INLINE_BYTES);
    if is_small && !may_wait {
        return work();
    }
    let permit = if is_small { None } else { Some(try_acquire(state)?) };
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|panic| Error::internal("an inference request ended abruptly", panic))?
}

fn try_acquire(state: &ApiState) -> Result<OwnedSemaphorePermit> {
    state.large_requests.clone().try_acquire_owned().map_err(|_| {
        Error::new(ErrorCode::Busy, format!("{} large requests are in flight", limits::INFER_LARGE_MAX))
            .with_hint("try again in a moment")
    })
}
