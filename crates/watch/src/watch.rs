//! The slice and what it keeps in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perennial_core::Result;
use perennial_core::id::ProjectId;
use perennial_ingest::Ingest;
use perennial_ingest::snapshot::Tables;
use perennial_kernel::{Kernel, LockRank, OrderedMutex};
use perennial_projects::{ProjectState, Submission};
use perennial_release::{Endpoints, PipelineRunner};

/// Runs what comes due in each project.
pub struct Watch {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) runner: Arc<PipelineRunner>,
    states: Mutex<HashMap<ProjectId, Arc<State>>>,
}

/// Stands for a project in which nothing came due yet.
const NEVER: i64 = i64::MIN;
/// How soon what failed is tried again, on the wall clock; each further failure doubles it.
const RETRY_MS_MIN: i64 = 60_000;
/// The longest interval between two tries.
const RETRY_MS_MAX: i64 = 60 * 60_000;

/// The next instant at which something comes due. Any change adds a ledger entry or a revision, and makes it void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Sequence of the project's ledger when it was computed.
    pub sequence: i64,
    /// Revision of the project when it was computed.
    pub revision: u64,
    /// The instant on the project clock; `None` when nothing comes due until something changes.
    pub at_ms: Option<i64>,
}

/// When to run again whatever comes due, because something failed or was not ready.
#[derive(Debug, Default)]
struct Retry {
    /// The instant on the wall clock.
    wall_ms: Option<i64>,
    /// The present interval.
    pause_ms: i64,
}

/// The dataset versions, and the project file, with which `[task].data` was brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceVersions {
    file_digest: String,
    versions: Vec<(String, i64)>,
}

/// What the slice remembers of one project.
pub(crate) struct State {
    /// Held while the clock is stepped, or what came due is run.
    pub(crate) ticking: OrderedMutex,
    /// Held while `[task].data` is brought up to date for monitors.
    pub(crate) refreshing: OrderedMutex,
    /// Windows whose outcomes were too few, by monitor and start, with the inputs of that evaluation.
    pub(crate) unlabelled: Mutex<BTreeMap<(String, i64), String>>,
    due: Mutex<Option<Due>>,
    retry: Mutex<Retry>,
    refreshed: Mutex<Option<SourceVersions>>,
    /// Where the project clock stood when it last ran what came due.
    ran_at_ms: AtomicI64,
    /// When predictions were last loaded into their datasets, wall clock.
    drained_ms: AtomicI64,
}

impl Watch {
    /// Nothing in memory yet.
    pub fn new(
        kernel: Arc<Kernel>,
        ingest: Arc<Ingest>,
        endpoints: Arc<Endpoints>,
        runner: Arc<PipelineRunner>,
    ) -> Arc<Self> {
        Arc::new(Self { kernel, ingest, endpoints, runner, states: Mutex::default() })
    }

    pub(crate) fn state(&self, project: ProjectId) -> Arc<State> {
        let new = || {
            Arc::new(State {
                ticking: OrderedMutex::new(LockRank::Ticking),
                refreshing: OrderedMutex::new(LockRank::Refreshing),
                unlabelled: Mutex::default(),
                due: Mutex::default(),
                retry: Mutex::default(),
                refreshed: Mutex::default(),
                ran_at_ms: AtomicI64::new(NEVER),
                drained_ms: AtomicI64::new(self.kernel.services.clock.wall_ms()),
            })
        };
        lock(&self.states).entry(project).or_insert_with(new).clone()
    }
}

impl State {
    /// The next thing that comes due, if it is known at this sequence and revision.
    pub(crate) fn known_due(&self, sequence: i64, revision: u64) -> Option<Due> {
        lock(&self.due).filter(|due| due.sequence == sequence && due.revision == revision)
    }

    pub(crate) fn set_due(&self, due: Due) {
        *lock(&self.due) = Some(due);
    }

    pub(crate) fn forget_due(&self) {
        *lock(&self.due) = None;
    }

    /// Whether it is time to try again what failed; true once for each try.
    pub(crate) fn takes_retry(&self, wall_ms: i64) -> bool {
        lock(&self.retry).wall_ms.take_if(|at| *at <= wall_ms).is_some()
    }

    /// Tries again at the next tick.
    pub(crate) fn retry_at_once(&self) {
        lock(&self.retry).wall_ms = Some(i64::MIN);
    }

    /// From when on what comes due was not run yet: since the last run began.
    pub(crate) fn due_from(&self, now_ms: i64) -> i64 {
        Some(self.ran_at_ms.load(Ordering::Acquire)).filter(|ms| *ms != NEVER).map_or(now_ms, |ms| ms.min(now_ms))
    }

    /// Notes where the project clock stood when a run began, and whether every part succeeded; else it is retried.
    pub(crate) fn ran(&self, began_ms: i64, wall_ms: i64, is_whole: bool) {
        self.ran_at_ms.store(began_ms, Ordering::Release);
        let mut retry = lock(&self.retry);
        retry.pause_ms = if is_whole { 0 } else { (retry.pause_ms * 2).clamp(RETRY_MS_MIN, RETRY_MS_MAX) };
        if !is_whole {
            let next = wall_ms + retry.pause_ms;
            retry.wall_ms = Some(retry.wall_ms.map_or(next, |at| at.min(next)));
        }
    }

    /// Whether it is time to load predictions into their datasets; true once for each interval.
    pub(crate) fn takes_drain(&self, wall_ms: i64, every_ms: i64) -> bool {
        let last = self.drained_ms.load(Ordering::Acquire);
        wall_ms - last >= every_ms
            && self.drained_ms.compare_exchange(last, wall_ms, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The versions of the sources now; `None` when `[task].data` was last brought up to date with them.
    pub(crate) async fn changed_sources(
        &self,
        kernel: &Kernel,
        project: &ProjectState,
        submission: &Submission,
    ) -> Result<Option<SourceVersions>> {
        let tables = Tables::newest(kernel, project.id).await?;
        let sources = tables.iter().filter(|table| submission.project.datasets.contains_key(&table.dataset.name));
        let now = SourceVersions {
            file_digest: submission.digest.clone(),
            versions: sources.map(|table| (table.dataset.name.to_string(), table.version.number)).collect(),
        };
        let is_known = lock(&self.refreshed).as_ref() == Some(&now);
        Ok((!is_known).then_some(now))
    }

    /// Notes that `[task].data` is up to date with these versions.
    pub(crate) fn set_refreshed(&self, sources: SourceVersions) {
        *lock(&self.refreshed) = Some(sources);
    }
}

pub(crate) fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
