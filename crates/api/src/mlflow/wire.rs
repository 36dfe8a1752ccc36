//! What experiments and runs look like in answers.

use perennial_tracking::experiments::{Tag, Tagged};
use perennial_tracking::logging::MetricPoint;
use perennial_tracking::runs::{Run, RunData, RunInput};
use serde_json::{Map, Value, json};

/// An experiment.
pub(super) fn experiment(tagged: &Tagged) -> Value {
    let Tagged { experiment, tags: tagged } = tagged;
    let mut body = json!({
        "experiment_id": experiment.id.to_string(),
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": experiment.lifecycle.as_str(),
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
        "workspace": "default",
    });
    put(&mut body, "tags", tags(tagged));
    body
}

/// A run with what it logged.
pub(super) fn run((run, data): &(Run, RunData)) -> Value {
    let mut logged = json!({});
    put(&mut logged, "metrics", data.metrics.iter().map(point).collect());
    put(
        &mut logged,
        "params",
        data.params.iter().map(|param| json!({ "key": param.key, "value": param.value })).collect(),
    );
    put(&mut logged, "tags", tags(&data.tags));
    let mut inputs = json!({});
    put(&mut inputs, "dataset_inputs", data.inputs.iter().map(input).collect());
    json!({ "info": info(run), "data": logged, "inputs": inputs, "outputs": {} })
}

/// What a run is.
pub(super) fn info(run: &Run) -> Value {
    let mut body = json!({
        "run_id": run.run_id.to_string(),
        "run_uuid": run.run_id.to_string(),
        "run_name": run.name,
        "experiment_id": run.experiment_id.to_string(),
        "user_id": run.user_id,
        "status": run.status.as_str(),
        "start_time": run.start_ms,
        "artifact_uri": run.artifact_uri,
        "lifecycle_stage": run.lifecycle.as_str(),
    });
    if let Some(end_ms) = run.end_ms {
        body["end_time"] = json!(end_ms);
    }
    body
}

/// A point of a metric.
pub(super) fn point(point: &MetricPoint) -> Value {
    let value = if point.value.is_nan() { json!("NaN") } else { json!(point.value) };
    json!({ "key": point.key, "value": value, "timestamp": point.timestamp_ms, "step": point.step })
}

fn input(input: &RunInput) -> Value {
    let mut dataset =
        json!({ "name": input.name, "digest": input.digest, "source_type": input.source_type, "source": input.source });
    for (name, value) in [("schema", &input.schema), ("profile", &input.profile)] {
        if let Some(value) = value {
            dataset[name] = json!(value);
        }
    }
    let mut body = json!({ "dataset": dataset });
    let tags = input.tags.as_object().into_iter().flatten();
    put(&mut body, "tags", tags.map(|(key, value)| json!({ "key": key, "value": value })).collect());
    body
}

fn tags(tags: &[Tag]) -> Vec<Value> {
    tags.iter().map(|tag| json!({ "key": tag.key, "value": tag.value })).collect()
}

/// An answer with one list and the token of the page after; an empty list and no token are absent.
pub(super) fn page(name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut body = Value::Object(Map::new());
    put(&mut body, name, items);
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    body
}

/// Adds a list unless it is empty.
pub(super) fn put(body: &mut Value, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        body[name] = Value::Array(list);
    }
}
