//! Built-in trainers that export ONNX models.
//!
//! [`train`] fits a model to the columns of a [`Frame`] and returns a
//! [`Trained`]: the ONNX file, the model's signature, the training metrics and
//! the feature importance. There are two trainers: [`Kind::Gbdt`]
//! (gradient-boosted trees) and [`Kind::Linear`] (a linear model with L2 penalty).
//!
//! Properties of both:
//! * Deterministic: the same rows and parameters give the same bytes on any number of cores.
//! * Text is categorical: one of the 255 most frequent training values, *other*, or
//!   missing. An empty text counts as missing, in training and in the ONNX file.
//! * Numbers are read as 32-bit floats; NaN is missing. Training refuses infinite values.
//! * A feature without any value stays an input and has no influence.
//! * [`Trained`] predicts with the trainer's own arithmetic; the ONNX file agrees within 1e-5.

mod error;
mod export;
mod features;
mod gbdt;
mod linear;
mod loss;
mod params;
mod port;
mod target;
#[cfg(test)]
mod tests;

use perennial_core::frame::Frame;
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{PredictError, Predictor, Scores, Signature};
use perennial_core::task::TaskKind;
use serde_json::{Map, Value, json};

pub use error::Error;
pub use features::CATEGORIES_MAX;
pub use params::{ParamSpec, Range, params, validate_params};
pub use perennial_core::port::training::Target;
pub use port::BuiltInTrainers;

/// Maximum number of threads of a training.
pub const THREADS_MAX: usize = 2;
/// Maximum number of training rows.
pub const ROWS_MAX: usize = 1 << 26;
/// Maximum number of features.
pub const FEATURES_MAX: usize = 10_000;
/// Maximum number of rows times features.
pub const VALUES_MAX: usize = 1 << 31;
/// Maximum number of classes of a multiclass task.
pub const CLASSES_MAX: usize = 1_000;

/// The built-in trainers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gradient-boosted trees.
    Gbdt,
    /// Linear, logistic or softmax regression with L2 penalty.
    Linear,
}

impl Kind {
    /// All trainers.
    pub const ALL: &'static [Self] = &[Self::Gbdt, Self::Linear];

    /// The trainer's name in project files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gbdt => "gbdt",
            Self::Linear => "linear",
        }
    }

    /// The trainer called `name`.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// The result of a training: a model with its metrics and feature importance.
pub struct Trained {
    /// The model as an ONNX file, with one input of shape `[N, 1]` for each feature. Outputs
    /// are `label` and `probabilities` of a classifier, `variable` of a regressor.
    pub onnx: Vec<u8>,
    /// The inputs, task and classes of the model.
    pub signature: Signature,
    /// All parameters as used: defaults filled in, those that depend on the rows derived from them.
    pub params: Map<String, Value>,
    /// The mean loss on the training rows by step, ascending.
    pub metrics: Vec<Metric>,
    /// Importance of each feature, in the signature's order; sums to 1, or is all zero if
    /// no feature has any influence. Trees: share of the gain of all splits. Linear: share
    /// of the standard deviations of the features' terms over the training rows.
    pub importance: Vec<(String, f64)>,
    model: Model,
}

/// One value of a training metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Name of the metric, such as `train_log_loss`.
    pub name: &'static str,
    /// Number of trees or iterations after which it was measured.
    pub step: u64,
    /// Value of the metric.
    pub value: f64,
}

enum Model {
    Gbdt(gbdt::Model),
    Linear(linear::Model),
}

/// Trains a model of `kind` with all columns of `frame` as features.
///
/// # Errors
/// When a parameter is unknown or out of range, when there are no rows or
/// features or too many of them, or when the target or a feature has a value that
/// cannot be trained on.
pub fn train(
    kind: Kind,
    frame: &Frame,
    target: &Target,
    task: TaskKind,
    params: &Map<String, Value>,
) -> Result<Trained, Error> {
    let all = validate_params(kind, params)?;
    validate_size(frame)?;
    target::validate(target, task, frame.rows())?;
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX));
    run_in_pool(threads, || fit(kind, frame, target, task, &params::ValidParams { all: &all, given: params }))
}

/// Runs `work` in a thread pool of its own.
fn run_in_pool<T: Send>(threads: usize, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("train-{index}"))
        .build()
        .map_err(Error::Threads)?
        .install(work)
}

/// Trains with validated parameters and target, in the current thread pool.
fn fit(
    kind: Kind,
    frame: &Frame,
    target: &Target,
    task: TaskKind,
    params: &params::ValidParams<'_>,
) -> Result<Trained, Error> {
    let features = features::fit(frame)?;
    let signature = Signature {
        inputs: features.iter().map(features::Feature::input).collect(),
        task,
        classes: target::classes(target).to_vec(),
        class_kind: ClassKind::Text,
    };
    let values = features::encode(&features, frame).map_err(|error| Error::Trainer(error.to_string()))?;
    let mut used = params.all.clone();
    let (onnx, metrics, importance, model) = match kind {
        Kind::Gbdt => {
            let (model, metrics, min_leaf_weight) =
                gbdt::train(features, &values, target, &gbdt::Settings::new(params))?;
            if params.given("min_leaf_weight").is_none() {
                used.insert("min_leaf_weight".to_owned(), json!(f64::from(min_leaf_weight)));
            }
            (gbdt::export(&model, &signature), metrics, model.importance(), Model::Gbdt(model))
        }
        Kind::Linear => {
            let (model, metrics) = linear::train(features, &values, target, &linear::Settings::new(params))?;
            (linear::export(&model, &signature), metrics, model.importance(), Model::Linear(model))
        }
    };
    let names = signature.inputs.iter().map(|input| input.name.clone());
    let importance = names.zip(normalize(importance)).collect();
    Ok(Trained { onnx, signature, params: used, metrics, importance, model })
}

impl Predictor for Trained {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let values = match &self.model {
            Model::Gbdt(model) => model.predict(frame)?,
            Model::Linear(model) => model.predict(frame)?,
        };
        Ok(Scores { width: self.signature.width(), values })
    }
}

fn validate_size(frame: &Frame) -> Result<(), Error> {
    let columns = frame.columns().len();
    if columns == 0 {
        return Err(Error::NoFeatures);
    }
    if frame.rows() == 0 {
        return Err(Error::NoRows);
    }
    let at_most = |what, actual, limit| {
        if actual > limit { Err(Error::TooMany { what, actual, limit }) } else { Ok(()) }
    };
    at_most("rows", frame.rows(), ROWS_MAX)?;
    at_most("features", columns, FEATURES_MAX)?;
    at_most("values", frame.rows() * columns, VALUES_MAX)
}

/// Divides the values by their sum; all zero if the sum is zero.
fn normalize(parts: Vec<f64>) -> Vec<f64> {
    let total: f64 = parts.iter().sum();
    if total > 0.0 { parts.into_iter().map(|part| part / total).collect() } else { vec![0.0; parts.len()] }
}
