//! `artifacts/list`: the artifacts of a run by its id.

use axum::Json;
use perennial_core::Result;
use perennial_core::path::RelativePath;
use perennial_http::Access;
use perennial_http::extract::CurrentCaller;
use perennial_tracking::artifacts;
use serde_json::{Value, json};

use super::fields::{Fields, refused};
use super::files::artifact_path;
use super::{Answer, wire};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes, below: &dyn Fn(&str) -> String) -> JsonRoutes {
    routes.get(&below("artifacts/list"), Access::Authenticated, list)
}

async fn list(CurrentCaller { caller }: CurrentCaller, fields: Fields) -> Answer {
    let path = folder(fields.text("path")?)?;
    let before = path.as_ref().map(|path| format!("{path}/")).unwrap_or_default();
    let (run, listed) = artifacts::list_in(&caller, fields.run_id()?, path).await?;
    let files = listed.iter().map(|listed| file(listed, &before)).collect();
    let mut body = json!({ "root_uri": run.artifact_uri });
    wire::put(&mut body, "files", files);
    Ok(Json(body))
}

/// A folder's path; nothing, `.` and a stroke at the end mean what they mean in a shell.
pub(super) fn folder(path: Option<String>) -> Result<Option<RelativePath>> {
    let path = path.unwrap_or_default();
    match path.trim_end_matches('/') {
        "" if !path.is_empty() => Err(refused(format!("Invalid path: `{path}` is absolute"))),
        "" | "." => Ok(None),
        path => artifact_path(path).map(Some),
    }
}

/// A line of a listing, its name after `before`.
pub(super) fn file(listed: &artifacts::Listed, before: &str) -> Value {
    let path = format!("{before}{}", listed.name);
    match listed.size_bytes {
        Some(size) => json!({ "path": path, "is_dir": false, "file_size": size }),
        None => json!({ "path": path, "is_dir": true }),
    }
}
