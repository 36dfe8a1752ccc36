//! People's SQL and the loading of files in worker processes.
//!
//! [`WorkerEngine`] is the engine of a server. What parses or computes foreign content runs in a worker: another process,
//! in a sandbox with a memory limit, killed at its deadline or when its caller has given up. What reads and writes only
//! the server's own tables stays in the server.
//!
//! ```text
//! server                                             worker
//! WorkerEngine::query ── Call::Query ──────────▶     Data::call: an Engine of its own
//!                     ◀── Request::Open(file) ──       ServedStore, an object store: files of tables
//!                     ─── metadata, descriptor ▶
//!                     ◀── a page ──────────────
//! ```
//!
//! A worker has no network, no credentials and access to no folder but its own scratch. It reads each file through an
//! open descriptor, or as bytes from an object store, and the server gives it only files of the tables and sources that
//! the request names.

mod call;
mod engine;
mod frame;
mod handler;
mod opening;
mod served_files;
mod served_store;

pub use engine::{WorkerEngine, WorkerOptions};
pub use handler::WORKER_ROLE;
pub(crate) use opening::open;
