//! What changed since a model was released: drift of its inputs and scores,
//! latency, and the facts that alerts are judged over.
//!
//! A [`Reference`] is taken once, at release. Its bins never move, so a
//! [`Summary`] of any stretch of time is a handful of counts on them:
//! summaries of days add up to the summary of the month, exactly, and numbers
//! of different windows can be compared. Everything here is pure computation;
//! a statistic that is undefined is absent, never NaN.

mod drift;
mod edges;
mod error;
mod latency;
mod reference;
mod summary;
mod window;

pub use drift::{BinShares, DRIFT_THRESHOLD, Drift, FeatureDrift, PSI_FLOOR, compare, drift};
pub use error::Error;
pub use latency::{LATENCY_ERROR, Latency, LatencyHistogram};
pub use reference::{Categories, DECILES, Distribution, Feature, MAX_CATEGORIES, Numbers, QUANTILES, Reference};
pub use summary::{Counts, Summary};
pub use window::WindowResult;
