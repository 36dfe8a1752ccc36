//! What every route shares.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, LazyLock};

use perennial_app::access::TokenCache;
use perennial_app::{App, Caller};
use perennial_core::permission::Principal;
use tokio::sync::Semaphore;

use crate::metrics::Metrics;
use crate::options::{Options, limits};
use crate::routes::Routes;

/// What every route shares; clones are cheap.
#[derive(Clone)]
pub struct Door(pub(crate) Arc<Shared>);

/// What every route shares.
pub(crate) struct Shared {
    /// The world.
    pub app: Arc<App>,
    /// How the door was opened.
    pub options: Options,
    /// Who was authenticated a moment ago.
    pub known: TokenCache,
    /// What `/metrics` tells.
    pub metrics: Metrics,
    /// Requests under way.
    pub in_flight: AtomicUsize,
    /// Room for large inference requests.
    pub large: Arc<Semaphore>,
    /// Who calls when nobody has to say so.
    pub local: Arc<Principal>,
    /// The description of the native routes, as JSON, once it was asked for.
    pub openapi: LazyLock<String, Box<dyn FnOnce() -> String + Send>>,
}

impl Door {
    pub(crate) fn new(app: Arc<App>, options: Options, routes: &Routes) -> Self {
        let local = Principal { name: "local".to_owned(), ..Caller::system(app.kernel.clone(), "local").principal };
        let (document, version) = (routes.document().clone(), app.services.version);
        Self(Arc::new(Shared {
            metrics: Metrics::new(routes.registered()),
            openapi: LazyLock::new(Box::new(move || document.json(version))),
            app,
            options,
            known: TokenCache::default(),
            in_flight: AtomicUsize::new(0),
            large: Arc::new(Semaphore::new(limits::INFER_LARGE_MAX)),
            local: Arc::new(local),
        }))
    }
}
