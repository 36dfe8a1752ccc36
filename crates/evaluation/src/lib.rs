//! How good a model's answers were: metrics, slices, curves and their plots,
//! over scores and outcomes; and the search for features that know too much.
//!
//! Everything here is a pure function of numbers in memory. A measure that is
//! undefined (the AUC of one class, a mean of no rows) is absent, never NaN.
//! The measures and their names are [`perennial_core::metric::metrics`]'s.

mod binary;
mod calibration;
mod confusion;
mod curve;
mod error;
mod judged;
mod leak;
mod metrics;
mod multiclass;
mod outcomes;
pub mod plot;
mod rank;
mod regression;
mod residuals;
mod slices;

pub use calibration::{CALIBRATION_BINS, Calibration, CalibrationBin, calibration};
pub use confusion::{Confusion, MAX_CONFUSION_CLASSES, confusion};
pub use curve::{
    CURVE_STEP, MAX_CURVES, PrecisionRecall, PrecisionRecallPoint, Roc, RocPoint, precision_recall, roc, roc_by_class,
};
pub use error::Error;
pub use judged::{Evaluation, judge, metrics};
pub use leak::{LEAK_THRESHOLD, Suspect, SuspectReason, leaks};
pub use metrics::{ClassMetrics, MAX_CLASS_METRICS, Metrics};
pub use outcomes::Outcomes;
pub use residuals::{RESIDUAL_BINS, ResidualBin, Residuals, residuals};
pub use slices::{MAX_SLICES, Slice};
