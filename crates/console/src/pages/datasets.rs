//! The datasets of a project.

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_core::port::data::Mode;
use perennial_ingest::datasets::{self, Dataset, DatasetVersion, Load};

use crate::badge::StatusBadge;
use crate::format;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

#[derive(Template)]
#[template(path = "datasets.html")]
struct Page {
    layout: Layout,
    rows: Vec<Row>,
}

struct Row {
    dataset: Dataset,
    newest: Option<DatasetVersion>,
    load: Option<Load>,
}

impl Row {
    fn mode(&self) -> &'static str {
        mode(self.dataset.mode)
    }

    fn state(&self) -> StatusBadge {
        self.load.as_ref().map_or(StatusBadge::NONE, |load| load.state.into())
    }
}

/// How rows enter, in a word.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Append => "append",
        Mode::Merge => "merge",
        Mode::Replace => "replace",
    }
}

/// Every dataset with its newest version and load.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let mut rows = Vec::new();
    for (dataset, newest) in datasets::list(&caller, project).await? {
        let load = datasets::loads(&caller, project, &dataset.name, None, 1).await?.items.into_iter().next();
        rows.push(Row { dataset, newest, load });
    }
    page(&Page { layout: Layout::new(&request, "datasets", "Datasets").await?, rows })
}
