//! Builders, fakes and a test application, for tests only.
//!
//! [`TestApp`] is a real `App`: SQLite and blobs in a temporary folder, the real evaluator, the
//! real prediction log. What would link DataFusion or start processes is a [`fakes`] part.

mod app;
pub mod fakes;
pub mod models;
pub mod toml_text;

pub use app::{PROJECT_FILE, TestApp, WALL_MS};
pub use models::TestModel;
