//! Suites that every implementation of a port passes, the fakes of [`crate::fakes`] included.

pub mod data;
pub mod model;
pub mod runner;
pub mod source;
