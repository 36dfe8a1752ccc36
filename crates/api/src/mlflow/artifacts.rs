//! `artifacts/list`: the artifacts of a run by its id.

use perennial_core::Result;
use perennial_core::path::RelativePath;
use perennial_kernel::Caller;
use perennial_tracking::artifacts;

use super::call::CallRoutes;
use super::definitions::artifacts::list;
use super::definitions::entities::FileInfo;
use super::files::artifact_path;
use super::message::refused;

pub(super) fn routes(routes: CallRoutes) -> CallRoutes {
    routes.call(&list::CALL, list)
}

async fn list(caller: Caller, request: list::Request) -> Result<list::Answer> {
    let path = folder(request.path)?;
    let prefix = path.as_ref().map(|path| format!("{path}/")).unwrap_or_default();
    let (run, listed) = artifacts::list_in(&caller, request.run_id, path).await?;
    Ok(list::Answer { root_uri: run.artifact_uri, files: listed.iter().map(|listed| file(listed, &prefix)).collect() })
}

/// The path of a folder. An absent path and `.` are the root; a slash at the end is dropped.
pub(super) fn folder(path: Option<String>) -> Result<Option<RelativePath>> {
    let path = path.unwrap_or_default();
    match path.trim_end_matches('/') {
        "" if !path.is_empty() => Err(refused(format!("Invalid path: `{path}` is absolute"))),
        "" | "." => Ok(None),
        path => artifact_path(path).map(Some),
    }
}

/// An entry of a listing, with `prefix` before its name.
pub(super) fn file(listed: &artifacts::Listed, prefix: &str) -> FileInfo {
    FileInfo {
        path: format!("{prefix}{}", listed.name),
        is_dir: listed.size_bytes.is_none(),
        file_size: listed.size_bytes.map(|bytes| bytes as i64),
    }
}
