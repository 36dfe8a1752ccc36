//! Collecting: each file of a source is loaded once.

mod discovery;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::checks::plan;
use perennial_config::{Batch, Condition, Dataset as Declared, Project};
use perennial_core::entity::{Dataset, Load, LoadOrigin, WorkKind};
use perennial_core::name::DatasetName;
use perennial_core::port::data::{FilesSource, Mode};
use perennial_core::port::source::Source;
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{datasets, loads};

use self::discovery::{Discovery, discover};
use crate::loads::{LoadOutcome, LoadRequest, ingest_rows, recover_dataset};
use perennial_kernel::attempts::{self, Work};
use perennial_kernel::{Caller, Kernel};
use perennial_projects::{ProjectState, Submission, source_grants};

use crate::file_source::FileSource;
use crate::ingest::{Ingest, files_source};
use crate::snapshot::{DatasetAtVersion, DatasetSnapshot, declare};
use crate::source_alerts::{self, SourceError, SourceScan};

/// The outcome of collecting.
#[derive(Debug, Default)]
pub struct Collected {
    /// Loads that were committed.
    pub committed: Vec<(DatasetName, Load)>,
    /// Loads that were held, with the reason.
    pub held: Vec<(DatasetName, Load)>,
    /// Every load that is held now and whose files the source still has, including loads held before.
    pub holding: Vec<Load>,
    /// Files and sources that could not be collected, by dataset. All others were.
    pub failed: Vec<(DatasetName, Error)>,
    /// Files that may still be being written, by dataset: a later scan loads them.
    pub unsettled: Vec<(DatasetName, String)>,
    /// The time after which all of them have settled, unless they change, milliseconds.
    pub settle_wait_ms: i64,
}

impl Collected {
    /// Whether the sources had nothing new.
    pub fn is_idle(&self) -> bool {
        self.committed.is_empty() && self.held.is_empty() && self.failed.is_empty() && self.unsettled.is_empty()
    }

    /// Adds what a second pass collected, which repeats the state that the first one found.
    pub fn merge(&mut self, second: Self) {
        self.committed.extend(second.committed);
        self.held.extend(second.held);
        self.holding = second.holding;
        self.failed = second.failed;
        self.unsettled = second.unsettled;
        self.settle_wait_ms = second.settle_wait_ms;
    }

    fn fail(&mut self, dataset: &DatasetName, error: Error, on_event: OnEvent<'_>) {
        on_event(&CollectEvent::Failed { dataset, error: &error });
        self.failed.push((dataset.clone(), error));
    }
}

/// Receives each event of collecting as it happens.
pub type OnEvent<'a> = &'a (dyn Fn(&CollectEvent<'_>) + Send + Sync);

/// An event of collecting.
pub enum CollectEvent<'a> {
    /// A load of these files, one a line, begins.
    LoadStarted {
        /// The dataset.
        dataset: &'a DatasetName,
        /// Paths of the files.
        files: &'a str,
    },
    /// A load of these files, one a line, ended.
    LoadEnded {
        /// The dataset.
        dataset: &'a DatasetName,
        /// Paths of the files.
        files: &'a str,
        /// How it ended.
        outcome: &'a LoadOutcome,
    },
    /// A file or a source could not be collected.
    Failed {
        /// The dataset.
        dataset: &'a DatasetName,
        /// Why.
        error: &'a Error,
    },
    /// A dataset has no rows yet, and its source has no files.
    NoFiles {
        /// The dataset.
        dataset: &'a DatasetName,
        /// The declared location of the files.
        files: &'a str,
    },
}

/// Codes of errors that concern a source as a whole: it cannot be listed or read, or may not be.
const UNREADABLE: [ErrorCode; 4] =
    [ErrorCode::Storage, ErrorCode::NotFound, ErrorCode::InvalidArgument, ErrorCode::PermissionDenied];

impl Ingest {
    /// Collects every source of the project file. A failure in one dataset does not stop the others.
    pub async fn collect(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
        on_event: OnEvent<'_>,
    ) -> Result<Collected> {
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let _folder = project.read_folder().await;
        let snapshot = DatasetSnapshot::latest(&caller.kernel, project.id).await?;
        let mut collection = Collection {
            ingest: self,
            caller,
            project,
            submission,
            on_event,
            snapshot,
            collected: Collected::default(),
        };
        let mut scans = BTreeMap::new();
        for name in in_reference_order(&submission.project) {
            let declared = &submission.project.datasets[name];
            let mut scan = SourceScan::default();
            let result = collection.collect_source(name, declared, &mut scan).await;
            scan.is_complete = result.is_ok();
            if let Err(error) = result {
                // The source as a whole cannot be listed or read.
                if UNREADABLE.contains(&error.code()) {
                    scan.push(SourceError::new(name, &declared.source.files, &error));
                }
                collection.collected.fail(name, error, on_event);
            }
            scans.insert(name.clone(), scan);
        }
        source_alerts::refresh_after_scan(&caller.kernel, project, &scans).await;
        let mut unsettled = state.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        unsettled.retain(|dataset| submission.project.datasets.contains_key(dataset));
        drop(unsettled);
        Ok(collection.collected)
    }
}

/// Files of a source that collecting would load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFiles {
    /// The dataset they would enter.
    pub dataset: DatasetName,
    /// The number of files.
    pub files: usize,
    /// Why they cannot be collected, when they cannot.
    pub problem: Option<String>,
}

impl PendingFiles {
    /// The number of files in words, or why they cannot be collected.
    pub fn describe(&self) -> String {
        match (&self.problem, self.files) {
            (Some(problem), _) => format!("cannot be collected: {problem}"),
            (None, 1) => "1 new file".to_owned(),
            (None, files) => format!("{files} new files"),
        }
    }
}

impl Ingest {
    /// Files that collecting would load, by dataset, once the caller has submitted the project file. Loads nothing and
    /// creates no dataset. Relative sources are below `root`, without one below the server's folder.
    pub async fn pending_files(
        &self,
        caller: &Caller,
        project: &ProjectState,
        submission: &Submission,
        root: Option<&Path>,
    ) -> Result<Vec<PendingFiles>> {
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let _folder = project.read_folder().await;
        let mut pending = Vec::new();
        for name in in_reference_order(&submission.project) {
            let declared = &submission.project.datasets[name];
            let source = files_source(&declared.source, &submission.project.project.timezone, root.map(Path::to_owned));
            let counted = async {
                source_grants::validate_files(caller, project, &declared.source.files).await?;
                count_pending(&self.kernel, project, &source, (name, declared)).await
            };
            let (files, problem) = match counted.await {
                Ok(0) => continue,
                Ok(files) => (files, None),
                Err(error) => (0, Some(error.message().to_owned())),
            };
            pending.push(PendingFiles { dataset: name.clone(), files, problem });
        }
        Ok(pending)
    }
}

async fn count_pending(
    kernel: &Kernel,
    project: &ProjectState,
    source: &FilesSource,
    (name, declared): (&DatasetName, &Declared),
) -> Result<usize> {
    let Some(dataset) = datasets::find_by_name(&mut *kernel.store().read().await?, project.id, name).await? else {
        return Ok(kernel.data().list(source).await?.files.len());
    };
    let source = FileSource { engine: kernel.data(), source };
    let discovery = discover(kernel, &source, declared, &dataset, None).await?;
    match discovery.refused.into_iter().next() {
        Some((_, refused)) => Err(refused),
        None => Ok(discovery.batches.iter().map(|files| files.paths().len()).sum()),
    }
}

/// The datasets of a project: those that checks of others refer to are first.
fn in_reference_order(project: &Project) -> Vec<&DatasetName> {
    let mut referred = BTreeSet::new();
    for check in project.checks.values().flatten() {
        if let Condition::References { dataset, .. } = &check.condition {
            referred.insert(dataset);
        }
    }
    let (first, then): (Vec<_>, Vec<_>) = project.datasets.keys().partition(|name| referred.contains(name));
    first.into_iter().chain(then).collect()
}

/// One pass over the sources of a project.
struct Collection<'a> {
    ingest: &'a Ingest,
    caller: &'a Caller,
    project: &'a Arc<ProjectState>,
    submission: &'a Submission,
    on_event: OnEvent<'a>,
    /// Dataset versions, with those committed in this pass: checks of later datasets refer to them.
    snapshot: DatasetSnapshot,
    collected: Collected,
}

impl Collection<'_> {
    /// Finds the files that have to be loaded and are not being written.
    async fn discover_settled(
        &mut self,
        source: &FileSource<'_>,
        name: &DatasetName,
        declared: &Declared,
        dataset: &Dataset,
    ) -> Result<Discovery> {
        let kernel = &self.caller.kernel;
        let is_stepped = self.project.clock.stepped_ms().is_some();
        let settle_time = declared.source.settle_time().filter(|_| !is_stepped && source.source.root.is_none());
        let Some(settle_time) = settle_time else { return discover(kernel, source, declared, dataset, None).await };
        let state = self.ingest.state(self.project.id);
        let unsettled = || state.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = kernel.services.clock.wall_ms();
        let mut settling = unsettled().begin(name, settle_time.as_millis(), now_ms);
        let discovery = discover(kernel, source, declared, dataset, Some(&mut settling)).await;
        let wait_ms = unsettled().end(name, settling).unwrap_or(0);
        self.collected.settle_wait_ms = self.collected.settle_wait_ms.max(wait_ms);
        discovery
    }

    async fn collect_source(&mut self, name: &DatasetName, declared: &Declared, scan: &mut SourceScan) -> Result<()> {
        let kernel = &self.caller.kernel;
        let source =
            self.ingest.files_source(self.project, &self.submission.project.project.timezone, &declared.source).await?;
        let dataset = declare(kernel, self.project, name, declared.mode, &declared.key).await?;
        let writer = self.ingest.writer(&dataset).await;
        // The file of an interrupted load is new again, unless its commit had begun.
        if let Some(version) = recover_dataset(self.caller, self.project, &writer).await? {
            self.snapshot.insert(DatasetAtVersion { dataset: dataset.clone(), version });
        }
        let checks = self.submission.project.checks_of(name);
        let source = FileSource { engine: kernel.data(), source: &source };
        let Discovery { batches, refused, unsettled, listing } =
            self.discover_settled(&source, name, declared, &dataset).await?;
        self.collected.unsettled.extend(unsettled.into_iter().map(|path| (name.clone(), path)));
        if listing.is_empty() && self.snapshot.find(name.as_str()).is_none() {
            (self.on_event)(&CollectEvent::NoFiles { dataset: name, files: &declared.source.files });
        }
        for (path, refused) in refused {
            scan.push(SourceError::new(name, &path, &refused));
            self.collected.fail(name, refused, self.on_event);
        }
        for batch in batches {
            let paths = batch.paths();
            let files = paths.join("\n");
            (self.on_event)(&CollectEvent::LoadStarted { dataset: name, files: &files });
            let table = |dataset: &str| self.snapshot.find(dataset).map(DatasetAtVersion::named_table);
            let plan = plan(checks, table).map_err(|missing| {
                Error::new(ErrorCode::NotFound, missing.to_string())
                    .with_hint("put the file of that dataset in place first")
            })?;
            let work = Work {
                project: self.project.id,
                kind: WorkKind::Load,
                subject: format!("{}/{}", dataset.id, batch.digest()),
                description: format!("{} of dataset `{name}`", describe_files(&paths)),
            };
            let load = Box::pin(async {
                let request = LoadRequest {
                    origin: if declared.source.batch == Batch::All { LoadOrigin::Batch } else { LoadOrigin::File },
                    origin_id: None,
                    input: source.read(&batch.batches()).await?,
                    evolve: declared.evolve,
                    replaces: batch.replaces,
                    supersedes: batch.supersedes,
                    checks: checks.to_vec(),
                    plan,
                    files: Some(batch.into_load_files()),
                };
                ingest_rows(self.caller, self.project, &writer, request).await
            });
            let outcome = match attempts::guard(kernel, work, load).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    // A file that is still being written is not an error of the source.
                    if matches!(error.code(), ErrorCode::SourceFile | ErrorCode::SchemaChanged) {
                        let first = paths.first().map_or("", String::as_str);
                        scan.push(SourceError::new(name, first, &error));
                    }
                    // A faulty file does not affect the others, unless rows replace earlier rows.
                    if !is_file_error(&error) || declared.mode != Mode::Append {
                        return Err(error);
                    }
                    self.collected.fail(name, error, self.on_event);
                    continue;
                }
            };
            (self.on_event)(&CollectEvent::LoadEnded { dataset: name, files: &files, outcome: &outcome });
            match outcome {
                LoadOutcome::Committed(table, load, _) => {
                    self.snapshot.insert(*table);
                    self.collected.committed.push((name.clone(), load));
                }
                LoadOutcome::Held(load, _) => self.collected.held.push((name.clone(), load)),
                LoadOutcome::Unchanged(_) => {}
            }
        }
        let open = loads::list_open(&mut *kernel.store().read().await?, dataset.id).await?;
        let held = open.into_iter().filter(|load| load.state == LoadState::Held && listing.has_any_of(load));
        self.collected.holding.extend(held);
        Ok(())
    }
}

/// The files of a load in words.
fn describe_files(paths: &[String]) -> String {
    match paths {
        [path] => format!("file `{path}`"),
        paths => format!("{} files", paths.len()),
    }
}

/// An error in words: with its causes, unless it is about a file, where the message says all.
pub fn describe_error(error: &Error) -> String {
    if is_file_error(error) { error.message().to_owned() } else { error.chain() }
}

/// Whether an error is about the content of a file, so that a retry of the same file gives the same error.
pub fn is_file_error(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::SourceFile | ErrorCode::SchemaChanged | ErrorCode::FileChanged | ErrorCode::Held)
}
