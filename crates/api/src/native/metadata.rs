//! The state of the metadata store.

use axum::Json;
use perennial_core::permission::Permission;
use perennial_http::extract::CurrentCaller;
use perennial_http::{Access, HttpError};
use perennial_kernel::Kernel;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Items;
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes.operation::<__path_list_unreadable, _, _>(Access::Server(Permission::Read), list_unreadable)
}

/// A row of the metadata that cannot be read.
#[derive(Serialize, ToSchema)]
struct UnreadableRow {
    table: &'static str,
    /// Its key; the parts of a key of several columns are separated by `/`.
    key: String,
    /// The column that does not convert.
    column: String,
    why: String,
}

/// Lists rows of the metadata that cannot be read
///
/// At most 1,000, of the tables that a server reads when it starts. The server starts without such rows and serves the
/// rest.
#[utoipa::path(get, path = "/api/v1/unreadable-rows", tag = "metadata", responses((status = 200, body = Items<UnreadableRow>)))]
async fn list_unreadable(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Items<UnreadableRow>>, HttpError> {
    let found = Kernel::unreadable_rows(&caller).await?.into_iter();
    let items = found.map(|row| UnreadableRow { table: row.table, key: row.key, column: row.column, why: row.why });
    Ok(Json(Items::all(items)))
}
