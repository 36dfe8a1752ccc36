//! The slices side by side, for the entry points.

use std::sync::Arc;

use perennial_execution::Execution;
use perennial_ingest::Ingest;
use perennial_kernel::job_worker::Worker;
use perennial_kernel::{Kernel, Services};
use perennial_projects::Projects;
use perennial_release::{Endpoints, PipelineRunner, RegisteredModels};
use perennial_watch::Watch;

/// The service of each slice, over one kernel.
pub struct Slices {
    /// Services, access, ledger and alerts.
    pub kernel: Arc<Kernel>,
    /// Projects and their submissions.
    pub projects: Arc<Projects>,
    /// Sources, loads, datasets, predictions.
    pub ingest: Arc<Ingest>,
    /// Steps of pipeline runs.
    pub execution: Arc<Execution>,
    /// Endpoints, and the versions that answer at each.
    pub endpoints: Arc<Endpoints>,
    /// Pipeline runs from their request to the promotion.
    pub runner: Arc<PipelineRunner>,
    /// Monitors, triggers, the scheduler.
    pub watch: Arc<Watch>,
}

impl Slices {
    /// The slices over `services`.
    pub fn new(services: Services) -> Arc<Self> {
        let kernel = Kernel::new(services);
        let projects = Arc::new(Projects::new(kernel.clone()));
        let ingest = Arc::new(Ingest::new(kernel.clone()));
        let catalog = Arc::new(RegisteredModels::new(kernel.clone()));
        let execution = Execution::new(kernel.clone(), ingest.clone(), catalog);
        let endpoints = Endpoints::new(kernel.clone(), projects.clone(), ingest.clone());
        let runner = Arc::new(PipelineRunner::new(execution.clone(), endpoints.clone()));
        let watch = Watch::new(kernel.clone(), ingest.clone(), endpoints.clone(), runner.clone());
        Arc::new(Self { kernel, projects, ingest, execution, endpoints, runner, watch })
    }

    /// A worker with the handlers of every slice.
    pub fn worker(&self) -> Worker {
        let (projects, endpoints) = (self.projects.clone(), self.endpoints.clone());
        Worker::new(self.kernel.clone())
            .handle(move |job| {
                let projects = projects.clone();
                async move { projects.delete_replaced_uploads(job).await }
            })
            .handle(move |job| {
                let endpoints = endpoints.clone();
                async move { endpoints.continue_release(job).await }
            })
    }
}
