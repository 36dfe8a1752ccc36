//! Grants of URL prefixes to projects.

use crate::id::ProjectId;
use crate::object_url::ObjectUrl;

/// A prefix of an object store below which the sources of a project may read with the server's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceGrant {
    /// The project.
    pub project_id: ProjectId,
    /// The prefix.
    pub prefix: ObjectUrl,
    /// The name of the administrator who granted it; `host` or `perennial` for the submission of a project in the
    /// server's own folder.
    pub granted_by: String,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}
