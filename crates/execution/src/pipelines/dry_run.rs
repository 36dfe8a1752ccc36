//! What a pipeline run would do.

use std::path::Path;
use std::sync::{Arc, Mutex};

use perennial_config::GraphNode;
use perennial_core::Result;
use perennial_core::blob::BlobDigest;
use perennial_core::cause::Cause;
use perennial_core::entity::{PipelineKind, PipelineOptions};
use perennial_core::name::StepName;
use perennial_core::permission::Permission;
use perennial_ingest::collect::PendingFiles;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::Caller;
use perennial_projects::{ProjectState, Submission, uploads};

use super::context::Context;
use super::request::new_run;
use super::step_plan::{StepPlan, plan_step};
use crate::{Execution, steps};

/// What a pipeline run would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What would run, and why; what would not as well.
    pub steps: Vec<StepPlan>,
    /// What would be collected before.
    pub pending: Vec<PendingFiles>,
}

impl Execution {
    /// What a run would do now by the project file last submitted, and why; nothing is run.
    pub async fn plan(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        steps: Vec<StepName>,
    ) -> Result<Plan> {
        let root = uploads::root(&self.kernel, project);
        self.plan_by(caller, project, project.submission()?, root.as_deref(), steps).await
    }

    /// What a run would do by an uploaded folder; what the project follows stays as it is.
    pub async fn plan_upload(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        folder: BlobDigest,
        steps: Vec<StepName>,
    ) -> Result<Plan> {
        let upload = uploads::open(caller, project, folder).await?;
        let planned = self.plan_by(caller, project, upload.submission.clone(), Some(&upload.path), steps).await;
        upload.close().await;
        planned
    }

    /// What a run would do by a project file, submitted or not, with relative sources below `root` (without one: the
    /// host's own). Nothing is run or recorded.
    pub async fn plan_by(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: Arc<Submission>,
        root: Option<&Path>,
        steps: Vec<StepName>,
    ) -> Result<Plan> {
        caller.require(Permission::Write, project.id)?;
        let run = new_run(
            project,
            &submission,
            PipelineKind::Run,
            Cause::person(&caller.principal.name),
            &PipelineOptions { steps, ..PipelineOptions::default() },
        )?;
        let mut context = Context::new(self, caller, project, submission, &run).await?;
        context.snapshot = Mutex::new(DatasetSnapshot::latest(&caller.kernel, project.id).await?);
        let context = &Arc::new(context);
        let (graph, wanted) = context.graph()?;
        let pending = self.ingest.pending_files(caller, project, &context.submission, root).await?;
        let mut plan: Vec<StepPlan> = Vec::new();
        for node in graph.nodes().iter().filter(|node| wanted.contains(&node.name)) {
            let step: StepName = node.name.parse()?;
            if let Some(before) = plan.iter().find(|why| !why.is_cached && node.after.contains(why.step.as_str())) {
                let reasons = vec![format!("it waits for `{}`, which would run", before.step)];
                plan.push(StepPlan { step, is_cached: false, reasons });
                continue;
            }
            let reads = |files: &&PendingFiles| {
                let dataset = GraphNode::Dataset(files.dataset.clone());
                context.submission.graph.inputs(&step).any(|needed| *needed == dataset)
            };
            let inputs = pending.iter().filter(reads);
            let reasons: Vec<_> =
                inputs.map(|files| format!("it waits for dataset `{}`: {}", files.dataset, files.describe())).collect();
            if !reasons.is_empty() {
                plan.push(StepPlan { step, is_cached: false, reasons });
                continue;
            }
            let parts = match steps::key(context, &step).await {
                Ok(parts) => parts,
                Err(error) => {
                    plan.push(StepPlan {
                        step,
                        is_cached: false,
                        reasons: vec![format!("it cannot: {}", error.message())],
                    });
                    continue;
                }
            };
            let cached = context.find_cached(&parts.key()).await?;
            plan.push(plan_step(&context.caller, &context.project, &step, &parts, cached.is_some()).await?);
            if let Some((run, outputs)) = cached {
                context.record_outputs(&step, run.id, outputs);
            }
        }
        Ok(Plan { steps: plan, pending })
    }
}
