//! Predictions: where they are logged, and what a person reads about them.

use std::sync::Arc;

use jiff::tz::TimeZone;
use perennial_core::calendar::local;
use perennial_core::entity::Endpoint;
use perennial_core::frame::TextColumn;
use perennial_core::id::RequestId;
use perennial_core::lineage::Node;
use perennial_core::port::data::{QueryRequest, ValueColumn, Values};
use perennial_core::port::prediction::TrafficRole;
use perennial_core::{Error, Result};
use perennial_ingest::predictions;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use perennial_store::{endpoints, model_versions};
use serde_json::{Value, json};

use super::Line;
use crate::Endpoints;
use crate::decisions::version_node;
use crate::endpoints::followed;

/// The most inputs of a prediction in a line.
const VALUES_MAX: usize = 50;
/// The most characters of an input in a line.
const TEXT_MAX: usize = 60;

impl Endpoints {
    /// Finds a prediction of one of the project's endpoints, in its log or in its dataset. Loads nothing: a read changes
    /// nothing.
    pub(super) async fn find_prediction(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        id: &str,
    ) -> Result<(Vec<Line>, Node)> {
        let request = id.split_once('-').map_or(id, |(request, _)| request);
        let request: RequestId = request.parse().map_err(|_| Error::not_found("prediction", id.escape_debug()))?;
        let row = match id.split_once('-').map(|(_, row)| row.parse::<u32>()) {
            None => 0,
            Some(Ok(row)) => row,
            Some(Err(_)) => return Err(Error::not_found("prediction", id.escape_debug())),
        };
        let all = endpoints::list(&mut *caller.kernel.store().read().await?, project.id).await?;
        for endpoint in &all {
            // The log first: a record is removed from it only after its rows are in the dataset.
            let found = match logged(caller, project, endpoint, request, row).await? {
                Some(found) => Some(found),
                None => loaded(caller, project, endpoint, request, row).await?,
            };
            if let Some(found) = found {
                return found.explain(caller, project, endpoint).await;
            }
        }
        Err(Error::not_found("prediction", id.escape_debug())
            .with_hint("a prediction's id is `<request id>-<row>`; answers carry the request id"))
    }
}

/// A row of a prediction log, or of the dataset into which the log is loaded: the same columns.
struct Prediction {
    /// `<request>-<row>`.
    id: String,
    values: Vec<(String, Value)>,
}

/// A prediction that is still in the log of an endpoint.
async fn logged(
    caller: &Caller,
    project: &ProjectState,
    endpoint: &Endpoint,
    request: RequestId,
    row: u32,
) -> Result<Option<Prediction>> {
    let (predictions, log) =
        (caller.kernel.services.predictions.clone(), predictions::log_of(project.id, &endpoint.name));
    let columns = caller.kernel.run_blocking_short(move || predictions.find(&log, request)).await?;
    let value = |column: ValueColumn| Some((column.name, value_at(&column.values, row as usize)?));
    let values = columns.and_then(|columns| columns.into_iter().map(value).collect::<Option<Vec<_>>>());
    Ok(values.map(|values| Prediction { id: format!("{request}-{row}"), values }))
}

/// The value at a row; `None` beyond the last.
fn value_at(values: &Values, row: usize) -> Option<Value> {
    Some(match values {
        Values::Int(values) => json!(values.get(row)?),
        Values::Float(values) => json!(values.get(row)?),
        Values::Text(text) => {
            text.codes.get(row)?;
            json!(TextColumn::get(text, row))
        }
    })
}

/// A prediction in the dataset of an endpoint.
async fn loaded(
    caller: &Caller,
    project: &ProjectState,
    endpoint: &Endpoint,
    request: RequestId,
    row: u32,
) -> Result<Option<Prediction>> {
    let name = predictions::dataset_of(&endpoint.name)?;
    let snapshot = DatasetSnapshot::latest(&caller.kernel, project.id).await?;
    let Some(table) = snapshot.find(name.as_str()) else { return Ok(None) };
    let id = format!("{request}-{row}");
    let sql = format!("SELECT * FROM \"{name}\" WHERE prediction_id = '{id}' LIMIT 1");
    let page = caller.kernel.data().query(QueryRequest { sql, tables: vec![table.named_table()], limit: 1 }).await?;
    let names = page.schema.fields.into_iter().map(|field| field.name);
    Ok(page.rows.into_iter().next().map(|values| Prediction { id, values: names.zip(values).collect() }))
}

impl Prediction {
    fn value(&self, name: &str) -> &Value {
        self.values.iter().find(|(column, _)| column == name).map_or(&Value::Null, |(_, value)| value)
    }

    fn columns(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Lines about it, and the version that answered.
    async fn explain(&self, caller: &Caller, project: &ProjectState, endpoint: &Endpoint) -> Result<(Vec<Line>, Node)> {
        let number = self.value("version").as_i64().unwrap_or_default();
        let followed = followed(&caller.kernel, project, endpoint).await;
        let zone = followed.map_or(TimeZone::UTC, |submission| submission.zone.clone());
        let role = self.value("part").as_str().unwrap_or_default();
        let answered = if role == TrafficRole::Fallback.as_str() {
            "in place of the canary".to_owned()
        } else {
            format!("as {role}")
        };
        let text = format!(
            "prediction {}: answered by version {number} {answered} at `{}`, {} {}",
            self.id,
            endpoint.name,
            local(self.value("project_ms").as_i64().unwrap_or_default(), &zone),
            zone.iana_name().unwrap_or("UTC"),
        );
        let inputs = lines(self.columns().filter_map(|(column, value)| Some((column.strip_prefix("in_")?, value))));
        let scores = match self.value("status").as_i64() {
            Some(200) => {
                lines(self.columns().filter(|(column, value)| column.starts_with("score") && !value.is_null()))
            }
            status => format!("status {}", status.unwrap_or_default()),
        };
        let line = |depth, text| {
            let id = self.id.clone();
            Line { depth, kind: "prediction".to_owned(), id, text, is_repeated: false }
        };
        let mut lines = vec![line(0, text)];
        lines.extend((!inputs.is_empty()).then(|| line(1, format!("asked: {inputs}"))));
        lines.push(line(1, format!("answered: {scores}")));
        let version = model_versions::get(&mut *caller.kernel.store().read().await?, endpoint.model_id, number).await?;
        Ok((lines, version_node(&version)))
    }
}

/// Named values in words, the first of many.
fn lines<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut lines: Vec<String> = values.map(|(name, value)| format!("{name} {}", short(value))).collect();
    let more = lines.len().saturating_sub(VALUES_MAX);
    lines.truncate(VALUES_MAX);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines.join(", ")
}

/// A value in few characters: of a long text its beginning, of a number six digits that count.
fn short(value: &Value) -> String {
    match value {
        // A client sent it: what a terminal would obey is shown as what it is.
        Value::String(text) => {
            let cut = if text.chars().count() > TEXT_MAX { "…" } else { "" };
            let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            text.chars().take(TEXT_MAX).map(plain).collect::<String>() + cut
        }
        Value::Number(number) => {
            let short =
                number.as_f64().filter(|_| number.is_f64()).and_then(|f| format!("{f:.5e}").parse::<f64>().ok());
            short.map_or_else(|| number.to_string(), |short| short.to_string())
        }
        other => other.to_string(),
    }
}
