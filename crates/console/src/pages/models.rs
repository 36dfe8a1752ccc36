//! The registered models of a project.

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_release::models::{self, Model, ModelVersion};

use crate::format;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

#[derive(Template)]
#[template(path = "models.html")]
struct Page {
    layout: Layout,
    models: Vec<Model>,
}

impl Page {
    fn aliases(model: &Model, version: &ModelVersion) -> String {
        let aliases =
            model.aliases.iter().filter(|alias| alias.number == version.number).map(|alias| alias.alias.as_str());
        aliases.collect::<Vec<_>>().join(", ")
    }

    fn is_own(&self, model: &Model) -> bool {
        self.layout.project.as_ref().is_some_and(|project| project.name == model.model.name)
    }

    fn href(&self, model: &Model, version: &ModelVersion) -> String {
        let own = self.layout.item("models", version.number);
        if self.is_own(model) { own } else { format!("{own}?{}", super::model::query(&model.model.name)) }
    }
}

/// Every model with its versions, newest first.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let models = models::list(&request.caller()?, request.project()?).await?;
    page(&Page { layout: Layout::new(&request, "models", "Models").await?, models })
}
