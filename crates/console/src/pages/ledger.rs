//! The ledger: whether it holds together, and its newest entries.

use askama::Template;
use axum::response::Response;
use perennial_app::ledger::{self, Entry, Page as Paged};
use perennial_core::ledger::Report;
use perennial_core::{ErrorCode, Result};

use crate::door::page;
use crate::mark::Mark;
use crate::shell::Shell;
use crate::visit::Visit;
use crate::{ROWS_MAX, format};

#[derive(Template)]
#[template(path = "ledger.html")]
struct Page {
    shell: Shell,
    entries: Paged<Entry>,
    verified: Option<Report>,
    /// What is wrong with it.
    broken: Option<String>,
    /// The head that was asked for.
    head: String,
}

impl Page {
    fn mark(&self) -> Mark {
        if self.broken.is_some() { Mark::BROKEN } else { Mark::VERIFIED }
    }
}

/// The chain, verified as the page is made; `?head=` asks whether it continues that one, `?after=` goes on in the entries.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let (caller, project) = (visit.caller()?, visit.project()?);
    let head = visit.query.get("head").map(|head| head.trim().to_owned()).unwrap_or_default();
    let before = visit.after().and_then(|after| after.parse().ok());
    let entries = ledger::list(&caller, project.id, before, ROWS_MAX).await?;
    let (verified, broken) =
        match ledger::verify(&caller, project.id, Some(head.as_str()).filter(|head| !head.is_empty())).await {
            Ok(report) => (Some(report), None),
            Err(error) if error.code() == ErrorCode::Ledger || error.code() == ErrorCode::InvalidArgument => {
                (None, Some(error.message().to_owned()))
            }
            Err(error) => return Err(error),
        };
    page(&Page { entries, verified, broken, head, shell: Shell::new(&visit, "ledger", "Ledger").await? })
}
