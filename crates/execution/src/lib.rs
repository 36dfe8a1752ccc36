//! Pipeline runs and their steps.
//!
//! A run collects every source, then brings each step up to date: a step runs again exactly when its cache key,
//! which is made of content alone, is new. What follows from the result (gates, promotion) is decided above.

mod execution;
pub mod plan;
mod split;

pub mod column_check;
pub mod pipeline_runs;
pub mod pipelines;
pub mod steps;

pub use execution::{Execution, ModelCatalog};
pub use split::{LABELLED_SHARE, Split};
