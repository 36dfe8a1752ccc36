use std::sync::atomic::{AtomicUsize, Ordering};

use perennial_core::frame::Column;
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{PredictError, Predictor, Signature};
use perennial_core::task::TaskKind;

use super::*;

/// Counts its calls.
struct Counting(Arc<Signature>, AtomicUsize);

impl Predictor for Counting {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn predict(&self, _: &Frame) -> Result<Scores, PredictError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Scores { width: 1, values: vec![0.5] })
    }
}

#[async_trait::async_trait]
impl LoadedModel for Counting {
    fn signature(&self) -> &Arc<Signature> {
        &self.0
    }

    fn in_process(&self) -> Option<&dyn Predictor> {
        Some(self)
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        Predictor::predict(self, frame)
    }
}

#[test]
fn the_latency_is_measured_by_all_rounds_or_until_the_time_is_over() {
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![1.0; 5]));
    for (time_max, calls) in [(Duration::MAX, 3 * 5), (Duration::ZERO, 1)] {
        let signature =
            Signature { inputs: vec![], task: TaskKind::Binary, classes: vec![], class_kind: ClassKind::Text };
        let model = Counting(Arc::new(signature), AtomicUsize::new(0));
        let measured = latency(&model, &inputs, time_max);
        assert_eq!(model.1.into_inner(), calls);
        assert!(measured["p50_ms"].is_number() && measured["p99_ms"].is_number(), "{measured}");
    }
}
