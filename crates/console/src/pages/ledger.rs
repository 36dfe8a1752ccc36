//! The ledger: whether it is intact, and its latest entries.

use askama::Template;
use axum::response::Response;
use perennial_core::ledger::Report;
use perennial_core::{ErrorCode, Result};
use perennial_kernel::ledger::{self, Entry, Page as Paged};

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{ROWS_MAX, format};

#[derive(Template)]
#[template(path = "ledger.html")]
struct Page {
    layout: Layout,
    entries: Paged<Entry>,
    verified: Option<Report>,
    /// What is wrong with it.
    broken: Option<String>,
    /// The head that was asked for.
    head: String,
}

impl Page {
    fn badge(&self) -> StatusBadge {
        if self.broken.is_some() { StatusBadge::BROKEN } else { StatusBadge::VERIFIED }
    }
}

/// The chain, verified at each request; with `?head=`, also whether the chain continues that head. `?after=` is the
/// cursor of the entries.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let head = request.query.get("head").map(|head| head.trim().to_owned()).unwrap_or_default();
    let before = request.after().and_then(|after| after.parse().ok());
    let entries = ledger::list(&caller, project.id, before, ROWS_MAX).await?;
    let (verified, broken) =
        match ledger::verify(&caller, project.id, Some(head.as_str()).filter(|head| !head.is_empty())).await {
            Ok(report) => (Some(report), None),
            Err(error) if error.code() == ErrorCode::Ledger || error.code() == ErrorCode::InvalidArgument => {
                (None, Some(error.message().to_owned()))
            }
            Err(error) => return Err(error),
        };
    page(&Page { entries, verified, broken, head, layout: Layout::new(&request, "ledger", "Ledger").await? })
}
