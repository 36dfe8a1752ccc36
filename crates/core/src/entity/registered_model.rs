//! Registered models, their tags and aliases.

use crate::id::{ModelId, ProjectId};

/// A registered model.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredModel {
    /// Its id, which stays when it is renamed.
    pub id: ModelId,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// Its name, unique on the server.
    pub name: String,
    /// Free text by people.
    pub description: Option<String>,
    /// Number of the version made last, 0 for none; numbers are never reused.
    pub last_number: i64,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Wall clock of the last change, epoch milliseconds.
    pub updated_ms: i64,
}

/// An alias: a name for one version of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAlias {
    /// The model.
    pub model_id: ModelId,
    /// The alias.
    pub alias: String,
    /// The version's number.
    pub number: i64,
    /// Wall clock, epoch milliseconds.
    pub updated_ms: i64,
}
