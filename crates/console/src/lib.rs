//! Server-rendered pages: the third door to the use cases of `perennial_app`.
//!
//! [`router`] answers every page over an [`App`]; pages are complete without scripts, and there are
//! none. Each page is registered with the access it asks for, or it does
//! not compile. What happens around every handler (host and origin, who looks, which project, the
//! form's token, errors, headers) stands in one place, `door`.

mod access;
mod assets;
mod chart;
mod door;
mod format;
mod graph;
mod guard;
mod mark;
mod pages;
mod routes;
mod shell;
mod visit;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::routing::MethodRouter;
use perennial_app::App;

pub use perennial_core::site::SESSION_COOKIE;

/// Bytes of a form at most.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// Rows of a list on one page.
pub const ROWS_MAX: u32 = 50;

/// How the pages are opened.
#[derive(Clone)]
pub struct Options {
    /// Whether visitors say who they are. Without it only those that `is_local` knows are answered, and they may do everything.
    pub auth: bool,
    /// Further names this server is called by; `localhost` and bare addresses always pass.
    pub hosts: Vec<String>,
    /// Whether a request comes from this machine; asked only without `auth`.
    pub is_local: fn(&http::Extensions) -> bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { auth: true, hosts: Vec::new(), is_local: is_loopback }
    }
}

fn is_loopback(extensions: &http::Extensions) -> bool {
    extensions.get::<ConnectInfo<SocketAddr>>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
}

/// Every page over `app` by its path, for a door that has others beside them.
pub fn pages(app: Arc<App>, options: Options) -> Vec<(String, MethodRouter)> {
    pages::all(door::Pages::new(door::Door::new(app, options))).finish()
}

/// The pages alone, for visitors who say who they are.
pub fn router(app: Arc<App>) -> axum::Router {
    router_with(app, Options::default())
}

/// The pages alone.
pub fn router_with(app: Arc<App>, options: Options) -> axum::Router {
    pages(app, options).into_iter().fold(axum::Router::new(), |router, (path, page)| router.route(&path, page))
}
