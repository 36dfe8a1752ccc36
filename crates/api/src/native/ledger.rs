//! The ledger: its entries, and whether it holds.

use axum::Json;
use perennial_app::ledger;
use perennial_core::ErrorCode;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::datasets::cursor;
use super::wire::{Items, PageQuery, at};
use crate::access::Access;
use crate::error::ApiError;
use crate::extract::{On, Path, Query, Who};
use crate::routes::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Project(Permission::Read);
    routes
        .operation::<__path_list, _, _>(read, list)
        .operation::<__path_payload, _, _>(read, payload)
        .operation::<__path_verify, _, _>(read, verify)
        .operation::<__path_verify_server, _, _>(Access::Server(Permission::Read), verify_server)
}

/// An entry of the ledger.
#[derive(Serialize, ToSchema)]
struct Entry {
    sequence: i64,
    noun: String,
    subject: String,
    verb: String,
    actor: String,
    cause: Option<String>,
    payload_digest: String,
    /// Hash of the entry before.
    previous: String,
    hash: String,
    wall_at: String,
    project_at: String,
}

impl From<ledger::Entry> for Entry {
    fn from(entry: ledger::Entry) -> Self {
        Self {
            sequence: entry.sequence,
            noun: entry.noun,
            subject: entry.subject,
            verb: entry.verb,
            actor: entry.actor,
            cause: entry.cause,
            payload_digest: entry.payload_digest,
            previous: entry.previous,
            hash: entry.hash,
            wall_at: at(entry.wall_ms),
            project_at: at(entry.project_ms),
        }
    }
}

/// Lists entries of the project's chain, newest first
#[utoipa::path(get, path = "/api/v1/projects/{project}/ledger", tag = "ledger", params(("project" = String, Path), PageQuery), responses((status = 200, body = Items<Entry>)))]
async fn list(On { caller, project }: On, Query(page): Query<PageQuery>) -> Result<Json<Items<Entry>>, ApiError> {
    let before = page.after.as_deref().map(cursor).transpose()?;
    let found = ledger::list(&caller, &project, before, page.limit()).await?;
    Ok(Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// What an entry records.
#[derive(Serialize, ToSchema)]
struct Payload {
    /// Absent when it was erased.
    payload: Option<Value>,
}

/// Gets the payload of an entry
#[utoipa::path(get, path = "/api/v1/projects/{project}/ledger/{sequence}/payload", tag = "ledger", params(("project" = String, Path), ("sequence" = i64, Path)), responses((status = 200, body = Payload)))]
async fn payload(
    On { caller, project }: On,
    Path((_, sequence)): Path<(ProjectName, i64)>,
) -> Result<Json<Payload>, ApiError> {
    let text = ledger::payload(&caller, &project, sequence).await?;
    let payload = text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
    Ok(Json(Payload { payload }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// A head noted earlier: the chain must continue it.
    head: Option<String>,
}

/// Whether a chain holds.
#[derive(Serialize, ToSchema)]
struct Verified {
    holds: bool,
    /// Entries seen.
    entries: Option<i64>,
    /// Hash of the last entry.
    head: Option<String>,
    /// Payloads that were erased.
    erased: Option<i64>,
    /// What is wrong, when it does not hold.
    message: Option<String>,
}

fn verified(result: Result<perennial_core::ledger::Report, perennial_core::Error>) -> Result<Json<Verified>, ApiError> {
    match result {
        Ok(report) => Ok(Json(Verified {
            holds: true,
            entries: Some(report.entries),
            head: Some(report.head.hash),
            erased: Some(report.erased),
            message: None,
        })),
        Err(error) if error.code() == ErrorCode::Ledger => Ok(Json(Verified {
            holds: false,
            entries: None,
            head: None,
            erased: None,
            message: Some(error.message().to_owned()),
        })),
        Err(error) => Err(error.into()),
    }
}

/// Verifies the project's chain
///
/// A chain that does not hold is an answer, too: `holds` is false and `message` says where.
#[utoipa::path(get, path = "/api/v1/projects/{project}/ledger/verify", tag = "ledger", params(("project" = String, Path), Wanted), responses((status = 200, body = Verified)))]
async fn verify(On { caller, project }: On, Query(wanted): Query<Wanted>) -> Result<Json<Verified>, ApiError> {
    verified(ledger::verify(&caller, &project, wanted.head.as_deref()).await)
}

/// Verifies the server's own chain
#[utoipa::path(get, path = "/api/v1/ledger/verify", tag = "ledger", params(Wanted), responses((status = 200, body = Verified)))]
async fn verify_server(Who { caller, .. }: Who, Query(wanted): Query<Wanted>) -> Result<Json<Verified>, ApiError> {
    verified(ledger::verify_server(&caller, wanted.head.as_deref()).await)
}
