//! What runs log: `runs/log-…`, tags, `metrics/get-history`.

use perennial_core::Result;
use perennial_kernel::Caller;
use perennial_tracking::experiments::Tag;
use perennial_tracking::limits;
use perennial_tracking::logging::{self, MetricPoint, RunBatch};
use perennial_tracking::runs::Param;

use super::call::CallRoutes;
use super::convert::{all, page_token};
use super::definitions::metrics::{delete_tag, history, log_batch, log_inputs, log_metric, log_param, set_tag};

pub(super) fn routes(routes: CallRoutes) -> CallRoutes {
    routes
        .call(&log_metric::CALL, log_metric)
        .call(&log_param::CALL, log_param)
        .call(&set_tag::CALL, set_tag)
        .call(&delete_tag::CALL, delete_tag)
        .call(&log_batch::CALL, log_batch)
        .call(&log_inputs::CALL, log_inputs)
        .call(&history::CALL, history)
}

async fn log_metric(caller: Caller, request: log_metric::Request) -> Result<log_metric::Answer> {
    let point = MetricPoint {
        key: request.key,
        value: request.value.0,
        timestamp_ms: request.timestamp,
        step: request.step.unwrap_or_default(),
    };
    logging::log_batch(&caller, request.run_id, RunBatch { metrics: vec![point], ..RunBatch::default() }).await?;
    Ok(log_metric::Answer {})
}

async fn log_param(caller: Caller, request: log_param::Request) -> Result<log_param::Answer> {
    let param = Param { key: request.key, value: request.value.unwrap_or_default() };
    logging::log_batch(&caller, request.run_id, RunBatch { params: vec![param], ..RunBatch::default() }).await?;
    Ok(log_param::Answer {})
}

async fn set_tag(caller: Caller, request: set_tag::Request) -> Result<set_tag::Answer> {
    let tag = Tag { key: request.key, value: request.value.unwrap_or_default() };
    logging::log_batch(&caller, request.run_id, RunBatch { tags: vec![tag], ..RunBatch::default() }).await?;
    Ok(set_tag::Answer {})
}

async fn delete_tag(caller: Caller, request: delete_tag::Request) -> Result<delete_tag::Answer> {
    logging::delete_tag(&caller, request.run_id, request.key).await?;
    Ok(delete_tag::Answer {})
}

async fn log_batch(caller: Caller, request: log_batch::Request) -> Result<log_batch::Answer> {
    let batch = RunBatch { metrics: all(request.metrics), params: all(request.params), tags: all(request.tags) };
    logging::log_batch(&caller, request.run_id, batch).await?;
    Ok(log_batch::Answer {})
}

async fn log_inputs(caller: Caller, request: log_inputs::Request) -> Result<log_inputs::Answer> {
    logging::log_inputs(&caller, request.run_id, all(request.datasets)).await?;
    Ok(log_inputs::Answer {})
}

async fn history(caller: Caller, request: history::Request) -> Result<history::Answer> {
    let limit = request.max_results.map_or(limits::PAGE_MAX, |limit| limit.0);
    // An id that no run can have is an unknown run: it has no points.
    let Ok(run) = request.run_id.parse() else {
        return Ok(history::Answer { metrics: Vec::new(), next_page_token: None });
    };
    let token = page_token(request.page_token);
    let page = logging::history(&caller, run, &request.metric_key, token.as_deref(), limit).await?;
    Ok(history::Answer { metrics: all(page.items), next_page_token: page.next })
}
