//! What all routes share.

use std::sync::Arc;

use crate::Slices;
use http::request::Parts;
use perennial_core::permission::Principal;
use perennial_kernel::Caller;
use perennial_kernel::access::TokenCache;
use rand::RngCore;

use crate::admission::{self, Quotas};
use crate::authentication::Identity;
use crate::error::HttpError;
use crate::metrics::RequestMetrics;
use crate::quota::{Holder, Permit};

/// How callers are admitted.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether callers have to authenticate. Without it, only peers on the server's own machine are admitted, whatever
    /// address the server listens at, and they may do everything.
    pub auth: bool,
    /// Further names of this server; `localhost` and bare addresses are always allowed.
    pub hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { auth: true, hosts: Vec::new() }
    }
}

/// What all routes share; clones are cheap.
#[derive(Clone)]
pub struct Perimeter(Arc<Shared>);

struct Shared {
    app: Arc<Slices>,
    options: Options,
    tokens: TokenCache,
    metrics: RequestMetrics,
    quotas: Quotas,
    local_principal: Arc<Principal>,
    host_principal: Option<Arc<Principal>>,
    local_csrf_token: Arc<str>,
}

impl Perimeter {
    /// A perimeter around `app`.
    pub fn new(app: Arc<Slices>, options: Options) -> Self {
        Self::with_host(app, options, None)
    }

    /// A perimeter around `app`; requests over the server's Unix socket are those of `host`.
    pub fn with_host(app: Arc<Slices>, options: Options, host: Option<Principal>) -> Self {
        let local = Principal { name: "local".to_owned(), ..Caller::system(app.kernel.clone(), "local").principal };
        Self(Arc::new(Shared {
            app,
            options,
            tokens: TokenCache::default(),
            metrics: RequestMetrics::default(),
            quotas: Quotas::default(),
            local_principal: Arc::new(local),
            host_principal: host.map(Arc::new),
            local_csrf_token: random_token(),
        }))
    }

    /// The application.
    pub fn app(&self) -> &Arc<Slices> {
        &self.0.app
    }

    /// How callers are admitted.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Requests counted and timed, and the registry that other metrics join.
    pub fn metrics(&self) -> &RequestMetrics {
        &self.0.metrics
    }

    /// Admits the computation of a large prediction, until the permit is dropped, for the caller of a request of which these
    /// are the parts.
    ///
    /// # Errors
    /// `busy` when as many are computed as all callers together, or this one, may have.
    pub fn admit_large_prediction(&self, parts: &Parts) -> Result<Permit, HttpError> {
        let principal = parts.extensions.get::<Identity>().map(|identity| Holder::Principal(identity.principal.id));
        self.quotas().large_prediction(principal.unwrap_or_else(|| admission::peer(parts)))
    }

    /// Requests in flight and bytes of bodies, by holder.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// Tokens that were authenticated a moment ago.
    pub(crate) fn tokens(&self) -> &TokenCache {
        &self.0.tokens
    }

    /// The principal of local peers while authentication is off.
    pub(crate) fn local_principal(&self) -> &Arc<Principal> {
        &self.0.local_principal
    }

    /// The principal of peers at the server's Unix socket.
    pub(crate) fn host_principal(&self) -> Option<&Arc<Principal>> {
        self.0.host_principal.as_ref()
    }

    /// The CSRF token of pages while authentication is off.
    pub(crate) fn local_csrf_token(&self) -> &Arc<str> {
        &self.0.local_csrf_token
    }
}

/// 32 random bytes in hexadecimal digits.
fn random_token() -> Arc<str> {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes).into()
}
