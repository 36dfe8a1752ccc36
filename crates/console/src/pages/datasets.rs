//! The datasets of a project.

use askama::Template;
use axum::response::Response;
use perennial_app::datasets::{self, Dataset, DatasetVersion, Load};
use perennial_core::Result;
use perennial_core::port::data::Mode;

use crate::door::page;
use crate::format;
use crate::mark::Mark;
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "datasets.html")]
struct Page {
    shell: Shell,
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

    fn state(&self) -> Mark {
        self.load.as_ref().map_or(Mark::NONE, |load| load.state.into())
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
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let (caller, project) = (visit.caller()?, visit.project()?);
    let mut rows = Vec::new();
    for (dataset, newest) in datasets::list(&caller, project).await? {
        let load = datasets::loads(&caller, project, &dataset.name, None, 1).await?.items.into_iter().next();
        rows.push(Row { dataset, newest, load });
    }
    page(&Page { shell: Shell::new(&visit, "datasets", "Datasets").await?, rows })
}
