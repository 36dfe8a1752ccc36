//! Models that are not loaded any more, because loading them killed their worker.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use perennial_core::blob::BlobDigest;
use perennial_core::port::model::ModelFiles;
use perennial_core::{Error, ErrorCode, Result};

use super::workers::LoadFailure;

/// Workers that a model may kill, one after the other, before it is refused.
const DEATHS_MAX: u32 = 2;

/// Models that are remembered.
const MODELS_MAX: usize = 1_000;

/// The workers that models have killed while they were loaded, by content and file, since the server started.
#[derive(Default)]
pub(super) struct FailedLoads(Mutex<HashMap<(BlobDigest, String), (u32, String)>>);

impl FailedLoads {
    /// Loads a model, unless it has killed two workers in a row.
    pub(super) fn guard<T>(&self, files: &ModelFiles, load: impl FnOnce() -> Result<T, LoadFailure>) -> Result<T> {
        let key = (files.digest, files.onnx.to_string());
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((deaths, cause)) = lock().get(&key).filter(|(deaths, _)| *deaths >= DEATHS_MAX) {
            return Err(Error::new(ErrorCode::Model, format!("loading the model has failed {deaths} times: {cause}"))
                .with_hint("it is loaded again after a restart of the server; export a model that needs less"));
        }
        match load() {
            Ok(loaded) => {
                lock().remove(&key);
                Ok(loaded)
            }
            Err(LoadFailure::Refused(error)) => Err(error),
            // Not by the model, as far as is known.
            Err(LoadFailure::Died(error)) if error.was_killed() => Err(error.into()),
            Err(LoadFailure::Died(error)) => {
                let mut failed = lock();
                if failed.len() >= MODELS_MAX {
                    failed.clear();
                }
                let entry = failed.entry(key).or_default();
                *entry = (entry.0 + 1, error.to_string());
                Err(Error::new(ErrorCode::Model, format!("loading the model failed: {error}")))
            }
        }
    }
}
