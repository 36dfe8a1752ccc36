//! A copy of an embedded store while it works.

use std::collections::BTreeMap;

use axum::Json;
use perennial_app::backup;
use perennial_core::permission::Permission;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Access;
use crate::error::ApiError;
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.operation::<__path_create, _, _>(Access::Server(Permission::Manage), create)
}

/// A copy of the metadata.
#[derive(Serialize, ToSchema)]
struct Copy {
    /// Its file, beside the store in the data folder; whoever asked moves it away.
    file: String,
    size_bytes: u64,
    /// Heads of the ledger's chains: the copy verifies with each.
    heads: BTreeMap<String, String>,
}

/// Copies the metadata of an embedded store
///
/// Writes go on meanwhile. Blobs and tables never change once they are named: copy their folders afterwards.
#[utoipa::path(post, path = "/api/v1/backup", tag = "backup", responses((status = 200, body = Copy)))]
async fn create(Who { caller, .. }: Who) -> Result<Json<Copy>, ApiError> {
    let copy = backup::store(&caller).await?;
    let file = copy.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let heads = copy.heads.into_iter().map(|(chain, head)| (chain.to_string(), head.hash));
    Ok(Json(Copy { file, size_bytes: copy.size_bytes, heads: heads.collect() }))
}
