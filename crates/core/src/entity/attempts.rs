//! Attempts at work that may end the process of the server.

use crate::id::{AttemptsId, ProjectId, ServerId};
use crate::text_enum::text_enum;

/// After this many servers died during an attempt, the work is held.
pub const DEATHS_MAX: i64 = 2;

text_enum! {
    /// A kind of work whose attempts are counted.
    WorkKind, "kind of work" {
        /// Rows are staged, checked and committed to a dataset.
        Load = "load",
        /// A step is executed in the server's process.
        Step = "step",
        /// A model is loaded.
        Model = "model",
    }
}

/// The attempts at one piece of work. There is a row while an attempt is under way, and after servers died during one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    /// Their id.
    pub id: AttemptsId,
    /// The project.
    pub project_id: ProjectId,
    /// The kind of work.
    pub kind: WorkKind,
    /// The work, identified by its content: other content is other work.
    pub subject: String,
    /// The work in words.
    pub description: String,
    /// The server that makes an attempt now.
    pub server_id: Option<ServerId>,
    /// Attempts during which the server died.
    pub deaths: i64,
    /// When the last attempt began, wall clock, epoch milliseconds.
    pub wall_ms: i64,
}

impl Attempts {
    /// Whether the work is not started again until a person releases it.
    pub fn is_held(&self) -> bool {
        self.deaths >= DEATHS_MAX
    }
}
