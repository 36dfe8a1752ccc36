//! A data engine in memory. It parses the small files that a test offers, stages, checks and commits their rows as the
//! real engine does, and can be made to fail at any call. It passes [`crate::conformance::data`].

mod cell;
mod checks;
mod expression;
mod rows;
mod select;
mod stage;
mod table;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use perennial_core::blob::BlobDigest;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::LoadId;
use perennial_core::port::data::{
    CommitRequest, Committed, DataEngine, Dialect, FilesSource, FrameRequest, Listing, Page, Position, QueryRequest,
    ScanPlan, SourceFile, SourceFolder, StageInput, StageRequest, Staged,
};
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_core::{Error, ErrorCode, Result};
use serde_json::{Value as Json, json};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, Semaphore};

use cell::Cell;
use rows::{Row, Rows};
use select::{Selected, select};
use stage::{StagedLoad, stage};
use table::{Tables, wrong_state};

/// A call of the engine that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`DataEngine::list`].
    List,
    /// [`DataEngine::stage`].
    Stage,
    /// [`DataEngine::quarantine`].
    Quarantine,
    /// [`DataEngine::commit`], before the commit.
    BeforeCommit,
    /// [`DataEngine::commit`], after the commit: the caller does not learn of it.
    AfterCommit,
    /// [`DataEngine::discard`].
    Discard,
}

/// A data engine in memory.
#[derive(Default)]
pub struct FakeData {
    state: Mutex<State>,
    hooks: Mutex<Hooks>,
    /// Read by calls that write, written by a pause.
    writes: Arc<RwLock<()>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// The modification time of the folder of all files.
    folder_ns: i128,
    hides_folder_time: bool,
    /// Counts offers: the modification time of files.
    offers: u64,
    unreadable: HashSet<String>,
    /// Paths whose content was read to compute a digest.
    fingerprinted: Vec<String>,
    failures: Vec<(Call, ErrorCode)>,
    /// Calls that fail until a test ends it.
    failing: Vec<Call>,
    failing_queries: HashSet<String>,
    tables: Tables,
    staging: HashMap<LoadId, StagedLoad>,
    /// Quarantined rows by table and load, in order of arrival of the loads.
    quarantine: HashMap<String, Vec<(LoadId, StagedLoad)>>,
    pages: HashMap<String, Page>,
    frames: HashMap<String, Frame>,
}

struct File {
    content: String,
    modified_ns: i128,
}

#[derive(Default)]
struct Hooks {
    before_frame: Option<FrameHook>,
    frames: Option<FrameSource>,
    sql_permits: Option<Arc<Semaphore>>,
    on_pause: Option<PauseHook>,
    on_list: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Awaited before a frame is returned; receives its SQL.
type FrameHook = Arc<dyn Fn(&str) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Returns the frame of a query, if it has one.
type FrameSource = Arc<dyn Fn(&str) -> Option<Frame> + Send + Sync>;

/// Called with true when writes are paused, and with false when they resume.
type PauseHook = Arc<dyn Fn(bool) + Send + Sync>;

impl FakeData {
    /// Offers a source file with this content, in place of an earlier content.
    pub fn offer(&self, path: &str, content: &str) {
        let mut state = self.state();
        state.offers += 1;
        let modified_ns = i128::from(state.offers);
        state.unreadable.remove(path);
        let before = state.files.get(path);
        let (is_new, is_same) = (before.is_none(), before.is_some_and(|file| file.content == content));
        if is_new {
            state.folder_ns = modified_ns;
        }
        if !is_same {
            state.files.insert(path.to_owned(), File { content: content.to_owned(), modified_ns });
        }
    }

    /// Removes a source file.
    pub fn remove_file(&self, path: &str) {
        self.state().files.remove(path);
    }

    /// Sets the modification time of the folder of all files, which an offer of a new file changes; `None` for a file
    /// system that does not report it.
    pub fn set_folder_time(&self, modified_ns: Option<i128>) {
        let mut state = self.state();
        state.hides_folder_time = modified_ns.is_none();
        state.folder_ns = modified_ns.unwrap_or_default();
    }

    /// Calls `hook` in each call of [`DataEngine::list`].
    pub fn on_list(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.hooks().on_list = Some(Arc::new(hook));
    }

    /// Gives a source file a new modification time and the same content.
    pub fn touch(&self, path: &str) {
        let mut state = self.state();
        state.offers += 1;
        let modified_ns = i128::from(state.offers);
        if let Some(file) = state.files.get_mut(path) {
            file.modified_ns = modified_ns;
        }
    }

    /// Sets the modification time of a source file, epoch milliseconds.
    pub fn set_modified(&self, path: &str, modified_ms: i64) {
        if let Some(file) = self.state().files.get_mut(path) {
            file.modified_ns = i128::from(modified_ms) * 1_000_000;
        }
    }

    /// Makes a source file unreadable until it is offered again.
    pub fn make_unreadable(&self, path: &str) {
        self.state().unreadable.insert(path.to_owned());
    }

    /// Paths of the files whose content was read to compute a digest, since the last call of this method.
    pub fn take_fingerprinted(&self) -> Vec<String> {
        std::mem::take(&mut self.state().fingerprinted)
    }

    /// Makes the next such call fail with [`ErrorCode::Storage`].
    pub fn fail_next(&self, call: Call) {
        self.fail_next_with(call, ErrorCode::Storage);
    }

    /// Makes the next such call fail with `code`.
    pub fn fail_next_with(&self, call: Call, code: ErrorCode) {
        self.state().failures.push((call, code));
    }

    /// Makes every such call fail with [`ErrorCode::Storage`], until [`FakeData::stop_failing`].
    pub fn fail_always(&self, call: Call) {
        self.state().failing.push(call);
    }

    /// Makes a query fail with [`ErrorCode::Storage`], until [`FakeData::stop_failing`].
    pub fn fail_query(&self, sql: &str) {
        self.state().failing_queries.insert(sql.to_owned());
    }

    /// Ends every failure that a test requested.
    pub fn stop_failing(&self) {
        let mut state = self.state();
        state.failing.clear();
        state.failures.clear();
        state.failing_queries.clear();
    }

    /// Loses the staging area, as a server does that starts with an empty folder.
    pub fn lose_staging(&self) {
        self.state().staging.clear();
    }

    /// The staged loads.
    pub fn staged_loads(&self) -> Vec<LoadId> {
        let mut loads: Vec<LoadId> = self.state().staging.keys().copied().collect();
        loads.sort_unstable();
        loads
    }

    /// Registers the answer to a query.
    pub fn answer(&self, sql: &str, page: Page) {
        self.state().pages.insert(sql.to_owned(), page);
    }

    /// Registers the frame of a query.
    pub fn answer_frame(&self, sql: &str, frame: Frame) {
        self.state().frames.insert(sql.to_owned(), frame);
    }

    /// Answers queries whose frame is not registered with that of `frames`.
    pub fn answer_frames_with(&self, frames: impl Fn(&str) -> Option<Frame> + Send + Sync + 'static) {
        self.hooks().frames = Some(Arc::new(frames));
    }

    /// Awaits `hook` before each frame is returned.
    pub fn before_frame(
        &self,
        hook: impl Fn(&str) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static,
    ) {
        self.hooks().before_frame = Some(Arc::new(hook));
    }

    /// Acquires a permit before the rows of each query are staged.
    pub fn limit_sql_staging(&self, permits: Arc<Semaphore>) {
        self.hooks().sql_permits = Some(permits);
    }

    /// Calls `hook` with true when writes are paused, and with false when they resume.
    pub fn on_pause(&self, hook: impl Fn(bool) + Send + Sync + 'static) {
        self.hooks().on_pause = Some(Arc::new(hook));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_failure(&mut self, call: Call) -> Result<()> {
        let code = match self.failures.iter().position(|(failing, _)| *failing == call) {
            Some(index) => self.failures.remove(index).1,
            None if self.failing.contains(&call) => ErrorCode::Storage,
            None => return Ok(()),
        };
        Err(Error::new(code, format!("{call:?} fails, as the test requested")))
    }

    fn folder_time(&self) -> Option<i128> {
        (!self.hides_folder_time).then_some(self.folder_ns)
    }

    fn content(&self, path: &str) -> Result<&File> {
        if self.unreadable.contains(path) {
            return Err(Error::new(ErrorCode::SourceFile, format!("file `{path}` cannot be read")));
        }
        self.files.get(path).ok_or_else(|| Error::not_found("source file", path))
    }

    /// Parses the rows of a request.
    fn read(&self, request: &StageRequest) -> Result<Rows> {
        let base = request.base.as_ref().map(|base| self.tables.at(base)).transpose()?;
        let known = base.map(|base| &base.schema).or(request.schema.as_ref());
        let known = known.filter(|_| !(request.evolve && request.mode == perennial_core::port::data::Mode::Replace));
        match &request.input {
            StageInput::Files { source, files } => {
                let mut contents = Vec::new();
                for file in files {
                    let now = self.content(&file.path)?;
                    if file.modified_ns.is_some_and(|modified_ns| modified_ns != now.modified_ns) {
                        let message = format!("file `{}` changed while it was read", file.path);
                        return Err(Error::new(ErrorCode::FileChanged, message));
                    }
                    contents.push((file.path.clone(), now.content.clone()));
                }
                Rows::of_files(source, &contents, known)
            }
            StageInput::JsonLines(bytes) => Rows::of_json_lines(bytes, known),
            StageInput::Columns(columns) => Ok(Rows::of_columns(columns)),
            StageInput::Sql { sql, tables } => match select(&self.tables, sql, tables)? {
                Some(selected) => Ok(selected.into_rows()),
                None => Err(unsupported(sql)),
            },
            StageInput::Parquet(path) => Rows::of_export(path, known),
            StageInput::Staged => {
                let staged = self.staging.get(&request.load).ok_or_else(|| not_staged(request.load))?;
                let columns = staged.schema.fields.iter().map(|field| (field.name.clone(), Some(field.class.clone())));
                let rows = staged.rows.iter().map(|row| Row { cells: row.cells.clone(), origin: row.origin.clone() });
                Ok(Rows { columns: columns.collect(), rows: rows.collect() })
            }
        }
    }
}

impl Selected {
    fn into_rows(self) -> Rows {
        let columns = self.schema.fields.into_iter().map(|field| (field.name, Some(field.class)));
        let rows = self.rows.into_iter().enumerate();
        let rows = rows.map(|(index, cells)| Row { cells, origin: format!("row {}", index + 1) });
        Rows { columns: columns.collect(), rows: rows.collect() }
    }

    fn into_frame(self) -> Frame {
        let mut frame = Frame::new();
        for (index, field) in self.schema.fields.into_iter().enumerate() {
            let cells = self.rows.iter().map(|row| &row[index]);
            let column = match field.class {
                TypeClass::Text => {
                    let texts: Vec<Option<String>> =
                        cells.map(|cell| (*cell != Cell::Null).then(|| cell.text())).collect();
                    Column::Text(TextColumn::encode(texts.iter().map(Option::as_deref)))
                }
                _ => Column::Number(cells.map(Cell::number).collect()),
            };
            frame.push(field.name, column);
        }
        frame
    }
}

impl Dialect for FakeData {
    fn tables_in(&self, sql: &str) -> Result<Vec<String>> {
        Ok(select::tables(sql))
    }

    fn validate_condition(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl DataEngine for FakeData {
    async fn list(&self, source: &FilesSource) -> Result<Listing> {
        let hook = self.hooks().on_list.clone();
        if let Some(hook) = hook {
            hook();
        }
        let mut state = self.state();
        state.check_failure(Call::List)?;
        let files = state.files.iter().filter(|(path, _)| matches(&source.files, path));
        let listed = files.map(|(path, file)| SourceFile {
            path: path.clone(),
            size_bytes: file.content.len() as u64,
            modified_ns: Some(file.modified_ns),
            etag: None,
        });
        let folder = SourceFolder { path: String::new(), modified_ns: state.folder_time() };
        Ok(Listing { files: listed.collect(), folders: vec![folder] })
    }

    async fn columns(&self, source: &FilesSource, files: &[SourceFile]) -> Result<Schema> {
        let state = self.state();
        let content = |file: &SourceFile| Ok((file.path.clone(), state.content(&file.path)?.content.clone()));
        let contents = files.iter().map(content).collect::<Result<Vec<_>>>()?;
        Ok(Rows::of_files(source, &contents, None)?.schema())
    }

    async fn folders_changed(&self, _: &FilesSource, folders: &[SourceFolder]) -> Result<bool> {
        let state = self.state();
        Ok(folders.iter().any(|folder| folder.modified_ns != state.folder_time()))
    }

    async fn fingerprint(&self, _: &FilesSource, path: &str) -> Result<String> {
        let mut state = self.state();
        state.fingerprinted.push(path.to_owned());
        Ok(BlobDigest::of(state.content(path)?.content.as_bytes()).to_string())
    }

    async fn fingerprint_start(&self, _: &FilesSource, path: &str, bytes: u64) -> Result<String> {
        let state = self.state();
        let content = state.content(path)?.content.as_bytes();
        let end = usize::try_from(bytes).map_or(content.len(), |bytes| bytes.min(content.len()));
        Ok(BlobDigest::of(&content[..end]).to_string())
    }

    async fn stage(&self, request: StageRequest) -> Result<Staged> {
        let permits = self.hooks().sql_permits.clone();
        let _permit = match &permits {
            Some(permits) if matches!(request.input, StageInput::Sql { .. }) => permits.acquire().await.ok(),
            _ => None,
        };
        let _writing = self.writes.read().await;
        let mut state = self.state();
        state.check_failure(Call::Stage)?;
        let is_staged_again = matches!(request.input, StageInput::Staged);
        let load = request.load;
        let staged = state.read(&request).and_then(|rows| stage(&state.tables, request, rows));
        match staged {
            Ok(staged) => {
                let answer = staged.answer.clone();
                state.staging.insert(load, staged);
                Ok(answer)
            }
            Err(error) => {
                if !is_staged_again {
                    state.staging.remove(&load);
                }
                Err(error)
            }
        }
    }

    async fn quarantine(&self, load: LoadId, table: &str) -> Result<()> {
        let _writing = self.writes.read().await;
        let mut state = self.state();
        state.check_failure(Call::Quarantine)?;
        let staged = state.staging.get(&load).ok_or_else(|| not_staged(load))?.clone();
        let loads = state.quarantine.entry(table.to_owned()).or_default();
        match loads.iter_mut().find(|(known, _)| *known == load) {
            Some(known) => known.1 = staged,
            None => loads.push((load, staged)),
        }
        Ok(())
    }

    async fn commit(&self, request: CommitRequest) -> Result<Committed> {
        let _writing = self.writes.read().await;
        let mut state = self.state();
        state.check_failure(Call::BeforeCommit)?;
        if let Some(committed) = state.tables.find_committed(&request)? {
            return Ok(committed);
        }
        let staged = state.staging.get(&request.load).ok_or_else(|| not_staged(request.load))?.clone();
        let committed = state.tables.commit(&request, &staged)?;
        state.check_failure(Call::AfterCommit)?;
        Ok(committed)
    }

    async fn discard(&self, load: LoadId) -> Result<()> {
        let mut state = self.state();
        state.check_failure(Call::Discard)?;
        state.staging.remove(&load);
        Ok(())
    }

    async fn sweep(&self, keep: &[LoadId]) -> Result<()> {
        self.state().staging.retain(|load, _| keep.contains(load));
        Ok(())
    }

    async fn pause_writes(&self) -> Box<dyn Send> {
        let guard = self.writes.clone().write_owned().await;
        let hook = self.hooks().on_pause.clone();
        if let Some(hook) = &hook {
            hook(true);
        }
        Box::new(Pause { hook, _guard: guard })
    }

    async fn position(&self, table: &str) -> Result<Option<Position>> {
        Ok(self.state().tables.position(table))
    }

    async fn plan(&self, request: &FrameRequest) -> Result<Schema> {
        let selected = select(&self.state().tables, &request.sql, &request.tables)?;
        selected.map(|selected| selected.schema).ok_or_else(|| {
            Error::new(ErrorCode::NotReady, format!("the data engine of the tests does not plan `{}`", request.sql))
        })
    }

    async fn validate_checks(&self, schema: &Schema, plan: &ScanPlan) -> Result<()> {
        checks::validate(schema, plan)
    }

    async fn query(&self, request: QueryRequest) -> Result<Page> {
        let state = self.state();
        if state.failing_queries.contains(&request.sql) {
            return Err(Error::new(ErrorCode::Storage, "the query fails, as the test requested"));
        }
        let mut page = match state.pages.get(&request.sql) {
            Some(page) => page.clone(),
            None => {
                let selected = select(&state.tables, &request.sql, &request.tables)?;
                let Selected { schema, rows } = selected.ok_or_else(|| unsupported(&request.sql))?;
                let rows = rows.iter().map(|row| row.iter().map(Cell::json).collect());
                Page { schema, rows: rows.collect(), truncated: false }
            }
        };
        page.truncated = page.rows.len() > request.limit;
        page.rows.truncate(request.limit);
        Ok(page)
    }

    async fn quarantined(&self, table: &str, loads: &[LoadId], limit: usize) -> Result<Page> {
        let state = self.state();
        let mut names: Vec<String> = vec!["_load".to_owned(), "_reason".to_owned()];
        let mut rows: Vec<Vec<Json>> = Vec::new();
        let known = state.quarantine.get(table).map_or(&[][..], Vec::as_slice);
        for (load, staged) in known.iter().rev().filter(|(load, _)| loads.contains(load)) {
            for field in &staged.schema.fields {
                if !names.contains(&field.name) {
                    names.push(field.name.clone());
                }
            }
            for row in &staged.rows {
                let Some(reason) = &row.reason else { continue };
                let cells = row.cells.iter().map(|cell| match cell {
                    Cell::Null => Json::Null,
                    cell => json!(cell.text()),
                });
                rows.push([json!(load), json!(reason)].into_iter().chain(cells).collect());
            }
        }
        for row in &mut rows {
            row.resize(names.len(), Json::Null);
        }
        let field = |name| Field { name, class: TypeClass::Text, nullable: true };
        let truncated = rows.len() > limit;
        rows.truncate(limit);
        Ok(Page { schema: Schema { fields: names.into_iter().map(field).collect() }, rows, truncated })
    }

    async fn frame(&self, request: FrameRequest) -> Result<Frame> {
        let hook = self.hooks().before_frame.clone();
        if let Some(hook) = hook {
            hook(&request.sql).await;
        }
        let frames = self.hooks().frames.clone();
        let state = self.state();
        let registered = state.frames.get(&request.sql).cloned();
        if let Some(frame) = registered.or_else(|| frames.and_then(|frames| frames(&request.sql))) {
            return Ok(frame);
        }
        let selected = select(&state.tables, &request.sql, &request.tables)?;
        selected.map(Selected::into_frame).ok_or_else(|| unsupported(&request.sql))
    }

    /// Writes CSV, which [`StageInput::Parquet`] reads.
    async fn export(&self, request: FrameRequest, to: PathBuf) -> Result<u64> {
        let selected = select(&self.state().tables, &request.sql, &request.tables)?;
        let Selected { schema, rows } = selected.ok_or_else(|| unsupported(&request.sql))?;
        let header = schema.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>().join(",");
        let lines = rows.iter().map(|row| row.iter().map(Cell::text).collect::<Vec<_>>().join(","));
        let content: String = std::iter::once(header).chain(lines).map(|line| line + "\n").collect();
        std::fs::write(&to, content).map_err(|error| Error::internal("cannot export rows", error))?;
        Ok(rows.len() as u64)
    }
}

/// Writes are paused while this exists.
struct Pause {
    hook: Option<PauseHook>,
    _guard: OwnedRwLockWriteGuard<()>,
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(hook) = &self.hook {
            hook(false);
        }
    }
}

/// Whether a path matches a glob, in which `*` stands for any characters but `/`.
fn matches(glob: &str, path: &str) -> bool {
    match glob.split_once('*') {
        None => glob == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            let end = rest.find('/').unwrap_or(rest.len());
            (0..=end).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
        }),
    }
}

fn not_staged(load: LoadId) -> Error {
    wrong_state(format!("load `{load}` is not completely staged"), "stage the load again")
}

fn unsupported(sql: &str) -> Error {
    Error::new(ErrorCode::Sql, format!("the data engine of the tests does not answer `{sql}`"))
}
