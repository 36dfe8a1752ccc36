//! Builders, fakes and a test application, for tests only.
//!
//! [`TestApp`] is the real application: SQLite and blobs in a temporary folder, the real evaluator, the
//! real prediction log. Ports whose implementations link DataFusion or start processes have [`fakes`], which pass the
//! suites of [`conformance`].

mod app;
pub mod conformance;
pub mod fakes;
pub mod models;
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a server that does not start ends the test")]
pub mod s3_server;
#[expect(clippy::panic, reason = "a mistake of a test ends it")]
pub mod toml_text;
mod trained;

pub use app::{OWN_STORAGE, PROJECT_FILE, TestApp, WALL_MS};
pub use models::TestModel;
pub use trained::{TrainedProject, by_person, by_trigger, dataset};
