//! The ledger: its entries, and their verification.

use axum::Json;
use perennial_core::ErrorCode;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{CurrentCaller, Path, ProjectCaller, Query};
use perennial_http::{Access, HttpError};
use perennial_kernel::ledger;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::datasets::cursor;
use super::wire::{Items, PageQuery, at};
use crate::routes::JsonRoutes;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let read = Access::Project(Permission::Read);
    let read_server = Access::Server(Permission::Read);
    routes
        .operation::<__path_verify_all, _, _>(Access::Authenticated, verify_all)
        .operation::<__path_list_server, _, _>(read_server, list_server)
        .operation::<__path_payload_server, _, _>(read_server, payload_server)
        .operation::<__path_list, _, _>(read, list)
        .operation::<__path_payload, _, _>(read, payload)
        .operation::<__path_verify, _, _>(read, verify)
        .operation::<__path_verify_runs, _, _>(read, verify_runs)
        .operation::<__path_verify_server, _, _>(read_server, verify_server)
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
async fn list(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Entry>>, HttpError> {
    let before = page.after.as_deref().map(cursor).transpose()?;
    Ok(listed(ledger::list(&caller, project.id, before, page.limit()).await?))
}

/// Lists entries of the server's chain, newest first: projects, principals, tokens and grants on the server
#[utoipa::path(get, path = "/api/v1/ledger", tag = "ledger", params(PageQuery), responses((status = 200, body = Items<Entry>)))]
async fn list_server(
    CurrentCaller { caller }: CurrentCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Items<Entry>>, HttpError> {
    let before = page.after.as_deref().map(cursor).transpose()?;
    Ok(listed(ledger::list_server(&caller, before, page.limit()).await?))
}

fn listed(found: ledger::Page<ledger::Entry>) -> Json<Items<Entry>> {
    Json(Items { items: found.items.into_iter().map(Into::into).collect(), next: found.next })
}

/// The payload of a ledger entry.
#[derive(Serialize, ToSchema)]
struct Payload {
    /// Absent when the payload was erased.
    payload: Option<Value>,
}

/// Gets the payload of an entry
#[utoipa::path(get, path = "/api/v1/projects/{project}/ledger/{sequence}/payload", tag = "ledger", params(("project" = String, Path), ("sequence" = i64, Path)), responses((status = 200, body = Payload)))]
async fn payload(
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, sequence)): Path<(ProjectName, i64)>,
) -> Result<Json<Payload>, HttpError> {
    Ok(kept(ledger::payload(&caller, project.id, sequence).await?))
}

/// Gets the payload of an entry of the server's chain
#[utoipa::path(get, path = "/api/v1/ledger/{sequence}/payload", tag = "ledger", params(("sequence" = i64, Path)), responses((status = 200, body = Payload)))]
async fn payload_server(
    CurrentCaller { caller }: CurrentCaller,
    Path(sequence): Path<i64>,
) -> Result<Json<Payload>, HttpError> {
    Ok(kept(ledger::payload_server(&caller, sequence).await?))
}

fn kept(text: Option<String>) -> Json<Payload> {
    Json(Payload { payload: text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))) })
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// An earlier head, which the chain must continue.
    head: Option<String>,
}

/// Whether a chain is intact.
#[derive(Serialize, ToSchema)]
struct Verified {
    holds: bool,
    /// Number of entries.
    entries: Option<i64>,
    /// Hash of the last entry.
    head: Option<String>,
    /// Payloads that were erased; an entry records each erasure.
    erased: Option<i64>,
    /// Rows of decisions, releases, approvals and promotions that match their entries.
    rows: Option<i64>,
    /// What is wrong, when the chain is not intact.
    message: Option<String>,
}

fn verified(
    result: Result<perennial_core::ledger::Report, perennial_core::Error>,
) -> Result<Json<Verified>, HttpError> {
    match result {
        Ok(report) => Ok(Json(Verified {
            holds: true,
            entries: Some(report.entries),
            head: Some(report.head.hash),
            erased: Some(report.erased),
            rows: Some(report.rows),
            message: None,
        })),
        Err(error) if error.code() == ErrorCode::Ledger => Ok(Json(Verified {
            holds: false,
            entries: None,
            head: None,
            erased: None,
            rows: None,
            message: Some(error.message().to_owned()),
        })),
        Err(error) => Err(error.into()),
    }
}

/// Verifies the project's chain
///
/// A broken chain is not an error: `holds` is false and `message` names the first wrong entry.
#[utoipa::path(get, path = "/api/v1/projects/{project}/ledger/verify", tag = "ledger", params(("project" = String, Path), Wanted), responses((status = 200, body = Verified)))]
async fn verify(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Verified>, HttpError> {
    verified(ledger::verify(&caller, project.id, wanted.head.as_deref()).await)
}

/// The results for some runs of a project.
#[derive(Serialize, ToSchema)]
struct VerifiedRuns {
    /// Runs whose params, metrics, tags and inputs have the digest in the ledger.
    intact: u64,
    /// Runs without a digest in the ledger, because they have not ended.
    unsealed: u64,
    /// Ids of runs whose content has another digest than the ledger.
    altered: Vec<String>,
    /// `after` of the next call; absent when all were verified.
    next: Option<String>,
}

/// Verifies runs of a project against the digests in its chain
///
/// Computes the digests of runs again, in the order of their ids, for about two seconds; `next` is the cursor of the next call.
#[utoipa::path(get, path = "/api/v1/projects/{project}/runs/verify", tag = "ledger", params(("project" = String, Path), PageQuery), responses((status = 200, body = VerifiedRuns)))]
async fn verify_runs(
    ProjectCaller { caller, project }: ProjectCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<VerifiedRuns>, HttpError> {
    let after = page.after.as_deref().map(str::parse).transpose()?;
    let verified = perennial_tracking::verify_runs(&caller, project.id, after, page.limit()).await?;
    Ok(Json(VerifiedRuns {
        intact: verified.intact,
        unsealed: verified.unsealed,
        altered: verified.altered.iter().map(ToString::to_string).collect(),
        next: verified.next.map(|next| next.to_string()),
    }))
}

/// Verifies the server's own chain
#[utoipa::path(get, path = "/api/v1/ledger/verify", tag = "ledger", params(Wanted), responses((status = 200, body = Verified)))]
async fn verify_server(
    CurrentCaller { caller }: CurrentCaller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Verified>, HttpError> {
    verified(ledger::verify_server(&caller, wanted.head.as_deref()).await)
}

/// A chain of the ledger, and whether it is intact.
#[derive(Serialize, ToSchema)]
struct VerifiedChain {
    /// The project of the chain; absent for the server's chain.
    project: Option<String>,
    #[serde(flatten)]
    verified: Verified,
}

/// Whether every chain is intact.
#[derive(Serialize, ToSchema)]
struct VerifiedAll {
    /// Whether every chain is intact, and one of them continues `head`.
    holds: bool,
    /// The chains, the server's first.
    chains: Vec<VerifiedChain>,
    /// What is wrong, when no chain continues the head.
    message: Option<String>,
}

/// Verifies every chain the caller may read: the server's own, and one a project
///
/// With `head`, one of the chains must continue it. A broken chain is not an error: `holds` is false and `message` names the
/// first wrong entry.
#[utoipa::path(get, path = "/api/v1/verify", tag = "ledger", params(Wanted), responses((status = 200, body = VerifiedAll)))]
async fn verify_all(
    CurrentCaller { caller }: CurrentCaller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<VerifiedAll>, HttpError> {
    let all = ledger::verify_all(&caller, wanted.head.as_deref()).await?;
    let mut chains = Vec::with_capacity(all.chains.len());
    for chain in all.chains {
        let Json(verified) = verified(chain.found.map_err(Into::into))?;
        chains.push(VerifiedChain { project: chain.project.map(Into::into), verified });
    }
    let missing = || {
        "no chain continues this head: since the head was noted, a chain was cut or hashed again, or an older backup was \
         restored (the chain of the server then has a `backup restore` entry); or you may not read the chain"
            .to_owned()
    };
    Ok(Json(VerifiedAll {
        holds: all.is_continued && chains.iter().all(|chain| chain.verified.holds),
        chains,
        message: (!all.is_continued).then(missing),
    }))
}
