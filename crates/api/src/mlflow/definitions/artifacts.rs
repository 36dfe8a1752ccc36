//! `artifacts/…` by the id of a run, and the artifact proxy.

use perennial_core::id::RunId;

use super::entities::{Empty, FileInfo};
use crate::mlflow::call::{Call, JsonCall, Method, calls};
use crate::mlflow::message::{Message, message};

calls! {
    /// Lists a folder of a run.
    GET "2.0/mlflow/artifacts/list" list {
        run_id | run_uuid: RunId, path: Option<String>,
    } -> { root_uri: String, files: Vec<FileInfo> }

    /// Lists a folder by its path in the proxy.
    GET "2.0/mlflow-artifacts/artifacts" list_files { path: Option<String> } -> { files: Vec<FileInfo> }
}

/// The path of a file in the proxy.
const FILE: &str = "2.0/mlflow-artifacts/artifacts/{*path}";

/// Uploads a file.
pub(in crate::mlflow) const UPLOAD: Call =
    Call { methods: &[Method::PUT], path: FILE, request: None, answer: Some(Empty::FIELDS) };

/// Downloads a file.
pub(in crate::mlflow) const DOWNLOAD: Call =
    Call { methods: &[Method::GET], path: FILE, request: Some(Empty::FIELDS), answer: None };

/// Deletes a file or a folder.
pub(in crate::mlflow) const DELETE: Call =
    Call { methods: &[Method::DELETE], path: FILE, request: Some(Empty::FIELDS), answer: Some(Empty::FIELDS) };

/// The calls whose request or answer is a file.
pub(in crate::mlflow) const FILE_CALLS: &[Call] = &[UPLOAD, DOWNLOAD, DELETE];
