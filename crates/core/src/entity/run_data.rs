//! Contents of a run: latest metrics, params, tags, inputs.

use super::{MetricPoint, Param, RunInput, Tag};

/// Contents of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunData {
    /// The latest point of each metric, by key.
    pub metrics: Vec<MetricPoint>,
    /// Its params, by key.
    pub params: Vec<Param>,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
    /// Its inputs, by name and digest.
    pub inputs: Vec<RunInput>,
}
