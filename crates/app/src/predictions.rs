//! Predictions: from the log's segments into a dataset of the endpoint.

use std::sync::Arc;

use perennial_config::predictions_of;
use perennial_core::name::{DatasetName, EndpointName};
use perennial_core::port::data::{Mode, ScanPlan, StageInput};
use perennial_core::port::prediction::Segment;
use perennial_core::state::{SegmentEvent, SegmentState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::lineage::{Node, NodeKind};
use perennial_store::loads::LoadOrigin;
use perennial_store::prediction_segments::PredictionSegment;
use perennial_store::{lineage, prediction_segments};

use crate::app::Caller;
use crate::loads::{Arrival, Arrived, arrive, version_node};
use crate::project::ProjectState;
use crate::tables::declare;

/// The dataset an endpoint's predictions are in: `predictions_<endpoint>`.
pub fn dataset_of(endpoint: &EndpointName) -> Result<DatasetName> {
    predictions_of(endpoint).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("the name of endpoint `{endpoint}` leaves no room for that of its predictions"),
        )
    })
}

/// Closes the open segment of an endpoint and brings every closed one into its dataset, each once.
pub async fn take_over(caller: &Caller, project: &Arc<ProjectState>, endpoint: &EndpointName) -> Result<()> {
    let app = &caller.app;
    let log = format!("{}/{endpoint}", project.id);
    let (predictions, name) = (app.services.predictions.clone(), log.clone());
    let segments = app.compute(move || predictions.seal(&name)).await?;
    for segment in segments {
        take_over_one(caller, project, endpoint, &segment).await?;
    }
    Ok(())
}

async fn take_over_one(
    caller: &Caller,
    project: &Arc<ProjectState>,
    endpoint: &EndpointName,
    segment: &Segment,
) -> Result<()> {
    let app = &caller.app;
    let at = app.now(project);
    let known = prediction_segments::find(&mut *app.store().read().await?, &segment.log, segment.number).await?;
    let record = if let Some(record) = known {
        record
    } else {
        let record = PredictionSegment {
            log: segment.log.clone(),
            number: segment.number,
            project_id: project.id,
            endpoint: endpoint.clone(),
            record_count: segment.records,
            digest: segment.digest.clone(),
            state: SegmentState::Sealed,
            load_id: None,
            dataset_number: None,
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let inserted = record.clone();
        app.store()
            .write(move |tx| Box::pin(async move { Ok(prediction_segments::insert(tx, &inserted).await?) }))
            .await?;
        record
    };
    let mut record = record;
    if record.state == SegmentState::Sealed {
        load(caller, project, endpoint, segment, &record).await?;
        record.state = SegmentState::Loaded;
    }
    let (predictions, gone) = (app.services.predictions.clone(), segment.clone());
    app.compute(move || predictions.remove(&gone)).await?;
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                prediction_segments::apply(tx, &record, SegmentEvent::Remove, None).await?;
                Ok(())
            })
        })
        .await
}

/// Loads a segment's rows. The key sets aside what a load cut off before its record already brought.
async fn load(
    caller: &Caller,
    project: &Arc<ProjectState>,
    endpoint: &EndpointName,
    segment: &Segment,
    record: &PredictionSegment,
) -> Result<()> {
    let app = &caller.app;
    let (predictions, which) = (app.services.predictions.clone(), segment.clone());
    let rows = app.compute(move || predictions.rows(&which)).await?;
    let name = dataset_of(endpoint)?;
    let dataset = declare(app, project, &name, Mode::Append, &["prediction_id".to_owned()]).await?;
    let arrival = Arrival {
        dataset,
        origin: LoadOrigin::Predictions,
        origin_id: Some(format!("{}/{}", segment.log, segment.number)),
        file: None,
        input: StageInput::JsonLines(rows.into()),
        evolve: true,
        replaces: None,
        supersedes: None,
        checks: Vec::new(),
        plan: ScanPlan::default(),
    };
    let _collecting = project.loading_predictions.lock().await;
    let arrived = arrive(caller, project, arrival).await?;
    let (version, load) = match arrived {
        Arrived::Committed(versioned, load) => (versioned.version, Some(load.id)),
        Arrived::Held(load, _) => return Err(crate::app::wrong_state(load.message.unwrap_or_default())),
        Arrived::Unchanged(versioned) => (versioned.version, None),
    };
    let at = app.now(project);
    let (record, project_id) = (record.clone(), project.id);
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                let made = version_node(&version);
                let from = Node { kind: NodeKind::PredictionSegment, id: format!("{}/{}", record.log, record.number) };
                lineage::add(tx, project_id, &from, &made, at.wall_ms).await?;
                prediction_segments::apply(tx, &record, SegmentEvent::Load, load.map(|load| (load, version.number)))
                    .await?;
                Ok(())
            })
        })
        .await
}
