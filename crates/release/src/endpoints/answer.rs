//! Answering one request.

use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use perennial_core::frame::{Column, Frame, TextColumn, is_exact};
use perennial_core::id::RequestId;
use perennial_core::model::{Input, InputKind, InputTime, PredictError, Scores, Signature};
use perennial_core::port::model::LoadedModel;
use perennial_core::port::prediction::{Durability, PredictionRecord, TrafficRole};
use perennial_core::{Error, ErrorCode, ErrorKind, Result};
use serde_json::json;

use super::Endpoints;
use crate::router::{Deployment, KeyColumn, LoadedVersion};
use perennial_kernel::first_few;

/// Scores of one answer: its rows times the classes of the version.
const SCORES_MAX: usize = 32 << 20;

/// Inputs that an error names, at most.
const MISSING_NAMED_MAX: usize = 50;

/// What to do with columns that are neither features nor keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Refuse them (Open Inference Protocol).
    Refuse,
    /// Leave them out (MLflow scoring).
    Drop,
}

/// One request. One version answers all its rows.
pub struct Request {
    /// Its id; a row's prediction id is `<request>-<row>`.
    pub id: RequestId,
    /// Columns by name.
    pub inputs: Frame,
    /// The number of the version to ask, if the request names one.
    pub version: Option<i64>,
    /// What to do with unknown columns.
    pub extra: Extra,
    /// When the request arrived.
    pub began: Instant,
}

/// The answer.
pub struct Answer {
    /// The version that answered.
    pub version: i64,
    /// The role in which it answered.
    pub role: TrafficRole,
    /// The scores.
    pub scores: Scores,
    /// Task and classes of the version.
    pub signature: Arc<Signature>,
}

impl Endpoints {
    /// Answers one request and logs it before it returns. A model that computes in process does so on the calling
    /// thread: call it on a blocking thread for many rows.
    ///
    /// # Errors
    /// - `Signature`: the inputs do not fit the version. Such a request is neither logged nor counted: it says nothing
    ///   about the model.
    /// - Others are failures of the model or of the log; they count in the version's error rate.
    pub async fn answer(&self, deployment: &Deployment, request: Request) -> Result<Answer> {
        self.kernel.lease.require()?;
        let (role, version) = choose(deployment, &request.inputs, request.version, request.id)?;
        let may_fall_back = role == TrafficRole::Canary && request.version.is_none();
        let Request { id, inputs, extra, began, .. } = request;
        let (role, version, computed) = match compute(deployment, version, inputs, extra).await {
            Ok(computed) => (role, version, computed),
            // A request that does not fit the canary alone is answered by the champion.
            Err(misfit) if may_fall_back => {
                let champion = deployment.champion();
                let computed = compute(deployment, champion, misfit.inputs, extra).await;
                (TrafficRole::Fallback, champion, computed.map_err(|misfit| misfit.error)?)
            }
            Err(misfit) => return Err(misfit.error),
        };
        let latency_us = began.elapsed().as_micros() as u64;
        let now = deployment.project.now();
        let record = PredictionRecord {
            request: id,
            version: version.number,
            role,
            status: if computed.scores.is_ok() { 200 } else { 500 },
            wall_ms: now.wall_ms,
            project_ms: now.project_ms,
            latency_us,
            inputs: &computed.logged,
            scores: computed.scores.as_ref().ok(),
        };
        let logged = self.log(deployment, record).await;
        version.stats.record(latency_us, computed.scores.is_err() || logged.is_err());
        if let Some(canary) = deployment.routes.canary().filter(|_| role == TrafficRole::Fallback) {
            canary.version.stats.record_fallbacks(1);
        }
        logged?;
        let scores = computed.scores.map_err(|cause| failed(version.number, cause))?;
        Ok(Answer { version: version.number, role, scores, signature: version.model.signature().clone() })
    }

    /// Writes a record to the prediction log, and syncs it if the endpoint says so.
    async fn log(&self, deployment: &Deployment, record: PredictionRecord<'_>) -> Result<()> {
        let predictions = &self.kernel.services.predictions;
        let appended = predictions.append(&deployment.log, record);
        let position = appended.inspect_err(|error| self.report_unlogged(deployment, error))?;
        self.report_logged(deployment);
        if deployment.durability == Durability::Synced {
            predictions.sync(&deployment.log, position).await?;
        }
        Ok(())
    }
}

/// The error of a version that did not answer.
fn failed(number: i64, cause: PredictError) -> Error {
    let message = format!("version {number} failed to answer");
    match cause {
        PredictError::Runtime(error) if error.kind() != ErrorKind::Internal => {
            error.with_message(format!("{message}: {}", error.message()))
        }
        cause => Error::internal(message, cause),
    }
}

/// What a version computed.
struct Computed {
    /// The inputs as the model received them, and the keys.
    logged: Frame,
    /// The scores, or why the model failed.
    scores: Result<Scores, PredictError>,
}

/// Inputs that do not fit a version.
struct Misfit {
    error: Error,
    /// The inputs, for another version.
    inputs: Frame,
}

/// Computes the scores of one version.
async fn compute(
    deployment: &Deployment,
    version: &LoadedVersion,
    inputs: Frame,
    extra: Extra,
) -> Result<Computed, Misfit> {
    let signature = version.model.signature();
    let valid = validate(deployment, signature, &inputs, extra).and_then(|()| check_scores(signature, inputs.rows()));
    if let Err(error) = valid {
        return Err(Misfit { error, inputs });
    }
    let bound = bind(deployment, signature, inputs);
    match predict(&*version.model, &bound.features).await {
        // The signature has kinds of columns only; a model may take less of a kind, such as integers.
        Err(PredictError::Input(reason)) => {
            let error = Error::new(ErrorCode::Signature, format!("version {}: {reason}", version.number));
            Err(Misfit { error, inputs: bound.into_inputs() })
        }
        scores => Ok(Computed { logged: with_keys(bound.features, bound.keys, &deployment.zone), scores }),
    }
}

/// Predicts without the cost of a boxed future where the model allows it.
async fn predict(model: &dyn LoadedModel, features: &Frame) -> Result<Scores, PredictError> {
    match model.in_process().map(|predictor| predictor.predict(features)) {
        Some(Err(PredictError::Budget(_))) | None => model.predict(features).await,
        Some(computed) => computed,
    }
}

/// The version that answers: the one the request names, else the one its route has.
fn choose<'a>(
    deployment: &'a Deployment,
    inputs: &Frame,
    number: Option<i64>,
    id: RequestId,
) -> Result<(TrafficRole, &'a LoadedVersion)> {
    let route = match number {
        Some(number) => deployment
            .routes
            .find(number)
            .ok_or_else(|| Error::not_found("version of endpoint", format!("{}/{number}", deployment.endpoint)))?,
        None if deployment.routes.is_champion_only() => deployment.routes.champion(),
        None => deployment.routes.choose(&first_key(&deployment.key, inputs).unwrap_or_else(|| id.to_string())),
    };
    Ok((route.role, &route.version))
}

/// The first row's key: the values of all key columns; `None` when the request has none of them. Different values
/// give different keys, also when a value of one column looks like the values of two.
fn first_key(columns: &[KeyColumn], inputs: &Frame) -> Option<String> {
    let parts: Vec<Option<String>> =
        columns.iter().map(|key| inputs.column(&key.name).and_then(|column| text_at(column, 0))).collect();
    match parts.as_slice() {
        [one] => one.clone(),
        many if many.iter().all(Option::is_none) => None,
        many => Some(json!(many).to_string()),
    }
}

fn text_at(column: &Column, row: usize) -> Option<String> {
    if row >= column.len() || column.is_missing(row) {
        return None;
    }
    match column {
        Column::Number(values) => Some(values[row].to_string()),
        Column::Text(text) => text.get(row).map(str::to_owned),
    }
}

/// Refuses inputs that do not match the signature; the error names the column.
fn validate(deployment: &Deployment, signature: &Signature, inputs: &Frame, extra: Extra) -> Result<()> {
    if extra == Extra::Refuse {
        // A request may have the inputs of any version of the endpoint.
        let known = |name: &str| deployment.input(name).is_some() || deployment.key.iter().any(|key| key.name == name);
        if let Some(unknown) = inputs.names().iter().find(|name| !known(name)) {
            return Err(Error::new(
                ErrorCode::Signature,
                format!("input `{unknown}` is not known to `{}`", deployment.endpoint),
            )
            .with_hint(format!("it takes: {}", deployment.inputs().join(", "))));
        }
    }
    for input in &signature.inputs {
        let Some(column) = inputs.column(&input.name) else {
            return Err(missing_inputs(signature, inputs));
        };
        let message = match (input.kind, column) {
            (InputKind::Number, Column::Text(text)) if input.time.is_some() => {
                match misfit_time(input, text, &deployment.zone) {
                    Some(message) => message,
                    None => continue,
                }
            }
            (InputKind::Number, Column::Text(text)) => {
                let mut values = (0..text.codes.len()).filter_map(|row| text.get(row));
                let is_inexact = |value: &&str| value.parse::<i128>().is_ok_and(|value| !is_exact(value));
                match (values.clone().find(is_inexact), values.next()) {
                    (Some(value), _) => {
                        format!("input `{}` takes numbers that a double holds exactly, got `{value}`", input.name)
                    }
                    (None, Some(value)) => {
                        format!("input `{}` takes numbers, got the text `{}`", input.name, value.escape_debug())
                    }
                    (None, None) => continue,
                }
            }
            (InputKind::Text, Column::Number(values)) if !values.iter().all(|value| value.is_nan()) => {
                format!("input `{}` takes text, got numbers", input.name)
            }
            _ => continue,
        };
        return Err(Error::new(ErrorCode::Signature, message));
    }
    let is_input = |key: &KeyColumn| signature.inputs.iter().any(|input| input.name == key.name);
    for key in deployment.key.iter().filter(|key| !is_input(key)) {
        let (Some(time), Some(column)) = (key.time, inputs.column(&key.name)) else { continue };
        let misfit = |row| match time_at(time, column, row, &deployment.zone) {
            Some(_) => None,
            None => text_at(column, row),
        };
        if let Some(value) = (0..column.len()).find_map(misfit) {
            return Err(Error::new(ErrorCode::Signature, not_a_time(&format!("key `{}`", key.name), time, &value)));
        }
    }
    Ok(())
}

/// Refuses rows whose scores would take too much memory.
fn check_scores(signature: &Signature, rows: usize) -> Result<()> {
    let width = signature.width().max(1);
    if rows.saturating_mul(width) <= SCORES_MAX {
        return Ok(());
    }
    let message =
        format!("{rows} rows of {width} classes are sent, at most {} rows are taken at once", SCORES_MAX / width);
    Err(Error::new(ErrorCode::TooLarge, message).with_hint("send fewer rows at once"))
}

/// The error that names every input which a request lacks.
fn missing_inputs(signature: &Signature, inputs: &Frame) -> Error {
    let missing = signature.inputs.iter().map(|input| input.name.as_str());
    let missing: Vec<&str> = missing.filter(|name| inputs.column(name).is_none()).collect();
    let message = match missing.as_slice() {
        [one] => format!("input `{one}` is missing"),
        several => format!("inputs {} are missing", first_few(several, MISSING_NAMED_MAX, "")),
    };
    Error::new(ErrorCode::Signature, message).with_hint("name every feature; null is allowed as its value")
}

/// The columns of a request, by use.
struct Bound {
    /// In the signature's order and kinds.
    features: Frame,
    /// Key columns that are not features.
    keys: Vec<(KeyColumn, Column)>,
    /// Columns that this version does not take.
    others: Vec<(String, Column)>,
}

impl Bound {
    /// All columns of the request again.
    fn into_inputs(self) -> Frame {
        let mut inputs = self.features;
        let keys = self.keys.into_iter().map(|(key, column)| (key.name, column));
        for (name, column) in keys.chain(self.others) {
            inputs.push(name, column);
        }
        inputs
    }
}

/// Sorts the validated columns of a request by use.
fn bind(deployment: &Deployment, signature: &Signature, inputs: Frame) -> Bound {
    let mut columns: Vec<Option<(String, Column)>> = inputs.into_columns().map(Some).collect();
    let mut take = |expected: usize, name: &str| {
        let has_name = |column: &Option<(String, Column)>| column.as_ref().is_some_and(|(own, _)| own == name);
        // Clients usually send the columns in the signature's order.
        let index = if columns.get(expected).is_some_and(has_name) {
            Some(expected)
        } else {
            columns.iter().position(has_name)
        };
        columns.get_mut(index?)?.take()
    };
    let mut features = Frame::new();
    for (index, input) in signature.inputs.iter().enumerate() {
        if let Some((name, column)) = take(index, &input.name) {
            features.push(name, of_input(input, column, &deployment.zone));
        }
    }
    let bound = |key: &KeyColumn| {
        let (name, column) = take(usize::MAX, &key.name)?;
        Some((KeyColumn { name, time: key.time }, column))
    };
    let keys = deployment.key.iter().filter_map(bound).collect();
    Bound { features, keys, others: columns.into_iter().flatten().collect() }
}

/// The error about the first text that is not a time of an input's kind.
fn misfit_time(input: &Input, text: &TextColumn, zone: &TimeZone) -> Option<String> {
    let time = input.time?;
    let value = text.values.iter().find(|value| time.parse(value, zone).is_none())?;
    Some(not_a_time(&format!("input `{}`", input.name), time, value))
}

/// The message about a text that is not a time, in a column such as "input `at`".
fn not_a_time(column: &str, time: InputTime, value: &str) -> String {
    format!(
        "{column} takes a {}, such as `{}`, or epoch seconds as a number, got the text `{}`",
        match time {
            InputTime::Date => "date",
            InputTime::Timestamp => "timestamp that exists in the project's timezone",
        },
        time.example(),
        value.escape_debug()
    )
}

/// The validated column in the kind of its input: times as epoch seconds. A column of another kind has missing values only.
fn of_input(input: &Input, column: Column, zone: &TimeZone) -> Column {
    match (input.kind, column) {
        (InputKind::Number, Column::Text(text)) if input.time.is_some() => {
            let parse = |value: &Arc<str>| input.time.and_then(|time| time.parse(value, zone)).unwrap_or(f64::NAN);
            let values: Vec<f64> = text.values.iter().map(parse).collect();
            let value = |code: &u32| values.get(*code as usize).copied().unwrap_or(f64::NAN);
            Column::Number(text.codes.iter().map(value).collect())
        }
        (InputKind::Text, Column::Number(values)) => Column::Text(TextColumn::encode(values.iter().map(|_| None))),
        (InputKind::Number, Column::Text(text)) => Column::Number(vec![f64::NAN; text.codes.len()]),
        (_, column) => column,
    }
}

/// The features, and the keys as text: clients send the same key as a number or as text, and numbers beyond 2^53 only
/// as text. A validated time has one text, in whatever form it was sent.
fn with_keys(mut features: Frame, keys: Vec<(KeyColumn, Column)>, zone: &TimeZone) -> Frame {
    for (key, column) in keys {
        let text = |row| match key.time {
            None => text_at(&column, row),
            Some(time) => time_at(time, &column, row, zone),
        };
        let texts: Vec<Option<String>> = (0..column.len()).map(text).collect();
        features.push(key.name, Column::Text(TextColumn::encode(texts.iter().map(Option::as_deref))));
    }
    features
}

/// The one text of a time in a key, which is a text or epoch seconds.
fn time_at(time: InputTime, column: &Column, row: usize, zone: &TimeZone) -> Option<String> {
    match column {
        Column::Number(values) => time.text_of_seconds(*values.get(row)?),
        Column::Text(text) => time.canonical(text.get(row)?, zone),
    }
}

#[cfg(test)]
mod tests;
