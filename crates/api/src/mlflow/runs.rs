//! `runs/…`: their life, and the search.

use axum::Json;
use perennial_core::Result;
use perennial_core::state::RunStatus;
use perennial_http::Access;
use perennial_http::extract::CurrentCaller;
use perennial_tracking::runs::{Begin, RunUpdate, Search};
use perennial_tracking::{limits, runs};
use serde_json::json;

use super::experiments::lifecycle;
use super::fields::Fields;
use super::{Answer, wire};
use crate::routes::JsonRoutes;

/// Runs of a page when nothing is said.
const RUNS_USUAL: u32 = 1_000;

pub(super) fn routes(routes: JsonRoutes, below: &dyn Fn(&str) -> String) -> JsonRoutes {
    routes
        .post(&below("runs/create"), Access::Authenticated, create)
        .get(&below("runs/get"), Access::Authenticated, get)
        .post(&below("runs/update"), Access::Authenticated, update)
        .post(&below("runs/delete"), Access::Authenticated, delete)
        .post(&below("runs/restore"), Access::Authenticated, restore)
        .post(&below("runs/search"), Access::Authenticated, search)
}

async fn create(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let begin = Begin {
        name: fields.text("run_name")?,
        user_id: fields.text("user_id")?.unwrap_or_default(),
        start_ms: fields.integer("start_time")?.unwrap_or_default(),
        tags: fields.tags()?,
    };
    let made = runs::create(&caller, fields.experiment_id()?, begin).await?;
    Ok(Json(json!({ "run": wire::run(&made) })))
}

async fn get(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    Ok(Json(json!({ "run": wire::run(&runs::get(&caller, fields.run_id()?).await?) })))
}

async fn update(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let change =
        RunUpdate { status: status(&fields)?, end_ms: fields.integer("end_time")?, name: fields.text("run_name")? };
    let run = runs::update(&caller, fields.run_id()?, change).await?;
    Ok(Json(json!({ "run_info": wire::info(&run) })))
}

fn status(fields: &Fields) -> Result<Option<RunStatus>> {
    let Some(value) = fields.raw("status") else { return Ok(None) };
    let text = value.as_str().unwrap_or_default();
    let known = [RunStatus::Running, RunStatus::Scheduled, RunStatus::Finished, RunStatus::Failed, RunStatus::Killed];
    let by_number = value.as_u64().and_then(|number| known.get(usize::try_from(number).ok()?.checked_sub(1)?).copied());
    let found = by_number.or_else(|| known.into_iter().find(|status| status.as_str() == text));
    found.map(Some).ok_or_else(|| fields.invalid("status", value))
}

async fn delete(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    runs::delete(&caller, fields.run_id()?).await?;
    Ok(Json(json!({})))
}

async fn restore(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    runs::restore(&caller, fields.run_id()?).await?;
    Ok(Json(json!({})))
}

async fn search(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let experiments = fields.texts("experiment_ids")?;
    let search = Search {
        experiment_ids: experiments.iter().map(|id| id.parse()).collect::<Result<_>>()?,
        filter: fields.text("filter")?.unwrap_or_default(),
        lifecycle: lifecycle(&fields, "run_view_type")?,
        order: fields.texts("order_by")?,
        after: fields.page_token()?,
        limit: fields.limit(Some(RUNS_USUAL), limits::PAGE_MAX)?,
    };
    let page = runs::search(&caller, search).await?;
    Ok(Json(wire::page("runs", page.items.iter().map(wire::run).collect(), page.next)))
}
