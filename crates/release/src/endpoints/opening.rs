//! Opening the endpoints after a start: the server answers while their models are loaded.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use perennial_core::Result;
use perennial_core::entity::Endpoint;
use perennial_core::id::ProjectId;
use perennial_core::name::EndpointName;
use perennial_store::endpoints;

use super::Endpoints;

/// The endpoints whose canary's requests before the start are not counted yet.
#[derive(Default)]
pub(super) struct Uncounted(Mutex<HashSet<(ProjectId, EndpointName)>>);

/// An endpoint is uncounted until this is dropped.
pub(super) struct UncountedGuard<'a> {
    all: &'a Uncounted,
    endpoint: (ProjectId, EndpointName),
}

impl Uncounted {
    pub(super) fn begin(&self, project: ProjectId, name: &EndpointName) -> UncountedGuard<'_> {
        let endpoint = (project, name.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.clone());
        UncountedGuard { all: self, endpoint }
    }

    pub(super) fn contains(&self, project: ProjectId, name: &EndpointName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&(project, name.clone()))
    }
}

impl Drop for UncountedGuard<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.endpoint);
    }
}

impl Endpoints {
    /// The endpoints that should answer, after a start. From now on those that do not answer yet are not ready, because
    /// their models are being loaded.
    ///
    /// # Errors
    /// If the endpoints cannot be read.
    pub async fn begin_opening(&self) -> Result<Vec<Endpoint>> {
        let all = endpoints::list_everywhere(&mut *self.kernel.store().read().await?).await?;
        let mut all = self.kernel.readable(all);
        all.retain(|endpoint| endpoint.champion_number.is_some());
        let wall_ms = self.kernel.services.clock.wall_ms();
        for Endpoint { project_id, name, .. } in &all {
            if self.router.find_in(*project_id, name.as_str()).is_none() {
                self.retries.begin_opening((*project_id, name), wall_ms);
            }
        }
        Ok(all)
    }

    /// Opens endpoints, none waiting for another. One that cannot answer is not ready, and an alert says why.
    pub async fn open_each(self: &Arc<Self>, endpoints: &[Endpoint]) {
        join_all(endpoints.iter().map(|endpoint| self.open_recorded(endpoint))).await;
    }

    /// Opens every endpoint that should answer.
    ///
    /// # Errors
    /// If the endpoints cannot be read.
    pub async fn open_all(self: &Arc<Self>) -> Result<()> {
        let all = self.begin_opening().await?;
        self.open_each(&all).await;
        Ok(())
    }

    async fn open_recorded(self: &Arc<Self>, endpoint: &Endpoint) {
        match self.projects.get(endpoint.project_id).await {
            // A failure is kept and logged.
            Ok(project) => drop(self.open(&project, endpoint).await),
            Err(error) => {
                tracing::error!(endpoint.name = %endpoint.name, error = error.chain(), "an endpoint does not answer");
                self.report_fault(endpoint.project_id, &endpoint.name, &error).await;
            }
        }
    }
}
