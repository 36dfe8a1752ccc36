//! Where a thing comes from, and what came of it.

use askama::Template;
use axum::response::Response;
use perennial_app::lineage::{Explained, Kind, Line};
use perennial_core::Result;

use crate::door::page;
use crate::format;
use crate::shell::Shell;
use crate::visit::Visit;

/// Steps that are set in; deeper ones stand at the last.
const DEPTH_SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "explain.html")]
struct Page {
    shell: Shell,
    explained: Explained,
}

impl Page {
    fn depth(line: &Line) -> usize {
        line.depth.min(DEPTH_SHOWN)
    }

    fn kind(line: &Line) -> String {
        line.kind.replace('_', " ")
    }
}

/// The walk both ways.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let (caller, project) = (visit.caller()?, visit.project()?);
    let kind: Kind = visit.text("kind").parse()?;
    let id = visit.text("id");
    let explained = visit.app().endpoints.explain(&caller, project, kind, id).await?;
    page(&Page {
        explained,
        shell: Shell::new(&visit, "", format!("Origin of {} {}", visit.text("kind"), format::named(id))).await?,
    })
}
