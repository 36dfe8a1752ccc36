//! Loading predictions into their datasets: when enough wait, or the oldest has waited for long enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use perennial_core::Result;
use perennial_core::name::EndpointName;
use perennial_core::port::prediction::Backlog;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

use crate::watch::Watch;

/// Bytes of predictions of an endpoint that are loaded at once: about one segment of its log.
const BACKLOG_BYTES: u64 = 16 * 1024 * 1024;
/// How long a prediction waits to be loaded, on the wall clock.
const WAIT_MS_MAX: i64 = 15 * 60_000;
/// Segments of an endpoint that one tick loads. The next tick continues.
const SEGMENTS_MAX: usize = 4;
/// The pause after predictions that could not be loaded, on the wall clock.
const RETRY_MS: i64 = 60_000;

/// Marks that predictions of a project are being loaded.
struct Loading<'a>(&'a AtomicBool);

impl<'a> Loading<'a> {
    fn begin(is_loading: &'a AtomicBool) -> Option<Self> {
        (!is_loading.swap(true, Ordering::AcqRel)).then_some(Self(is_loading))
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Whether predictions are to be loaded now.
fn is_due(backlog: Backlog, wall_ms: i64) -> bool {
    let waited_ms = backlog.oldest_ms.map_or(0, |oldest| wall_ms - oldest);
    backlog.bytes >= BACKLOG_BYTES || waited_ms >= WAIT_MS_MAX
}

impl Watch {
    /// Loads the predictions that are due of every endpoint, monitored or not; does nothing while another tick does.
    pub(crate) async fn load_predictions(&self, caller: &Caller, project: &Arc<ProjectState>) {
        let state = self.state(project.id);
        let Some(_loading) = Loading::begin(&state.is_loading_predictions) else { return };
        let endpoints = match self.list_endpoints(project).await {
            Ok(endpoints) => endpoints,
            Err(error) => {
                tracing::warn!(project = %project.name, error = error.chain(), "endpoints could not be listed");
                return;
            }
        };
        for endpoint in endpoints {
            if let Err(error) = self.load_due(caller, project, &endpoint.name).await {
                let error = error.chain();
                tracing::warn!(project = %project.name, endpoint.name = %endpoint.name, error, "predictions could not be loaded");
                state.pause_loading(&endpoint.name, self.kernel.services.clock.wall_ms() + RETRY_MS);
            }
        }
    }

    /// Loads predictions of one endpoint when they are due.
    async fn load_due(&self, caller: &Caller, project: &Arc<ProjectState>, endpoint: &EndpointName) -> Result<()> {
        let (state, wall_ms) = (self.state(project.id), self.kernel.services.clock.wall_ms());
        if state.is_loading_paused(endpoint, wall_ms) {
            return Ok(());
        }
        let before = self.ingest.backlog(&self.kernel, project.id, endpoint).await?;
        if !is_due(before, wall_ms) {
            return Ok(());
        }
        self.ingest.ingest_oldest_segments(caller, project, endpoint, SEGMENTS_MAX).await?;
        let after = self.ingest.backlog(&self.kernel, project.id, endpoint).await?;
        if after.oldest_ms == before.oldest_ms && after.bytes >= before.bytes {
            // An alert says why.
            state.pause_loading(endpoint, wall_ms + RETRY_MS);
        }
        Ok(())
    }
}
