//! Monitoring statistics: drift of inputs and scores since a model was
//! released, latency, and the facts over which alerts are evaluated.
//!
//! A [`Reference`] is computed once, at release, and its bins stay fixed. A
//! [`Summary`] of a time span therefore consists of a few counts on these bins:
//! the summaries of days add up exactly to the summary of the month, and
//! windows can be compared with each other. All functions are pure; an
//! undefined statistic is absent, never NaN.

mod drift;
mod edges;
mod error;
mod reference;
mod summary;
mod window;

pub use drift::{BinShares, DRIFT_THRESHOLD, Drift, FeatureDrift, PSI_FLOOR, bin_shares, drift};
pub use error::Error;
pub use reference::{Categories, DECILES, Distribution, Feature, MAX_CATEGORIES, Numbers, QUANTILES, Reference};
pub use summary::{Counts, Summary};
pub use window::WindowResult;
