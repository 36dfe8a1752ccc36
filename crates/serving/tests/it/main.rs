//! The prediction log on a real file system, and model runtimes.

mod crash;
mod log;
mod runtime;
