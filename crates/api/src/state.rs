//! What the handlers of all JSON routes share.

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use perennial_http::Perimeter;
use perennial_http::Slices;

use crate::openapi::Document;

/// What the handlers of all JSON routes share; clones are cheap.
#[derive(Clone)]
pub(crate) struct ApiState(Arc<Shared>);

pub(crate) struct Shared {
    /// The application.
    pub app: Arc<Slices>,
    /// Metrics and limits of all requests.
    pub perimeter: Perimeter,
    /// The description of the native routes as JSON, written when it is first asked for.
    pub openapi: LazyLock<String, Box<dyn FnOnce() -> String + Send>>,
}

impl Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl ApiState {
    pub(crate) fn new(perimeter: &Perimeter, document: Document) -> Self {
        let version = perimeter.app().kernel.services.version;
        Self(Arc::new(Shared {
            app: perimeter.app().clone(),
            perimeter: perimeter.clone(),
            openapi: LazyLock::new(Box::new(move || document.json(version))),
        }))
    }
}
