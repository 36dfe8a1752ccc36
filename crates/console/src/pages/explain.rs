//! The lineage of an entity: what it was made from, and what depends on it.

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_release::lineage::{Explained, Kind, Line};

use crate::format;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

/// Steps that are set in; deeper ones stand at the last.
const DEPTH_SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "explain.html")]
struct Page {
    layout: Layout,
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
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let kind: Kind = request.text("kind").parse()?;
    let id = request.text("id");
    let explained = request.app().endpoints.explain(&caller, project, kind, id).await?;
    page(&Page {
        explained,
        layout: Layout::new(&request, "", format!("Origin of {} {}", request.text("kind"), format::named(id))).await?,
    })
}
