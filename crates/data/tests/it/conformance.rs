//! The engine passes the suite of its port.

use perennial_core::port::data::DataEngine;
use perennial_testkit::conformance::data::EngineUnderTest;
use perennial_testkit::data_engine_conformance;

use crate::support::Fixture;

impl EngineUnderTest for Fixture {
    fn engine(&self) -> &dyn DataEngine {
        &self.engine
    }

    fn offer(&self, path: &str, content: &str) {
        self.write(path, content);
    }
}

data_engine_conformance!(Fixture::new());
