//! `runs/…`: the life of runs, and the search.

use perennial_core::id::{ExperimentId, RunId};
use perennial_core::state::RunStatus;
use perennial_tracking::limits::PAGE_MAX;

use super::entities::{Run, RunInfo, Tag, ViewType};
use crate::mlflow::call::{Call, JsonCall, Method, calls};
use crate::mlflow::message::{Limit, message};

calls! {
    /// Creates a run.
    POST "2.0/mlflow/runs/create" create {
        experiment_id: ExperimentId, user_id: Option<String>, run_name: Option<String>, start_time: Option<i64>,
        tags: Vec<Tag>,
    } -> { run: Run }

    /// Gets a run, also a deleted one.
    GET "2.0/mlflow/runs/get" get { run_id | run_uuid: RunId } -> { run: Run }

    /// Changes the status, the end or the name of a run.
    POST "2.0/mlflow/runs/update" update {
        run_id | run_uuid: RunId, status: Option<RunStatus>, end_time: Option<i64>, run_name: Option<String>,
    } -> { run_info: RunInfo }

    /// Deletes a run.
    POST "2.0/mlflow/runs/delete" delete { run_id | run_uuid: RunId } -> {}

    /// Restores a deleted run.
    POST "2.0/mlflow/runs/restore" restore { run_id | run_uuid: RunId } -> {}

    /// Searches runs of experiments, a page at a time.
    POST "2.0/mlflow/runs/search" search {
        experiment_ids: Vec<ExperimentId>, filter: Option<String>, run_view_type: Option<ViewType>,
        max_results: Option<Limit<PAGE_MAX>>, order_by: Vec<String>, page_token: Option<String>,
    } -> { runs: Vec<Run>, next_page_token: Option<String> }
}
