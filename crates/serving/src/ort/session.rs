//! The worker's half: a session of ONNX Runtime with one model.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use ort::session::{Session, SessionInputValue};
use ort::value::{DynMapValueType, DynValue, Outlet as OrtOutlet, Tensor, TensorElementType, ValueType};
use perennial_core::text::one_line;
use perennial_core::{Error, ErrorCode, Result};
use perennial_worker::{Handler, Message, Role, Server};
use serde::{Deserialize, Serialize};

use super::library;
use super::protocol::{Binding, Call, Description, Element, InputLayout, Outlet, OutletKind};

/// The role of workers that compute models by ONNX Runtime.
pub const MODEL_ROLE: Role = Role { name: NAME, start };

/// The name of the role.
pub(super) const NAME: &str = "model";

/// The parameters of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Parameters {
    /// The library of ONNX Runtime.
    pub(super) library: PathBuf,
}

fn start(parameters: serde_json::Value) -> Result<Box<dyn Handler>> {
    let parameters: Parameters = serde_json::from_value(parameters)
        .map_err(|error| Error::internal("the parameters of the worker are malformed", error))?;
    Ok(Box::new(ModelWorker { library: parameters.library, loaded: None, binding: None }))
}

/// Computes one model.
struct ModelWorker {
    library: PathBuf,
    loaded: Option<Session>,
    binding: Option<Binding>,
}

impl Handler for ModelWorker {
    fn call(&mut self, message: Message, _: &Arc<Server>) -> Result<Message> {
        match message.control()? {
            Call::Load => {
                let file = message.descriptors.into_iter().next().ok_or_else(|| not_ready("the call has no file"))?;
                let mut onnx = Vec::new();
                File::from(file)
                    .read_to_end(&mut onnx)
                    .map_err(|error| Error::internal("cannot read the model file", error))?;
                let session = session(&self.library, &onnx)?;
                let description = describe(&session);
                self.loaded = Some(session);
                Message::new(&description)
            }
            Call::Bind(binding) => {
                self.binding = Some(binding);
                Ok(Message::default())
            }
            Call::Run { rows } => {
                let (Some(session), Some(binding)) = (&mut self.loaded, &self.binding) else {
                    return Err(not_ready("no model is loaded"));
                };
                let numbers = run(session, binding, rows, &message.payload)?;
                Ok(Message::default().with_payload(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()))
            }
        }
    }
}

fn not_ready(reason: &str) -> Error {
    Error::new(ErrorCode::NotReady, reason)
}

fn session(library: &std::path::Path, onnx: &[u8]) -> Result<Session> {
    let environment = library::environment(library)?;
    let session = Session::builder(&environment)
        .and_then(|builder| builder.with_intra_threads(1).map_err(ort::Error::from))
        .and_then(|mut builder| builder.commit_from_memory(onnx));
    session.map_err(|error| {
        let reason = one_line(&error.to_string());
        Error::new(ErrorCode::Model, format!("ONNX Runtime rejected the model: {reason}"))
            .with_hint("export the model to ONNX again, with operators of a version that the library knows")
    })
}

fn describe(session: &Session) -> Description {
    let outlets = |outlets: &[OrtOutlet]| outlets.iter().map(outlet).collect();
    Description { inputs: outlets(session.inputs()), outputs: outlets(session.outputs()) }
}

fn outlet(outlet: &OrtOutlet) -> Outlet {
    let kind = match outlet.dtype() {
        ValueType::Sequence(_) => OutletKind::Sequence,
        kind => match kind.tensor_type() {
            Some(element) => OutletKind::Tensor {
                element: element_of(element),
                shape: kind.tensor_shape().map(|shape| shape.iter().copied().collect()).unwrap_or_default(),
            },
            None => OutletKind::Other,
        },
    };
    Outlet { name: outlet.name().to_owned(), kind }
}

fn element_of(element: TensorElementType) -> Element {
    match element {
        TensorElementType::Float32 => Element::Float32,
        TensorElementType::Float64 => Element::Float64,
        TensorElementType::Int64 => Element::Int64,
        TensorElementType::Int32 => Element::Int32,
        TensorElementType::Bool => Element::Bool,
        TensorElementType::String => Element::Text,
        _ => Element::Other,
    }
}

/// The numbers of the output of some rows.
fn run(session: &mut Session, binding: &Binding, rows: usize, mut payload: &[u8]) -> Result<Vec<f64>> {
    let failed = |error: ort::Error| Error::new(ErrorCode::Model, one_line(&error.to_string()));
    let mut inputs = Vec::with_capacity(binding.inputs.len());
    for input in &binding.inputs {
        let tensor = tensor(input, rows, &mut payload).ok_or_else(|| not_ready("the payload is too short"))?;
        inputs.push((input.name.as_str(), tensor.map_err(failed)?));
    }
    let outputs = session.run(inputs).map_err(failed)?;
    let invalid = |reason: String| Error::new(ErrorCode::Model, format!("output `{}` {reason}", binding.output));
    let value = outputs.get(&binding.output).ok_or_else(|| invalid("is missing".to_owned()))?;
    match value.dtype() {
        ValueType::Sequence(_) => mapped(value, binding.labels.as_deref()).map_err(invalid),
        _ => numbers(value).map_err(|error| invalid(error.to_string())),
    }
}

/// Reads a tensor from the front of the payload; `None` when it is too short.
fn tensor(input: &InputLayout, rows: usize, payload: &mut &[u8]) -> Option<ort::Result<SessionInputValue<'static>>> {
    let count = input.row_shape.iter().try_fold(rows, |product, &length| product.checked_mul(length))?;
    let shape: Vec<usize> = std::iter::once(rows).chain(input.row_shape.iter().copied()).collect();
    Some(match input.element {
        Element::Text => {
            let mut texts = Vec::new();
            for _ in 0..count {
                let length = u32::from_le_bytes(payload.split_off(..4)?.try_into().ok()?);
                texts.push(std::str::from_utf8(payload.split_off(..length as usize)?).ok()?.to_owned());
            }
            Tensor::from_string_array((shape, texts.as_slice())).map(Into::into)
        }
        Element::Float64 => Tensor::from_array((shape, values(payload, count, f64::from_le_bytes)?)).map(Into::into),
        Element::Int64 => Tensor::from_array((shape, values(payload, count, i64::from_le_bytes)?)).map(Into::into),
        Element::Int32 => Tensor::from_array((shape, values(payload, count, i32::from_le_bytes)?)).map(Into::into),
        Element::Bool => {
            let values: Vec<bool> = payload.split_off(..count)?.iter().map(|&byte| byte != 0).collect();
            Tensor::from_array((shape, values)).map(Into::into)
        }
        Element::Float32 | Element::Other => {
            Tensor::from_array((shape, values(payload, count, f32::from_le_bytes)?)).map(Into::into)
        }
    })
}

fn values<const N: usize, T>(payload: &mut &[u8], count: usize, parse: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (chunks, _) = payload.split_off(..count.checked_mul(N)?)?.as_chunks::<N>();
    Some(chunks.iter().map(|&chunk| parse(chunk)).collect())
}

/// The columns of an output with one map per row, class to score.
fn mapped(value: &DynValue, labels: Option<&[String]>) -> Result<Vec<f64>, String> {
    let labels = labels.ok_or("has maps by class, and no node names the classes")?;
    let maps = value.try_extract_sequence::<DynMapValueType>().map_err(|error| error.to_string())?;
    let mut numbers = Vec::with_capacity(maps.len() * labels.len());
    for map in maps {
        let row: HashMap<String, f32> = if let Ok(pairs) = map.try_extract_key_values::<i64, f32>() {
            pairs.into_iter().map(|(class, score)| (class.to_string(), score)).collect()
        } else {
            let pairs = map.try_extract_key_values::<String, f32>().map_err(|error| error.to_string())?;
            pairs.into_iter().collect()
        };
        for label in labels {
            let score = row.get(label).ok_or_else(|| format!("has no class `{label}`"))?;
            numbers.push(f64::from(*score));
        }
    }
    Ok(numbers)
}

fn numbers(value: &DynValue) -> ort::Result<Vec<f64>> {
    match value.dtype().tensor_type() {
        Some(TensorElementType::Float64) => Ok(value.try_extract_tensor::<f64>()?.1.to_vec()),
        _ => Ok(value.try_extract_tensor::<f32>()?.1.iter().copied().map(f64::from).collect()),
    }
}
