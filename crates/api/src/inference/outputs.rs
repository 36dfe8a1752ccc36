//! Answers as output tensors, in JSON or raw.

use std::io::Write;

use perennial_core::model::Signature;
use perennial_core::model::classes::{self, ClassKind};
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use perennial_release::endpoints::Answer;

use super::wire::{Request, Wanted};

/// From this probability on a binary answer is yes.
pub(super) const YES_FROM: f64 = 0.5;

/// What an output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Binary: 1 for yes, 0 for no.
    Yes,
    /// Multiclass: the class with the highest probability.
    Class,
    /// The scores themselves.
    Scores,
}

/// An output of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Output {
    /// Its name.
    pub(super) name: &'static str,
    /// Its datatype.
    pub(super) datatype: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
}

const BINARY: [Output; 2] = [
    Output { name: "label", datatype: "INT64", kind: Kind::Yes },
    Output { name: "probability", datatype: "FP64", kind: Kind::Scores },
];
const MULTICLASS: [Output; 2] = multiclass("BYTES");
const MULTICLASS_INTEGER: [Output; 2] = multiclass("INT64");
const MULTICLASS_NUMBER: [Output; 2] = multiclass("FP64");
const REGRESSION: [Output; 1] = [Output { name: "prediction", datatype: "FP64", kind: Kind::Scores }];

const fn multiclass(label: &'static str) -> [Output; 2] {
    [
        Output { name: "label", datatype: label, kind: Kind::Class },
        Output { name: "probabilities", datatype: "FP64", kind: Kind::Scores },
    ]
}

/// The outputs of a model, in order.
pub(super) fn of(signature: &Signature) -> &'static [Output] {
    match (signature.task, signature.class_kind) {
        (TaskKind::Binary, _) => &BINARY,
        (TaskKind::Multiclass, ClassKind::Text) => &MULTICLASS,
        (TaskKind::Multiclass, ClassKind::Integer) => &MULTICLASS_INTEGER,
        (TaskKind::Multiclass, ClassKind::Number) => &MULTICLASS_NUMBER,
        (TaskKind::Regression, _) => &REGRESSION,
    }
}

/// The class with the highest score.
pub(super) fn best(scores: &[f64]) -> usize {
    let order = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1).then(b.0.cmp(&a.0));
    scores.iter().enumerate().filter(|(_, score)| !score.is_nan()).max_by(order).map_or(0, |(place, _)| place)
}

/// Refuses requested outputs that the model does not have.
pub(super) fn validate(signature: &Signature, wanted: Option<&[Wanted]>) -> Result<()> {
    let known = of(signature);
    for wanted in wanted.into_iter().flatten() {
        let Some(output) = known.iter().find(|output| output.name == wanted.name) else {
            let names: Vec<&str> = known.iter().map(|output| output.name).collect();
            let message = format!("output `{}` is not known", super::tensor::shown(&wanted.name));
            return Err(
                Error::new(ErrorCode::Signature, message).with_hint(format!("it answers: {}", names.join(", ")))
            );
        };
        if wanted.classification.is_some() && output.kind != Kind::Scores {
            return Err(Error::new(
                ErrorCode::Signature,
                format!("output `{}` has no scores to classify", output.name),
            ));
        }
    }
    Ok(())
}

/// An answer on the wire: the JSON part, and the raw tensors behind it.
pub(super) struct Written {
    /// JSON, then raw bytes.
    pub(super) body: Vec<u8>,
    /// Bytes of the JSON part, when raw ones follow.
    pub(super) json_bytes: Option<usize>,
}

/// Writes the answer to `request`. Writing to a Vec cannot fail.
pub(super) fn write(model: &str, request_id: &str, rows: usize, request: &Request, answer: &Answer) -> Written {
    let mut json = Vec::with_capacity(256 + rows * 32);
    let mut raw = Vec::new();
    json.extend_from_slice(b"{\"model_name\":");
    text(&mut json, model);
    let _ = write!(json, ",\"model_version\":\"{}\",\"id\":", answer.version);
    text(&mut json, request.id.as_deref().unwrap_or(request_id));
    let role = answer.role.as_str();
    let _ = write!(json, ",\"parameters\":{{\"request_id\":\"{request_id}\",\"role\":\"{role}\"");
    if answer.signature.task == TaskKind::Multiclass {
        // A parameter is a text, a number or a boolean.
        let mut classes_json = Vec::new();
        class_list(&mut classes_json, &answer.signature);
        json.extend_from_slice(b",\"classes\":");
        text(&mut json, &String::from_utf8_lossy(&classes_json));
    }
    json.extend_from_slice(b"},\"outputs\":[");
    let known = of(&answer.signature);
    let mut is_any_binary = false;
    let mut is_first = true;
    let mut one = |output: &Output, is_binary: bool, classification: Option<usize>| {
        if !std::mem::take(&mut is_first) {
            json.push(b',');
        }
        let before = raw.len();
        head(&mut json, output, answer, rows, classification);
        if is_binary {
            binary(&mut raw, output, answer, rows, classification);
            let _ = write!(json, ",\"parameters\":{{\"binary_data_size\":{}}}}}", raw.len() - before);
            is_any_binary = true;
        } else {
            json.extend_from_slice(b",\"data\":[");
            values(&mut json, output, answer, rows, classification);
            json.extend_from_slice(b"]}");
        }
    };
    match &request.wanted {
        None => known.iter().for_each(|output| one(output, request.is_binary, None)),
        Some(wanted) => {
            for wanted in wanted {
                // Unknown names were refused before the model was asked.
                if let Some(output) = known.iter().find(|output| output.name == wanted.name) {
                    one(output, wanted.is_binary, wanted.classification);
                }
            }
        }
    }
    json.extend_from_slice(b"]}");
    let json_bytes = is_any_binary.then_some(json.len());
    json.append(&mut raw);
    Written { body: json, json_bytes }
}

fn head(json: &mut Vec<u8>, output: &Output, answer: &Answer, rows: usize, classification: Option<usize>) {
    let datatype = if classification.is_some() { "BYTES" } else { output.datatype };
    let _ = write!(json, "{{\"name\":\"{}\",\"datatype\":\"{datatype}\",\"shape\":[{rows}", output.name);
    let width = answer.signature.width();
    match (classification, output.kind) {
        (Some(best), _) => {
            let _ = write!(json, ",{}", best.min(width));
        }
        (None, Kind::Scores) if answer.signature.task == TaskKind::Multiclass => {
            let _ = write!(json, ",{width}");
        }
        _ => {}
    }
    json.push(b']');
}

fn values(json: &mut Vec<u8>, output: &Output, answer: &Answer, rows: usize, classification: Option<usize>) {
    let mut is_first = true;
    let mut comma = |json: &mut Vec<u8>| {
        if !std::mem::take(&mut is_first) {
            json.push(b',');
        }
    };
    for row in 0..rows {
        let scores = answer.scores.row(row);
        match (classification, output.kind) {
            (Some(count), _) => {
                for label in classified(answer, scores, count) {
                    comma(json);
                    text(json, &label);
                }
            }
            (None, Kind::Yes) => {
                comma(json);
                json.push(if is_yes(scores) { b'1' } else { b'0' });
            }
            (None, Kind::Class) => {
                comma(json);
                class(json, &answer.signature, best(scores));
            }
            (None, Kind::Scores) => {
                for score in scores {
                    comma(json);
                    number(json, *score);
                }
            }
        }
    }
}

fn binary(raw: &mut Vec<u8>, output: &Output, answer: &Answer, rows: usize, classification: Option<usize>) {
    let prefixed = |raw: &mut Vec<u8>, text: &str| {
        raw.extend_from_slice(&(text.len() as u32).to_le_bytes());
        raw.extend_from_slice(text.as_bytes());
    };
    for row in 0..rows {
        let scores = answer.scores.row(row);
        match (classification, output.kind) {
            (Some(count), _) => classified(answer, scores, count).iter().for_each(|label| prefixed(raw, label)),
            (None, Kind::Yes) => raw.extend_from_slice(&i64::from(is_yes(scores)).to_le_bytes()),
            (None, Kind::Class) => {
                let class = answer.signature.classes.get(best(scores)).map_or("", String::as_str);
                match answer.signature.class_kind {
                    ClassKind::Text => prefixed(raw, class),
                    ClassKind::Integer => {
                        raw.extend_from_slice(&classes::integer(class).unwrap_or_default().to_le_bytes());
                    }
                    ClassKind::Number => raw.extend_from_slice(&class.parse().unwrap_or(f64::NAN).to_le_bytes()),
                }
            }
            (None, Kind::Scores) => scores.iter().for_each(|score| raw.extend_from_slice(&score.to_le_bytes())),
        }
    }
}

pub(super) fn is_yes(scores: &[f64]) -> bool {
    scores.first().is_some_and(|probability| *probability >= YES_FROM)
}

/// A class as JSON, in the type of the outcomes.
pub(super) fn class(json: &mut Vec<u8>, signature: &Signature, place: usize) {
    let class = signature.classes.get(place).map_or("", String::as_str);
    match signature.class_kind {
        ClassKind::Text => text(json, class),
        ClassKind::Integer => {
            let _ = write!(json, "{}", classes::integer(class).unwrap_or_default());
        }
        ClassKind::Number => number(json, class.parse().unwrap_or(f64::NAN)),
    }
}

/// The classes of a model as a JSON list, in the order of its scores.
pub(super) fn class_list(json: &mut Vec<u8>, signature: &Signature) {
    json.push(b'[');
    for place in 0..signature.classes.len() {
        if place > 0 {
            json.push(b',');
        }
        class(json, signature, place);
    }
    json.push(b']');
}

/// The best `count` scores as `value:index[:class]`, best first.
fn classified(answer: &Answer, scores: &[f64], count: usize) -> Vec<String> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let labels = order.into_iter().take(count).map(|place| match answer.signature.classes.get(place) {
        Some(class) => format!("{}:{place}:{class}", scores[place]),
        None => format!("{}:{place}", scores[place]),
    });
    labels.collect()
}

/// A number as JSON; what JSON has no word for as null.
pub(super) fn number(json: &mut Vec<u8>, value: f64) {
    if !value.is_finite() || serde_json::to_writer(&mut *json, &value).is_err() {
        json.extend_from_slice(b"null");
    }
}

/// A text as JSON.
pub(super) fn text(json: &mut Vec<u8>, text: &str) {
    // A str always writes.
    let _ = serde_json::to_writer(json, text);
}
