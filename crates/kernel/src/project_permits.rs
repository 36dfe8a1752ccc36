//! Permits for work that takes long: each project has a share of them, so that the work of one leaves room for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use perennial_core::id::ProjectId;
use perennial_core::{Error, Result};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Permits that the projects of a server share. Who has no permit waits, in the order of arrival.
pub struct ProjectPermits {
    total: Arc<Semaphore>,
    share: usize,
    of_projects: Mutex<HashMap<ProjectId, Arc<Semaphore>>>,
}

/// A permit, given back when it is dropped.
pub struct ProjectPermit {
    _of_project: OwnedSemaphorePermit,
    _of_server: OwnedSemaphorePermit,
}

impl ProjectPermits {
    /// So many permits in total, of which one project holds at most a share.
    pub fn new(total: usize, share: usize) -> Self {
        Self { total: Arc::new(Semaphore::new(total)), share, of_projects: Mutex::default() }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// If the server is stopping.
    pub async fn acquire(&self, project: ProjectId) -> Result<ProjectPermit> {
        let stopping = |closed: AcquireError| Error::internal("the server is stopping", closed);
        let of_project = {
            let mut of_projects = self.of_projects.lock().unwrap_or_else(PoisonError::into_inner);
            of_projects.entry(project).or_insert_with(|| Arc::new(Semaphore::new(self.share))).clone()
        };
        // First its own: a project that has its share does not stand in the way of others.
        let of_project = of_project.acquire_owned().await.map_err(stopping)?;
        let of_server = self.total.clone().acquire_owned().await.map_err(stopping)?;
        Ok(ProjectPermit { _of_project: of_project, _of_server: of_server })
    }
}

#[cfg(test)]
mod tests;
