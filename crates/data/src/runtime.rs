//! The engine's own thread pool, so that computations do not block the callers' runtime.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// The stack size of a worker thread: plans recurse as deep as SQL may nest.
const STACK_BYTES: usize = 16 << 20;

/// The engine's thread pool.
pub(crate) struct Pool {
    runtime: Option<Runtime>,
    threads: usize,
}

impl Pool {
    /// Starts a pool for computations of `threads` threads, with `spare` threads more: an operator may compute for
    /// seconds without yielding, and the work beside it needs a thread.
    pub(crate) fn new(threads: usize, spare: usize) -> Result<Arc<Self>> {
        let threads = threads.max(1);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads + spare)
            .thread_name("perennial-data")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|cause| Error::internal("starting the data engine's threads", cause))?;
        Ok(Arc::new(Self { runtime: Some(runtime), threads }))
    }

    /// The number of threads of a computation.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on the pool; dropping the returned future cancels it.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => Task(runtime.handle().spawn(work)).join().await,
            None => Err(Error::internal("running on the data engine's threads", "the engine is closed")),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Dropping a runtime inside another one panics; this shuts it down without waiting.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work on the pool, cancelled when dropped.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    /// Starts `work` concurrently with the current task.
    pub(crate) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Handle::current().spawn(work))
    }

    /// Starts blocking `work` on a thread of the blocking pool. It cannot be cancelled.
    pub(crate) fn start_blocking(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Handle::current().spawn_blocking(work))
    }
}

impl<T> Task<Result<T>> {
    /// Waits for the result.
    pub(crate) async fn join(mut self) -> Result<T> {
        match (&mut self.0).await {
            Ok(result) => result,
            Err(cause) => Err(Error::internal("computing in the data engine", cause)),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
