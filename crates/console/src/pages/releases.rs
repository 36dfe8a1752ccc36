//! The releases of a project, and every change of who answers.

use askama::Template;
use axum::response::Response;
use perennial_app::releases::{self, Decision, Page as Paged, Promotion, Release};
use perennial_core::Result;

use crate::door::page;
use crate::mark::Mark;
use crate::shell::Shell;
use crate::visit::Visit;
use crate::{ROWS_MAX, format};

#[derive(Template)]
#[template(path = "releases.html")]
struct Page {
    shell: Shell,
    releases: Vec<(Release, Option<Decision>)>,
    promotions: Paged<Promotion>,
}

impl Page {
    fn verdict(decision: Option<&Decision>) -> Mark {
        decision.map_or(Mark::UNKNOWN, |decision| decision.verdict.into())
    }
}

/// Releases and promotions, newest first; `?after=` goes on in the promotions.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let (caller, project) = (visit.caller()?, visit.project()?);
    let releases = releases::list(&caller, project, ROWS_MAX).await?;
    let promotions = releases::list_promotions(&caller, project, visit.after(), ROWS_MAX).await?;
    page(&Page { shell: Shell::new(&visit, "releases", "Releases").await?, releases, promotions })
}
