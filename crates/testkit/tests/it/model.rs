use std::sync::Arc;

use perennial_core::blob::BlobDigest;
use perennial_core::port::model::{ModelFiles, ModelRuntime};
use perennial_testkit::conformance::model::RuntimeUnderTest;
use perennial_testkit::fakes::FakeRuntime;
use perennial_testkit::model_runtime_conformance;
use tempfile::TempDir;

struct Texts;

fn file(content: &str) -> ModelFiles {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("model.txt"), content).unwrap();
    ModelFiles {
        digest: BlobDigest::of(content.as_bytes()),
        folder: folder.path().to_owned(),
        onnx: "model.txt".parse().unwrap(),
        lease: Arc::new(folder),
    }
}

impl RuntimeUnderTest for Texts {
    fn runtime(&self) -> &dyn ModelRuntime {
        &FakeRuntime
    }

    fn plus(&self, offset: f32) -> ModelFiles {
        file(&format!("x + {offset}"))
    }

    fn broken(&self) -> ModelFiles {
        file("x - 1")
    }
}

model_runtime_conformance!(Texts);
