//! The JSON of an inference request.

use std::borrow::Cow;
use std::collections::HashSet;

use perennial_core::frame::Frame;
use perennial_core::{Error, ErrorCode, Result};
use serde::Deserialize;

use super::binary::{self, Raw};
use super::data::{Data, quote_bare};
use super::tensor::{self, Datatype, Shape, refused, shown};
use crate::limits;

/// A request. What it does not name (`model_name`, unknown parameters) is passed over.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    parameters: Option<RequestParameters>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(borrow, default)]
    outputs: Option<Vec<Output<'a>>>,
}

#[derive(Deserialize, Default)]
struct RequestParameters {
    #[serde(default)]
    binary_data_output: Option<bool>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Shape,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(default)]
    parameters: Option<InputParameters>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize, Default)]
struct InputParameters {
    #[serde(default)]
    binary_data_size: Option<u64>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    parameters: Option<OutputParameters>,
}

#[derive(Deserialize, Default)]
struct OutputParameters {
    #[serde(default)]
    binary_data: Option<bool>,
    #[serde(default)]
    classification: Option<usize>,
}

/// An output that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its name.
    pub(super) name: String,
    /// Whether it comes as raw bytes.
    pub(super) is_binary: bool,
    /// As the best so many classes instead of the values.
    pub(super) classification: Option<usize>,
}

/// A request as it was meant.
#[derive(Debug)]
pub(super) struct Request {
    /// The client's id.
    pub(super) id: Option<String>,
    /// The columns.
    pub(super) inputs: Frame,
    /// The outputs asked for; all when `None`.
    pub(super) wanted: Option<Vec<Wanted>>,
    /// Whether outputs come as raw bytes unless they say otherwise.
    pub(super) is_binary: bool,
}

/// Reads a request whose first `json_bytes` (all, when `None`) are JSON and whose rest are raw tensors.
pub(super) fn read(body: &[u8], json_bytes: Option<usize>) -> Result<Request> {
    let (json, raw) = binary::split(body, json_bytes)?;
    match serde_json::from_slice::<Wire<'_>>(json) {
        Ok(wire) => columns(wire, raw),
        Err(cause) => match quote_bare(json) {
            Some(quoted) => columns(serde_json::from_slice(&quoted).map_err(|cause| malformed(&cause))?, raw),
            None => Err(malformed(&cause)),
        },
    }
}

fn malformed(cause: &serde_json::Error) -> Error {
    refused(format!("cannot parse the request: {cause}"))
        .with_hint("expected `{\"inputs\": [{\"name\", \"shape\", \"datatype\", \"data\"}, …]}`")
}

fn columns(wire: Wire<'_>, raw: &[u8]) -> Result<Request> {
    if wire.inputs.len() > limits::INFER_TENSORS_MAX {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("{} inputs are sent, at most {} are taken", wire.inputs.len(), limits::INFER_TENSORS_MAX),
        ));
    }
    let (mut frame, mut raw, mut cells) = (Frame::new(), Raw(raw), 0);
    for input in wire.inputs {
        let name = input.name.as_ref();
        let rows = input.shape.rows(name)?;
        if rows > limits::INFER_ROWS_MAX {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "input `{}` has {rows} rows, at most {} are taken at once",
                    shown(name),
                    limits::INFER_ROWS_MAX
                ),
            ));
        }
        cells += rows;
        if cells > limits::INFER_CELLS_MAX {
            let message =
                format!("the inputs have more than {} values together, which is the limit", limits::INFER_CELLS_MAX);
            return Err(Error::new(ErrorCode::TooLarge, message).with_hint("send fewer rows at once"));
        }
        if let Some(first) = frame.names().first().filter(|_| frame.rows() != rows) {
            return Err(refused(format!(
                "input `{}` has {rows} rows, `{}` has {}",
                shown(name),
                shown(first),
                frame.rows()
            )));
        }
        if frame.names().iter().any(|known| known == name) {
            return Err(refused(format!("input `{}` is sent twice", shown(name))));
        }
        let datatype = Datatype::parse(name, &input.datatype)?;
        let column = match (input.data, input.parameters.and_then(|parameters| parameters.binary_data_size)) {
            (None, Some(size)) => binary::column(name, datatype, rows, raw.take(name, size)?)?,
            (Some(data), None) if data.len() == rows => tensor::column(name, datatype, &data)?,
            (Some(data), None) => {
                return Err(refused(format!(
                    "input `{}` has {} elements, its shape says {rows}",
                    shown(name),
                    data.len()
                )));
            }
            (Some(_), Some(_)) => {
                return Err(refused(format!("input `{}` has both `data` and `binary_data_size`", shown(name))));
            }
            (None, None) => {
                return Err(refused(format!("input `{}` has neither `data` nor `binary_data_size`", shown(name))));
            }
        };
        frame.push(input.name, column);
    }
    raw.finish()?;
    if frame.columns().is_empty() {
        return Err(
            refused("`inputs` is empty".to_owned()).with_hint("name every feature; null is allowed as its value")
        );
    }
    let is_binary = wire.parameters.and_then(|parameters| parameters.binary_data_output).unwrap_or(false);
    let wanted = wire.outputs.filter(|outputs| !outputs.is_empty());
    let wanted = wanted.map(|outputs| distinct(outputs, is_binary)).transpose()?;
    Ok(Request { id: wire.id.filter(|id| !id.is_empty()).map(Cow::into_owned), inputs: frame, wanted, is_binary })
}

/// The outputs asked for, each once: the response then has at most as many as the model.
fn distinct(outputs: Vec<Output<'_>>, is_binary: bool) -> Result<Vec<Wanted>> {
    let mut names = HashSet::new();
    if let Some(twice) = outputs.iter().find(|output| !names.insert(output.name.as_ref())) {
        return Err(refused(format!("output `{}` is requested twice", shown(&twice.name))));
    }
    Ok(outputs.into_iter().map(|output| wanted(output, is_binary)).collect())
}

fn wanted(output: Output<'_>, is_binary: bool) -> Wanted {
    let parameters = output.parameters.unwrap_or_default();
    Wanted {
        name: output.name.into_owned(),
        is_binary: parameters.binary_data.unwrap_or(is_binary),
        classification: parameters.classification,
    }
}

#[cfg(test)]
mod tests;
