//! The `MLmodel` file of MLflow's model folders.

use perennial_core::id::RunId;
use perennial_core::model::{InputKind, Signature};
use perennial_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

/// The flavour that MLflow adds to every model which Python can load; it says nothing about the model's kind.
const PYTHON_FUNCTION: &str = "python_function";

/// An `MLmodel` file: what it says about a model, without what other tools wrote into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MlModel {
    /// The artifact folder of the model, as its run knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_path: Option<String>,
    /// The ways to load the model, in the file's order.
    flavors: Map<String, Value>,
    /// The run that logged the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<MlSignature>,
}

/// Columns of inputs and outputs: lists in JSON, kept as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MlSignature {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    outputs: Option<String>,
    #[serde(default)]
    params: Option<String>,
}

impl MlModel {
    /// The file of an ONNX model that `run` logged.
    pub(crate) fn of_onnx(signature: &Signature, run: RunId) -> Self {
        let inputs = signature.inputs.iter().map(|input| {
            let kind = if input.kind == InputKind::Number { "double" } else { "string" };
            json!({ "type": kind, "name": input.name, "required": false })
        });
        let flavors = json!({
            "onnx": { "data": "model.onnx", "onnx_version": "1.17.0" },
            PYTHON_FUNCTION: { "data": "model.onnx", "loader_module": "mlflow.onnx" },
        });
        Self {
            artifact_path: Some("model".to_owned()),
            flavors: flavors.as_object().cloned().unwrap_or_default(),
            run_id: Some(run.to_string()),
            signature: Some(MlSignature {
                inputs: Some(Value::Array(inputs.collect()).to_string()),
                outputs: None,
                params: None,
            }),
        }
    }

    /// Parses a file.
    ///
    /// # Errors
    /// When it is not YAML, or has no `flavors`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        serde_saphyr::from_str(text).map_err(|cause| {
            Error::new(ErrorCode::InvalidArgument, "cannot parse the `MLmodel` file").with_source(cause)
        })
    }

    /// The file's text.
    pub(crate) fn text(&self) -> Result<String> {
        serde_saphyr::to_string(self).map_err(|cause| Error::internal("cannot write an `MLmodel` file", cause))
    }

    /// The kind of model: its flavours joined by commas, `python_function` only when there is no other.
    pub(crate) fn kind(&self) -> String {
        let names: Vec<&str> =
            self.flavors.keys().map(String::as_str).filter(|name| *name != PYTHON_FUNCTION).collect();
        if names.is_empty() { PYTHON_FUNCTION.to_owned() } else { names.join(",") }
    }
}
