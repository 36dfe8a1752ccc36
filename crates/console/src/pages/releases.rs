//! The releases of a project, and its promotions and rollbacks.

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_release::releases::{self, Decision, Listed, Page as Paged, Promotion};

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{ROWS_MAX, format};

#[derive(Template)]
#[template(path = "releases.html")]
struct Page {
    layout: Layout,
    releases: Vec<Listed>,
    promotions: Paged<Promotion>,
}

impl Page {
    fn verdict(decision: Option<&Decision>) -> StatusBadge {
        decision.map_or(StatusBadge::UNKNOWN, |decision| decision.verdict.into())
    }

    /// The role of its version now, and the roles that approved it.
    fn now(listed: &Listed) -> String {
        let role = listed.role.map(|role| role.as_str().to_owned());
        let approved = listed.approved.iter().map(|role| format!("approved as {}", role.as_str()));
        role.into_iter().chain(approved).collect::<Vec<_>>().join(", ")
    }
}

/// Releases and promotions, newest first; `?after=` is the cursor of the promotions.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let releases = releases::list(&caller, project, ROWS_MAX).await?;
    let promotions = releases::list_promotions(&caller, project, request.after(), ROWS_MAX).await?;
    page(&Page { layout: Layout::new(&request, "releases", "Releases").await?, releases, promotions })
}
