//! The pipeline runs of a project.

use askama::Template;
use axum::response::Response;
use perennial_app::pipeline_runs::{self, Page as Paged, PipelineRun};
use perennial_core::Result;

use crate::door::page;
use crate::mark::Mark;
use crate::shell::Shell;
use crate::visit::Visit;
use crate::{ROWS_MAX, format};

#[derive(Template)]
#[template(path = "runs.html")]
struct Page {
    shell: Shell,
    runs: Paged<PipelineRun>,
}

impl Page {
    fn state(run: &PipelineRun) -> Mark {
        run.state.into()
    }

    fn took(run: &PipelineRun) -> String {
        format::took(run.started_ms, run.ended_ms)
    }
}

/// Pipeline runs, newest first.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let runs = pipeline_runs::list(&visit.caller()?, visit.project()?, visit.after(), ROWS_MAX).await?;
    page(&Page { shell: Shell::new(&visit, "runs", "Pipeline runs").await?, runs })
}
