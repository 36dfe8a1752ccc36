//! The thread that syncs written segments to disk.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::LogError;
use super::file::SegmentFile;
use super::lock;

/// The longest time between a write and its sync.
const PERIOD: Duration = Duration::from_millis(100);

/// Syncs segments within [`PERIOD`] of a write; sleeps while there is none.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    dirty: Vec<Arc<SegmentFile>>,
    is_stopping: bool,
}

impl Syncer {
    pub(super) fn start() -> Result<Self, LogError> {
        let shared = Arc::<Shared>::default();
        let worker = shared.clone();
        let thread = std::thread::Builder::new()
            .name("prediction-sync".to_owned())
            .spawn(move || worker.run())
            .map_err(LogError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Schedules a sync of everything written to `segment` so far.
    pub(super) fn push(&self, segment: &Arc<SegmentFile>) {
        if segment.mark_dirty() {
            return;
        }
        let mut state = lock::mutex(&self.shared.state);
        state.dirty.push(segment.clone());
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        lock::mutex(&self.shared.state).is_stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let idle = |state: &mut State| state.dirty.is_empty() && !state.is_stopping;
            let state = lock::mutex(&self.state);
            let state = match self.changed.wait_while(state, idle) {
                Ok(state) => state,
                Err(poisoned) => poisoned.into_inner(),
            };
            let waited = self.changed.wait_timeout_while(state, PERIOD, |state| !state.is_stopping);
            let mut state = match waited {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            let dirty = std::mem::take(&mut state.dirty);
            let is_stopping = state.is_stopping;
            drop(state);
            for segment in &dirty {
                let end = segment.mark_clean();
                if let Err(error) = segment.sync(end) {
                    tracing::error!(error = %error, "predictions were not synced to disk");
                }
            }
            if is_stopping && dirty.is_empty() {
                return;
            }
        }
    }
}
