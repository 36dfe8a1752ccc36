//! The projects of the server; a single one is shown at once.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_core::Result;
use perennial_kernel::alerts;
use perennial_release::approvals;

use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{format, paths};

#[derive(Template)]
#[template(path = "projects.html")]
struct Page {
    layout: Layout,
    projects: Vec<Listed>,
}

struct Listed {
    name: String,
    href: String,
    goal: String,
    is_stepped: bool,
    /// Releases that wait for an approval which the caller may give.
    waiting: usize,
    /// Alerts that are firing.
    firing: u64,
}

/// The list, or the only project.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let mut listed = Vec::new();
    let waiting = approvals::list_waiting(&request.caller()?).await?;
    let firing = alerts::count_firing_by_project(&request.caller()?).await?;
    for kept in request.app().projects.list(&request.caller()?).await? {
        let state = request.app().projects.get(kept.id).await?;
        let goal = state.find_submission().map(|submission| submission.project.project.goal.clone());
        // `default` is there for tracking clients that name no project; it is not listed before it is used.
        if goal.is_none() && kept.name.as_str() == "default" {
            continue;
        }
        let href = paths::section(&kept.name, "");
        listed.push(Listed {
            name: kept.name.to_string(),
            href,
            goal: goal.unwrap_or_default(),
            is_stepped: state.clock.stepped_ms().is_some(),
            waiting: waiting.iter().filter(|one| one.is_for_caller && one.request.project_id == kept.id).count(),
            firing: firing.get(&kept.id).copied().unwrap_or_default(),
        });
    }
    if let [only] = listed.as_slice() {
        return Ok(Redirect::to(&only.href).into_response());
    }
    page(&Page { layout: Layout::bare(request.identity.as_ref(), "Projects"), projects: listed })
}
