//! Predictions: loaded from segments of the prediction log into a dataset of the endpoint.

mod columns;

use std::sync::Arc;

use perennial_config::predictions_of;
use perennial_core::entity::{AlertSubject, DatasetVersion, LoadOrigin, PredictionSegment};
use perennial_core::id::{LoadId, ProjectId};
use perennial_core::ledger::Chain;
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::name::{DatasetName, EndpointName};
use perennial_core::port::data::{Mode, ScanPlan, StageInput, ValueColumn};
use perennial_core::port::prediction::{Backlog, Segment};
use perennial_core::state::{SegmentEvent, SegmentState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{dataset_versions, lineage, loads, prediction_segments};
use serde_json::json;

use crate::ingest::Ingest;
use crate::loads::{DatasetWriter, LoadOutcome, LoadRequest, ingest_rows, recover_dataset, version_node};
use crate::snapshot::declare;
use perennial_kernel::ledger::{LedgerEvent, Recorder};
use perennial_kernel::{Caller, Kernel, alerts, wrong_state};
use perennial_projects::ProjectState;

pub use columns::{holds, key_class, logged, quoted, read_as};

/// The dataset an endpoint's predictions are in: `predictions_<endpoint>`.
pub fn dataset_of(endpoint: &EndpointName) -> Result<DatasetName> {
    predictions_of(endpoint).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("the name of endpoint `{endpoint}` is too long: the dataset of its predictions has a longer name"),
        )
    })
}

/// The prediction log of an endpoint: `<project>/<endpoint>`.
pub fn log_of(project: ProjectId, endpoint: &EndpointName) -> String {
    format!("{project}/{endpoint}")
}

impl Ingest {
    /// Seals the open segment of an endpoint and loads every sealed segment into its dataset, each once.
    ///
    /// A segment that cannot be loaded does not affect the others: it stays in the log, an alert reports why, and each
    /// call retries it.
    pub async fn ingest_segments(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        endpoint: &EndpointName,
    ) -> Result<()> {
        self.ingest_oldest_segments(caller, project, endpoint, usize::MAX).await
    }

    /// [`Ingest::ingest_segments`] of the oldest `limit` segments.
    pub async fn ingest_oldest_segments(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        endpoint: &EndpointName,
        limit: usize,
    ) -> Result<()> {
        let state = self.state(project.id);
        let _loading = state.loading_predictions.lock().await;
        let kernel = &caller.kernel;
        let log = log_of(project.id, endpoint);
        let (predictions, name) = (kernel.services.predictions.clone(), log.clone());
        let numbers = kernel.run_blocking_short(move || predictions.seal(&name)).await?;
        for number in numbers.into_iter().take(limit) {
            let segment = SealedSegment { ingest: self, caller, project, endpoint, log: &log, number };
            match segment.ingest().await {
                Ok(()) => {
                    alerts::resolve_past(caller, project.id, (&segment.subject(), INGEST_FAILED), |_| true).await?;
                }
                Err(error) => segment.alert(&error).await?,
            }
        }
        Ok(())
    }
}

impl Ingest {
    /// The predictions of an endpoint that wait to be loaded.
    pub async fn backlog(&self, kernel: &Kernel, project: ProjectId, endpoint: &EndpointName) -> Result<Backlog> {
        let (predictions, log) = (kernel.services.predictions.clone(), log_of(project, endpoint));
        kernel.run_blocking_short(move || predictions.backlog(&log)).await
    }
}

/// The name of alerts about input that could not be processed and is retried, such as a segment.
pub const INGEST_FAILED: &str = "stuck";

/// A sealed segment of a prediction log.
struct SealedSegment<'a> {
    ingest: &'a Ingest,
    caller: &'a Caller,
    project: &'a Arc<ProjectState>,
    endpoint: &'a EndpointName,
    log: &'a str,
    number: i64,
}

impl SealedSegment<'_> {
    fn kernel(&self) -> &Arc<Kernel> {
        &self.caller.kernel
    }

    /// The subject of its alerts.
    fn subject(&self) -> AlertSubject {
        AlertSubject::Segment { endpoint: self.endpoint.clone(), number: self.number }
    }

    /// Loads its rows into the dataset and removes its file.
    async fn ingest(&self) -> Result<()> {
        let known = prediction_segments::find(&mut *self.kernel().store().read().await?, self.log, self.number).await?;
        let record = match known {
            Some(record) if record.state != SegmentState::Sealed => record,
            known => self.load(known).await?,
        };
        if record.state == SegmentState::Loaded {
            // The record is removed first: a file that is left without one is removed at the next call.
            self.kernel()
                .store()
                .write(move |tx| {
                    Box::pin(
                        async move { Ok(prediction_segments::apply(tx, &record, SegmentEvent::Remove, None).await?) },
                    )
                })
                .await?;
        }
        let (predictions, log, number) = (self.kernel().services.predictions.clone(), self.log.to_owned(), self.number);
        self.kernel().run_blocking_short(move || predictions.remove(&log, number)).await
    }

    /// Fires an alert, once, that it stays in the log.
    async fn alert(&self, error: &Error) -> Result<()> {
        let subject = self.subject();
        tracing::warn!(project = %self.project.name, %subject, error = error.chain(), "a segment of predictions cannot be loaded");
        let message = format!(
            "predictions of `{}` (segment {}) cannot be loaded into their dataset: {}; they stay in the log and are retried",
            self.endpoint,
            self.number,
            error.message()
        );
        let facts = json!({ "endpoint": self.endpoint, "segment": self.number, "code": error.code().name() });
        let alert = alerts::new(self.project.id, self.project.now(), (subject, INGEST_FAILED, 0), facts, message);
        let segment = Node::new(NodeKind::PredictionSegment, format!("{}/{}", self.log, self.number));
        alerts::fire(self.caller, alert, Some(&segment)).await?;
        Ok(())
    }

    /// Reads it and loads its rows, unless they were loaded before a crash and only the record is missing.
    async fn load(&self, known: Option<PredictionSegment>) -> Result<PredictionSegment> {
        let (predictions, log, number) = (self.kernel().services.predictions.clone(), self.log.to_owned(), self.number);
        let segment = self.kernel().run_blocking_short(move || predictions.read(&log, number)).await?;
        let record = match known {
            Some(record) => record,
            None => self.record(&segment).await?,
        };
        if record.digest != segment.digest {
            let message = format!(
                "segment {number} of the prediction log `{}` is not the recorded one: its digest differs",
                self.log
            );
            return Err(Error::new(ErrorCode::Corrupt, message)
                .with_hint("restore metadata and predictions from the same backup"));
        }
        let (kernel, project) = (self.kernel(), self.project);
        let name = dataset_of(self.endpoint)?;
        let dataset = declare(kernel, project, &name, Mode::Append, &["prediction_id".to_owned()]).await?;
        let writer = self.ingest.writer(&dataset).await;
        recover_dataset(self.caller, project, &writer).await?;
        let (id, origin) = (dataset.id, format!("{}/{number}", self.log));
        let before =
            loads::find_committed_by_origin(&mut *kernel.store().read().await?, id, LoadOrigin::Predictions, &origin)
                .await?;
        let (version, load) = match before.and_then(|load| Some((load.id, load.number?))) {
            Some((load, number)) => {
                (dataset_versions::get(&mut *kernel.store().read().await?, id, number).await?, Some(load))
            }
            None => self.load_rows(segment.columns, &writer, origin).await?,
        };
        self.record_loaded(record, version, load).await
    }

    /// Records the segment, with the ledger entry that seals its predictions.
    async fn record(&self, segment: &Segment) -> Result<PredictionSegment> {
        let at = self.project.now();
        let record = PredictionSegment {
            log: self.log.to_owned(),
            number: self.number,
            project_id: self.project.id,
            endpoint: self.endpoint.clone(),
            record_count: segment.records,
            digest: segment.digest.clone(),
            state: SegmentState::Sealed,
            load_id: None,
            dataset_number: None,
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let inserted = record.clone();
        let recorder = Recorder::new(self.caller, Some(self.project.id)).await?;
        self.kernel()
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    prediction_segments::insert(tx, &inserted).await?;
                    recorder.record(tx, seal_entry(&inserted)).await
                })
            })
            .await?;
        Ok(record)
    }

    /// Loads rows into the dataset.
    async fn load_rows(
        &self,
        mut columns: Vec<ValueColumn>,
        writer: &DatasetWriter,
        origin: String,
    ) -> Result<(DatasetVersion, Option<LoadId>)> {
        let known =
            dataset_versions::find_latest(&mut *self.kernel().store().read().await?, writer.dataset().id).await?;
        columns::assign_names(&mut columns, known.as_ref().map(|version| &version.schema));
        let request = LoadRequest {
            origin: LoadOrigin::Predictions,
            origin_id: Some(origin),
            files: None,
            input: StageInput::Columns(columns.into()),
            evolve: true,
            replaces: None,
            supersedes: None,
            checks: Vec::new(),
            plan: ScanPlan::default(),
        };
        match ingest_rows(self.caller, self.project, writer, request).await? {
            LoadOutcome::Committed(table, load, _) => Ok((table.version, Some(load.id))),
            LoadOutcome::Held(load, _) => Err(wrong_state(load.message.unwrap_or_default())),
            LoadOutcome::Unchanged(table) => Ok((table.version, None)),
        }
    }

    /// Records that its rows are in the dataset.
    async fn record_loaded(
        &self,
        record: PredictionSegment,
        version: DatasetVersion,
        load: Option<LoadId>,
    ) -> Result<PredictionSegment> {
        let (at, project_id, before) = (self.project.now(), self.project.id, record.clone());
        let state = self
            .kernel()
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let made = version_node(&version);
                    let id = format!("{}/{}", before.log, before.number);
                    lineage::add(tx, project_id, &Node { kind: NodeKind::PredictionSegment, id }, &made, at.wall_ms)
                        .await?;
                    let into = load.map(|load| (load, version.number));
                    Ok(prediction_segments::apply(tx, &before, SegmentEvent::Load, into).await?)
                })
            })
            .await?;
        Ok(PredictionSegment { state, ..record })
    }
}

/// The ledger entry of a segment: its predictions as one digest.
fn seal_entry(segment: &PredictionSegment) -> LedgerEvent {
    LedgerEvent {
        chain: Chain::Project(segment.project_id),
        noun: "prediction_segment",
        subject: format!("{}/{}", segment.log, segment.number),
        verb: "seal",
        payload: json!({ "endpoint": segment.endpoint, "requests": segment.record_count, "digest": segment.digest }),
    }
}
