//! Model evaluation: metrics, slices, curves and their plots, computed from
//! scores and outcomes; and detection of target leakage in features.
//!
//! All functions are pure and work on numbers in memory. An undefined metric
//! (the AUC of a single class, the mean of no rows) is absent, never NaN.
//! Metric names are those of [`perennial_core::metric::metrics`].

mod binary;
mod calibration;
mod compute;
mod confusion;
mod curve;
mod degenerate;
mod error;
mod evaluation;
mod leakage;
mod metrics;
mod multiclass;
mod outcomes;
pub mod plot;
mod rank;
mod regression;
mod residuals;
mod scored_rows;
mod slices;

pub use calibration::{CALIBRATION_BINS, Calibration, CalibrationBin, calibration};
pub use confusion::{Confusion, MAX_CONFUSION_CLASSES, confusion};
pub use curve::{
    CURVE_STEP, MAX_CURVES, PrecisionRecall, PrecisionRecallPoint, Roc, RocPoint, precision_recall, roc, roc_by_class,
};
pub use degenerate::{model_warnings, outcome_warnings};
pub use error::Error;
pub use evaluation::{Evaluation, evaluate, metrics};
pub use leakage::{LEAK_THRESHOLD, Suspect, SuspectReason, leaks};
pub use metrics::{ClassMetrics, MAX_CLASS_METRICS, Metrics};
pub use outcomes::Outcomes;
pub use residuals::{RESIDUAL_BINS, ResidualBin, Residuals, residuals};
pub use slices::{MAX_SLICES, Slice};
