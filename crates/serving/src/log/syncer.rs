//! The thread that syncs written segments to disk.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::LogError;
use super::file::SegmentFile;
use super::lock;

/// The longest time between a write and its sync.
const PERIOD: Duration = Duration::from_millis(100);

/// Syncs segments: within [`PERIOD`] of a write, or at once on request. The thread sleeps while nothing is written.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Segments to sync.
#[derive(Default)]
struct Queue {
    /// Due at `deadline`.
    batched: Vec<Arc<SegmentFile>>,
    deadline: Option<Instant>,
    /// Due at once.
    urgent: Vec<Arc<SegmentFile>>,
    is_stopping: bool,
}

impl Queue {
    /// Takes the segments that are due.
    fn take_due(&mut self, now: Instant) -> Vec<Arc<SegmentFile>> {
        let mut due = std::mem::take(&mut self.urgent);
        if self.is_stopping || self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            due.append(&mut self.batched);
        }
        due
    }
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

    /// Schedules a sync of everything written to `segment` so far, within [`PERIOD`].
    pub(super) fn schedule(&self, segment: &Arc<SegmentFile>) {
        if segment.mark_dirty() {
            return;
        }
        let mut queue = lock::mutex(&self.shared.queue);
        queue.batched.push(segment.clone());
        queue.deadline.get_or_insert_with(|| Instant::now() + PERIOD);
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Syncs `segment` up to `end` at once. Requests that arrive during a sync share the next one.
    pub(super) async fn sync(&self, segment: &Arc<SegmentFile>, end: u64) -> Result<(), LogError> {
        self.request(segment);
        segment.synced(end).await
    }

    fn request(&self, segment: &Arc<SegmentFile>) {
        let mut queue = lock::mutex(&self.shared.queue);
        if !queue.urgent.iter().any(|queued| Arc::ptr_eq(queued, segment)) {
            queue.urgent.push(segment.clone());
        }
        drop(queue);
        self.shared.changed.notify_one();
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        lock::mutex(&self.shared.queue).is_stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut queue = lock::mutex(&self.queue);
        loop {
            let now = Instant::now();
            let due = queue.take_due(now);
            if !due.is_empty() {
                drop(queue);
                for segment in &due {
                    sync(segment);
                }
                queue = lock::mutex(&self.queue);
                continue;
            }
            queue = match queue.deadline {
                _ if queue.is_stopping => return,
                Some(deadline) => {
                    let waited = self.changed.wait_timeout(queue, deadline - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

fn sync(segment: &SegmentFile) {
    let end = segment.mark_clean();
    if let Err(error) = segment.sync(end) {
        tracing::error!(error = %error, "predictions were not synced to disk");
    }
}
