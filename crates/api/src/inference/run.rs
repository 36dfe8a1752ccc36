//! Where a request is worked on: a small one on its connection's task, a large or compressed one, or one whose
//! model answers few at a time, on a thread beside.

use perennial_core::{Error, ErrorCode, Result};
use tokio::sync::OwnedSemaphorePermit;

use crate::door::Door;
use crate::options::limits;

/// Runs `work` over a body that may be so many bytes, which `may_wait` for other requests.
pub(super) async fn run<T: Send + 'static>(
    door: &Door,
    bytes: usize,
    may_wait: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let is_small = bytes <= limits::INFER_INLINE_BYTES;
    if is_small && !may_wait {
        return work();
    }
    let room = if is_small { None } else { Some(room(door)?) };
    let done = tokio::task::spawn_blocking(move || {
        let _room = room;
        work()
    });
    done.await.map_err(|panic| Error::internal("an answer ended abruptly", panic))?
}

fn room(door: &Door) -> Result<OwnedSemaphorePermit> {
    door.0.large.clone().try_acquire_owned().map_err(|_| {
        Error::new(ErrorCode::Busy, format!("{} large requests are under way", limits::INFER_LARGE_MAX))
            .with_hint("try again in a moment")
    })
}
