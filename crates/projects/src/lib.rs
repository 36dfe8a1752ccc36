//! Projects: their submissions and uploads, and each project in memory.

mod project_files;
mod projects;
mod state;
mod submission;
mod submit;

pub mod source_grants;
pub mod uploads;

pub use perennial_core::entity::Project as ProjectRecord;
pub use project_files::DeclaredTexts;
pub use projects::Projects;
pub use state::ProjectState;
pub use submission::{DeclaredFiles, Submission};
pub use submit::approve_content;
