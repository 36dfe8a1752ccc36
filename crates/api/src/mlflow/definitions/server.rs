//! What clients ask about the server itself.

use super::entities::Empty;
use crate::mlflow::call::{Call, JsonCall, Method, calls};
use crate::mlflow::message::message;

calls! {
    /// Describes what the server can do.
    GET "3.0/mlflow/server-info" server_info {} -> {
        store_type: String,
        workspaces_enabled: bool,
        trace_archival_enabled: bool,
        multipart_uploads_enabled: bool,
        multipart_downloads_enabled: bool,
        presigned_upload_run_id_supported: bool,
        presigned_upload_model_id_supported: bool,
        features_enabled: Empty,
    }

    /// Searches logged models, of which there are none: models are registered. Clients that list the artifacts of a run
    /// search for logged models, too.
    POST "2.0/mlflow/logged-models/search" search_logged_models {} -> {}
}
