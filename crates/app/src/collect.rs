//! Collecting: every file a source offers becomes a load, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use perennial_config::{Batch, Dataset as Declared, OnChange, Project};
use perennial_core::name::DatasetName;
use perennial_core::port::data::{Mode, SourceFile, StageInput};
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::datasets::Dataset;
use perennial_store::loads::{Load, LoadOrigin};
use perennial_store::source_files::SourceFileRecord;
use perennial_store::{loads, source_files};
use perennial_validation::{Check, Question, plan};

use crate::app::{App, Caller};
use crate::loads::{Arrival, Arrived, ArrivedFile, arrive};
use crate::project::{ProjectState, Submission};
use crate::tables::{Tables, declare};

/// What collecting did.
#[derive(Debug, Default)]
pub struct Collected {
    /// Loads that entered their datasets.
    pub committed: Vec<(DatasetName, Load)>,
    /// Loads that are held, with the reason.
    pub held: Vec<(DatasetName, Load)>,
    /// What could not be collected, by dataset. The other datasets were.
    pub failed: Vec<(DatasetName, Error)>,
}

impl Collected {
    /// Whether nothing new was there.
    pub fn is_idle(&self) -> bool {
        self.committed.is_empty() && self.held.is_empty() && self.failed.is_empty()
    }
}

/// Told of each thing as it happens.
pub type Progress<'a> = &'a (dyn Fn(&Told<'_>) + Send + Sync);

/// What collecting tells on its way.
pub enum Told<'a> {
    /// A load begins.
    Begins(&'a DatasetName, &'a str),
    /// A load ended.
    Ended(&'a DatasetName, &'a Arrived),
    /// Something could not be collected.
    Failed(&'a DatasetName, &'a Error),
}

/// Collects every source of the project file. A failure in one dataset does not stop the others.
pub async fn collect(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: &Submission,
    told: Progress<'_>,
) -> Result<Collected> {
    let _collecting = project.collecting.lock().await;
    let mut collected = Collected::default();
    let mut tables = Tables::newest(&caller.app, project.id).await?;
    for name in in_order_of_reference(&submission.project) {
        let declared = &submission.project.datasets[name];
        if let Err(error) =
            collect_one(caller, project, submission, (name, declared), &mut tables, told, &mut collected).await
        {
            told(&Told::Failed(name, &error));
            collected.failed.push((name.clone(), error));
        }
    }
    Ok(collected)
}

/// Datasets that others refer to come first.
fn in_order_of_reference(project: &Project) -> Vec<&DatasetName> {
    let mut referred = BTreeSet::new();
    for check in project.checks.values().flat_map(BTreeMap::values) {
        if let perennial_config::Question::References { dataset, .. } = &check.question {
            referred.insert(dataset);
        }
    }
    let (first, then): (Vec<_>, Vec<_>) = project.datasets.keys().partition(|name| referred.contains(name));
    first.into_iter().chain(then).collect()
}

/// The declared checks of a dataset.
pub(crate) fn checks_of(project: &Project, dataset: &DatasetName) -> Vec<Check> {
    let declared = project.checks.get(dataset).into_iter().flatten();
    declared
        .map(|(name, check)| Check {
            name: name.clone(),
            question: question(&check.question),
            at_least: check.at_least,
            severity: check.severity,
        })
        .collect()
}

fn question(declared: &perennial_config::Question) -> Question {
    use perennial_config::Question as D;
    match declared {
        D::That(expression) => Question::That(expression.clone()),
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

async fn collect_one(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: &Submission,
    (name, declared): (&DatasetName, &Declared),
    tables: &mut Tables,
    told: Progress<'_>,
    collected: &mut Collected,
) -> Result<()> {
    let app = &caller.app;
    let source = declared.source.files_source();
    let dataset = declare(app, project, name, declared.mode, &declared.key).await?;
    let files = app.data().list(&source).await?;
    let known: BTreeMap<String, SourceFileRecord> = source_files::list(&mut *app.store().read().await?, dataset.id)
        .await?
        .into_iter()
        .map(|file| (file.path.clone(), file))
        .collect();
    let mut arriving = Vec::new();
    for file in files {
        if let Some(file) = judge_file(app, declared, &dataset, file, &known).await? {
            arriving.push(file);
        }
    }
    let batches: Vec<Vec<New>> = match declared.source.batch {
        Batch::File => arriving.into_iter().map(|file| vec![file]).collect(),
        Batch::All if arriving.is_empty() => Vec::new(),
        Batch::All => vec![arriving],
    };
    let checks = checks_of(&submission.project, name);
    for batch in batches {
        let paths: Vec<String> = batch.iter().map(|new| new.record.path.clone()).collect();
        let shown = paths.join("\n");
        told(&Told::Begins(name, &shown));
        let plan =
            plan(&checks, |dataset| tables.find(dataset).map(crate::tables::Versioned::named)).map_err(|missing| {
                Error::new(ErrorCode::NotFound, missing.to_string()).hint("put the file of that dataset in place first")
            })?;
        let arrival = Arrival {
            dataset: dataset.clone(),
            origin: if declared.source.batch == Batch::All { LoadOrigin::Batch } else { LoadOrigin::File },
            origin_id: None,
            input: StageInput::Files { source: source.clone(), paths },
            evolve: declared.evolve,
            replaces: batch.iter().find_map(|new| new.replaces),
            supersedes: batch.iter().find_map(|new| new.supersedes),
            checks: checks.clone(),
            plan,
            file: Some(arrived(shown, batch)),
        };
        let outcome = arrive(caller, project, arrival).await?;
        told(&Told::Ended(name, &outcome));
        match outcome {
            Arrived::Committed(versioned, load) => {
                tables.put(*versioned);
                collected.committed.push((name.clone(), load));
            }
            Arrived::Held(load, _) => collected.held.push((name.clone(), load)),
            Arrived::Unchanged(_) => {}
        }
    }
    Ok(())
}

fn arrived(path: String, batch: Vec<New>) -> ArrivedFile {
    let digest = match batch.as_slice() {
        [one] => one.record.content_digest.clone(),
        many => blake3::hash(
            many.iter().map(|new| new.record.content_digest.as_str()).collect::<Vec<_>>().join("\n").as_bytes(),
        )
        .to_hex()
        .to_string(),
    };
    let size_bytes = batch.iter().map(|new| new.record.size_bytes).sum();
    ArrivedFile { path, digest, size_bytes, seen: batch.into_iter().map(|new| new.record).collect() }
}

/// A file that has to be loaded.
struct New {
    record: SourceFileRecord,
    replaces: Option<perennial_core::id::LoadId>,
    supersedes: Option<perennial_core::id::LoadId>,
}

/// Decides whether a file is new. Size, time and tag only spare reading it: its content decides.
async fn judge_file(
    app: &App,
    declared: &Declared,
    dataset: &Dataset,
    file: SourceFile,
    known: &BTreeMap<String, SourceFileRecord>,
) -> Result<Option<New>> {
    let modified_ns = file.modified_ns.and_then(|ns| i64::try_from(ns).ok());
    let seen = known.get(&file.path);
    let looks_same = seen.is_some_and(|seen| {
        seen.size_bytes == file.size_bytes
            && seen.modified_ns == modified_ns
            && seen.etag == file.etag
            && (modified_ns.is_some() || file.etag.is_some())
    });
    if looks_same {
        return Ok(None);
    }
    let content_digest = app.data().fingerprint(&declared.source.files_source(), &file.path).await?;
    let record = SourceFileRecord {
        dataset_id: dataset.id,
        path: file.path.clone(),
        size_bytes: file.size_bytes,
        modified_ns,
        etag: file.etag,
        content_digest: content_digest.clone(),
        load_id: None,
        seen_ms: app.services.clock.wall_ms(),
    };
    let before = loads::find_by_path(&mut *app.store().read().await?, dataset.id, &file.path).await?;
    let Some(before) = before.filter(|load| load.state != LoadState::Failed) else {
        return Ok(Some(New { record, replaces: None, supersedes: None }));
    };
    if before.content_digest.as_deref() == Some(content_digest.as_str())
        && seen.is_none_or(|seen| seen.content_digest == content_digest)
    {
        let (id, touched) = (before.id, record);
        app.store()
            .write(move |tx| {
                Box::pin(
                    async move { Ok(source_files::put(tx, &SourceFileRecord { load_id: Some(id), ..touched }).await?) },
                )
            })
            .await?;
        return Ok(None);
    }
    match before.state {
        LoadState::Held => Ok(Some(New { record, replaces: None, supersedes: Some(before.id) })),
        _ if declared.mode == Mode::Replace => Ok(Some(New { record, replaces: None, supersedes: None })),
        _ if declared.source.on_change == OnChange::Replace => {
            Ok(Some(New { record, replaces: Some(before.id), supersedes: None }))
        }
        _ => Err(Error::new(
            ErrorCode::FileChanged,
            format!("file `{}` of dataset `{}` was loaded before and has other content now", file.path, dataset.name),
        )
        .hint("give the new content a name of its own, or declare `on_change = \"replace\"` at the source")),
    }
}
