//! The description of the native routes, generated from the code that answers them.

use utoipa::openapi::path::{HttpMethod, PathItem};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, RefOr, Schema};

use crate::access::Access;

/// An operation with its description and the schemas it names.
pub(crate) trait Documented: utoipa::Path + utoipa::__dev::SchemaReferences {}

impl<T: utoipa::Path + utoipa::__dev::SchemaReferences> Documented for T {}

/// Descriptions gathered while routes are registered.
#[derive(Default)]
pub(crate) struct Document {
    operations: Vec<(String, HttpMethod, utoipa::openapi::path::Operation)>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Document {
    /// Adds an operation; gives its method and path.
    pub(crate) fn add<D: Documented>(&mut self, access: Access) -> (&'static str, String) {
        let path = D::path();
        let method = D::methods().into_iter().next().unwrap_or(HttpMethod::Get);
        let name = match method {
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Delete => "DELETE",
            _ => "GET",
        };
        let mut operation = D::operation();
        let said = operation.description.take().map_or_else(String::new, |text| format!("{text}\n\n"));
        operation.description = Some(format!("{said}Access: {}.", access.words()));
        self.operations.push((path.replace("{*", "{"), method, operation));
        D::schemas(&mut self.schemas);
        (name, path)
    }

    /// The whole description as JSON.
    pub(crate) fn json(&self, version: &str) -> String {
        let mut paths = PathsBuilder::new();
        for (path, method, operation) in &self.operations {
            paths = paths.path(path.clone(), PathItem::new(method.clone(), operation.clone()));
        }
        let components = self.schemas.iter().fold(ComponentsBuilder::new(), |components, (name, schema)| {
            components.schema(name.clone(), schema.clone())
        });
        let info = InfoBuilder::new().title("Perennial").version(version).description(Some(
            "Native routes. An error answers `{\"error\": {\"code\", \"message\", \"hint\"}, \"request_id\"}`.",
        ));
        let document: OpenApi =
            OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build();
        document.to_pretty_json().unwrap_or_default()
    }
}
