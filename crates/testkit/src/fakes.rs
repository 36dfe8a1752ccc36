//! Fakes of ports whose real implementations would link DataFusion or start processes.

mod data;
mod model;
mod prediction;
mod runner;
mod source;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use perennial_config::TrainerSpec;
use perennial_core::clock::Clock;
use perennial_core::frame::Frame;
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value};

use crate::models::TestModel;

pub use data::{Call, FakeData};
pub use model::FakeRuntime;
pub use prediction::HoldableLog;
pub use runner::{FakeCluster, FakeRunner};
pub use source::FakeSource;

/// The trainers a project file may name.
pub static TRAINERS: LazyLock<Vec<TrainerSpec>> =
    LazyLock::new(|| ["gbdt", "linear"].into_iter().map(|name| TrainerSpec { name, params: &[] }).collect());

/// A wall clock that only moves when a test advances it.
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock at an instant.
    pub fn new(ms: i64) -> Self {
        Self(AtomicI64::new(ms))
    }

    /// Moves it forward.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Clock for FixedClock {
    fn wall_ms(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A trainer that returns the model it was given, whatever the rows.
#[derive(Default)]
pub struct FakeTrainer(Mutex<Option<TestModel>>);

impl FakeTrainer {
    /// Sets the model that it returns.
    pub fn make(&self, model: TestModel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
    }
}

impl Trainer for FakeTrainer {
    fn train(&self, _: &str, _: TaskKind, _: &Frame, _: &Target, _: &Map<String, Value>) -> Result<TrainedModel> {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let none = || Error::new(ErrorCode::NotReady, "this trainer trains nothing").with_hint("give it a model");
        let TestModel { onnx, signature } = given.ok_or_else(none)?;
        Ok(TrainedModel {
            onnx,
            signature,
            params: Map::new(),
            metrics: Vec::new(),
            importance: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn version(&self) -> &'static str {
        "none"
    }
}
