//! The slice and what it keeps in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use perennial_core::Result;
use perennial_core::entity::ModelVersion;
use perennial_core::id::ProjectId;
use perennial_core::port::model::LoadedModel;
use perennial_ingest::Ingest;
use perennial_kernel::{Kernel, LockRank, OrderedMutex};
use perennial_projects::ProjectState;

use crate::pipelines::ActiveRuns;

/// The registered models that a candidate is compared with.
#[async_trait]
pub trait ModelCatalog: Send + Sync {
    /// The version that the alias `champion` of the project's model names now.
    async fn champion(&self, project: &ProjectState) -> Result<Option<ModelVersion>>;

    /// Loads a registered version.
    async fn load(&self, version: &ModelVersion) -> Result<Arc<dyn LoadedModel>>;
}

/// Runs pipelines.
pub struct Execution {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) catalog: Arc<dyn ModelCatalog>,
    /// The pipeline runs that are executed here or wait for their turn.
    pub(crate) active: ActiveRuns,
    /// Wakes followers of pipeline runs when an event was stored.
    pub(crate) events: tokio::sync::Notify,
    /// One pipeline run at a time in each project.
    running: Mutex<HashMap<ProjectId, OrderedMutex>>,
}

impl Execution {
    /// Nothing runs yet.
    pub fn new(kernel: Arc<Kernel>, ingest: Arc<Ingest>, catalog: Arc<dyn ModelCatalog>) -> Arc<Self> {
        Arc::new(Self {
            kernel,
            ingest,
            catalog,
            active: ActiveRuns::default(),
            events: tokio::sync::Notify::new(),
            running: Mutex::default(),
        })
    }

    pub(crate) fn running(&self, project: ProjectId) -> OrderedMutex {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.entry(project).or_insert_with(|| OrderedMutex::new(LockRank::Running)).clone()
    }
}
