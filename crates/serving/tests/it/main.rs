//! The prediction log on a real file system, and model runtimes.

#![cfg(test)]

mod conformance;
mod crash;
mod log;
mod runtime;
mod support;
mod workers;
