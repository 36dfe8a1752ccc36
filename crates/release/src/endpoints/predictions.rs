//! Loading prediction logs on request.

use std::sync::Arc;

use perennial_core::Result;
use perennial_core::permission::Permission;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use perennial_store::endpoints;

use super::Endpoints;

impl Endpoints {
    /// Loads the prediction log of each endpoint into its dataset, as the scheduler does by itself. Returns the number of
    /// endpoints.
    ///
    /// # Errors
    /// The first error; an endpoint whose log cannot be loaded affects no other.
    pub async fn load_predictions(&self, caller: &Caller, project: &Arc<ProjectState>) -> Result<usize> {
        caller.require(Permission::Write, project.id)?;
        let all = endpoints::list(&mut *caller.kernel.store().read().await?, project.id).await?;
        let mut outcome = Ok(all.len());
        for endpoint in &all {
            let loaded = self.ingest.ingest_segments(caller, project, &endpoint.name).await;
            outcome = outcome.and_then(|count| loaded.map(|()| count));
        }
        outcome
    }
}
