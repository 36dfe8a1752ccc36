//! Models by ONNX Runtime, loaded from a library at run time.

mod feed;
mod library;
mod scores;

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::available_parallelism;

use ::ort::session::Session;
use ::ort::value::ValueType;
use perennial_core::frame::Frame;
use perennial_core::model::{Input, InputKind, PredictError, Predictor, Scores, Signature};
use perennial_core::port::model::SignatureHint;
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};

use feed::Feed;
pub use library::find_library;
use scores::Pick;

/// Sessions of one model, each of which answers one call at a time.
const SESSIONS_MAX: usize = 4;

/// A larger file gets one session: each holds the weights once more.
const SEVERAL_SESSIONS_BYTES: usize = 32 * 1024 * 1024;

/// A model that ONNX Runtime answers.
pub(crate) struct OrtPredictor {
    signature: Signature,
    feed: Feed,
    pick: Pick,
    sessions: Pool<Session>,
}

impl OrtPredictor {
    /// Loads the model with the library at `library`.
    pub(crate) fn new(library: &Path, onnx: &[u8], signature: Signature) -> Result<Self> {
        let count = if onnx.len() > SEVERAL_SESSIONS_BYTES {
            1
        } else {
            available_parallelism().map_or(1, |cores| cores.get().min(SESSIONS_MAX))
        };
        let sessions = (0..count).map(|_| session(library, onnx)).collect::<Result<Vec<_>>>()?;
        let first = sessions.first().ok_or_else(|| unfit("no session was made".to_owned()))?;
        let feed = Feed::new(first.inputs(), &signature).map_err(unfit)?;
        let pick = Pick::new(first.outputs(), &signature).map_err(unfit)?;
        Ok(Self { signature, feed, pick, sessions: Pool::new(sessions) })
    }
}

/// Things of which one caller at a time has each.
struct Pool<T> {
    idle: Mutex<Vec<T>>,
    returned: Condvar,
}

impl<T> Pool<T> {
    fn new(all: Vec<T>) -> Self {
        Self { idle: Mutex::new(all), returned: Condvar::new() }
    }

    /// Lends one; waits until one is back.
    fn lend(&self) -> Lent<'_, T> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(thing) = idle.pop() {
                return Lent { pool: self, thing: Some(thing) };
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Something lent: it is back when this is dropped, by a panic too.
struct Lent<'a, T> {
    pool: &'a Pool<T>,
    thing: Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.thing.take());
        self.pool.returned.notify_one();
    }
}

impl Predictor for OrtPredictor {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn may_wait(&self) -> bool {
        true
    }

    fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let inputs = self.feed.inputs(frame)?;
        let failed = |error: ::ort::Error| PredictError::Model(error.to_string());
        let mut lent = self.sessions.lend();
        let session = lent.thing.as_mut().ok_or_else(|| PredictError::Model("its session is gone".to_owned()))?;
        let outputs = session.run(inputs).map_err(failed)?;
        self.pick.scores(&outputs, frame.rows())
    }
}

/// What the file says of its inputs.
pub(crate) fn signature(library: &Path, onnx: &[u8], hint: SignatureHint<'_>) -> Result<Signature> {
    let session = session(library, onnx)?;
    let inputs: Vec<Input> = session
        .inputs()
        .iter()
        .map(|outlet| {
            let is_text = outlet.dtype().tensor_type() == Some(::ort::value::TensorElementType::String);
            let kind = if is_text { InputKind::Text } else { InputKind::Number };
            Input { name: outlet.name().to_owned(), kind }
        })
        .collect();
    let is_matrix = match session.inputs() {
        [only] => only.dtype().tensor_shape().and_then(|shape| shape.get(1)) != Some(&1),
        _ => false,
    };
    if hint.task == TaskKind::Multiclass && hint.classes.is_empty() {
        return Err(unfit("the model does not name its classes, and none are given".to_owned()));
    }
    Ok(Signature {
        inputs: if is_matrix { hint.features.to_vec() } else { inputs },
        task: hint.task,
        classes: if hint.task == TaskKind::Multiclass { hint.classes.to_vec() } else { Vec::new() },
    })
}

fn session(library: &Path, onnx: &[u8]) -> Result<Session> {
    let environment = library::environment(library)?;
    let made = Session::builder(&environment)
        .and_then(|builder| builder.with_intra_threads(1).map_err(::ort::Error::from))
        .and_then(|mut builder| builder.commit_from_memory(onnx));
    made.map_err(|error| {
        Error::new(ErrorCode::Model, format!("ONNX Runtime refused the model: {}", one_line(&error.to_string())))
            .hint("export the model to ONNX again, with operators of a version that the library knows")
    })
}

fn unfit(why: String) -> Error {
    Error::new(ErrorCode::Model, why).hint("export the model with the inputs and classes of its signature")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value's type in a word.
fn type_of(value: &ValueType) -> String {
    value.tensor_type().map_or_else(|| "no tensor".to_owned(), |kind| format!("{kind:?}").to_lowercase())
}

#[cfg(test)]
mod tests;
