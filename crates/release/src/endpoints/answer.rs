//! Answering one request.

use std::time::Instant;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::{InputKind, Scores, Signature};
use perennial_core::port::prediction::{Durability, LogPosition, PredictionRecord, TrafficRole};
use perennial_core::{Error, ErrorCode, Result};
use serde_json::json;

use super::Endpoints;
use crate::router::{Answering, Deployment};

/// What to do with columns that are neither features nor keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Refuse them (Open Inference Protocol).
    Refuse,
    /// Leave them out (MLflow scoring).
    Drop,
}

/// One request, answered as a whole by one version.
pub struct Request {
    /// Its id; a row's prediction id is `<request>-<row>`.
    pub id: RequestId,
    /// Columns by name.
    pub inputs: Frame,
    /// A version asked for by number.
    pub version: Option<i64>,
    /// What to do with unknown columns.
    pub extra: Extra,
    /// When it began.
    pub began: Instant,
}

/// The answer.
pub struct Answer {
    /// The version that answered.
    pub version: i64,
    /// The part it played.
    pub part: TrafficRole,
    /// The scores.
    pub scores: Scores,
    /// Task and classes of the version.
    pub signature: Signature,
    /// Its record, when that has to be on disk before the answer is sent; see [`Endpoints::sync`].
    pub unsynced: Option<Unsynced>,
}

/// A record to sync before its answer is sent.
pub struct Unsynced {
    log: String,
    position: LogPosition,
}

impl Endpoints {
    /// Waits until the record of an answer is on disk, if the endpoint asks for it. Blocks no thread.
    pub async fn sync(&self, unsynced: Option<Unsynced>) -> Result<()> {
        match unsynced {
            Some(Unsynced { log, position }) => self.kernel.services.predictions.sync(&log, position).await,
            None => Ok(()),
        }
    }

    /// Answers one request and logs it before it returns; [`sync`](Self::sync) follows before the answer is sent.
    /// Heavy for many rows: then call it off the runtime that answers HTTP.
    pub fn answer(&self, deployment: &Deployment, request: Request) -> Result<Answer> {
        self.kernel.lease.require()?;
        let (part, version) = choose(deployment, &request)?;
        let (part, version, features) = match fit(deployment, version.model.signature(), &request) {
            Ok(features) => (part, version, features),
            // What today's clients send is answered, whatever the version on trial asks for besides.
            Err(_) if part == TrafficRole::Canary && request.version.is_none() => {
                let features = fit(deployment, deployment.champion.model.signature(), &request)?;
                (TrafficRole::Fallback, &deployment.champion, features)
            }
            Err(unfit) => return Err(unfit),
        };
        let signature = version.model.signature();
        let result = version.model.predict(&features);
        let latency_us = request.began.elapsed().as_micros() as u64;
        let logged = with_key(deployment, features, &request.inputs);
        let now = deployment.project.now();
        let record = PredictionRecord {
            request: request.id,
            version: version.number,
            role: part,
            status: if result.is_ok() { 200 } else { 500 },
            wall_ms: now.wall_ms,
            project_ms: now.project_ms,
            latency_us,
            inputs: &logged,
            scores: result.as_ref().ok(),
        };
        let position = self.kernel.services.predictions.append(&deployment.log, record)?;
        let is_synced = deployment.durability == Durability::Synced;
        let unsynced = is_synced.then(|| Unsynced { log: deployment.log.clone(), position });
        version.counts.add(latency_us, result.is_err());
        if let Some(canary) = deployment.canary.as_ref().filter(|_| part == TrafficRole::Fallback) {
            canary.version.counts.add_unfit(1);
        }
        let scores =
            result.map_err(|cause| Error::internal(format!("version {} failed to answer", version.number), cause))?;
        Ok(Answer { version: version.number, part, scores, signature: signature.clone(), unsynced })
    }
}

fn choose<'a>(deployment: &'a Deployment, request: &Request) -> Result<(TrafficRole, &'a Answering)> {
    if let Some(number) = request.version {
        return deployment
            .version(number)
            .ok_or_else(|| Error::not_found("version of endpoint", format!("{}/{number}", deployment.endpoint)));
    }
    if deployment.canary.is_none() {
        return Ok((TrafficRole::Champion, &deployment.champion));
    }
    let key = first_key(&deployment.key, &request.inputs);
    Ok(deployment.choose(&key.unwrap_or_else(|| request.id.to_string())))
}

/// The first row's key, of every key column; `None` when nothing of it came. Columns are told apart: what one
/// holds is never read as the next.
fn first_key(columns: &[String], inputs: &Frame) -> Option<String> {
    let parts: Vec<Option<String>> =
        columns.iter().map(|name| inputs.column(name).and_then(|column| text_at(column, 0))).collect();
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

/// The features in the signature's order and kinds; an error names the column.
fn fit(deployment: &Deployment, signature: &Signature, request: &Request) -> Result<Frame> {
    if request.extra == Extra::Refuse {
        // During a canary a request may have what either version asks for.
        let known = |name: &str| deployment.input(name).is_some() || deployment.key.iter().any(|key| key == name);
        if let Some(unknown) = request.inputs.names().iter().find(|name| !known(name)) {
            return Err(Error::new(
                ErrorCode::Signature,
                format!("input `{unknown}` is not known to `{}`", deployment.endpoint),
            )
            .with_hint(format!("it takes: {}", deployment.inputs().join(", "))));
        }
    }
    let mut features = Frame::new();
    for input in &signature.inputs {
        let Some(column) = request.inputs.column(&input.name) else {
            return Err(Error::new(ErrorCode::Signature, format!("input `{}` is missing", input.name))
                .with_hint("name every feature; null is allowed as its value"));
        };
        let fitted = match (input.kind, column) {
            (InputKind::Number, Column::Number(_)) | (InputKind::Text, Column::Text(_)) => column.clone(),
            (InputKind::Text, Column::Number(values)) if values.iter().all(|value| value.is_nan()) => {
                Column::Text(TextColumn::encode(values.iter().map(|_| None)))
            }
            (InputKind::Number, Column::Text(text)) if (0..text.codes.len()).all(|row| text.get(row).is_none()) => {
                Column::Number(vec![f64::NAN; text.codes.len()])
            }
            (InputKind::Number, Column::Text(text)) => {
                let wrong = (0..text.codes.len()).find_map(|row| text.get(row)).unwrap_or_default();
                return Err(Error::new(
                    ErrorCode::Signature,
                    format!("input `{}` takes numbers, got the text `{}`", input.name, wrong.escape_debug()),
                ));
            }
            (InputKind::Text, Column::Number(_)) => {
                return Err(Error::new(
                    ErrorCode::Signature,
                    format!("input `{}` takes text, got numbers", input.name),
                ));
            }
        };
        features.push(input.name.clone(), fitted);
    }
    Ok(features)
}

/// The features, and the keys that came, as text: one caller's number is another's text, and beyond 2^53
/// a key can come as text alone.
fn with_key(deployment: &Deployment, mut features: Frame, inputs: &Frame) -> Frame {
    for key in &deployment.key {
        if let (None, Some(column)) = (features.column(key), inputs.column(key)) {
            let keys = (0..column.len()).map(|row| text_at(column, row)).collect::<Vec<_>>();
            features.push(key.clone(), Column::Text(TextColumn::encode(keys.iter().map(Option::as_deref))));
        }
    }
    features
}

#[cfg(test)]
mod tests;
