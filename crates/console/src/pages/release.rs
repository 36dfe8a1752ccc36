//! A release: what it binds, what was decided about it, who approved or rejected it.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_core::Result;
use perennial_core::state::ApprovalRequestState;
use perennial_release::approvals;
use perennial_release::releases::{self, ApprovalRequest, Decision, ReleaseDetails};
use serde_json::Value;

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{format, paths};

/// Characters of a note at most.
const NOTE_MAX: usize = 1_000;

#[derive(Template)]
#[template(path = "release.html")]
struct Page {
    layout: Layout,
    details: ReleaseDetails,
    parts: Vec<(String, String)>,
}

impl Page {
    fn verdict(decision: &Decision) -> StatusBadge {
        decision.verdict.into()
    }

    /// The request that waits for approvals.
    fn waiting(&self) -> Option<&ApprovalRequest> {
        self.details.request.as_ref().filter(|request| request.state == ApprovalRequestState::Waiting)
    }

    /// The request that was rejected, replaced or failed.
    fn closed(&self) -> Option<&ApprovalRequest> {
        use ApprovalRequestState::{Failed, Rejected, Replaced};
        self.details.request.as_ref().filter(|request| matches!(request.state, Rejected | Replaced | Failed))
    }

    fn request_state(request: &ApprovalRequest) -> StatusBadge {
        request.state.into()
    }

    /// The roles that have not approved the request.
    fn missing(&self) -> String {
        self.details.missing.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// One release.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let details = releases::get(&caller, project, request.text("digest")).await?;
    let title = format!("Release {}", format::short(&details.release.digest));
    page(&Page {
        layout: Layout::new(&request, "releases", title).await?,
        parts: parts(&details.release.body),
        details,
    })
}

/// Approves a release; the last approval continues it.
pub(crate) async fn approve(request: PageRequest) -> Result<Response> {
    let note = words(&request, "note").filter(|note| !note.is_empty());
    let (caller, project, digest) = (request.caller()?, request.project()?, request.text("digest"));
    request.app().endpoints.approve(&caller, project, digest, None, note).await?;
    Ok(Redirect::to(&paths::item(&project.name, "releases", digest)).into_response())
}

/// Rejects a release.
pub(crate) async fn reject(request: PageRequest) -> Result<Response> {
    let reason = words(&request, "reason").unwrap_or_default();
    let (caller, project, digest) = (request.caller()?, request.project()?, request.text("digest"));
    approvals::reject(&caller, project, digest, &reason).await?;
    Ok(Redirect::to(&paths::item(&project.name, "releases", digest)).into_response())
}

/// A field that a person wrote, cut at [`NOTE_MAX`].
pub(super) fn words(request: &PageRequest, field: &str) -> Option<String> {
    request.form.get(field).map(|text| text.trim().chars().take(NOTE_MAX).collect())
}

/// Everything it binds, one part a row.
fn parts(body: &Value) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(inner) => {
                parts.extend(inner.iter().map(|(key, value)| (format!("{name}: {key}"), format::value(value))));
            }
            None => parts.push((name.clone(), format::value(value))),
        }
    }
    parts
}
