//! Data checks: what is asked of arriving rows, planned for one scan, and the
//! verdict over its answers. Pure: the scan itself is the data engine's.
//!
//! ```text
//! checks ──plan──▶ ScanPlan ──(data engine: one scan)──▶ Staged ──judge──▶ Report
//! ```

mod plan;
mod report;

#[cfg(test)]
mod tests;

pub use plan::{Check, Question, UnknownTable, plan};
pub use report::{CheckResult, Report, judge};

/// Whether a check, gate or alert holds.
pub use perennial_core::rule::Verdict;
