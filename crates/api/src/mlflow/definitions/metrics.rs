//! What runs log: `runs/log-…`, tags, `metrics/get-history`.

use perennial_core::id::RunId;

use super::entities::{DatasetInput, Metric, Param, Tag};
use crate::mlflow::call::{Call, JsonCall, Method, calls};
use crate::mlflow::message::{Limit, Number, message};

calls! {
    /// Logs a point of a metric.
    POST "2.0/mlflow/runs/log-metric" log_metric {
        run_id | run_uuid: RunId, key: String, value: Number, timestamp: i64, step: Option<i64>,
    } -> {}

    /// Logs a param.
    POST "2.0/mlflow/runs/log-parameter" log_param {
        run_id | run_uuid: RunId, key: String, value: Option<String>,
    } -> {}

    /// Sets a tag.
    POST "2.0/mlflow/runs/set-tag" set_tag {
        run_id | run_uuid: RunId, key: String, value: Option<String>,
    } -> {}

    /// Deletes a tag.
    POST "2.0/mlflow/runs/delete-tag" delete_tag { run_id | run_uuid: RunId, key: String } -> {}

    /// Logs metrics, params and tags together.
    POST "2.0/mlflow/runs/log-batch" log_batch {
        run_id | run_uuid: RunId, metrics: Vec<Metric>, params: Vec<Param>, tags: Vec<Tag>,
    } -> {}

    /// Logs the datasets that a run read.
    POST "2.0/mlflow/runs/log-inputs" log_inputs { run_id | run_uuid: RunId, datasets: Vec<DatasetInput> } -> {}

    /// Lists the points of a metric, a page at a time. The id is a text here: an unknown run has no points.
    GET "2.0/mlflow/metrics/get-history" history {
        run_id | run_uuid: String, metric_key: String, max_results: Option<Limit<{ u32::MAX }>>,
        page_token: Option<String>,
    } -> { metrics: Vec<Metric>, next_page_token: Option<String> }
}
