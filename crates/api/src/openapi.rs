//! The description of the native routes, generated from their handlers.

use axum::routing::MethodFilter;
use perennial_http::Access;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, RefOr, Schema};

/// An operation with its description and the schemas it names.
pub(crate) trait Documented: utoipa::Path + utoipa::__dev::SchemaReferences {}

impl<T: utoipa::Path + utoipa::__dev::SchemaReferences> Documented for T {}

/// Descriptions collected while routes are registered, and written only when a client asks for them: at every start
/// that would cost milliseconds and megabytes.
#[derive(Default, Clone)]
pub(crate) struct Document {
    operations: Vec<(Describe, Access)>,
}

/// Adds the description of one operation and the access it requires.
type Describe = fn(&mut Parts, Access);

/// The parts of a document.
#[derive(Default)]
struct Parts {
    operations: Vec<(String, HttpMethod, Operation)>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Document {
    /// Adds an operation and returns its method and path.
    pub(crate) fn add<D: Documented>(&mut self, access: Access) -> (MethodFilter, String) {
        self.operations.push((describe::<D>, access));
        let method = match method::<D>() {
            HttpMethod::Post => MethodFilter::POST,
            HttpMethod::Put => MethodFilter::PUT,
            HttpMethod::Patch => MethodFilter::PATCH,
            HttpMethod::Delete => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        (method, D::path())
    }

    /// The whole description as JSON.
    pub(crate) fn json(&self, version: &str) -> String {
        let mut parts = Parts::default();
        for (describe, access) in &self.operations {
            describe(&mut parts, *access);
        }
        let mut paths = PathsBuilder::new();
        for (path, method, operation) in parts.operations {
            paths = paths.path(path, PathItem::new(method, operation));
        }
        let components = parts
            .schemas
            .into_iter()
            .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema));
        let info = InfoBuilder::new().title("Perennial").version(version).description(Some(
            "Native routes. An error answers `{\"error\": {\"code\", \"message\", \"hint\"}, \"request_id\"}`.",
        ));
        let document: OpenApi =
            OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build();
        document.to_pretty_json().unwrap_or_default()
    }
}

fn method<D: Documented>() -> HttpMethod {
    D::methods().into_iter().next().unwrap_or(HttpMethod::Get)
}

fn describe<D: Documented>(parts: &mut Parts, access: Access) {
    let mut operation = D::operation();
    let description = operation.description.take().map_or_else(String::new, |text| format!("{text}\n\n"));
    operation.description = Some(format!("{description}Access: {access}."));
    parts.operations.push((D::path().replace("{*", "{"), method::<D>(), operation));
    D::schemas(&mut parts.schemas);
}
