//! Named limits of tracking; those of MLflow's own server where it has one.

/// Characters of the key of a metric, param or tag.
pub const KEY_CHARS_MAX: usize = 250;
/// Characters of a param's value; what is beyond is cut off.
pub const PARAM_CHARS_MAX: usize = 6_000;
/// Characters of a run tag's value; what is beyond is cut off.
pub const TAG_CHARS_MAX: usize = 8_000;
/// Characters of an experiment tag's value.
pub const EXPERIMENT_TAG_CHARS_MAX: usize = 20_000;
/// Characters of an experiment's name.
pub const EXPERIMENT_NAME_CHARS_MAX: usize = 500;
/// Characters of the place an experiment keeps artifacts at.
pub const LOCATION_CHARS_MAX: usize = 2_048;
/// Characters of a run's name.
pub const RUN_NAME_CHARS_MAX: usize = 1_000;
/// Points of metrics in a batch.
pub const BATCH_METRICS_MAX: usize = 1_000;
/// Params in a batch.
pub const BATCH_PARAMS_MAX: usize = 100;
/// Tags in a batch.
pub const BATCH_TAGS_MAX: usize = 100;
/// Points, params and tags of a batch together.
pub const BATCH_MAX: usize = 1_000;
/// Dataset inputs logged at once.
pub const INPUTS_MAX: usize = 1_000;
/// Items of a page of runs, experiments or points.
pub const PAGE_MAX: u32 = 50_000;
/// Experiments a search over runs may name.
pub const EXPERIMENTS_MAX: usize = 50_000;
/// Bytes of one artifact.
pub const ARTIFACT_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
