//! A release: what it binds, what was decided about it, who said yes.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_core::Result;
use perennial_core::rule::Verdict;
use perennial_release::releases::{self, Decision, ReleaseDetails};
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
    /// Roles whose approval the project file requires.
    required: Vec<String>,
}

impl Page {
    fn verdict(decision: &Decision) -> StatusBadge {
        decision.verdict.into()
    }

    /// Whether an approval is still needed: the release passed, and no principal in this role approved it.
    fn needs_approval(&self) -> bool {
        let passed = self.details.decisions.first().is_some_and(|decision| decision.verdict == Verdict::Pass);
        let given = |role: &String| self.details.approvals.iter().any(|(approval, _)| approval.role.as_str() == role);
        passed && !self.required.iter().all(given)
    }
}

/// One release.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let details = releases::get(&caller, project, request.text("digest")).await?;
    let submission = project.find_submission();
    let release = submission.as_ref().and_then(|submission| submission.project.release.as_ref());
    let required =
        release.into_iter().flat_map(|release| release.approve.iter()).map(|role| role.as_str().to_owned()).collect();
    let title = format!("Release {}", format::short(&details.release.digest));
    page(&Page {
        layout: Layout::new(&request, "releases", title).await?,
        parts: parts(&details.release.body),
        details,
        required,
    })
}

/// Approves a release.
pub(crate) async fn approve(request: PageRequest) -> Result<Response> {
    let note = request
        .form
        .get("note")
        .map(|note| note.trim().chars().take(NOTE_MAX).collect::<String>())
        .filter(|note| !note.is_empty());
    releases::approve(&request.caller()?, request.project()?, request.text("digest"), None, note).await?;
    Ok(Redirect::to(&paths::item(&request.project()?.name, "releases", request.text("digest"))).into_response())
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
