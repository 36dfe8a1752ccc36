//! Projects: their submissions and uploads, and each project in memory.

mod projects;
mod state;
mod submission;

pub mod uploads;

pub use perennial_core::entity::Project as ProjectRecord;
pub use projects::{DeclaredTexts, Projects, check_text};
pub use state::ProjectState;
pub use submission::{DeclaredFiles, Submission};
