//! A server on SQLite, and a browser that reads its pages.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use perennial_artifacts::Blobs;
use perennial_config::TrainerSpec;
use perennial_console::router;
use perennial_core::clock::Clock;
use perennial_core::permission::Role;
use perennial_http::Slices;
use perennial_http::{Options, SESSION_COOKIE};
use perennial_kernel::access::{self, admin_link, create_person_token};
use perennial_kernel::{Caller, Services};
use perennial_projects::ProjectState;
use perennial_store::Store;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::unlinked::Unlinked;

/// 2013-08-01 00:00 in New York.
pub(crate) const NOW_MS: i64 = 1_375_329_600_000;

const TRAINERS: &[TrainerSpec] =
    &[TrainerSpec { name: "gbdt", params: &[] }, TrainerSpec { name: "linear", params: &[] }];

struct Still;

impl Clock for Still {
    fn wall_ms(&self) -> i64 {
        NOW_MS
    }
}

pub(crate) struct World {
    pub(crate) app: Arc<Slices>,
    pub(crate) folder: TempDir,
}

/// The answer, read to its end.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A browser with or without a session.
pub(crate) struct Browser {
    pages: axum::Router,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    /// A server that starts over what another left.
    pub(crate) async fn open(folder: TempDir) -> Self {
        let options =
            perennial_store::Options { connections: 4, is_durable: false, ..perennial_store::Options::default() };
        let store =
            Store::open(&format!("sqlite://{}", folder.path().join("store.db").display()), options).await.unwrap();
        let services = Services {
            store,
            blobs: Blobs::open_folder(&folder.path().join("blobs")).unwrap(),
            data: Arc::new(Unlinked),
            runner: Arc::new(Unlinked),
            trainer: Arc::new(Unlinked),
            trainers: TRAINERS,
            models: Arc::new(Unlinked),
            predictions: Arc::new(Unlinked),
            clock: Arc::new(Still),
            root: folder.path().to_owned(),
            uploads: folder.path().join("sent"),
            artifacts: None,
            work: folder.path().join("work"),
            version: "0.0.0",
            may_step_clock: true,
            may_run_unisolated: true,
        };
        Self { app: Slices::new(services), folder }
    }

    /// The server itself, for what tests need done.
    pub(crate) fn system(&self) -> Caller {
        Caller::system(self.app.kernel.clone(), "test")
    }

    /// Submits a project file.
    pub(crate) async fn submit(&self, text: &str) -> Arc<ProjectState> {
        std::fs::create_dir_all(self.folder.path().join("sql")).unwrap();
        std::fs::write(self.folder.path().join("sql/features.sql"), "SELECT * FROM schedule").unwrap();
        std::fs::write(self.folder.path().join("perennial.toml"), text).unwrap();
        self.app.projects.submit(&self.system()).await.unwrap_or_else(|error| panic!("{error:?}")).0
    }

    pub(crate) fn anonymous(&self) -> Browser {
        Browser { pages: router(self.app.clone(), Options::default()), cookie: None, csrf: String::new() }
    }

    pub(crate) async fn admin(&self) -> Browser {
        let link = admin_link(&self.app.kernel).await.unwrap();
        let cookie = access::use_admin_link(&self.app.kernel, &link).await.unwrap();
        self.signed_in(cookie).await
    }

    /// A person with a role on one project alone.
    pub(crate) async fn person(&self, name: &str, role: Role, project: &ProjectState) -> Browser {
        let token = create_person_token(&self.system(), name, role, Some(project.id)).await.unwrap();
        let cookie = access::log_in(&self.app.kernel, &token.secret).await.unwrap();
        self.signed_in(cookie).await
    }

    async fn signed_in(&self, cookie: String) -> Browser {
        let csrf = access::session(&self.app.kernel, &cookie).await.unwrap().unwrap().csrf_token;
        Browser { cookie: Some(cookie), csrf, ..self.anonymous() }
    }
}

impl Browser {
    pub(crate) async fn send(&self, request: Request<Body>) -> Seen {
        let response: Response<Body> = self.pages.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Seen { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost:8080");
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, format!("other=1; {SESSION_COOKIE}={cookie}")),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Seen {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Seen {
        let request = self.request("POST", path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Posts with the session's token.
    pub(crate) async fn submit(&self, path: &str) -> Seen {
        self.submit_with(path, "").await
    }

    /// Posts fields with the session's token.
    pub(crate) async fn submit_with(&self, path: &str, fields: &str) -> Seen {
        self.post(path, &format!("csrf_token={}&{fields}", self.csrf)).await
    }
}
