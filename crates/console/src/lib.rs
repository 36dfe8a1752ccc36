//! Server-rendered pages over the slices.
//!
//! [`routes`] registers every page behind a [`Perimeter`], with the access it requires; a page without one does not
//! compile. Pages are complete without scripts, and there are none. This crate has what is HTML: templates, the layout
//! around every page, forms, and how errors are shown.

mod assets;
mod badge;
mod format;
mod graph;
mod layout;
mod pages;
mod paths;
mod request;
mod routing;

use std::sync::Arc;

use perennial_http::Slices;
use perennial_http::{Options, Perimeter, Routes};

/// Rows of a list on one page.
pub const ROWS_MAX: u32 = 50;

/// Every page.
pub fn routes(perimeter: &Perimeter) -> Routes {
    pages::all(routing::Pages::new(perimeter)).finish(perimeter)
}

/// The pages of `app` alone.
pub fn router(app: Arc<Slices>, options: Options) -> axum::Router {
    routes(&Perimeter::new(app, options)).into_router("`/` lists the projects")
}
