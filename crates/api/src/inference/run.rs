//! Where a request is worked on: a small one on its connection's task, a large one on a thread beside.

use perennial_core::{Error, ErrorCode, Result};

use crate::door::Door;
use crate::options::limits;

/// Runs `work` over a body of so many bytes.
pub(super) async fn run<T: Send + 'static>(
    door: &Door,
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= limits::INFER_INLINE_BYTES {
        return work();
    }
    let Ok(room) = door.0.large.clone().try_acquire_owned() else {
        return Err(Error::new(ErrorCode::Busy, format!("{} large requests are under way", limits::INFER_LARGE_MAX))
            .hint("try again in a moment"));
    };
    let done = tokio::task::spawn_blocking(move || {
        let _room = room;
        work()
    });
    done.await.map_err(|panic| Error::internal("an answer ended abruptly", panic))?
}
