//! Ports: what the use cases ask of implementations that differ in kind.

pub mod data;
pub mod model;
pub mod prediction;
pub mod runner;
pub mod source;
pub mod training;
