//! What clients ask about the server itself.

use perennial_core::Result;
use perennial_kernel::Caller;

use super::call::CallRoutes;
use super::definitions::entities::Empty;
use super::definitions::server::{search_logged_models, server_info};

pub(super) fn routes(routes: CallRoutes) -> CallRoutes {
    routes.call(&server_info::CALL, server_info).call(&search_logged_models::CALL, search_logged_models)
}

async fn server_info(_: Caller, _: server_info::Request) -> Result<server_info::Answer> {
    Ok(server_info::Answer {
        store_type: "SqlStore".to_owned(),
        workspaces_enabled: false,
        trace_archival_enabled: false,
        multipart_uploads_enabled: false,
        multipart_downloads_enabled: false,
        presigned_upload_run_id_supported: false,
        presigned_upload_model_id_supported: false,
        features_enabled: Empty {},
    })
}

async fn search_logged_models(_: Caller, _: search_logged_models::Request) -> Result<search_logged_models::Answer> {
    Ok(search_logged_models::Answer {})
}
