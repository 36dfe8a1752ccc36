//! Catching up: a change of an endpoint is recorded first and swapped in afterwards. A swap that fails leaves the
//! record as it is; the scheduler's tick compares the generations and swaps in what is behind.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use perennial_core::Result;
use perennial_core::entity::Endpoint;
use perennial_core::id::ProjectId;
use perennial_core::name::EndpointName;
use perennial_projects::ProjectState;

use super::Endpoints;
use crate::router::LoadedVersion;

/// The interval between a failed swap and its retry, on the wall clock; each further failure doubles it.
const RETRY_MS_MIN: i64 = 10_000;
/// The maximum interval between two retries.
const RETRY_MS_MAX: i64 = 10 * 60_000;

/// Endpoints whose recorded change is not swapped in yet. As text, the end of a line about the change.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Behind(Vec<EndpointName>);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.0.iter().map(|name| format!("`{name}`")).collect();
        write!(f, "; this is recorded, and {} could not be switched yet: the server retries it", names.join(", "))
    }
}

/// When a failed swap of each endpoint is retried.
#[derive(Default)]
pub(super) struct Retries(Mutex<HashMap<(ProjectId, EndpointName), Retry>>);

struct Retry {
    /// The instant on the wall clock.
    wall_ms: i64,
    /// The current interval.
    pause_ms: i64,
}

impl Retries {
    fn is_due(&self, endpoint: &Endpoint, wall_ms: i64) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&key(endpoint)).is_none_or(|retry| retry.wall_ms <= wall_ms)
    }

    fn succeeded(&self, endpoint: &Endpoint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(endpoint));
    }

    fn failed(&self, endpoint: &Endpoint, wall_ms: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before_ms = all.get(&key(endpoint)).map_or(0, |retry| retry.pause_ms);
        let pause_ms = (before_ms * 2).clamp(RETRY_MS_MIN, RETRY_MS_MAX);
        all.insert(key(endpoint), Retry { wall_ms: wall_ms + pause_ms, pause_ms });
    }
}

fn key(endpoint: &Endpoint) -> (ProjectId, EndpointName) {
    (endpoint.project_id, endpoint.name.clone())
}

impl Endpoints {
    /// Swaps in a recorded change of these endpoints. One that fails affects no other: it is logged, and
    /// [`Endpoints::catch_up`] retries it.
    pub(super) async fn refresh_recorded(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        names: &[EndpointName],
        ready: Option<&LoadedVersion>,
    ) -> Behind {
        let mut behind = Behind::default();
        for name in names {
            if let Err(error) = self.refresh(project, name, ready).await {
                tracing::error!(endpoint.name = %name, error = error.chain(), "a recorded change of an endpoint is not swapped in yet");
                behind.0.push(name.clone());
            }
        }
        behind
    }

    /// Swaps in the recorded changes that this server does not answer by yet. A failure is logged, affects no other
    /// endpoint, and is retried after an interval that doubles from 10 s to 10 min.
    pub async fn catch_up(self: &Arc<Self>, project: &Arc<ProjectState>, stored: &[Endpoint]) {
        let is_behind = |endpoint: &&Endpoint| {
            self.router.generation(project.id, &endpoint.name).is_none_or(|live| live < endpoint.generation)
        };
        for endpoint in stored.iter().filter(is_behind) {
            let wall_ms = self.kernel.services.clock.wall_ms();
            if !self.retries.is_due(endpoint, wall_ms) {
                continue;
            }
            match self.open(project, endpoint).await {
                Ok(()) => self.retries.succeeded(endpoint),
                Err(error) => {
                    tracing::error!(endpoint.name = %endpoint.name, error = error.chain(), "an endpoint does not answer as recorded");
                    self.retries.failed(endpoint, wall_ms);
                }
            }
        }
    }

    /// Swaps in what is recorded of an endpoint. Requests of its canary before this server answered are counted.
    pub(super) async fn open(self: &Arc<Self>, project: &Arc<ProjectState>, endpoint: &Endpoint) -> Result<()> {
        let is_first = self.router.find(endpoint.name.as_str()).is_none();
        self.refresh(project, &endpoint.name, None).await?;
        if is_first { self.restore_counts(project, endpoint).await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
