//! Entities of tracking as messages, and messages as entities.

use perennial_core::state::Lifecycle;
use perennial_tracking::experiments::{self, Tagged};
use perennial_tracking::logging::MetricPoint;
use perennial_tracking::runs::{self, RunInput};
use serde_json::{Map, Value};

use super::definitions::entities::{
    Dataset, DatasetInput, Empty, Experiment, Metric, Param, Run, RunData, RunInfo, RunInputs, Tag, ViewType,
};
use super::message::Number;

/// The only workspace of a server.
const WORKSPACE: &str = "default";

impl From<Tagged> for Experiment {
    fn from(Tagged { experiment, tags }: Tagged) -> Self {
        Self {
            experiment_id: experiment.id,
            name: experiment.name,
            artifact_location: experiment.artifact_location,
            lifecycle_stage: experiment.lifecycle,
            creation_time: experiment.created_ms,
            last_update_time: experiment.updated_ms,
            workspace: WORKSPACE.to_owned(),
            tags: all(tags),
        }
    }
}

impl From<(runs::Run, runs::RunData)> for Run {
    fn from((run, data): (runs::Run, runs::RunData)) -> Self {
        Self {
            info: run.into(),
            data: RunData { metrics: all(data.metrics), params: all(data.params), tags: all(data.tags) },
            inputs: RunInputs { dataset_inputs: all(data.inputs) },
            outputs: Empty {},
        }
    }
}

impl From<runs::Run> for RunInfo {
    fn from(run: runs::Run) -> Self {
        Self {
            run_id: run.run_id,
            run_uuid: run.run_id,
            run_name: run.name,
            experiment_id: run.experiment_id,
            user_id: run.user_id,
            status: run.status,
            start_time: run.start_ms,
            end_time: run.end_ms,
            artifact_uri: run.artifact_uri,
            lifecycle_stage: run.lifecycle,
        }
    }
}

impl From<MetricPoint> for Metric {
    fn from(point: MetricPoint) -> Self {
        Self { key: point.key, value: Number(point.value), timestamp: point.timestamp_ms, step: Some(point.step) }
    }
}

impl From<Metric> for MetricPoint {
    fn from(metric: Metric) -> Self {
        Self {
            key: metric.key,
            value: metric.value.0,
            timestamp_ms: metric.timestamp,
            step: metric.step.unwrap_or_default(),
        }
    }
}

impl From<runs::Param> for Param {
    fn from(param: runs::Param) -> Self {
        Self { key: param.key, value: Some(param.value) }
    }
}

impl From<Param> for runs::Param {
    fn from(param: Param) -> Self {
        Self { key: param.key, value: param.value.unwrap_or_default() }
    }
}

impl From<experiments::Tag> for Tag {
    fn from(tag: experiments::Tag) -> Self {
        Self { key: tag.key, value: Some(tag.value) }
    }
}

impl From<Tag> for experiments::Tag {
    fn from(tag: Tag) -> Self {
        Self { key: tag.key, value: tag.value.unwrap_or_default() }
    }
}

impl From<RunInput> for DatasetInput {
    fn from(input: RunInput) -> Self {
        let tags = match input.tags {
            Value::Object(tags) => tags,
            _ => Map::new(),
        };
        let tag = |(key, value): (String, Value)| Tag { key, value: value.as_str().map(str::to_owned) };
        Self {
            dataset: Dataset {
                name: input.name,
                digest: input.digest,
                source_type: input.source_type,
                source: input.source,
                schema: input.schema,
                profile: input.profile,
            },
            tags: tags.into_iter().map(tag).collect(),
        }
    }
}

impl From<DatasetInput> for RunInput {
    fn from(DatasetInput { dataset, tags }: DatasetInput) -> Self {
        let tags = tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default().into()));
        Self {
            name: dataset.name,
            digest: dataset.digest,
            source_type: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema,
            profile: dataset.profile,
            tags: Value::Object(tags.collect()),
        }
    }
}

/// The lifecycle that a search is limited to; `None` finds deleted entities, too.
pub(super) fn lifecycle(view_type: Option<ViewType>) -> Option<Lifecycle> {
    match view_type {
        None | Some(ViewType::ActiveOnly) => Some(Lifecycle::Active),
        Some(ViewType::DeletedOnly) => Some(Lifecycle::Deleted),
        Some(ViewType::All) => None,
    }
}

/// Every item, converted.
pub(super) fn all<T: From<S>, S>(items: Vec<S>) -> Vec<T> {
    items.into_iter().map(T::from).collect()
}

/// The token of a request, if it has one: clients send an empty text for the first page.
pub(super) fn page_token(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}
