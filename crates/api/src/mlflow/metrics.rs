//! What runs log: `runs/log-…`, tags, `metrics/get-history`.

use axum::Json;
use perennial_core::Result;
use perennial_http::Access;
use perennial_http::extract::CurrentCaller;
use perennial_tracking::limits;
use perennial_tracking::logging::{self, MetricPoint, RunBatch};
use perennial_tracking::runs::{Param, RunInput};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{Answer, wire};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes, below: &dyn Fn(&str) -> String) -> JsonRoutes {
    routes
        .post(&below("runs/log-metric"), Access::Authenticated, log_metric)
        .post(&below("runs/log-parameter"), Access::Authenticated, log_param)
        .post(&below("runs/set-tag"), Access::Authenticated, set_tag)
        .post(&below("runs/delete-tag"), Access::Authenticated, delete_tag)
        .post(&below("runs/log-batch"), Access::Authenticated, log_batch)
        .post(&below("runs/log-inputs"), Access::Authenticated, log_inputs)
        .get(&below("metrics/get-history"), Access::Authenticated, history)
}

async fn log_metric(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let batch = RunBatch { metrics: vec![point(&fields)?], ..RunBatch::default() };
    logging::log_batch(&caller, fields.run_id()?, batch).await?;
    Ok(Json(json!({})))
}

fn point(fields: &Fields) -> Result<MetricPoint> {
    Ok(MetricPoint {
        key: fields.required("key")?,
        value: fields.required_number("value")?,
        timestamp_ms: fields.required_integer("timestamp")?,
        step: fields.integer("step")?.unwrap_or_default(),
    })
}

async fn log_param(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let batch = RunBatch { params: vec![param(&fields)?], ..RunBatch::default() };
    logging::log_batch(&caller, fields.run_id()?, batch).await?;
    Ok(Json(json!({})))
}

fn param(fields: &Fields) -> Result<Param> {
    Ok(Param { key: fields.required("key")?, value: fields.text("value")?.unwrap_or_default() })
}

async fn set_tag(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let batch = RunBatch { tags: vec![fields.tag()?], ..RunBatch::default() };
    logging::log_batch(&caller, fields.run_id()?, batch).await?;
    Ok(Json(json!({})))
}

async fn delete_tag(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    logging::delete_tag(&caller, fields.run_id()?, fields.required("key")?).await?;
    Ok(Json(json!({})))
}

async fn log_batch(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let batch = RunBatch {
        metrics: fields.objects("metrics")?.iter().map(point).collect::<Result<_>>()?,
        params: fields.objects("params")?.iter().map(param).collect::<Result<_>>()?,
        tags: fields.tags()?,
    };
    logging::log_batch(&caller, fields.run_id()?, batch).await?;
    Ok(Json(json!({})))
}

async fn log_inputs(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let inputs = fields.objects("datasets")?.iter().map(input).collect::<Result<_>>()?;
    logging::log_inputs(&caller, fields.run_id()?, inputs).await?;
    Ok(Json(json!({})))
}

fn input(fields: &Fields) -> Result<RunInput> {
    let dataset = fields.object("dataset")?.ok_or_else(|| fields.invalid("dataset", &Value::Null))?;
    let mut tags = Map::new();
    for tag in fields.tags()? {
        tags.insert(tag.key, tag.value.into());
    }
    Ok(RunInput {
        name: dataset.required("name")?,
        digest: dataset.required("digest")?,
        source_type: dataset.required("source_type")?,
        source: dataset.required("source")?,
        schema: dataset.text("schema")?,
        profile: dataset.text("profile")?,
        tags: Value::Object(tags),
    })
}

async fn history(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let (run, key) = (fields.run_id(), fields.required("metric_key")?);
    let limit = fields.limit(Some(limits::PAGE_MAX), u32::MAX)?;
    // A run that is not there has no points.
    let Ok(run) = run else { return Ok(Json(json!({}))) };
    let page = logging::history(&caller, run, &key, fields.page_token()?.as_deref(), limit).await?;
    Ok(Json(wire::page("metrics", page.items.iter().map(wire::point).collect(), page.next)))
}
