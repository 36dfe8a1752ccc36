//! `experiments/…`.

use perennial_core::id::ExperimentId;
use perennial_tracking::limits::PAGE_MAX;

use super::entities::{Experiment, Tag, ViewType};
use crate::mlflow::call::{Call, JsonCall, Method, calls};
use crate::mlflow::message::{Limit, message};

calls! {
    /// Creates an experiment.
    POST "2.0/mlflow/experiments/create" create {
        name: String, artifact_location: Option<String>, tags: Vec<Tag>,
    } -> { experiment_id: ExperimentId }

    /// Gets an experiment, also a deleted one.
    GET "2.0/mlflow/experiments/get" get { experiment_id: ExperimentId } -> { experiment: Experiment }

    /// Gets an experiment by its name, also a deleted one.
    GET "2.0/mlflow/experiments/get-by-name" get_by_name { experiment_name: String } -> { experiment: Experiment }

    /// Searches experiments, a page at a time.
    GET | POST "2.0/mlflow/experiments/search" search {
        max_results: Limit<PAGE_MAX>, page_token: Option<String>, filter: Option<String>, order_by: Vec<String>,
        view_type: Option<ViewType>,
    } -> { experiments: Vec<Experiment>, next_page_token: Option<String> }

    /// Renames an experiment.
    POST "2.0/mlflow/experiments/update" update { experiment_id: ExperimentId, new_name: String } -> {}

    /// Deletes an experiment and its runs.
    POST "2.0/mlflow/experiments/delete" delete { experiment_id: ExperimentId } -> {}

    /// Restores a deleted experiment and its runs.
    POST "2.0/mlflow/experiments/restore" restore { experiment_id: ExperimentId } -> {}

    /// Sets a tag.
    POST "2.0/mlflow/experiments/set-experiment-tag" set_tag {
        experiment_id: ExperimentId, key: String, value: Option<String>,
    } -> {}

    /// Deletes a tag.
    POST "2.0/mlflow/experiments/delete-experiment-tag" delete_tag {
        experiment_id: ExperimentId, key: String,
    } -> {}
}
