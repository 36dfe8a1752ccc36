//! The one HTTP perimeter, around the JSON routes of `api` and the pages of `console`.
//!
//! A surface registers its routes through [`Routes`], each with the [`Access`] it requires: a route without one does
//! not compile. What happens around every handler (request id, limits, host and origin, authentication, authorization,
//! CSRF, panics, errors, headers, metrics, log) is in one place, `middleware`. [`Surface`] has what differs: how errors
//! are rendered and which credentials are accepted. [`serve`] accepts connections.

mod admission;
mod authentication;
mod authorization;
pub mod body;
mod content;
mod csrf;
mod error;
pub mod extract;
mod host;
pub mod limits;
pub mod metrics;
mod middleware;
mod open_files;
mod perimeter;
mod quota;
mod request;
mod routes;
mod same_origin;
mod server;
mod session_cookie;
mod slices;
mod surface;

pub use authentication::{Credential, Credentials, Identity};
pub use authorization::{Access, ResolvedEndpoint, ResolvedProject};
pub use content::{Content, Selection};
pub use error::{HttpError, status};
pub use host::{HostPeer, serve_host};
pub use open_files::raise_open_file_limit;
pub use perimeter::{Options, Perimeter};
pub use quota::Permit;
pub use request::{RequestMeta, RequestStart};
pub use routes::Routes;
pub use server::{PeerAddr, PlainTcp, ServeLimits, ShutdownSignal, Transport, serve};
pub use session_cookie::{SESSION_COOKIE, begin_session, end_session, session_secret};
pub use slices::Slices;
pub use surface::{Surface, SurfaceOf};
