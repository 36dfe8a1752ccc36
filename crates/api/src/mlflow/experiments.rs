//! `experiments/…`.

use axum::Json;
use perennial_core::Result;
use perennial_core::state::Lifecycle;
use perennial_http::Access;
use perennial_http::extract::CurrentCaller;
use perennial_tracking::{experiments, limits};
use serde_json::json;

use super::fields::Fields;
use super::{Answer, wire};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes, below: &dyn Fn(&str) -> String) -> JsonRoutes {
    routes
        .post(&below("experiments/create"), Access::Authenticated, create)
        .get(&below("experiments/get"), Access::Authenticated, get)
        .get(&below("experiments/get-by-name"), Access::Authenticated, get_by_name)
        .get(&below("experiments/search"), Access::Authenticated, search)
        .post(&below("experiments/search"), Access::Authenticated, search)
        .post(&below("experiments/update"), Access::Authenticated, update)
        .post(&below("experiments/delete"), Access::Authenticated, delete)
        .post(&below("experiments/restore"), Access::Authenticated, restore)
        .post(&below("experiments/set-experiment-tag"), Access::Authenticated, set_tag)
        .post(&below("experiments/delete-experiment-tag"), Access::Authenticated, delete_tag)
}

async fn create(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let made =
        experiments::create(&caller, fields.required("name")?, fields.text("artifact_location")?, fields.tags()?)
            .await?;
    Ok(Json(json!({ "experiment_id": made.id.to_string() })))
}

async fn get(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let found = experiments::get(&caller, fields.experiment_id()?).await?;
    Ok(Json(json!({ "experiment": wire::experiment(&found) })))
}

async fn get_by_name(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let found = experiments::get_by_name(&caller, &fields.required("experiment_name")?).await?;
    Ok(Json(json!({ "experiment": wire::experiment(&found) })))
}

async fn search(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let search = experiments::Search {
        filter: fields.text("filter")?.unwrap_or_default(),
        lifecycle: lifecycle(&fields, "view_type")?,
        order: fields.texts("order_by")?,
        after: fields.page_token()?,
        limit: fields.limit(None, limits::PAGE_MAX)?,
    };
    let page = experiments::search(&caller, search).await?;
    Ok(Json(wire::page("experiments", page.items.iter().map(wire::experiment).collect(), page.next)))
}

/// Which of the deleted and the others are asked for; the others when nothing is said.
pub(super) fn lifecycle(fields: &Fields, name: &str) -> Result<Option<Lifecycle>> {
    let Some(value) = fields.raw(name) else { return Ok(Some(Lifecycle::Active)) };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.as_str() {
        "ACTIVE_ONLY" | "1" => Ok(Some(Lifecycle::Active)),
        "DELETED_ONLY" | "2" => Ok(Some(Lifecycle::Deleted)),
        "ALL" | "3" => Ok(None),
        _ => Err(fields.invalid(name, value)),
    }
}

async fn update(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    experiments::rename(&caller, fields.experiment_id()?, fields.required("new_name")?).await?;
    Ok(Json(json!({})))
}

async fn delete(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    experiments::delete(&caller, fields.experiment_id()?).await?;
    Ok(Json(json!({})))
}

async fn restore(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    experiments::restore(&caller, fields.experiment_id()?).await?;
    Ok(Json(json!({})))
}

async fn set_tag(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    experiments::set_tag(&caller, fields.experiment_id()?, fields.tag()?).await?;
    Ok(Json(json!({})))
}

async fn delete_tag(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    experiments::delete_tag(&caller, fields.experiment_id()?, fields.required("key")?).await?;
    Ok(Json(json!({})))
}
