//! Collecting: every file a source offers becomes a load, once.

mod discovery;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::checks::{Check, Question, plan};
use perennial_config::{Batch, Dataset as Declared, Project};
use perennial_core::name::DatasetName;
use perennial_core::port::data::{FilesSource, Mode, StageInput};
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::loads::{Load, LoadOrigin};
use perennial_store::{datasets, loads};

use self::discovery::{Offer, arriving};
use crate::loads::{Arrival, Arrived, arrive, recover_dataset};
use perennial_kernel::{Caller, Kernel};
use perennial_projects::{ProjectState, Submission};

use crate::ingest::{Ingest, files_source};
use crate::snapshot::{Tables, Versioned, declare};
use crate::source_alerts::{self, Fault, Looked};

/// What collecting did.
#[derive(Debug, Default)]
pub struct Collected {
    /// Loads that entered their datasets.
    pub committed: Vec<(DatasetName, Load)>,
    /// Loads that were held, with the reason.
    pub held: Vec<(DatasetName, Load)>,
    /// Every load that is held now and whose files are still there, those among them that were held before.
    pub holding: Vec<Load>,
    /// What could not be collected, by dataset. Other files and datasets were.
    pub failed: Vec<(DatasetName, Error)>,
}

impl Collected {
    /// Whether nothing new was there.
    pub fn is_idle(&self) -> bool {
        self.committed.is_empty() && self.held.is_empty() && self.failed.is_empty()
    }

    fn fail(&mut self, dataset: &DatasetName, error: Error, told: Progress<'_>) {
        told(&Told::Failed(dataset, &error));
        self.failed.push((dataset.clone(), error));
    }
}

/// Told of each thing as it happens.
pub type Progress<'a> = &'a (dyn Fn(&Told<'_>) + Send + Sync);

/// What collecting tells on its way.
pub enum Told<'a> {
    /// A load begins.
    Begins(&'a DatasetName, &'a str),
    /// A load of these files, one a line, ended.
    Ended(&'a DatasetName, &'a str, &'a Arrived),
    /// Something could not be collected.
    Failed(&'a DatasetName, &'a Error),
    /// A dataset has no rows yet, and nothing is at the place where its source looks.
    Empty(&'a DatasetName, &'a str),
}

impl Ingest {
    /// Collects every source of the project file. A failure in one dataset does not stop the others.
    pub async fn collect(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
        told: Progress<'_>,
    ) -> Result<Collected> {
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let _folder = project.read_folder().await;
        let mut collected = Collected::default();
        let mut tables = Tables::newest(&caller.kernel, project.id).await?;
        let mut looked = BTreeMap::new();
        for name in in_order_of_reference(&submission.project) {
            let declared = &submission.project.datasets[name];
            let mut seen = Looked::default();
            let one = (name, declared, &mut seen);
            let whole = self.collect_one(caller, project, submission, one, &mut tables, told, &mut collected).await;
            seen.is_whole = whole.is_ok();
            if let Err(error) = whole {
                // A source that cannot be looked at is at fault as a whole.
                if matches!(error.code(), ErrorCode::Storage | ErrorCode::NotFound | ErrorCode::InvalidArgument) {
                    seen.fault(Fault::new(name, &declared.source.files, &error));
                }
                collected.fail(name, error, told);
            }
            looked.insert(name.clone(), seen);
        }
        source_alerts::follow_scan(&caller.kernel, project, &looked).await;
        Ok(collected)
    }
}

/// What a source offers that collecting would take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The dataset it would enter.
    pub dataset: DatasetName,
    /// How many files of it there are.
    pub files: usize,
    /// Why it cannot be collected, when it cannot.
    pub problem: Option<String>,
}

impl Waiting {
    /// What there is of it, in words.
    pub fn words(&self) -> String {
        match (&self.problem, self.files) {
            (Some(problem), _) => format!("cannot be collected: {problem}"),
            (None, 1) => "1 new file".to_owned(),
            (None, files) => format!("{files} new files"),
        }
    }
}

impl Ingest {
    /// Files that wait to be collected, by dataset; nothing is loaded, and no dataset made. Relative sources are those
    /// below `root`, without one the host's own.
    pub async fn waiting(
        &self,
        project: &ProjectState,
        submission: &Submission,
        root: Option<&Path>,
    ) -> Result<Vec<Waiting>> {
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let _folder = project.read_folder().await;
        let mut waiting = Vec::new();
        for name in in_order_of_reference(&submission.project) {
            let declared = &submission.project.datasets[name];
            let source = files_source(&declared.source, root.map(Path::to_owned));
            let offered = offered(&self.kernel, project, &source, (name, declared)).await;
            let (files, problem) = match offered {
                Ok(0) => continue,
                Ok(files) => (files, None),
                Err(error) => (0, Some(error.message().to_owned())),
            };
            waiting.push(Waiting { dataset: name.clone(), files, problem });
        }
        Ok(waiting)
    }
}

async fn offered(
    kernel: &Kernel,
    project: &ProjectState,
    source: &FilesSource,
    (name, declared): (&DatasetName, &Declared),
) -> Result<usize> {
    let Some(dataset) = datasets::find_by_name(&mut *kernel.store().read().await?, project.id, name).await? else {
        return Ok(kernel.data().list(source).await?.len());
    };
    let offer = arriving(kernel, source, declared, &dataset).await?;
    match offer.refused.into_iter().next() {
        Some((_, refused)) => Err(refused),
        None => Ok(offer.together.iter().map(|files| files.paths().len()).sum()),
    }
}

/// Datasets that others refer to come first.
fn in_order_of_reference(project: &Project) -> Vec<&DatasetName> {
    let mut referred = BTreeSet::new();
    for check in project.checks.values().flat_map(BTreeMap::values) {
        if let perennial_config::CheckKind::References { dataset, .. } = &check.kind {
            referred.insert(dataset);
        }
    }
    let (first, then): (Vec<_>, Vec<_>) = project.datasets.keys().partition(|name| referred.contains(name));
    first.into_iter().chain(then).collect()
}

/// The declared checks of a dataset.
pub fn checks_of(project: &Project, dataset: &DatasetName) -> Vec<Check> {
    let declared = project.checks.get(dataset).into_iter().flatten();
    declared
        .map(|(name, check)| Check {
            name: name.clone(),
            question: question(&check.kind),
            at_least: check.at_least,
            severity: check.severity,
        })
        .collect()
}

fn question(declared: &perennial_config::CheckKind) -> Question {
    use perennial_config::CheckKind as D;
    match declared {
        D::Condition(expression) => Question::That(expression.clone()),
        D::Unique(columns) => Question::Unique(columns.clone()),
        D::NotNull(columns) => {
            let clauses: Vec<String> =
                columns.iter().map(|column| format!("\"{}\" IS NOT NULL", column.replace('"', "\"\""))).collect();
            Question::That(clauses.join(" AND "))
        }
        D::References { column, dataset, target } => {
            Question::References { column: column.clone(), dataset: dataset.to_string(), target: target.clone() }
        }
    }
}

impl Ingest {
    async fn collect_one(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
        (name, declared, seen): (&DatasetName, &Declared, &mut Looked),
        tables: &mut Tables,
        told: Progress<'_>,
        collected: &mut Collected,
    ) -> Result<()> {
        let kernel = &caller.kernel;
        let source = self.files_source(project, &declared.source)?;
        let dataset = declare(kernel, project, name, declared.mode, &declared.key).await?;
        // A file of a load that was cut off is new again; one whose commit had begun is not.
        if let Some(version) = recover_dataset(caller, project, &dataset).await? {
            tables.put(Versioned { dataset: dataset.clone(), version });
        }
        let checks = checks_of(&submission.project, name);
        let Offer { together, refused, there } = arriving(kernel, &source, declared, &dataset).await?;
        if there.is_empty() && tables.find(name.as_str()).is_none() {
            told(&Told::Empty(name, &declared.source.files));
        }
        for (path, refused) in refused {
            seen.fault(Fault::new(name, &path, &refused));
            collected.fail(name, refused, told);
        }
        for files in together {
            let paths = files.paths();
            let shown = paths.join("\n");
            told(&Told::Begins(name, &shown));
            let plan = plan(&checks, |dataset| tables.find(dataset).map(Versioned::named)).map_err(|missing| {
                Error::new(ErrorCode::NotFound, missing.to_string())
                    .with_hint("put the file of that dataset in place first")
            })?;
            let first = files.paths().into_iter().next().unwrap_or_default();
            let arrival = Arrival {
                dataset: dataset.clone(),
                origin: if declared.source.batch == Batch::All { LoadOrigin::Batch } else { LoadOrigin::File },
                origin_id: None,
                input: StageInput::Files { source: source.clone(), files: files.offered() },
                evolve: declared.evolve,
                replaces: files.replaces,
                supersedes: files.supersedes,
                checks: checks.clone(),
                plan,
                file: Some(files.arrived()),
            };
            let outcome = match arrive(caller, project, arrival).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    // One that is still being written is no fault.
                    if matches!(error.code(), ErrorCode::SourceFile | ErrorCode::SchemaChanged) {
                        seen.fault(Fault::new(name, &first, &error));
                    }
                    // One file's fault is no other's, unless rows take the place of earlier ones.
                    if !is_the_files(&error) || declared.mode != Mode::Append {
                        return Err(error);
                    }
                    collected.fail(name, error, told);
                    continue;
                }
            };
            told(&Told::Ended(name, &shown, &outcome));
            match outcome {
                Arrived::Committed(versioned, load, _) => {
                    tables.put(*versioned);
                    collected.committed.push((name.clone(), load));
                }
                Arrived::Held(load, _) => collected.held.push((name.clone(), load)),
                Arrived::Unchanged(_) => {}
            }
        }
        let open = loads::list_open(&mut *kernel.store().read().await?, dataset.id).await?;
        collected
            .holding
            .extend(open.into_iter().filter(|load| load.state == LoadState::Held && there.has_any_of(load)));
        Ok(())
    }
}

/// What went wrong in words: of a file it says all; of the rest the causes, too.
pub fn in_words(error: &Error) -> String {
    if is_the_files(error) { error.message().to_owned() } else { error.chain() }
}

/// Whether a file itself is at fault, so that trying it again changes nothing.
pub fn is_the_files(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::SourceFile | ErrorCode::SchemaChanged | ErrorCode::FileChanged)
}
