//! Brings `[task].data` up to date before monitors evaluate quality.

use std::sync::Arc;

use perennial_config::GraphNode;
use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::entity::PipelineKind;
use perennial_core::name::StepName;
use perennial_core::state::PipelineRunState;

use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_kernel::{Caller, wrong_state};
use perennial_projects::{ProjectState, Submission};

use crate::watch::Watch;

impl Watch {
    /// Whether `[task].data` is up to date with its sources. If not, a pipeline run that updates it is started in the
    /// background; on a stepped clock this waits for the run.
    pub(super) async fn refresh_data(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
    ) -> Result<bool> {
        let Some(task) = &submission.project.task else { return Ok(true) };
        let data = GraphNode::Dataset(task.data.clone());
        let steps: Vec<StepName> = submission.graph.required_steps(&data).into_iter().cloned().collect();
        if steps.is_empty() {
            return Ok(true);
        }
        let state = self.state(project.id);
        let is_stepped = project.clock.stepped_ms().is_some();
        let Some(refreshing) = state.refreshing.lock_or_try(is_stepped).await else { return Ok(false) };
        let Some(sources) = state.changed_sources(&self.kernel, project, submission).await? else { return Ok(true) };
        let cause = Cause::Monitor { dataset: task.data.clone() };
        let options = PipelineOptions { steps, ..PipelineOptions::default() };
        let run = pipelines::request(caller, project, PipelineKind::Run, cause, &options).await?;
        let (watch, caller, refreshed) = (self.clone(), caller.clone(), project.clone());
        let refresh = async move {
            let _refreshing = refreshing.adopt();
            let ended = watch.runner.run(&caller, &refreshed, &run).await?;
            if ended.state == PipelineRunState::Cancelled {
                return Err(wrong_state("the pipeline run that updates the monitors' data was cancelled"));
            }
            watch.state(refreshed.id).set_refreshed(sources);
            Ok(true)
        };
        if is_stepped {
            return Box::pin(refresh).await;
        }
        let project = project.clone();
        self.kernel.work.spawn("data of monitors", async move {
            match refresh.await {
                Ok(_) => state.retry_at_once(),
                Err(error) => {
                    tracing::warn!(project = %project.name, error = error.chain(), "the data of monitors cannot be updated");
                }
            }
        });
        Ok(false)
    }
}
