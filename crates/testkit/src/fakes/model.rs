//! A runtime of models that are texts, as a second implementation of the port.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use perennial_core::frame::{Column, Frame};
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, PredictError, Scores, Signature};
use perennial_core::port::model::{LoadedModel, ModelFiles, ModelRuntime, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};

/// Loads models that are text files: `x + 2.5` adds 2.5 to the number `x`. Like a runtime in another process, its models
/// wait for each prediction.
#[derive(Debug, Default)]
pub struct FakeRuntime;

impl FakeRuntime {
    fn offset(files: &ModelFiles) -> Result<f64> {
        let failed = |error| Error::internal("cannot read a model file", error);
        let text = std::fs::read_to_string(files.onnx_path()).map_err(failed)?;
        let offset = text.strip_prefix("x + ").and_then(|offset| offset.parse().ok());
        offset.ok_or_else(|| Error::new(ErrorCode::Model, format!("expected `x + NUMBER`, got `{text}`")))
    }
}

#[async_trait]
impl ModelRuntime for FakeRuntime {
    async fn load(&self, files: ModelFiles, signature: &Signature) -> Result<Arc<dyn LoadedModel>> {
        let (offset, signature) = (Self::offset(&files)?, Arc::new(signature.clone()));
        Ok(Arc::new(FakeModel { offset, signature, interruptions: AtomicU64::new(0) }))
    }

    async fn signature(&self, files: ModelFiles, hint: SignatureHint) -> Result<Signature> {
        Self::offset(&files)?;
        let inputs = vec![Input { name: "x".to_owned(), kind: InputKind::Number, time: None }];
        Ok(Signature { inputs, task: hint.task, classes: hint.classes, class_kind: ClassKind::Text })
    }
}

struct FakeModel {
    offset: f64,
    signature: Arc<Signature>,
    /// The number of interruptions. A prediction fails if one happens while it waits.
    interruptions: AtomicU64,
}

#[async_trait]
impl LoadedModel for FakeModel {
    fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let before = self.interruptions.load(Ordering::Acquire);
        tokio::task::yield_now().await;
        if self.interruptions.load(Ordering::Acquire) != before {
            return Err(PredictError::Model("interrupted".to_owned()));
        }
        match frame.column("x") {
            Some(Column::Number(x)) => Ok(Scores { width: 1, values: x.iter().map(|x| x + self.offset).collect() }),
            _ => Err(PredictError::Model("expected a number `x`".to_owned())),
        }
    }

    fn interrupt(&self) {
        self.interruptions.fetch_add(1, Ordering::AcqRel);
    }
}
