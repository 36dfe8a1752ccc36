//! The server's half: an engine whose foreign work runs in workers.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, Committed, DataEngine, Dialect, FilesSource, FrameRequest, Listing, Page, Position, QueryRequest,
    ScanPlan, SourceFile, SourceFolder, StageInput, StageRequest, Staged, TableRef,
};
use perennial_core::schema::Schema;
use perennial_core::{Error as CoreError, ErrorCode, Result as CoreResult};
use perennial_worker::{
    ControlGroups, Limits, Message, PoolLimits, Requirement, Sandbox, Stopper, WorkerPool, WorkerSpec,
};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::call::{Call, EXPORT, Input, Select, Stage, Start, parse};
use super::served_files::{ServedFiles, named, referenced};
use super::{WORKER_ROLE, frame};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::runtime::Task;
use crate::source::LocalFile;
use crate::stage::{parquet_files, parquet_source};
use crate::staging_area::{Expected, StagingArea};

/// Threads of one worker at most.
const THREADS_MAX: usize = 4;
/// Workers for queries of people, and for loads and steps.
const WORKERS: usize = 2;
/// Memory of a worker beyond that of its engine: its program, stacks, and what operators do not count.
const OVERHEAD_BYTES: u64 = 512 << 20;
/// The time of a query; its caller gives up before.
const QUERY_TIME: Duration = Duration::from_mins(1);
/// The time of a load or of the SQL of a step.
const WORK_TIME: Duration = Duration::from_hours(6);
/// The time that a query waits for a worker.
const QUERY_WAIT: Duration = Duration::from_secs(20);
/// The time after which an idle worker ends.
const IDLE_TIME: Duration = Duration::from_mins(2);
/// The folder of the workers' scratch folders and of downloaded source files, in that of staged loads; emptied at each start.
const SCRATCH: &str = "workers";

/// The options of workers.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The binary that has [`WORKER_ROLE`].
    pub program: PathBuf,
    /// Memory limit of queries and staging in one worker, in bytes; the process may have twice as much and 512 MiB.
    pub memory_bytes: usize,
    /// Whether a worker starts only where the kernel can isolate it.
    pub requirement: Requirement,
    /// Where workers get control groups.
    pub control_groups: Option<ControlGroups>,
}

/// The engine of a server: foreign work runs in workers.
#[derive(Clone)]
pub struct WorkerEngine {
    own: Engine,
    /// Workers for queries of people.
    queries: Arc<WorkerPool>,
    /// Workers for loads and the SQL of steps, which never wait for a query.
    work: Arc<WorkerPool>,
}

/// One call.
struct Job {
    call: Call,
    /// JSON lines.
    lines: Vec<u8>,
    /// The project; the worker never works for another.
    tenant: String,
    files: ServedFiles,
    /// The staged rows that the worker stages again.
    offered: Option<StagingArea>,
}

impl WorkerEngine {
    /// Runs the foreign work of `own` in workers.
    pub fn new(own: Engine, options: &WorkerOptions) -> CoreResult<Self> {
        let scratch = own.staging().join(SCRATCH);
        // Folders of workers of an earlier server.
        if let Err(cause) = std::fs::remove_dir_all(&scratch)
            && cause.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::storage("removing scratch folders of earlier workers", cause).into());
        }
        std::fs::create_dir_all(&scratch)
            .map_err(|cause| Error::storage("creating the folder of scratch folders", cause))?;
        let root = own.root();
        let start = Start {
            root: root.url.to_string(),
            base: root.store.base.to_string(),
            memory_bytes: options.memory_bytes,
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(THREADS_MAX),
        };
        let spec = WorkerSpec {
            program: options.program.clone(),
            parameters: serde_json::to_value(start)
                .map_err(|cause| CoreError::internal("the parameters of workers cannot be written", cause))?,
            sandbox: Sandbox {
                limits: Limits {
                    memory_bytes: Some(options.memory_bytes as u64 * 2 + OVERHEAD_BYTES),
                    open_files: Some(1024),
                    ..Limits::default()
                },
                requirement: options.requirement,
                ..Sandbox::worker()
            },
            // Memory that the allocator only reserves would count.
            environment: BTreeMap::from([("MIMALLOC_ARENA_EAGER_COMMIT".to_owned(), "0".to_owned())]),
            scratch: Some(scratch),
            control_groups: options.control_groups.clone(),
            ..WorkerSpec::new(WORKER_ROLE.name)
        };
        let pool = |spec| Arc::new(WorkerPool::new(spec, PoolLimits { workers_max: WORKERS, idle_max: IDLE_TIME }));
        Ok(Self { own, queries: pool(spec.clone()), work: pool(spec) })
    }

    fn job(&self, call: Call, tables: Vec<&TableRef>, sources: Vec<LocalFile>) -> Result<Job> {
        let project = |table: &&TableRef| table.path.split('/').next().map(str::to_owned);
        // A call without tables has no rows of a project.
        let tenant = tables.first().and_then(project).unwrap_or_default();
        let files = ServedFiles::new(self.own.root(), tables, sources)?;
        Ok(Job { call, lines: Vec::new(), tenant, files, offered: None })
    }

    fn select_job(&self, request: FrameRequest, call: impl FnOnce(Select) -> Call) -> Result<Job> {
        let tables = request.tables.clone();
        self.job(call(request.into()), named(&tables).collect(), Vec::new())
    }

    /// Calls a worker, and stops it when the future is dropped.
    async fn run<T: Send + 'static>(
        &self,
        pool: &Arc<WorkerPool>,
        job: Job,
        finish: impl FnOnce(Message, &Path) -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<T> {
        let (wait, time) =
            if Arc::ptr_eq(pool, &self.queries) { (QUERY_WAIT, QUERY_TIME) } else { (WORK_TIME, WORK_TIME) };
        let stop = StopOnDrop::default();
        let (pool, running) = (Arc::clone(pool), Arc::clone(&stop.0));
        let work =
            async move { Task::start_blocking(move || Ok(job.run(&pool, &running, wait, time, finish))).join().await };
        self.own.run(work).await?
    }

    /// Calls a worker that answers with JSON.
    async fn ask<T: DeserializeOwned + Send + 'static>(&self, pool: &Arc<WorkerPool>, job: Job) -> CoreResult<T> {
        self.run(pool, job, |answer, _| parse(&answer.payload)).await
    }

    /// The files of a source as local ones; those of an object store are downloaded into `folder`.
    async fn fetch(&self, source: FilesSource, files: Vec<SourceFile>, folder: PathBuf) -> Result<Vec<LocalFile>> {
        let sources = self.own.sources().clone();
        self.own.run(async move { sources.fetch(&source, &files, &folder).await }).await
    }

    /// A folder for the files of a source that are downloaded for one call.
    fn downloads(&self) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("source-").tempdir_in(self.own.staging().join(SCRATCH));
        folder.map_err(|cause| Error::storage("creating a folder for source files", cause))
    }

    /// The call of `request`, with the files that it reads; `None` for rows that the server itself made.
    async fn stage_job(&self, request: StageRequest, folder: &Path) -> CoreResult<Option<Job>> {
        let mut tables: Vec<TableRef> = referenced(&request.plan).cloned().collect();
        tables.extend(request.base.clone());
        // The dataset's own project first: it is the tenant.
        tables.reverse();
        let (load, mut lines, mut sources) = (request.load, Vec::new(), Vec::new());
        let input = match &request.input {
            StageInput::Columns(_) => return Ok(None),
            StageInput::Files { source, files } => {
                sources = self.fetch(source.clone(), files.clone(), folder.to_owned()).await?;
                Input::Files { source: FilesSource { root: None, ..source.clone() }, files: files.clone() }
            }
            StageInput::Parquet(path) => {
                sources = parquet_files(path)?;
                let files = sources.iter().map(|file| SourceFile {
                    path: file.label.to_string(),
                    size_bytes: 0,
                    modified_ns: None,
                    etag: None,
                });
                Input::Files { source: parquet_source(), files: files.collect() }
            }
            StageInput::Sql { sql, tables: named } => {
                tables.extend(named.iter().map(|named| named.table.clone()));
                Input::Sql(Select { sql: sql.clone(), tables: named.clone(), keys: Vec::new() })
            }
            StageInput::JsonLines(bytes) => {
                lines = bytes.to_vec();
                Input::JsonLines
            }
            StageInput::Staged => Input::Staged,
        };
        let call = Call::Stage(Box::new(Stage::new(request, input)));
        let mut job = self.job(call, tables.iter().collect(), sources)?;
        job.lines = lines;
        if job.tenant.is_empty() {
            job.tenant = load.to_string();
        }
        Ok(Some(job))
    }
}

impl Job {
    /// Calls a worker of `pool`; `finish` converts its answer, and moves what it left in its scratch folder. Blocks.
    fn run<T>(
        self,
        pool: &WorkerPool,
        running: &Running,
        wait: Duration,
        time: Duration,
        finish: impl FnOnce(Message, &Path) -> CoreResult<T>,
    ) -> CoreResult<T> {
        let mut worker = pool.lease(&self.tenant, wait).map_err(with_hint)?;
        if !running.start(worker.stopper()) {
            return Err(CoreError::new(ErrorCode::NotReady, "the caller has given up"));
        }
        let scratch = worker.scratch().map(Path::to_path_buf).unwrap_or_default();
        if let Some(area) = &self.offered {
            area.offer(&scratch)?;
        }
        let mut payload = serde_json::to_vec(&self.call)
            .map_err(|cause| CoreError::internal("a call of a worker cannot be written", cause))?;
        let message = Message::new(&payload.len())?;
        payload.extend_from_slice(&self.lines);
        let runtime = tokio::runtime::Handle::current();
        let mut respond = |request: Message| runtime.block_on(self.files.respond(&request));
        let answer = worker.call_with(&message.with_payload(payload), time, &mut respond).map_err(with_hint)?;
        let finished = finish(answer, &scratch);
        running.end();
        finished
    }
}

/// The worker of a call, from its lease to its end.
#[derive(Default)]
struct Running(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Started(Stopper),
    Ended,
}

impl Running {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the call may start: `false` after its caller has given up.
    fn start(&self, stopper: Stopper) -> bool {
        let mut state = self.state();
        if matches!(*state, State::Ended) {
            return false;
        }
        *state = State::Started(stopper);
        true
    }

    /// From here on the worker may belong to another call.
    fn end(&self) {
        *self.state() = State::Ended;
    }
}

/// Stops the worker of a call when its caller gives up.
#[derive(Default)]
struct StopOnDrop(Arc<Running>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let State::Started(stopper) = std::mem::replace(&mut *self.0.state(), State::Ended) {
            stopper.stop();
        }
    }
}

/// The error of a call, with what to do about a limit.
fn with_hint(error: perennial_worker::Error) -> CoreError {
    let hint = match &error {
        perennial_worker::Error::MemoryLimit { .. } => "process less data at once",
        perennial_worker::Error::Deadline { .. } => {
            "process less data at once, or declare a step with `sql` in the project file for a long query"
        }
        perennial_worker::Error::Busy { .. } => "try again when other queries have ended",
        perennial_worker::Error::Start { .. } => {
            "`perennial up --data-in-process` runs queries and loads in the server's own process, without these limits"
        }
        _ => return error.into(),
    };
    CoreError::from(error).with_hint(hint)
}

impl Dialect for WorkerEngine {
    fn tables_in(&self, sql: &str) -> CoreResult<Vec<String>> {
        self.own.tables_in(sql)
    }

    fn validate_condition(&self, condition: &str) -> CoreResult<()> {
        self.own.validate_condition(condition)
    }
}

#[async_trait]
impl DataEngine for WorkerEngine {
    async fn list(&self, source: &FilesSource) -> CoreResult<Listing> {
        self.own.list(source).await
    }

    async fn columns(&self, source: &FilesSource, files: &[SourceFile]) -> CoreResult<Schema> {
        let downloads = self.downloads()?;
        let local = self.fetch(source.clone(), files.to_vec(), downloads.path().to_owned()).await?;
        let source = FilesSource { root: None, ..source.clone() };
        let call = Call::Columns { source, files: files.to_vec() };
        let finish = move |answer: Message, _: &Path| {
            // Kept until the worker has ended, even if the caller has given up.
            let _downloads = downloads;
            parse(&answer.payload)
        };
        // Files of a project, but no table that names it: the worker works for nothing else.
        let job = Job { tenant: LoadId::generate().to_string(), ..self.job(call, Vec::new(), local)? };
        self.run(&self.queries, job, finish).await
    }

    async fn folders_changed(&self, source: &FilesSource, folders: &[SourceFolder]) -> CoreResult<bool> {
        self.own.folders_changed(source, folders).await
    }

    async fn fingerprint(&self, source: &FilesSource, path: &str) -> CoreResult<String> {
        self.own.fingerprint(source, path).await
    }

    async fn fingerprint_start(&self, source: &FilesSource, path: &str, bytes: u64) -> CoreResult<String> {
        self.own.fingerprint_start(source, path, bytes).await
    }

    async fn stage(&self, request: StageRequest) -> CoreResult<Staged> {
        let downloads = self.downloads()?;
        let area = StagingArea::new(self.own.staging(), request.load);
        let (expected, input) = (Expected::from(&request), request.input.clone());
        let Some(mut job) = self.stage_job(request.clone(), downloads.path()).await? else {
            return self.own.stage(request).await;
        };
        match &input {
            StageInput::Staged => job.offered = Some(area.clone()),
            _ => area.discard()?,
        }
        let (permit, sources) = (self.own.permit().await, self.own.sources().clone());
        let finish = move |_: Message, scratch: &Path| {
            // Kept until the rows are in the staging area, even if the caller has given up.
            let (_permit, _downloads) = (permit, downloads);
            if let StageInput::Files { source, files } = &input {
                tokio::runtime::Handle::current().block_on(sources.verify_unchanged(source, files))?;
            }
            Ok(area.adopt(scratch, &expected)?)
        };
        self.run(&self.work, job, finish).await
    }

    async fn quarantine(&self, load: LoadId, table: &str) -> CoreResult<()> {
        self.own.quarantine(load, table).await
    }

    async fn commit(&self, request: CommitRequest) -> CoreResult<Committed> {
        self.own.commit(request).await
    }

    async fn discard(&self, load: LoadId) -> CoreResult<()> {
        self.own.discard(load).await
    }

    async fn sweep(&self, keep: &[LoadId]) -> CoreResult<()> {
        self.own.sweep(keep).await
    }

    async fn pause_writes(&self) -> Box<dyn Send> {
        self.own.pause_writes().await
    }

    async fn position(&self, table: &str) -> CoreResult<Option<Position>> {
        self.own.position(table).await
    }

    async fn plan(&self, request: &FrameRequest) -> CoreResult<Schema> {
        self.ask(&self.queries, self.select_job(request.clone(), Call::Plan)?).await
    }

    async fn validate_checks(&self, schema: &Schema, plan: &ScanPlan) -> CoreResult<()> {
        let call = Call::ValidateChecks { schema: schema.clone(), plan: plan.clone() };
        self.ask(&self.queries, self.job(call, referenced(plan).collect(), Vec::new())?).await
    }

    async fn query(&self, request: QueryRequest) -> CoreResult<Page> {
        let QueryRequest { sql, tables, limit } = request;
        let call = |select| Call::Query { select, limit };
        self.ask(&self.queries, self.select_job(FrameRequest { sql, tables, keys: Vec::new() }, call)?).await
    }

    async fn quarantined(&self, table: &str, loads: &[LoadId], limit: usize) -> CoreResult<Page> {
        self.own.quarantined(table, loads, limit).await
    }

    async fn frame(&self, request: FrameRequest) -> CoreResult<Frame> {
        let job = self.select_job(request, Call::Frame)?;
        self.run(&self.work, job, |answer, _| frame::read(&answer.payload)).await
    }

    async fn export(&self, request: FrameRequest, path: PathBuf) -> CoreResult<u64> {
        let job = self.select_job(request, Call::Export)?;
        let finish = move |answer: Message, scratch: &Path| {
            take_file(&scratch.join(EXPORT), &path)
                .map_err(|cause| Error::storage(format!("writing `{}`", path.display()), cause))?;
            parse(&answer.payload)
        };
        self.run(&self.work, job, finish).await
    }
}

/// Moves a file that a worker left; an error unless it is a regular file of its own.
fn take_file(from: &Path, to: &Path) -> std::io::Result<()> {
    let metadata = std::fs::symlink_metadata(from)?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(std::io::Error::other("a worker left something other than a file"));
    }
    match std::fs::rename(from, to) {
        Err(cause) if cause.kind() == std::io::ErrorKind::CrossesDevices => std::fs::copy(from, to).map(drop),
        renamed => renamed,
    }
}
