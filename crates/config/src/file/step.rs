//! `[steps.*]`.

use std::collections::BTreeMap;

use perennial_core::calendar::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::OneOrMany;
use crate::size::Size;
use crate::value_schema;

/// One step, of exactly one kind: `sql`, `train`, `run` or `evaluate`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepTable {
    /// A file with one SELECT; its result is the dataset of the step's name, the tables it reads are its inputs.
    pub sql: Option<String>,
    /// A built-in trainer: `gbdt` or `linear`.
    pub train: Option<String>,
    /// A command, split into words without a shell; a list is used as it is.
    pub run: Option<OneOrMany>,
    /// Steps whose models are evaluated, always together with the champion, on the same rows.
    pub evaluate: Option<Vec<String>>,
    /// Columns whose values are also evaluated one by one (`evaluate`).
    pub slices: Option<Vec<String>>,
    /// The command's inputs: datasets, `<task data>.train`, `<task data>.test`, `<step>.<output>` (`run`).
    pub inputs: Option<Vec<String>>,
    /// The command's code files; globs are allowed (`run`).
    pub code: Option<Vec<String>>,
    /// The environment: `uv:<requirements or lock>` or `system` (`run`).
    pub env: Option<String>,
    /// Parameters (`train`, `run`).
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub params: Option<Map<String, Value>>,
    /// Files the command writes, by name (`run`).
    pub outputs: Option<BTreeMap<String, OutputTable>>,
    /// Limits of one attempt (`run`).
    pub limits: Option<LimitsTable>,
    /// How many times a failed command is retried, at most 10; default 0 (`run`).
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<u32>,
    /// `full` gives the command access only to what it declared, `none` to everything; the run records which (`run`).
    pub isolation: Option<Isolation>,
    /// The network of the command: `full`, `server` (MLflow tracking only), or `none`; default `full` (`run`).
    pub network: Option<Network>,
}

/// The network that a command can use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// All that the machine can reach.
    #[default]
    Full,
    /// The server that runs the step: its port.
    Server,
    /// None.
    None,
}

impl Network {
    /// The word in the project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Server => "server",
            Self::None => "none",
        }
    }
}

/// What a command can access on the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Its folder, its environment and the system libraries.
    #[default]
    Full,
    /// Everything that its user can.
    None,
}

/// A file or folder that a command writes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputTable {
    /// Its path in the step's folder.
    pub path: String,
    /// What it contains.
    #[serde(default)]
    pub kind: OutputKind,
}

/// What an output contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A file or folder.
    #[default]
    File,
    /// A model folder with an ONNX file: the step's model.
    Model,
    /// A Parquet file or a folder of them: the dataset of the output's name.
    Dataset,
}

/// Limits of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    /// Wall time, such as `30 minutes`.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::duration")]
    pub time: Option<Duration>,
    /// Resident memory of the process tree, such as `2 GB`.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::size")]
    pub memory: Option<Size>,
    /// Processors, such as 1.5.
    #[schemars(range(min = 0.0))]
    pub cpus: Option<f64>,
}
