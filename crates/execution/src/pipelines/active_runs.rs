//! The pipeline runs that are executed here, and cancelling them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use perennial_core::id::PipelineRunId;
use perennial_kernel::Caller;
use tokio_util::sync::CancellationToken;

/// The pipeline runs that are executed here or wait for their turn. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct ActiveRuns(Arc<Mutex<HashMap<PipelineRunId, Arc<Cancellation>>>>);

impl ActiveRuns {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<PipelineRunId, Arc<Cancellation>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether cancelling a pipeline run was requested.
#[derive(Default)]
pub(crate) struct Cancellation {
    pub(super) requested: CancellationToken,
    /// Who requested it first.
    pub(super) by: OnceLock<Caller>,
}

impl Cancellation {
    /// Completes when the run is to be cancelled.
    pub(super) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    pub(super) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }
}

/// Keeps a pipeline run in [`ActiveRuns`] for as long as it lives.
pub(super) struct RunGuard {
    active: ActiveRuns,
    id: PipelineRunId,
    pub(super) cancellation: Arc<Cancellation>,
}

impl RunGuard {
    pub(super) fn new(active: &ActiveRuns, id: PipelineRunId) -> Self {
        let cancellation = Arc::<Cancellation>::default();
        active.lock().insert(id, cancellation.clone());
        Self { active: active.clone(), id, cancellation }
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.active.lock().remove(&self.id);
    }
}
