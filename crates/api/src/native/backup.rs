//! A copy of an embedded store while the server uses it.

use std::collections::BTreeMap;

use axum::Json;
use perennial_core::permission::Permission;
use perennial_http::extract::CurrentCaller;
use perennial_http::{Access, HttpError};
use perennial_kernel::backup;
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes.operation::<__path_create, _, _>(Access::Server(Permission::Manage), create)
}

/// A copy of the store.
#[derive(Serialize, ToSchema)]
struct Copy {
    /// Its folder, below the data folder; the caller moves it to its destination.
    folder: String,
    /// Heads of the ledger's chains; the chains of the copy continue each of them.
    heads: BTreeMap<String, String>,
}

/// Copies an embedded store
///
/// The copy contains metadata, datasets, staged loads and logged predictions at one instant, with all blobs that they name.
/// The server keeps answering meanwhile.
#[utoipa::path(post, path = "/api/v1/backup", tag = "backup", responses((status = 200, body = Copy)))]
async fn create(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Copy>, HttpError> {
    let copy = backup::create(&caller).await?;
    let heads = copy.heads.into_iter().map(|(chain, head)| (chain.to_string(), head.hash));
    Ok(Json(Copy { folder: copy.folder.to_string_lossy().into_owned(), heads: heads.collect() }))
}
