//! Steps, by kind.

use std::collections::BTreeMap;
use std::fmt;

use perennial_core::calendar::Duration;
use perennial_core::name::{DatasetName, StepName};
use serde_json::{Map, Value};

use crate::file::{Isolation, OutputKind};
use crate::size::Size;

/// One step of the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does.
    pub act: Act,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Answers one SELECT; the result is the dataset of the step's name.
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
    /// Judges models on the test rows of the task's dataset, the champion with them.
    Evaluate {
        /// The steps whose models are judged, in the order declared.
        models: Vec<StepName>,
        /// Columns whose every value is judged by itself, too.
        slices: Vec<String>,
    },
}

impl Act {
    /// The key that declares it: `sql`, `train`, `run`, `evaluate`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sql { .. } => "sql",
            Self::Train { .. } => "train",
            Self::Run(_) => "run",
            Self::Evaluate { .. } => "evaluate",
        }
    }
}

impl Step {
    /// Whether the step makes a model.
    pub fn makes_model(&self) -> bool {
        match &self.act {
            Act::Train { .. } => true,
            Act::Run(run) => run.outputs.values().any(|output| output.kind == OutputKind::Model),
            Act::Sql { .. } | Act::Evaluate { .. } => false,
        }
    }
}

/// A command and all it declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Paths and globs of its code.
    pub code: Vec<String>,
    /// Its environment.
    pub environment: Environment,
    /// Its parameters, as declared.
    pub params: Map<String, Value>,
    /// What it leaves behind, by name; one model at most.
    pub outputs: BTreeMap<String, Output>,
    /// Limits of one attempt.
    pub limits: StepLimits,
    /// How often a failed attempt is made again.
    pub retries: u32,
    /// What it can see of the machine.
    pub isolation: Isolation,
}

/// Something a command reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// A whole dataset.
    Dataset(DatasetName),
    /// The rows of the task's dataset that training may see.
    Train(DatasetName),
    /// The rows of the task's dataset that judge.
    Test(DatasetName),
    /// A model or file another step made.
    Output {
        /// The other step.
        step: StepName,
        /// Its output's name.
        output: String,
    },
}

/// As it is written in the project file.
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

/// Where a command's program and libraries come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// The machine's own; the run is marked not reproducible.
    System,
    /// A Python environment from requirements or a lock.
    Uv {
        /// The requirements or lock file.
        file: String,
    },
}

/// Something a command leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where in the step's folder it lies.
    pub path: String,
    /// What it is.
    pub kind: OutputKind,
}

/// Limits of one attempt; what is absent is not limited.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepLimits {
    /// Wall time.
    pub time: Option<Duration>,
    /// Resident memory of the process tree.
    pub memory: Option<Size>,
    /// Processors.
    pub cpus: Option<f64>,
}
