//! A client inside the process.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use perennial_core::permission::Role;
use perennial_http::{Options, PeerAddr};
use perennial_projects::ProjectState;
use perennial_testkit::{TestApp, TestModel};
use serde_json::Value;
use tower::ServiceExt;

/// A server with an administrator's token.
pub(crate) struct Server {
    pub test: TestApp,
    pub router: axum::Router,
    pub admin: String,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The message of a native error.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::over(TestApp::start().await.unwrap()).await
    }

    /// With the project `flights`.
    pub(crate) async fn with_project() -> (Self, Arc<ProjectState>) {
        let (test, project) = TestApp::with_project().await.unwrap();
        (Self::over(test).await, project)
    }

    /// With the project `flights` and a model at its endpoint `delay`.
    pub(crate) async fn with_model(model: &TestModel) -> Self {
        let (server, project) = Self::with_project().await;
        server.test.deploy(&project, "delay", model).await.unwrap();
        server
    }

    async fn over(test: TestApp) -> Self {
        let admin = test.token("root", Role::Admin, None).await.unwrap();
        let router = perennial_api::router(test.app.clone(), Options::default());
        Self { test, router, admin }
    }

    /// Sends a request as it is, from loopback, with a `Host` of ours unless it has one.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry("host").or_insert_with(|| "localhost:8080".parse().unwrap());
        request.extensions_mut().entry_peer();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// A request of the administrator.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.admin, method, path, body).await
    }

    pub(crate) async fn call_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let builder = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let request = match body {
            Some(body) => builder.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => builder.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Raw bytes with headers of one's own.
    pub(crate) async fn post_raw(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut builder =
            Request::builder().method(Method::POST).uri(path).header("authorization", format!("Bearer {}", self.admin));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        self.send(builder.body(Body::from(body)).unwrap()).await
    }
}

trait FromLoopback {
    fn entry_peer(&mut self);
}

impl FromLoopback for http::Extensions {
    fn entry_peer(&mut self) {
        if self.get::<PeerAddr>().is_none() {
            self.insert(PeerAddr("127.0.0.1:50000".parse().unwrap()));
        }
    }
}
