//! Two surfaces: a protocol of plain text, and pages.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use perennial_core::Error;
use perennial_core::permission::Role;
use perennial_http::{
    Credentials, Options, PeerAddr, Perimeter, RequestMeta, Routes, SESSION_COOKIE, ServeLimits, Surface, Transport,
    serve, status,
};
use perennial_kernel::access;
use perennial_testkit::TestApp;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// Errors as `code: message`.
struct Text;

impl Surface for Text {
    fn render_error(&self, error: &Error, _: &RequestMeta) -> Response {
        (status(error.kind()), format!("{}: {}", error.code().name(), error.message())).into_response()
    }
}

/// Errors as text; a browser without a session is sent to `/sign-in`.
struct Pages;

impl Surface for Pages {
    fn render_error(&self, error: &Error, request: &RequestMeta) -> Response {
        Text.render_error(error, request)
    }

    fn sign_in(&self, _: &RequestMeta) -> Option<Response> {
        Some(Redirect::to("/sign-in").into_response())
    }

    fn credentials(&self) -> Credentials {
        Credentials::Session
    }
}

/// Paths below `/pages` are pages.
fn surface_of(path: &str) -> &'static dyn Surface {
    if path.starts_with("/pages") { &Pages } else { &Text }
}

/// A perimeter with some routes and an administrator's token.
pub(crate) struct Server {
    pub test: TestApp,
    pub router: axum::Router,
    pub admin: String,
}

/// A response, read whole.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Server {
    pub(crate) async fn start(add: impl FnOnce(Routes) -> Routes) -> Self {
        Self::over(TestApp::start().await.unwrap(), Options::default(), add).await
    }

    pub(crate) async fn over(test: TestApp, options: Options, add: impl FnOnce(Routes) -> Routes) -> Self {
        let admin = test.token("root", Role::Admin, None).await.unwrap();
        let routes = add(Routes::new(&Perimeter::new(test.app.clone(), options), surface_of));
        Self { test, router: routes.into_router("ask for another"), admin }
    }

    /// Sends a request as it is, from loopback, to `localhost` unless it names another host.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry("host").or_insert_with(|| "localhost:8080".parse().unwrap());
        if request.extensions().get::<PeerAddr>().is_none() {
            request.extensions_mut().insert(PeerAddr(SocketAddr::from(([127, 0, 0, 1], 50_000))));
        }
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// A request of the administrator.
    pub(crate) async fn call(&self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.header("authorization", format!("Bearer {}", self.admin)).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    /// The cookie header and the CSRF token of a new session of the administrator.
    pub(crate) async fn session(&self) -> (String, String) {
        let secret = access::log_in(&self.test.app.kernel, &self.admin).await.unwrap();
        let session = access::session(&self.test.app.kernel, &secret).await.unwrap().unwrap();
        (format!("other=1; {SESSION_COOKIE}={secret}"), session.csrf_token)
    }
}

/// A server that listens.
pub(crate) struct Running {
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<()>,
    pub server: Server,
}

impl Running {
    pub(crate) async fn over(server: Server, transport: impl Transport, connections_max: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (stop, stopped)) = (listener.local_addr().unwrap(), oneshot::channel());
        let shutdown = async move { drop(stopped.await) };
        let limits = ServeLimits { connections_max, patience: Duration::MAX };
        let ended = tokio::spawn(serve(listener, transport, server.router.clone(), shutdown, limits));
        Self { address, stop, ended, server }
    }
}
