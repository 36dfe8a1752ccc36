//! The source in memory.

use perennial_core::port::data::DataEngine;
use perennial_core::port::source::Source;
use perennial_testkit::conformance::source::SourceUnderTest;
use perennial_testkit::fakes::{FakeData, FakeSource};
use perennial_testkit::source_conformance;

#[derive(Default)]
struct Stream {
    source: FakeSource,
    engine: FakeData,
}

impl SourceUnderTest for Stream {
    fn source(&self) -> Box<dyn Source + '_> {
        Box::new(&self.source)
    }

    fn engine(&self) -> &dyn DataEngine {
        &self.engine
    }

    fn offer(&self, n: i64) {
        self.source.push(n);
    }
}

source_conformance!(Stream::default());
