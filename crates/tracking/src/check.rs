//! Validation of keys and values.

use std::collections::HashSet;

use perennial_core::entity::{Param, RunBatch, RunInput, Tag};
use perennial_core::{Error, ErrorCode, Result};

use super::limits;

/// An argument that is not allowed.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

/// Refuses a text of more than `most` characters.
pub(super) fn length(field: &str, text: &str, most: usize) -> Result<()> {
    if text.len() <= most || text.chars().count() <= most {
        return Ok(());
    }
    Err(refused(format!("'{field}' exceeds the maximum length of {most} characters")))
}

/// Validates the key of a metric, param or tag; `field` is its place in the request.
pub(super) fn key(field: &str, key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(refused(format!("Missing value for required parameter '{field}'.")));
    }
    length(field, key, limits::KEY_CHARS_MAX)?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ' ');
    if !key.chars().all(is_plain) {
        let expected = "expected letters, digits, `_`, `-`, `.`, `/`, `:` and spaces";
        return Err(refused(format!("Invalid value {} for parameter '{field}' supplied: {expected}", quoted(key))));
    }
    // Keys become file names in exports: each is a path in its normal form.
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(refused(format!(
            "Invalid value {} for parameter '{field}' supplied: as a path it is not in its normal form",
            quoted(key)
        )));
    }
    Ok(())
}

/// A text as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Cuts a text to `most` characters.
fn cut(text: &mut String, most: usize) {
    if text.len() > most
        && let Some((end, _)) = text.char_indices().nth(most)
    {
        text.truncate(end);
    }
}

/// Validates the tags of a run and truncates their values to the limit.
pub(super) fn tags(tags: &mut [Tag]) -> Result<()> {
    for (place, tag) in tags.iter_mut().enumerate() {
        key(&format!("tags[{place}].key"), &tag.key)?;
        cut(&mut tag.value, limits::TAG_CHARS_MAX);
    }
    Ok(())
}

/// Validates a batch and truncates long values to their limits.
pub(super) fn batch(batch: &mut RunBatch) -> Result<()> {
    let counts = [
        ("metrics", batch.metrics.len(), limits::BATCH_METRICS_MAX),
        ("params", batch.params.len(), limits::BATCH_PARAMS_MAX),
        ("tags", batch.tags.len(), limits::BATCH_TAGS_MAX),
        (
            "metrics, params and tags together",
            batch.metrics.len() + batch.params.len() + batch.tags.len(),
            limits::BATCH_MAX,
        ),
    ];
    for (what, count, most) in counts {
        if count > most {
            return Err(refused(format!(
                "A batch logging request can contain at most {most} {what}, this one has {count}"
            )));
        }
    }
    for (place, point) in batch.metrics.iter_mut().enumerate() {
        key(&format!("metrics[{place}].key"), &point.key)?;
        if point.timestamp_ms < 0 {
            return Err(refused(format!(
                "Invalid value {} for parameter 'metrics[{place}].timestamp' supplied: expected epoch milliseconds from 0",
                point.timestamp_ms
            )));
        }
        if point.value.is_infinite() {
            point.value = f64::MAX.copysign(point.value);
        }
    }
    for (place, param) in batch.params.iter_mut().enumerate() {
        key(&format!("params[{place}].key"), &param.key)?;
        cut(&mut param.value, limits::PARAM_CHARS_MAX);
    }
    params_once(&batch.params)?;
    tags(&mut batch.tags)
}

fn params_once(params: &[Param]) -> Result<()> {
    let mut seen = HashSet::with_capacity(params.len());
    match params.iter().find(|param| !seen.insert(&param.key)) {
        Some(param) => Err(refused(format!("Duplicate parameter keys have been submitted: {}", quoted(&param.key)))),
        None => Ok(()),
    }
}

/// Validates the dataset inputs of a run.
pub(super) fn inputs(inputs: &[RunInput]) -> Result<()> {
    if inputs.len() > limits::INPUTS_MAX {
        return Err(refused(format!(
            "at most {} datasets are logged at once, these are {}",
            limits::INPUTS_MAX,
            inputs.len()
        )));
    }
    for (place, input) in inputs.iter().enumerate() {
        let field = |name: &str| format!("datasets[{place}].dataset.{name}");
        length(&field("name"), &input.name, 500)?;
        length(&field("digest"), &input.digest, 36)?;
        length(&field("source"), &input.source, 65_535)?;
        length(&field("schema"), input.schema.as_deref().unwrap_or_default(), 1_048_575)?;
        length(&field("profile"), input.profile.as_deref().unwrap_or_default(), 16_777_215)?;
        for (key, value) in input.tags.as_object().into_iter().flatten() {
            length(&format!("datasets[{place}].tags.key"), key, 255)?;
            length(&format!("datasets[{place}].tags.value"), value.as_str().unwrap_or_default(), 500)?;
        }
    }
    Ok(())
}

/// Validates the artifact location of an experiment.
pub(super) fn location(location: &str) -> Result<()> {
    length("artifact_location", location, limits::LOCATION_CHARS_MAX)?;
    let why = if location.starts_with("runs:") {
        "`runs:` names what a run left, not a place"
    } else if location.contains(['#', ';']) {
        "it has a fragment or params"
    } else if location.contains("..") || location.chars().any(char::is_control) {
        "it has `..` or a control character"
    } else {
        return Ok(());
    };
    Err(refused(format!("Invalid value {} for parameter 'artifact_location' supplied: {why}", quoted(location))))
}
