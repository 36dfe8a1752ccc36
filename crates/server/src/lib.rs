//! The server: the implementations behind every port, the slices over them, the routes, and the scheduler loop.
//!
//! The command line starts one over a data folder, for a single command or until it is stopped.

pub mod data_folder;
mod disk_reserve;
mod host_socket;
mod memory;
mod restore;
mod scheduler;
mod server;
mod trainers;
mod wiring;

pub use host_socket::SocketPath;
pub use restore::BACKUP_FILE;
pub use server::{BoundServer, Resume, ServeOptions, Server};
pub use wiring::{ServerPaths, probe_artifacts};
