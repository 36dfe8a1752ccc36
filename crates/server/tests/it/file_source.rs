//! Files as a source, over the data engine that the server has.

use std::path::Path;

use perennial_core::port::data::{DataEngine, FilesSource, LocalTime};
use perennial_core::port::source::Source;
use perennial_data::{Engine, EngineOptions};
use perennial_ingest::FileSource;
use perennial_testkit::conformance::source::SourceUnderTest;
use perennial_testkit::source_conformance;
use tempfile::TempDir;

struct Files {
    folder: TempDir,
    source: FilesSource,
    engine: Engine,
}

impl Files {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine_in(folder.path());
        let files = "*.csv".to_owned();
        let local_time = LocalTime::default();
        let source = FilesSource { root: None, files, format: None, header: true, columns: Vec::new(), local_time };
        Self { folder, source, engine }
    }
}

/// An engine whose tables and sources are in a folder.
pub(crate) fn engine_in(folder: &Path) -> Engine {
    let options = EngineOptions {
        root: folder.join("tables").to_str().unwrap().to_owned(),
        staging: folder.join("staging"),
        source_root: folder.to_owned(),
        reserved: Vec::new(),
        memory_bytes: 256 << 20,
        threads: 2,
    };
    Engine::open(options).unwrap()
}

impl SourceUnderTest for Files {
    fn source(&self) -> Box<dyn Source + '_> {
        Box::new(FileSource { engine: &self.engine, source: &self.source })
    }

    fn engine(&self) -> &dyn DataEngine {
        &self.engine
    }

    fn offer(&self, n: i64) {
        std::fs::write(self.folder.path().join(format!("{n}.csv")), format!("n\n{n}\n")).unwrap();
    }
}

source_conformance!(Files::start());
