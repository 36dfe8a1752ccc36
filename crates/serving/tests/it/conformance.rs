//! Both runtimes of ONNX models pass the suite of the port.

use std::sync::Arc;

use perennial_core::blob::BlobDigest;
use perennial_core::port::model::{ModelFiles, ModelRuntime};
use perennial_onnx::build::GraphBuilder;
use perennial_onnx::proto::{DataType, TensorProto};
use perennial_serving::Runtime;
use perennial_testkit::conformance::model::RuntimeUnderTest;
use tempfile::TempDir;

use crate::runtime::Models;

/// A runtime, with the kind of models that it computes.
struct RuntimeOf {
    runtime: Runtime,
    /// Whether the models have an operator that the built-in evaluator lacks.
    has_erf: bool,
}

impl RuntimeOf {
    fn evaluator() -> Self {
        Self { runtime: Runtime::default(), has_erf: false }
    }

    fn onnx_runtime() -> Self {
        Self { runtime: Models::create().runtime(), has_erf: true }
    }
}

fn file(content: &[u8]) -> ModelFiles {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("model.onnx"), content).unwrap();
    ModelFiles {
        digest: BlobDigest::of(content),
        folder: folder.path().to_owned(),
        onnx: "model.onnx".parse().unwrap(),
        lease: Arc::new(folder),
    }
}

impl RuntimeUnderTest for RuntimeOf {
    fn runtime(&self) -> &dyn ModelRuntime {
        &self.runtime
    }

    fn plus(&self, offset: f32) -> ModelFiles {
        let mut graph = GraphBuilder::new("plus");
        graph.input_number("x");
        graph.initializer(TensorProto {
            name: Some("offset".into()),
            dims: vec![1],
            data_type: Some(DataType::Float as i32),
            float_data: vec![offset],
            ..TensorProto::default()
        });
        let mut score = graph.apply("Add", "", &["x", "offset"], vec![]);
        if self.has_erf {
            // Adds 0, the error function of 0.
            let zero = graph.apply("Sub", "", &["x", "x"], vec![]);
            let zero = graph.apply("Erf", "", &[&zero], vec![]);
            score = graph.apply("Add", "", &[&score, &zero], vec![]);
        }
        graph.output(&score, DataType::Float, &[-1, 1]);
        file(&graph.finish(17, 3))
    }

    fn broken(&self) -> ModelFiles {
        file(b"no model")
    }
}

mod evaluator {
    use super::RuntimeOf;

    perennial_testkit::model_runtime_conformance!(RuntimeOf::evaluator());
}

mod onnx_runtime {
    use super::RuntimeOf;

    perennial_testkit::model_runtime_conformance!(RuntimeOf::onnx_runtime());
}
