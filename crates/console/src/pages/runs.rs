//! The pipeline runs of a project.

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_execution::pipeline_runs::{self, Page as Paged, PipelineRun};

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{ROWS_MAX, format};

#[derive(Template)]
#[template(path = "runs.html")]
struct Page {
    layout: Layout,
    runs: Paged<PipelineRun>,
}

impl Page {
    fn state(run: &PipelineRun) -> StatusBadge {
        run.state.into()
    }

    fn took(run: &PipelineRun) -> String {
        format::took(run.started_ms, run.ended_ms)
    }
}

/// Pipeline runs, newest first.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let runs = pipeline_runs::list(&request.caller()?, request.project()?, request.after(), ROWS_MAX).await?;
    page(&Page { layout: Layout::new(&request, "runs", "Pipeline runs").await?, runs })
}
