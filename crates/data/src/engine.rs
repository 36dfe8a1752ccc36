//! The engine: the operations of the port, executed on the engine's own threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use perennial_core::Result as CoreResult;
use perennial_core::frame::Frame;
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, Committed, DataEngine, Dialect, FilesSource, FrameRequest, Listing, Page, Position, QueryRequest,
    ScanPlan, SourceFile, SourceFolder, StageRequest, Staged,
};
use perennial_core::schema::Schema;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, Semaphore};

use crate::error::{Error, Result};
use crate::runtime::Pool;
use crate::source::Sources;
use crate::sql::{
    Interrupt, InterruptOnDrop, QUERY_THREADS_MAX, Sql, read_frame, tables_in, validate_condition, write_parquet,
};
use crate::stage::{Stager, validate_checks};
use crate::store::Root;
use crate::table::{Tables, commit, quarantine};

/// The most queries of people that run at the same time; others wait.
const QUERIES_MAX: usize = 6;

/// The options of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// URL or local path of the folder of all tables; `s3://` uses the standard `AWS_…` variables.
    pub root: String,
    /// Local folder for staged loads and spilled queries; only one engine may use it at a time.
    pub staging: PathBuf,
    /// Local folder of relative sources without a root of their own; they cannot leave it.
    pub source_root: PathBuf,
    /// Local folders that exist and that no source reads: those of the server's own data.
    pub reserved: Vec<PathBuf>,
    /// Memory limit of queries and staging, in bytes; beyond it they spill to disk or fail.
    pub memory_bytes: usize,
    /// Number of threads.
    pub threads: usize,
}

/// What an engine consists of.
pub(crate) struct Parts {
    /// The root of all tables.
    pub(crate) root: Root,
    /// The files of sources.
    pub(crate) sources: Sources,
    /// Local folder for staged loads and spilled queries.
    pub(crate) staging: PathBuf,
    /// Memory limit of queries and staging, in bytes.
    pub(crate) memory_bytes: usize,
    /// Number of threads.
    pub(crate) threads: usize,
    /// Threads for work beside operators that compute without yielding.
    pub(crate) spare_threads: usize,
}

/// The data engine over DataFusion and Delta. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pool: Arc<Pool>,
    stager: Stager,
    memory_bytes: usize,
    /// A permit for each query of a person that may run.
    queries: Arc<Semaphore>,
    /// Read-locked by operations that change tables or the staging area, write-locked to pause them.
    writes: Arc<RwLock<()>>,
}

impl Engine {
    /// Opens the engine; missing local folders are created.
    pub fn open(options: EngineOptions) -> CoreResult<Self> {
        Ok(Self::open_in(options)?)
    }

    fn open_in(options: EngineOptions) -> Result<Self> {
        Self::of(Parts {
            root: Root::open(&options.root)?,
            sources: Sources::new(options.source_root, &options.reserved)?,
            staging: options.staging,
            memory_bytes: options.memory_bytes,
            threads: options.threads,
            spare_threads: QUERIES_MAX * options.threads.min(QUERY_THREADS_MAX),
        })
    }

    /// The engine of its parts.
    pub(crate) fn of(parts: Parts) -> Result<Self> {
        let folder = |path: &Path| {
            std::fs::create_dir_all(path)
                .and_then(|()| path.canonicalize())
                .map_err(|cause| Error::storage(format!("creating the folder `{}`", path.display()), cause))
        };
        let staging = folder(&parts.staging)?;
        let spill = staging.join("spill");
        if let Err(cause) = std::fs::remove_dir_all(&spill)
            && cause.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::storage("removing spilled data of an earlier process", cause));
        }
        let spill = folder(&spill)?;
        let pool = Pool::new(parts.threads, parts.spare_threads)?;
        let sql = Sql::new(Tables::new(parts.root), parts.memory_bytes, &spill, pool.threads())?;
        let stager = Stager { sql, sources: parts.sources, staging: Arc::from(staging), threads: pool.threads() };
        let queries = Arc::new(Semaphore::new(QUERIES_MAX));
        Ok(Self { pool, stager, memory_bytes: parts.memory_bytes, queries, writes: Arc::default() })
    }

    /// The result of staging a load, if it is completely staged; survives a restart.
    pub async fn staged(&self, load: LoadId) -> CoreResult<Option<Staged>> {
        let stager = self.stager.clone();
        let record = self.pool.run(async move { stager.area(load).find() }).await?;
        Ok(record.map(|record| record.staged))
    }

    /// The root of the tables.
    pub(crate) fn root(&self) -> &Root {
        self.stager.sql.tables().root()
    }

    /// The folder of staged loads.
    pub(crate) fn staging(&self) -> &Path {
        &self.stager.staging
    }

    /// The sources.
    pub(crate) fn sources(&self) -> &Sources {
        &self.stager.sources
    }

    /// Runs work on the engine's own threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.pool.run(work).await
    }

    /// A permit to change tables or the staging area, which [`DataEngine::pause_writes`] waits for.
    pub(crate) async fn permit(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.writes).read_owned().await
    }

    fn sql(&self) -> Sql {
        self.stager.sql.clone()
    }

    /// The query engine for one query, which ends once the guard is dropped: with the future of the caller.
    fn interruptible(&self) -> (Sql, InterruptOnDrop) {
        let interrupt = Interrupt::default();
        (self.sql().with_interrupt(&interrupt), interrupt.on_drop())
    }

    /// Runs work that changes tables or the staging area. The work holds the permit, since it may outlive its caller
    /// briefly.
    async fn change<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> CoreResult<T> {
        let permit = self.permit().await;
        let work = async move {
            let _permit = permit;
            work.await
        };
        Ok(self.pool.run(work).await?)
    }
}

impl Dialect for Engine {
    fn tables_in(&self, sql: &str) -> CoreResult<Vec<String>> {
        Ok(tables_in(sql)?)
    }

    fn validate_condition(&self, condition: &str) -> CoreResult<()> {
        Ok(validate_condition(condition)?)
    }
}

#[async_trait]
impl DataEngine for Engine {
    async fn list(&self, source: &FilesSource) -> CoreResult<Listing> {
        let (sources, source) = (self.stager.sources.clone(), source.clone());
        Ok(self.pool.run(async move { sources.list(&source).await }).await?)
    }

    async fn columns(&self, source: &FilesSource, files: &[SourceFile]) -> CoreResult<Schema> {
        let (stager, source, files) = (self.stager.clone(), source.clone(), files.to_vec());
        Ok(self.pool.run(async move { stager.columns(source, &files).await }).await?)
    }

    async fn folders_changed(&self, source: &FilesSource, folders: &[SourceFolder]) -> CoreResult<bool> {
        let (sources, source, folders) = (self.stager.sources.clone(), source.clone(), folders.to_vec());
        Ok(self.pool.run(async move { Ok(sources.folders_changed(&source, &folders)) }).await?)
    }

    async fn fingerprint(&self, source: &FilesSource, path: &str) -> CoreResult<String> {
        let (sources, source, path) = (self.stager.sources.clone(), source.clone(), path.to_owned());
        Ok(self.pool.run(async move { sources.fingerprint(&source, &path, None).await }).await?)
    }

    async fn fingerprint_start(&self, source: &FilesSource, path: &str, bytes: u64) -> CoreResult<String> {
        let (sources, source, path) = (self.stager.sources.clone(), source.clone(), path.to_owned());
        Ok(self.pool.run(async move { sources.fingerprint(&source, &path, Some(bytes)).await }).await?)
    }

    async fn stage(&self, request: StageRequest) -> CoreResult<Staged> {
        let (sql, _guard) = self.interruptible();
        let stager = Stager { sql, ..self.stager.clone() };
        self.change(async move { stager.stage(request).await }).await
    }

    async fn quarantine(&self, load: LoadId, table: &str) -> CoreResult<()> {
        let (stager, table) = (self.stager.clone(), table.to_owned());
        self.change(async move { quarantine::write(stager.sql.tables(), &stager.area(load), &table).await }).await
    }

    async fn commit(&self, request: CommitRequest) -> CoreResult<Committed> {
        let stager = self.stager.clone();
        self.change(async move { commit::commit(&stager.sql, &stager.area(request.load), &request).await }).await
    }

    async fn discard(&self, load: LoadId) -> CoreResult<()> {
        let stager = self.stager.clone();
        self.change(async move { stager.discard(load) }).await
    }

    async fn sweep(&self, keep: &[LoadId]) -> CoreResult<()> {
        let (stager, keep) = (self.stager.clone(), keep.to_vec());
        self.change(async move { stager.sweep(&keep) }).await
    }

    async fn pause_writes(&self) -> Box<dyn Send> {
        Box::new(Arc::clone(&self.writes).write_owned().await)
    }

    async fn position(&self, table: &str) -> CoreResult<Option<Position>> {
        let (sql, table) = (self.sql(), table.to_owned());
        Ok(self.pool.run(async move { sql.tables().position(&table).await }).await?)
    }

    async fn plan(&self, request: &FrameRequest) -> CoreResult<Schema> {
        let ((sql, _guard), request) = (self.interruptible(), request.clone());
        Ok(self.pool.run(async move { sql.schema(&request.sql, &request.tables).await }).await?)
    }

    async fn validate_checks(&self, schema: &Schema, plan: &ScanPlan) -> CoreResult<()> {
        let (sql, schema, plan) = (self.sql(), schema.clone(), plan.clone());
        Ok(self.pool.run(async move { validate_checks(&sql, &schema, &plan).await }).await?)
    }

    async fn query(&self, request: QueryRequest) -> CoreResult<Page> {
        let (sql, _guard) = self.interruptible();
        let permit = Arc::clone(&self.queries).acquire_owned().await;
        let permit = permit.map_err(|cause| Error::internal("waiting for other queries", cause))?;
        let work = async move {
            // Kept until the query has really ended, which may be after its caller has given up.
            let _permit = permit;
            sql.page(&request.sql, &request.tables, request.limit).await
        };
        Ok(self.pool.run(work).await?)
    }

    async fn quarantined(&self, table: &str, loads: &[LoadId], limit: usize) -> CoreResult<Page> {
        let (sql, table, loads) = (self.sql(), table.to_owned(), loads.to_vec());
        Ok(self.pool.run(async move { quarantine::read(&sql, &table, &loads, limit).await }).await?)
    }

    async fn frame(&self, request: FrameRequest) -> CoreResult<Frame> {
        let ((sql, _guard), bytes_max) = (self.interruptible(), self.memory_bytes);
        let work = async move {
            let rows = sql.plan(&sql.deterministic_session(), &request.sql, &request.tables).await?;
            read_frame(rows, bytes_max, &request.keys).await
        };
        Ok(self.pool.run(work).await?)
    }

    async fn export(&self, request: FrameRequest, path: PathBuf) -> CoreResult<u64> {
        let (sql, _guard) = self.interruptible();
        let work = async move {
            let rows = sql.plan(&sql.deterministic_session(), &request.sql, &request.tables).await?;
            write_parquet(rows, &path).await
        };
        Ok(self.pool.run(work).await?)
    }
}
