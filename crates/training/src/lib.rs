//! Built-in trainers, exported to ONNX.
//!
//! [`train`] learns from a [`Frame`] and gives back a [`Trained`]: the model as
//! bytes of an ONNX file, its signature, and what is to be known about the
//! training. Two trainers: [`Kind::Gbdt`], gradient-boosted trees, and
//! [`Kind::Linear`], a linear model with L2 penalty.
//!
//! What holds for both:
//! * The same rows and parameters give the same bytes, on any number of cores.
//! * Text is a category: one of the 255 most frequent training values, *other*, or
//!   missing. In the ONNX file's text inputs the empty text is missing, and so it
//!   is in training.
//! * Numbers are read as 32-bit floats, NaN is missing. An infinite value is refused in training.
//! * A feature that is missing everywhere stays an input and has no influence.
//! * [`Trained`] predicts by the trainer's own arithmetic; the ONNX file agrees to 1e-5.

mod error;
mod export;
mod features;
mod gbdt;
mod linear;
mod loss;
mod params;
mod target;
#[cfg(test)]
mod tests;

use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Predictor, Scores, Signature};
use perennial_core::task::TaskKind;
use serde_json::{Map, Value};

pub use error::Error;
pub use features::CATEGORIES_MAX;
pub use params::{ParamSpec, Range, judge, params};
pub use target::Target;

/// Threads a training takes, at most.
pub const THREADS_MAX: usize = 2;
/// Rows a training takes, at most.
pub const ROWS_MAX: usize = 1 << 26;
/// Features a model takes, at most.
pub const FEATURES_MAX: usize = 10_000;
/// Rows times features, at most.
pub const VALUES_MAX: usize = 1 << 31;
/// Classes of a multiclass task, at most.
pub const CLASSES_MAX: usize = 1_000;

/// The trainers that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gradient-boosted trees.
    Gbdt,
    /// Linear, logistic or softmax regression with L2 penalty.
    Linear,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Gbdt, Self::Linear];

    /// The word used in project files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gbdt => "gbdt",
            Self::Linear => "linear",
        }
    }

    /// The trainer called `word`.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// What a training gives.
pub struct Trained {
    /// The model as an ONNX file: one input a feature, `[N, 1]`; outputs `label` and
    /// `probabilities`, or `variable` for numbers.
    pub onnx: Vec<u8>,
    /// What the model asks for and answers.
    pub signature: Signature,
    /// Every parameter, defaults filled in.
    pub params: Map<String, Value>,
    /// The training's course, by step: the mean loss on the training rows.
    pub metrics: Vec<Metric>,
    /// Each feature's share of the influence on the score, in the signature's
    /// order; sums to 1, or is all zero where nothing had influence. Trees: by gain of
    /// their splits. Linear: by deviation of the feature's term over the training rows.
    pub importance: Vec<(String, f64)>,
    model: Model,
}

/// One measurement in the course of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, such as `train_log_loss`.
    pub name: &'static str,
    /// After how many trees or iterations.
    pub step: u64,
    /// The value.
    pub value: f64,
}

enum Model {
    Gbdt(gbdt::Model),
    Linear(linear::Model),
}

/// Trains `kind` on the columns of `frame`, every one of which is a feature.
pub fn train(
    kind: Kind,
    frame: &Frame,
    target: &Target,
    task: TaskKind,
    params: &Map<String, Value>,
) -> Result<Trained, Error> {
    let params = judge(kind, params)?;
    within_limits(frame)?;
    target.check(task, frame.rows())?;
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX));
    on_threads(threads, || learn(kind, frame, target, task, params))
}

/// Runs `work` with a pool of that many threads of its own.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("train-{index}"))
        .build()
        .map_err(Error::Threads)?
        .install(work)
}

/// Trains with judged parameters on what was found fit, in the pool it is called in.
fn learn(
    kind: Kind,
    frame: &Frame,
    target: &Target,
    task: TaskKind,
    params: Map<String, Value>,
) -> Result<Trained, Error> {
    let features = features::learn(frame)?;
    let signature = Signature {
        inputs: features.iter().map(features::Feature::input).collect(),
        task,
        classes: target.classes().to_vec(),
    };
    let values = features::read(&features, frame).map_err(|error| Error::Trainer(error.to_string()))?;
    let judged = params::Judged(&params);
    let (onnx, metrics, importance, model) = match kind {
        Kind::Gbdt => {
            let (model, metrics) = gbdt::train(features, &values, target, &gbdt::Settings::new(&judged))?;
            (gbdt::export(&model, &signature), metrics, model.importance(), Model::Gbdt(model))
        }
        Kind::Linear => {
            let (model, metrics) = linear::train(features, &values, target, &linear::Settings::new(&judged))?;
            (linear::export(&model, &signature), metrics, model.importance(), Model::Linear(model))
        }
    };
    let names = signature.inputs.iter().map(|input| input.name.clone());
    let importance = names.zip(shares(importance)).collect();
    Ok(Trained { onnx, signature, params, metrics, importance, model })
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

fn within_limits(frame: &Frame) -> Result<(), Error> {
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

/// The parts as shares of their sum.
fn shares(parts: Vec<f64>) -> Vec<f64> {
    let total: f64 = parts.iter().sum();
    if total > 0.0 { parts.into_iter().map(|part| part / total).collect() } else { vec![0.0; parts.len()] }
}
