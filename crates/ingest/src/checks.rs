//! Data checks: planned for one scan of the arriving rows, then evaluated over its answers. Pure: the data engine scans.
//!
//! ```text
//! checks ──plan──▶ ScanPlan ──(data engine: one scan)──▶ Staged ──evaluate──▶ Report
//! ```

mod plan;
mod report;

#[cfg(test)]
mod tests;

pub use plan::{UnknownTable, plan};
pub use report::{CheckResult, Report, evaluate};

/// Whether a check, gate or alert holds.
pub use perennial_core::rule::Verdict;
