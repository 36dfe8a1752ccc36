//! Parts whose real ones would link DataFusion or start processes.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use perennial_config::TrainerSpec;
use perennial_core::blob::BlobDigest;
use perennial_core::clock::Clock;
use perennial_core::frame::Frame;
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, Committed, DataEngine, Dialect, FilesSource, FrameRequest, Page, Position, QueryRequest, ScanPlan,
    SourceFile, StageInput, StageRequest, Staged,
};
use perennial_core::port::runner::{Command, Environment, EnvironmentSpec, Outcome, Runner};
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::schema::Schema;
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::models::TestModel;

/// The trainers a project file may name.
pub static TRAINERS: LazyLock<Vec<TrainerSpec>> =
    LazyLock::new(|| ["gbdt", "linear"].into_iter().map(|name| TrainerSpec { name, params: &[] }).collect());

/// A wall clock that stands until it is moved.
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock at an instant.
    pub fn new(ms: i64) -> Self {
        Self(AtomicI64::new(ms))
    }

    /// Moves it forward.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Clock for FixedClock {
    fn wall_ms(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A data engine that offers the files it was given, whatever the source, keeps no rows, and answers the
/// queries it was told the answers of.
#[derive(Default)]
pub struct FakeData {
    answers: Mutex<HashMap<String, Page>>,
    frames: Mutex<HashMap<String, Frame>>,
    before_frame: Mutex<Option<Hook>>,
    staging: Mutex<Option<Arc<Semaphore>>>,
    files: Mutex<BTreeMap<String, String>>,
    still: Mutex<Option<Watch>>,
}

/// What happens before a frame is answered, given its SQL.
type Hook = Arc<dyn Fn(&str) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Told when somebody wants a data engine to stand still (true), and when it is let go (false).
type Watch = Arc<dyn Fn(bool) + Send + Sync>;

/// An engine that stands still while this lives.
struct Still(Option<Watch>);

impl Drop for Still {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch(false);
        }
    }
}

impl FakeData {
    /// What `sql` answers from now on.
    pub fn answer(&self, sql: &str, page: Page) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned(), page);
    }

    /// What `sql` answers from now on, as a frame.
    pub fn answer_frame(&self, sql: &str, frame: Frame) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned(), frame);
    }

    /// Waits for `hook` from now on before it answers a frame.
    pub fn before_frame(
        &self,
        hook: impl Fn(&str) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static,
    ) {
        *self.before_frame.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Asks `turn` from now on before it stages the rows of a query.
    pub fn stage_by(&self, turn: Arc<Semaphore>) {
        *self.staging.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
    }

    /// Tells `watch` from now on when the engine is to stand still and when it is let go.
    pub fn watch_still(&self, watch: impl Fn(bool) + Send + Sync + 'static) {
        *self.still.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(watch));
    }

    /// Offers a file with this content from now on.
    pub fn offer(&self, path: &str, content: &str) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), content.to_owned());
    }
}

fn without_rows<T>() -> Result<T> {
    Err(Error::new(ErrorCode::NotReady, "this data engine keeps no rows"))
}

impl Dialect for FakeData {
    fn tables_in(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn validate_condition(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl DataEngine for FakeData {
    async fn list(&self, _: &FilesSource) -> Result<Vec<SourceFile>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let offered = files.iter().map(|(path, content)| SourceFile {
            path: path.clone(),
            size_bytes: content.len() as u64,
            modified_ns: Some(0),
            etag: None,
        });
        Ok(offered.collect())
    }

    async fn fingerprint(&self, _: &FilesSource, path: &str) -> Result<String> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let content = files.get(path).ok_or_else(|| Error::not_found("source file", path))?;
        Ok(BlobDigest::of(content.as_bytes()).to_string())
    }

    async fn stage(&self, request: StageRequest) -> Result<Staged> {
        let turn = self.staging.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _turn = match &turn {
            Some(turn) if matches!(request.input, StageInput::Sql { .. }) => turn.acquire().await.ok(),
            _ => None,
        };
        without_rows()
    }

    async fn quarantine(&self, _: LoadId, _: &str) -> Result<()> {
        without_rows()
    }

    async fn commit(&self, request: CommitRequest) -> Result<Committed> {
        Err(Error::new(ErrorCode::WrongState, format!("load `{}` is not staged", request.load)))
    }

    async fn discard(&self, _: LoadId) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, _: &[LoadId]) -> Result<()> {
        Ok(())
    }

    async fn pause_writes(&self) -> Box<dyn Send> {
        let watch = self.still.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watch) = &watch {
            watch(true);
        }
        Box::new(Still(watch))
    }

    async fn position(&self, _: &str) -> Result<Option<Position>> {
        Ok(None)
    }

    async fn plan(&self, _: &FrameRequest) -> Result<Schema> {
        without_rows()
    }

    async fn validate_checks(&self, _: &Schema, _: &ScanPlan) -> Result<()> {
        Ok(())
    }

    async fn query(&self, request: QueryRequest) -> Result<Page> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = || Error::new(ErrorCode::Sql, format!("`{}` does not plan", request.sql));
        let mut page = answers.get(&request.sql).cloned().ok_or_else(refused)?;
        page.truncated = page.rows.len() > request.limit;
        page.rows.truncate(request.limit);
        Ok(page)
    }

    async fn quarantined(&self, _: &str, _: &[LoadId], _: usize) -> Result<Page> {
        Ok(Page { schema: Schema::default(), rows: Vec::new(), truncated: false })
    }

    async fn frame(&self, request: FrameRequest) -> Result<Frame> {
        let hook = self.before_frame.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(&request.sql).await;
        }
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.get(&request.sql).cloned().map_or_else(without_rows, Ok)
    }

    async fn export(&self, _: FrameRequest, _: PathBuf) -> Result<u64> {
        without_rows()
    }
}

/// A runner that runs nothing.
pub struct NoRunner;

#[async_trait]
impl Runner for NoRunner {
    fn name(&self) -> &'static str {
        "none"
    }

    async fn resolve(&self, _: &EnvironmentSpec, _: &str) -> Result<Environment> {
        let (path, readable) = (Vec::new(), Vec::new());
        Ok(Environment { digest: "none".to_owned(), lock: None, path, readable, reproducible: true })
    }

    async fn prepare(&self, _: &EnvironmentSpec, _: &Environment) -> Result<Environment> {
        Err(Error::new(ErrorCode::NotReady, "this runner runs nothing"))
    }

    async fn run(&self, _: Command) -> Result<Outcome> {
        Err(Error::new(ErrorCode::NotReady, "this runner runs nothing"))
    }
}

/// A trainer that makes the model it was given, whatever the rows.
#[derive(Default)]
pub struct FakeTrainer(Mutex<Option<TestModel>>);

impl FakeTrainer {
    /// What it makes from now on.
    pub fn make(&self, model: TestModel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
    }
}

impl Trainer for FakeTrainer {
    fn train(&self, _: &str, _: TaskKind, _: &Frame, _: &Target, _: &Map<String, Value>) -> Result<TrainedModel> {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let none = || Error::new(ErrorCode::NotReady, "this trainer trains nothing").with_hint("give it a model");
        let TestModel { onnx, signature } = given.ok_or_else(none)?;
        Ok(TrainedModel { onnx, signature, params: Map::new(), metrics: Vec::new(), importance: Vec::new() })
    }

    fn version(&self) -> &'static str {
        "none"
    }
}
