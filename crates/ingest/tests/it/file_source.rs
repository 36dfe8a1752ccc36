//! Files as a source, over the data engine in memory.

use perennial_core::port::data::{DataEngine, FilesSource, LocalTime};
use perennial_core::port::source::Source;
use perennial_ingest::FileSource;
use perennial_testkit::conformance::source::SourceUnderTest;
use perennial_testkit::fakes::FakeData;
use perennial_testkit::source_conformance;

struct Files {
    source: FilesSource,
    engine: FakeData,
}

impl Files {
    fn start() -> Self {
        let files = "*.csv".to_owned();
        let source = FilesSource {
            root: None,
            files,
            format: None,
            header: true,
            columns: Vec::new(),
            local_time: LocalTime::default(),
        };
        Self { source, engine: FakeData::default() }
    }
}

impl SourceUnderTest for Files {
    fn source(&self) -> Box<dyn Source + '_> {
        Box::new(FileSource { engine: &self.engine, source: &self.source })
    }

    fn engine(&self) -> &dyn DataEngine {
        &self.engine
    }

    fn offer(&self, n: i64) {
        self.engine.offer(&format!("{n}.csv"), &format!("n\n{n}\n"));
    }
}

source_conformance!(Files::start());
