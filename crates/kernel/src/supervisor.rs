//! Background work that outlives the request that started it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts background work, and knows when all of it has ended. Clones share it.
#[derive(Clone, Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    /// Cancelled when [`Supervisor::stop`] begins.
    stopping: CancellationToken,
    /// Cancelled when [`Supervisor::stop`] times out.
    stop: CancellationToken,
}

impl Supervisor {
    /// A supervisor without work.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `work`, unless the supervisor is stopping. A panic in it is logged under `name` and affects no other work.
    /// When [`Supervisor::stop`] times out, the work is dropped where it is; it must be able to resume after a restart,
    /// or to begin then.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        if self.is_stopping() {
            tracing::info!(task.name = name, "a background task was not started: the server is stopping");
            return;
        }
        self.start(name, work);
    }

    fn start(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let guarded = AssertUnwindSafe(work).catch_unwind();
            tokio::select! {
                ended = guarded => {
                    if ended.is_err() {
                        tracing::error!(task.name = name, "a background task panicked");
                    }
                }
                () = stop.cancelled() => tracing::info!(task.name = name, "a background task was stopped"),
            }
        });
    }

    /// Runs `work` to its end even when the caller is dropped; `None` when it panicked or was stopped. It also starts
    /// while the supervisor is stopping: work that is under way consists of such parts.
    pub async fn finish<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, ended) = tokio::sync::oneshot::channel();
        self.start(name, async move {
            // The receiver may be gone: that is why the work runs as a task of its own.
            let _ = done.send(work.await);
        });
        ended.await.ok()
    }

    /// The number of running tasks.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether [`Supervisor::stop`] has begun: no change is accepted any more, except those that running work needs.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Completes when [`Supervisor::stop`] begins: work without an end of its own ends then.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Starts no further background work, waits for running tasks, at most `patience`, then drops the rest.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            self.stop.cancel();
            self.tasks.wait().await;
        }
    }
}

#[cfg(test)]
mod tests;
