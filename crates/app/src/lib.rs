//! The slices side by side, for the entry points.

use std::sync::Arc;

pub use perennial_config::{Diagnostic, Diagnostics};
pub use perennial_execution::column_check;
pub use perennial_execution::{Execution, LABELLED_SHARE, Split, pipeline_runs, pipelines, steps};
pub use perennial_ingest::{Ingest, collect, datasets, loads, predictions, snapshot};
pub use perennial_kernel::{Caller, Kernel, Services, access, alerts, backup, lease, ledger, supervisor};
pub use perennial_projects::{DeclaredTexts, ProjectRecord, ProjectState, Projects, Submission, check_text, uploads};
pub use perennial_release::{
    Deployment, DeploymentGuard, EndpointRouter, Endpoints, LoadedVersion, PipelineRunner, RegisteredModels,
    RequestStats, Route, Routes, decisions, deployments, endpoints, evidence, lineage, models, releases,
};
pub use perennial_tracking as tracking;
pub use perennial_watch::{SchedulerEvent, Watch, monitor_results};

/// The slices side by side.
pub struct App {
    /// What every slice stands on.
    pub kernel: Arc<Kernel>,
    /// Projects and their submissions.
    pub projects: Arc<Projects>,
    /// Sources, loads, datasets, predictions.
    pub ingest: Arc<Ingest>,
    /// Steps of pipeline runs.
    pub execution: Arc<Execution>,
    /// Endpoints and who answers at each.
    pub endpoints: Arc<Endpoints>,
    /// Pipeline runs to their end.
    pub runner: Arc<PipelineRunner>,
    /// Monitors, triggers, the scheduler.
    pub watch: Arc<Watch>,
}

impl App {
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
}

impl std::ops::Deref for App {
    type Target = Kernel;

    fn deref(&self) -> &Kernel {
        &self.kernel
    }
}
