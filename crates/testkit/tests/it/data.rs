//! The data engine in memory.

use perennial_core::port::data::DataEngine;
use perennial_testkit::conformance::data::EngineUnderTest;
use perennial_testkit::data_engine_conformance;
use perennial_testkit::fakes::FakeData;

struct Fake(FakeData);

impl EngineUnderTest for Fake {
    fn engine(&self) -> &dyn DataEngine {
        &self.0
    }

    fn offer(&self, path: &str, content: &str) {
        self.0.offer(path, content);
    }
}

data_engine_conformance!(Fake(FakeData::default()));
