//! What the log says of a request.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use perennial_http::Access;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::Server;

/// Keeps the fields of every event as text.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<String>>);

impl Visit for Recorded {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Recorded {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_path_of_a_request_is_never_logged() {
    let server = Server::start(|routes| routes.get("/login/{link}", Access::Public, || async {})).await;
    let recorded = Recorded::default();
    let _guard = tracing::subscriber::set_default(recorded.clone());
    for (method, path, status) in [
        (Method::GET, "/login/prn_secret", StatusCode::OK),
        (Method::GET, "/login/prn_secret/", StatusCode::NOT_FOUND),
        (Method::PUT, "/login/prn_secret", StatusCode::METHOD_NOT_ALLOWED),
        (Method::OPTIONS, "/prn_secret", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(server.call(method, path).await.status, status, "{path}");
    }
    let log = recorded.0.lock().unwrap();
    assert!(log.contains("http.route=\"/login/{link}\"") && log.contains("http.route=\"unknown\""), "{log}");
    assert!(!log.contains("prn_secret"), "{log}");
}
