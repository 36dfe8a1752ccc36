//! A fixture per test, and short constructors of stage requests.

use std::path::{Path, PathBuf};
use std::process::Command;

use perennial_core::Error;
use perennial_core::digest::{TableDigest, TableSum};
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, Committed, DataEngine, FilesSource, LocalTime, Mode, NamedTable, Page, QueryRequest, ScanPlan,
    SourceFile, StageInput, StageRequest, Staged, TableRef,
};
use perennial_data::{Engine, EngineOptions, files_below};
use serde_json::Value as Json;
use tempfile::TempDir;

/// The table that tests load into.
pub(crate) const TABLE: &str = "project/rows";

/// Temporary folders for sources, tables and staging, and an engine over them.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) engine: Engine,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("sources")).expect("a folder");
        let engine = Self::open(folder.path());
        Self { folder, engine }
    }

    /// Another engine over the same folders.
    pub(crate) fn open(folder: &Path) -> Engine {
        Self::open_with(folder, 256 << 20)
    }

    /// An engine over these folders with a memory limit.
    pub(crate) fn open_with(folder: &Path, memory_bytes: usize) -> Engine {
        Engine::open(EngineOptions {
            root: folder.join("tables").to_str().expect("a path").to_owned(),
            staging: folder.join("staging"),
            source_root: folder.join("sources"),
            reserved: Vec::new(),
            memory_bytes,
            threads: 2,
        })
        .expect("an engine")
    }

    pub(crate) fn reopen(&self) -> Engine {
        Self::open(self.folder.path())
    }

    pub(crate) fn source(&self, path: &str) -> PathBuf {
        self.folder.path().join("sources").join(path)
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.folder.path().join("tables").join(TABLE)
    }

    /// Writes a source file.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.source(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, content).expect("a file");
    }

    /// Writes the result of a SELECT as a Parquet file.
    pub(crate) async fn write_parquet(&self, path: &str, select: &str) {
        let request =
            perennial_core::port::data::FrameRequest { sql: select.to_owned(), tables: Vec::new(), keys: Vec::new() };
        self.engine.export(request, self.source(path)).await.expect("a Parquet file");
    }

    /// Stages rows.
    pub(crate) async fn stage(&self, options: &StageOptions) -> Result<(LoadId, Staged), Error> {
        let load = options.load.unwrap_or_else(LoadId::generate);
        let staged = self.engine.stage(self.request(load, options).await).await?;
        Ok((load, staged))
    }

    pub(crate) async fn request(&self, load: LoadId, options: &StageOptions) -> StageRequest {
        StageRequest {
            load,
            dataset: "rows".parse().expect("a name"),
            base: self.base().await,
            input: self.with_metadata(options.input.clone()),
            mode: options.mode,
            key: options.key.iter().map(|column| (*column).to_owned()).collect(),
            schema: options.schema.clone(),
            optional: options.optional.clone(),
            evolve: options.evolve,
            replaces: options.replaces,
            plan: options.plan.clone(),
        }
    }

    /// The input with the present size and time of files, where not given.
    fn with_metadata(&self, mut input: StageInput) -> StageInput {
        if let StageInput::Files { files, .. } = &mut input {
            for file in files.iter_mut().filter(|file| file.modified_ns.is_none()) {
                let (folder, name) = (self.folder.path().join("sources"), file.path.clone());
                let below = files_below(&folder, &name).unwrap_or_default();
                *file = below.into_iter().next().unwrap_or_else(|| unlisted(&name));
            }
        }
        input
    }

    /// The table at its newest version.
    pub(crate) async fn base(&self) -> Option<TableRef> {
        let position = self.engine.position(TABLE).await.expect("a position")?;
        Some(TableRef { path: TABLE.into(), delta_version: position.delta_version })
    }

    pub(crate) async fn number(&self) -> i64 {
        self.engine.position(TABLE).await.expect("a position").map_or(0, |position| position.number)
    }

    pub(crate) async fn commit(&self, load: LoadId) -> Result<Committed, Error> {
        let previous = self.number().await;
        self.engine.commit(commit_of(load, previous)).await
    }

    /// Stages and commits.
    pub(crate) async fn load(&self, options: &StageOptions) -> (LoadId, Staged) {
        let (load, staged) = self.stage(options).await.expect("rows are staged");
        self.commit(load).await.expect("rows are committed");
        (load, staged)
    }

    /// Queries the newest version of the table, named `rows`.
    pub(crate) async fn query(&self, sql: &str) -> Page {
        self.try_query(sql).await.expect("an answer")
    }

    pub(crate) async fn try_query(&self, sql: &str) -> Result<Page, Error> {
        let tables = self.base().await.map(|table| NamedTable { name: "rows".into(), table });
        self.engine.query(QueryRequest { sql: sql.into(), tables: tables.into_iter().collect(), limit: 1000 }).await
    }

    /// The rows of a query, as JSON.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<Json>> {
        self.query(sql).await.rows
    }

    /// The table's digest computed from all its rows, by staging them as a new load.
    pub(crate) async fn full_digest(&self) -> TableDigest {
        let tables = vec![NamedTable { name: "rows".into(), table: self.base().await.expect("a table") }];
        let options = StageOptions::new(StageInput::Sql { sql: "SELECT * FROM rows".into(), tables });
        let load = LoadId::generate();
        let mut request = self.request(load, &options).await;
        request.base = None;
        let staged = self.engine.stage(request).await.expect("rows are staged");
        self.engine.discard(load).await.expect("the load is removed");
        TableDigest::of(&staged.schema, staged.change.added_rows, &staged.change.added)
    }
}

/// A digest that is updated incrementally by changes.
#[derive(Default)]
pub(crate) struct IncrementalDigest {
    pub(crate) rows: u64,
    sum: TableSum,
}

impl IncrementalDigest {
    pub(crate) fn apply(&mut self, change: &perennial_core::port::data::Change) {
        self.rows = self.rows + change.added_rows - change.removed_rows;
        self.sum.merge(&change.added);
        self.sum.remove(&change.removed);
    }

    pub(crate) fn digest(&self, staged: &Staged) -> TableDigest {
        TableDigest::of(&staged.schema, self.rows, &self.sum)
    }
}

/// StageOptions rows are staged.
#[derive(Clone)]
pub(crate) struct StageOptions {
    pub(crate) input: StageInput,
    pub(crate) mode: Mode,
    pub(crate) key: Vec<&'static str>,
    pub(crate) schema: Option<perennial_core::schema::Schema>,
    pub(crate) optional: Vec<String>,
    pub(crate) evolve: bool,
    pub(crate) replaces: Option<LoadId>,
    pub(crate) plan: ScanPlan,
    pub(crate) load: Option<LoadId>,
}

impl StageOptions {
    pub(crate) fn new(input: StageInput) -> Self {
        Self {
            input,
            mode: Mode::Append,
            key: Vec::new(),
            schema: None,
            optional: Vec::new(),
            evolve: false,
            replaces: None,
            plan: ScanPlan::default(),
            load: None,
        }
    }

    /// The files at `paths` in the source folder.
    pub(crate) fn files(paths: &[&str]) -> Self {
        Self::from_source(source(paths.first().unwrap_or(&"")), paths)
    }

    /// The files at `paths`, as `source` reads them.
    pub(crate) fn from_source(source: FilesSource, paths: &[&str]) -> Self {
        Self::new(StageInput::Files { source, files: paths.iter().map(|path| unlisted(path)).collect() })
    }

    pub(crate) fn lines(text: &str) -> Self {
        Self::new(StageInput::JsonLines(text.to_owned().into()))
    }

    pub(crate) fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn key(mut self, key: &[&'static str]) -> Self {
        self.key = key.to_vec();
        self
    }

    pub(crate) fn optional(mut self, column: &str) -> Self {
        self.optional.push(column.to_owned());
        self
    }

    pub(crate) fn evolve(mut self) -> Self {
        self.evolve = true;
        self
    }

    pub(crate) fn replaces(mut self, load: LoadId) -> Self {
        self.replaces = Some(load);
        self
    }

    pub(crate) fn plan(mut self, plan: ScanPlan) -> Self {
        self.plan = plan;
        self
    }
}

fn unlisted(path: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), size_bytes: 0, modified_ns: None, etag: None }
}

/// A source of one glob, with header.
pub(crate) fn source(files: &str) -> FilesSource {
    FilesSource {
        root: None,
        files: files.into(),
        format: None,
        header: true,
        columns: Vec::new(),
        local_time: LocalTime::default(),
    }
}

pub(crate) fn commit_of(load: LoadId, previous: i64) -> CommitRequest {
    CommitRequest { load, table: TABLE.into(), number: previous + 1, previous, all: false }
}

/// Asserts that `error` has the code and its message contains each of `parts`.
pub(crate) fn assert_error(error: &Error, code: &str, parts: &[&str]) {
    assert_eq!(error.code().name(), code, "{error:?}");
    for part in parts {
        assert!(error.message().contains(part), "`{}` does not contain `{part}`", error.message());
    }
    assert!(!error.message().contains('\n') && !error.message().ends_with('.'), "{}", error.message());
}

/// The Python interpreter of the tests.
pub(crate) fn python() -> Command {
    let python = std::env::var("PERENNIAL_TEST_PYTHON").expect(
        "PERENNIAL_TEST_PYTHON must name a Python with the packages of conformance/requirements.txt: run the tests by `cargo xtask test`",
    );
    Command::new(python)
}

/// Runs a Python program; returns its output.
pub(crate) fn run_python(program: &str, arguments: &[&str]) -> String {
    let output = python().arg("-c").arg(program).args(arguments).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}
