//! Steps, by kind.

use std::collections::BTreeMap;
use std::fmt;

use perennial_core::calendar::Duration;
use perennial_core::name::{DatasetName, StepName};
use serde_json::{Map, Value};

use crate::file::{Isolation, Network, OutputKind};
use crate::size::Size;

/// One step of the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
}

/// The kind of a step, with its declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Executes one SELECT; the result is the dataset of the step's name.
    Sql {
        /// The file with the SELECT.
        file: String,
    },
    /// Trains a built-in model on the training rows of the task's dataset.
    Train {
        /// The trainer's name.
        trainer: String,
        /// Its parameters, as declared.
        params: Map<String, Value>,
    },
    /// Runs a command.
    Run(Box<Run>),
    /// Evaluates models, and the champion, on the test rows of the task's dataset.
    Evaluate {
        /// The steps whose models are evaluated, in declared order.
        models: Vec<StepName>,
        /// Columns whose values are also evaluated one by one.
        slices: Vec<String>,
    },
}

impl StepKind {
    /// The key that declares the kind: `sql`, `train`, `run`, `evaluate`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sql { .. } => "sql",
            Self::Train { .. } => "train",
            Self::Run(_) => "run",
            Self::Evaluate { .. } => "evaluate",
        }
    }
}

impl Step {
    /// Whether the step produces a model.
    pub fn produces_model(&self) -> bool {
        match &self.kind {
            StepKind::Train { .. } => true,
            StepKind::Run(run) => run.outputs.values().any(|output| output.kind == OutputKind::Model),
            StepKind::Sql { .. } | StepKind::Evaluate { .. } => false,
        }
    }
}

/// A command and everything it declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// Paths and globs of its code.
    pub code: Vec<String>,
    /// Its environment.
    pub environment: Environment,
    /// Its parameters, as declared.
    pub params: Map<String, Value>,
    /// Its outputs, by name; one model at most.
    pub outputs: BTreeMap<String, Output>,
    /// Limits of one attempt.
    pub limits: StepLimits,
    /// How many times a failed attempt is retried.
    pub retries: u32,
    /// What it can access on the machine.
    pub isolation: Isolation,
    /// The network that it can use.
    pub network: Network,
}

/// An input of a command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// A whole dataset.
    Dataset(DatasetName),
    /// The training rows of the task's dataset.
    Train(DatasetName),
    /// The test rows of the task's dataset.
    Test(DatasetName),
    /// A model or file that another step produced.
    Output {
        /// The other step.
        step: StepName,
        /// Its output's name.
        output: String,
    },
}

/// Formats the input as in the project file.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(dataset) => write!(f, "{dataset}"),
            Self::Train(dataset) => write!(f, "{dataset}.train"),
            Self::Test(dataset) => write!(f, "{dataset}.test"),
            Self::Output { step, output } => write!(f, "{step}.{output}"),
        }
    }
}

/// The origin of a command's program and libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// The machine's own environment; the run is marked not reproducible.
    System,
    /// A Python environment from requirements or a lock.
    Uv {
        /// The requirements or lock file.
        file: String,
    },
}

/// An output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its path in the step's folder.
    pub path: String,
    /// What it contains.
    pub kind: OutputKind,
}

/// Limits of one attempt; an absent value means no limit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepLimits {
    /// Wall time.
    pub time: Option<Duration>,
    /// Resident memory of the process tree.
    pub memory: Option<Size>,
    /// Processors.
    pub cpus: Option<f64>,
}
