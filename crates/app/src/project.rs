//! A project in memory: its clock and the project file last submitted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::tz::TimeZone;
use perennial_config::{FILE_NAME, Files, Graph, Project, Source, ValidationContext};
use perennial_core::blob::BlobDigest;
use perennial_core::id::{ExperimentId, ProjectId};
use perennial_core::name::{DatasetName, ProjectName, StepName};
use perennial_core::port::data::FilesSource;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::projects;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::sent;

/// Stands for a clock that follows the wall clock.
const NOT_STEPPED: i64 = i64::MIN;

/// The next thing that comes due, as it was seen when the ledger stood at a sequence: whatever
/// changes since adds an entry, and then this is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Where the project's ledger stood.
    pub sequence: i64,
    /// The instant on the project clock; `None` when nothing will come due until something happens.
    pub at_ms: Option<i64>,
}

/// How soon what failed is tried again, on the wall clock: each time it fails once more, after twice as long.
const AGAIN_MS_MIN: i64 = 60_000;
/// How long what goes on failing waits, at most.
const AGAIN_MS_MAX: i64 = 60 * 60_000;

/// When to act whatever comes due, because something failed or was not ready.
#[derive(Debug, Default)]
struct Again {
    /// The instant on the wall clock.
    wall_ms: Option<i64>,
    /// How long the last failure was waited for.
    pause_ms: i64,
}

/// The versions that the sources had, and by which project file, when `[task].data` was brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources {
    file_digest: String,
    versions: Vec<(String, i64)>,
}

/// How often a source in an object store is listed, at most: each look is a request.
const REMOTE_LOOK_MS: i64 = 60_000;

/// What a source offered when it was last looked at.
#[derive(Debug, Clone)]
struct Offered {
    /// When, on the wall clock.
    wall_ms: i64,
    /// Digest of the files' names, sizes and times.
    files: blake3::Hash,
}

/// A project in memory.
pub struct ProjectState {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// The MLflow experiment of its name.
    pub experiment: ExperimentId,
    clock_ms: AtomicI64,
    opened_ms: AtomicI64,
    submission: RwLock<Option<Arc<Submission>>>,
    /// What comes due next, while it is known.
    due: Mutex<Option<Due>>,
    /// What the sources offered when they were last looked at.
    offered: Mutex<BTreeMap<DatasetName, Offered>>,
    /// When predictions were last brought into their datasets, wall clock.
    drained_ms: AtomicI64,
    /// What the sources were when `[task].data` was last brought up to date for monitors.
    refreshed: Mutex<Option<Sources>>,
    /// When to act again, whatever comes due.
    again: Mutex<Again>,
    /// Where the project clock stood when it was last acted on what came due.
    acted_at_ms: AtomicI64,
    /// Windows whose outcomes were not enough, by monitor and start, with what was looked at.
    pub(crate) unlabelled: Mutex<BTreeMap<(String, i64), String>>,
    /// Held by whoever collects, so that each dataset has one loader at a time.
    pub(crate) collecting: tokio::sync::Mutex<()>,
    /// Held by whoever brings predictions into their dataset.
    pub(crate) loading_predictions: tokio::sync::Mutex<()>,
    /// Held by whoever makes a folder that was sent the project's own.
    pub(crate) sending: tokio::sync::Mutex<()>,
    /// Held by whoever runs a pipeline: one at a time a project.
    pub(crate) running: tokio::sync::Mutex<()>,
    /// Held by whoever brings `[task].data` up to date for monitors.
    pub(crate) refreshing: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever judges canaries.
    pub(crate) judging: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever turns the project's clock or acts on it.
    pub(crate) ticking: tokio::sync::Mutex<()>,
}

impl ProjectState {
    pub(crate) async fn open(app: &App, id: ProjectId) -> Result<Self> {
        let (record, file) = {
            let mut reader = app.store().read().await?;
            (projects::get(&mut reader, id).await?, projects::find_current_file(&mut reader, id).await?)
        };
        // A project file of another version of this program may not read; the next submission takes its place.
        let submission = file.and_then(|file| {
            Submission::restore(app, &file.digest, &file.body)
                .inspect_err(|error| {
                    tracing::warn!(project = %record.name, error = error.chain(), "the stored project file is left out");
                })
                .ok()
        });
        Ok(Self {
            id,
            name: record.name,
            experiment: record.experiment_id,
            clock_ms: AtomicI64::new(record.clock_ms.unwrap_or(NOT_STEPPED)),
            opened_ms: AtomicI64::new(record.clock_ms.unwrap_or_else(|| app.services.clock.wall_ms())),
            submission: RwLock::new(submission.map(Arc::new)),
            due: Mutex::default(),
            offered: Mutex::default(),
            drained_ms: AtomicI64::new(app.services.clock.wall_ms()),
            refreshed: Mutex::default(),
            again: Mutex::default(),
            acted_at_ms: AtomicI64::new(NOT_STEPPED),
            unlabelled: Mutex::default(),
            collecting: tokio::sync::Mutex::default(),
            loading_predictions: tokio::sync::Mutex::default(),
            sending: tokio::sync::Mutex::default(),
            running: tokio::sync::Mutex::default(),
            refreshing: Arc::default(),
            judging: Arc::default(),
            ticking: tokio::sync::Mutex::default(),
        })
    }

    /// Where the clock stands when it is stepped.
    pub fn stepped_ms(&self) -> Option<i64> {
        Some(self.clock_ms.load(Ordering::Acquire)).filter(|ms| *ms != NOT_STEPPED)
    }

    pub(crate) fn set_clock(&self, ms: i64) {
        if self.clock_ms.swap(ms, Ordering::AcqRel) == NOT_STEPPED {
            // What came before was another clock.
            self.opened_ms.store(ms, Ordering::Release);
        }
    }

    /// The turn to do what one does at a time: on a stepped clock after whoever has it, else at once or not at all.
    pub(crate) async fn turn(&self, held: &Arc<tokio::sync::Mutex<()>>) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        if self.stepped_ms().is_some() {
            return Some(held.clone().lock_owned().await);
        }
        held.clone().try_lock_owned().ok()
    }

    /// The project file last submitted.
    pub fn submission(&self) -> Result<Arc<Submission>> {
        self.find_submission().ok_or_else(|| {
            Error::new(ErrorCode::WrongState, format!("project `{}` has no project file to follow", self.name))
                .hint("`perennial run` or `perennial up` in the project's folder submits it")
        })
    }

    /// The project file last submitted, if any was.
    pub fn find_submission(&self) -> Option<Arc<Submission>> {
        self.submission.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The project file of a digest: the one last submitted, or an earlier one that was kept.
    pub(crate) async fn submission_of(&self, app: &App, digest: &str) -> Result<Arc<Submission>> {
        if let Some(newest) = self.find_submission().filter(|newest| newest.digest == digest) {
            return Ok(newest);
        }
        let file = projects::get_file(&mut *app.store().read().await?, self.id, digest).await?;
        Ok(Arc::new(Submission::restore(app, &file.digest, &file.body)?))
    }

    /// A source as the data engine reads it: a relative one below the folder that was sent, if one was.
    pub(crate) fn files_source(&self, app: &App, declared: &Source) -> Result<FilesSource> {
        Ok(files_source(declared, sent::root(app, self)?))
    }

    /// The next thing that comes due, if it is known at this sequence of the ledger.
    pub(crate) fn known_due(&self, sequence: i64) -> Option<Due> {
        lock(&self.due).filter(|due| due.sequence == sequence)
    }

    pub(crate) fn set_due(&self, due: Due) {
        *lock(&self.due) = Some(due);
    }

    pub(crate) fn forget_due(&self) {
        *lock(&self.due) = None;
    }

    /// Whether it is time to act again, whatever comes due; says so once.
    pub(crate) fn acts_again(&self, wall_ms: i64) -> bool {
        lock(&self.again).wall_ms.take_if(|at| *at <= wall_ms).is_some()
    }

    /// Has the project act as soon as it is looked at.
    pub(crate) fn act_again(&self) {
        lock(&self.again).wall_ms = Some(i64::MIN);
    }

    /// From when on something that comes due was not acted on yet: since the last act began.
    pub(crate) fn due_from(&self, now_ms: i64) -> i64 {
        Some(self.acted_at_ms.load(Ordering::Acquire))
            .filter(|ms| *ms != NOT_STEPPED)
            .map_or(now_ms, |ms| ms.min(now_ms))
    }

    /// Notes where the project clock stood when an act began, and whether all could be done: what could not is
    /// tried again.
    pub(crate) fn acted(&self, began_ms: i64, wall_ms: i64, is_whole: bool) {
        self.acted_at_ms.store(began_ms, Ordering::Release);
        let mut again = lock(&self.again);
        again.pause_ms = if is_whole { 0 } else { (again.pause_ms * 2).clamp(AGAIN_MS_MIN, AGAIN_MS_MAX) };
        if !is_whole {
            let next = wall_ms + again.pause_ms;
            again.wall_ms = Some(again.wall_ms.map_or(next, |at| at.min(next)));
        }
    }

    /// From when a schedule counts that has never come due: when this server first saw the project, or its clock
    /// was first stepped.
    pub(crate) fn opened_ms(&self, now_ms: i64) -> i64 {
        self.opened_ms.load(Ordering::Acquire).min(now_ms)
    }

    /// From when something counts that was made at an instant of the wall clock: on a stepped clock, which tells
    /// nothing of that, from where it stood when this server first saw it.
    pub(crate) fn since_ms(&self, wall_ms: i64) -> i64 {
        if self.stepped_ms().is_some() { self.opened_ms.load(Ordering::Acquire) } else { wall_ms }
    }

    /// Whether it is time again to bring predictions into their datasets; says so once.
    pub(crate) fn drains(&self, wall_ms: i64, every_ms: i64) -> bool {
        let last = self.drained_ms.load(Ordering::Acquire);
        wall_ms - last >= every_ms
            && self.drained_ms.compare_exchange(last, wall_ms, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the sources offer other files than when this was last asked.
    pub(crate) async fn sources_moved(&self, app: &App) -> Result<bool> {
        let Some(submission) = self.find_submission() else { return Ok(false) };
        let wall_ms = app.services.clock.wall_ms();
        let (mut moved, mut seen) = (false, BTreeMap::new());
        for (name, declared) in &submission.project.datasets {
            let before = lock(&self.offered).get(name).cloned();
            let is_recent = |seen: &Offered| wall_ms - seen.wall_ms < REMOTE_LOOK_MS && self.stepped_ms().is_none();
            if !declared.source.is_relative() && before.as_ref().is_some_and(is_recent) {
                continue;
            }
            let mut hasher = blake3::Hasher::new();
            // A source that cannot be listed now is told by collecting, not by looking.
            let source = self.files_source(app, &declared.source)?;
            for file in app.data().list(&source).await.unwrap_or_default() {
                hasher.update(
                    format!("{}\0{}\0{:?}\0{:?}\n", file.path, file.size_bytes, file.modified_ns, file.etag).as_bytes(),
                );
            }
            let now = Offered { wall_ms, files: hasher.finalize() };
            moved |= before.is_none_or(|before| before.files != now.files);
            seen.insert(name.clone(), now);
        }
        lock(&self.offered).extend(seen);
        Ok(moved)
    }

    /// What the sources are now; `None` when they are what `[task].data` was last brought up to date with.
    pub(crate) async fn changed_sources(&self, app: &App, submission: &Submission) -> Result<Option<Sources>> {
        let tables = crate::tables::Tables::newest(app, self.id).await?;
        let sources = tables.iter().filter(|table| submission.project.datasets.contains_key(&table.dataset.name));
        let now = Sources {
            file_digest: submission.digest.clone(),
            versions: sources.map(|table| (table.dataset.name.to_string(), table.version.number)).collect(),
        };
        let is_known = lock(&self.refreshed).as_ref() == Some(&now);
        Ok((!is_known).then_some(now))
    }

    /// Notes that `[task].data` is up to date with these sources.
    pub(crate) fn refreshed(&self, sources: Sources) {
        *lock(&self.refreshed) = Some(sources);
    }

    pub(crate) fn submit(&self, submission: Arc<Submission>) {
        self.forget_due();
        *self.submission.write().unwrap_or_else(PoisonError::into_inner) = Some(submission);
    }
}

/// A source as the data engine reads it: a relative one below `root`; without one, below the host's own.
pub(crate) fn files_source(declared: &Source, root: Option<PathBuf>) -> FilesSource {
    FilesSource { root: root.filter(|_| declared.is_relative()), ..declared.files_source() }
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A project file with every file it declares, by content: what a pipeline run follows.
pub struct Submission {
    /// BLAKE3 over the project file and the declared files' names and contents.
    pub digest: String,
    /// The project file's text.
    pub text: String,
    /// The files found for each declared path or glob (SQL, code, requirements).
    pub files: DeclaredFiles,
    /// Their text, for those that are text and small.
    pub texts: BTreeMap<String, String>,
    /// The judged project.
    pub project: Project,
    /// What each step needs and makes, with the tables of its SQL.
    pub graph: Graph,
    /// The project's timezone.
    pub zone: TimeZone,
}

/// The files that were found, by path, for each path or glob as it is declared.
pub(crate) type DeclaredFiles = BTreeMap<String, BTreeMap<String, BlobDigest>>;

/// What is stored of a submission.
#[derive(Serialize, Deserialize)]
struct Body {
    text: String,
    files: DeclaredFiles,
    texts: BTreeMap<String, String>,
}

impl Submission {
    /// Judges a project file with the files it declares. `texts` holds those that are UTF-8.
    pub(crate) fn judge(
        app: &App,
        text: String,
        files: DeclaredFiles,
        texts: BTreeMap<String, String>,
        around: &dyn Files,
    ) -> Result<Self> {
        let context = ValidationContext { files: around, trainers: app.services.trainers, sql: app.data() };
        let project = Project::validate(FILE_NAME, &text, &context).map_err(|mistakes| {
            Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` does not hold together")).because(mistakes)
        })?;
        Self::assemble(app, text, files, texts, project)
    }

    /// The submission stored before; it was judged when it came.
    fn restore(app: &App, digest: &str, body: &str) -> Result<Self> {
        let body: Body = serde_json::from_str(body)
            .map_err(|cause| Error::internal(format!("the stored project file `{digest}` does not read"), cause))?;
        let project = Project::parse(FILE_NAME, &body.text).map_err(|mistakes| {
            Error::new(ErrorCode::ProjectFile, "the stored project file does not hold together").because(mistakes)
        })?;
        Self::assemble(app, body.text, body.files, body.texts, project)
    }

    fn assemble(
        app: &App,
        text: String,
        files: DeclaredFiles,
        texts: BTreeMap<String, String>,
        project: Project,
    ) -> Result<Self> {
        let mut tables: BTreeMap<StepName, Vec<String>> = BTreeMap::new();
        for (name, step) in &project.steps {
            if let perennial_config::StepKind::Sql { file } = &step.kind
                && let Some(sql) = texts.get(file)
            {
                tables.insert(name.clone(), app.data().tables_in(sql)?);
            }
        }
        let mut hasher = blake3::Hasher::new_derive_key("perennial project snapshot v1");
        let mut part = |text: &[u8]| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        part(text.as_bytes());
        let found: BTreeMap<&String, &BlobDigest> = files.values().flatten().collect();
        for (path, digest) in found {
            part(path.as_bytes());
            part(digest.as_bytes());
        }
        let digest = hasher.finalize().to_hex().to_string();
        let graph = project.graph_with(&tables);
        let zone = project.timezone();
        Ok(Self { digest, text, files, texts, project, graph, zone })
    }

    pub(crate) fn body(&self) -> Result<String> {
        let body = Body { text: self.text.clone(), files: self.files.clone(), texts: self.texts.clone() };
        serde_json::to_string(&body).map_err(|cause| Error::internal("the project file does not store", cause))
    }

    /// The files of a declared path or glob, by path; an error when there are none.
    pub(crate) fn declared_files(&self, declared: &str) -> Result<&BTreeMap<String, BlobDigest>> {
        self.files.get(declared).ok_or_else(|| Error::not_found("declared file", declared))
    }

    /// The text of a declared file.
    pub(crate) fn declared_text(&self, path: &str) -> Result<&str> {
        self.texts.get(path).map(String::as_str).ok_or_else(|| Error::not_found("declared file", path))
    }
}
