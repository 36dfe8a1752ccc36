//! The digest of a tracked run. Its elements (params, tags, points, inputs, artifacts) are hashed one by one and summed
//! modulo 2^4096, so that logging updates the sum and ending a run reads no element. A run has each element at most once.

use super::canonical_bits;
use super::{ElementHash, RUN_HASH_BYTES, RunSum, part};
use crate::entity::{MetricPoint, Param, Run, RunArtifact, RunInput, Tag};

/// Begins the bytes that a run's digest covers; names this specification.
const RUN_DOMAIN: &[u8] = b"perennial run 2";

/// One element of a run's content.
#[derive(Debug, Clone, Copy)]
pub enum RunElement<'a> {
    /// A param.
    Param(&'a Param),
    /// A tag.
    Tag(&'a Tag),
    /// A point of a metric.
    Point {
        /// The metric.
        key: &'a str,
        /// The value; all NaN count as one, and so do both zeros.
        value: f64,
        /// Epoch milliseconds.
        timestamp_ms: i64,
        /// The step.
        step: i64,
    },
    /// A dataset input.
    Input(&'a RunInput),
    /// An artifact; when it was stored does not count.
    Artifact(&'a RunArtifact),
}

impl<'a> From<&'a MetricPoint> for RunElement<'a> {
    fn from(point: &'a MetricPoint) -> Self {
        let MetricPoint { key, value, timestamp_ms, step } = point;
        Self::Point { key, value: *value, timestamp_ms: *timestamp_ms, step: *step }
    }
}

impl RunElement<'_> {
    /// The hash of the element: of its kind and its fields, each preceded by its length.
    pub fn hash(&self) -> ElementHash<RUN_HASH_BYTES> {
        let mut bytes = Vec::with_capacity(128);
        match self {
            Self::Param(Param { key, value }) => parts(&mut bytes, &["param", key, value]),
            Self::Tag(Tag { key, value }) => parts(&mut bytes, &["tag", key, value]),
            Self::Point { key, value, timestamp_ms, step } => {
                parts(&mut bytes, &["point", key]);
                part(&mut bytes, &canonical_bits(*value).to_le_bytes());
                part(&mut bytes, &timestamp_ms.to_le_bytes());
                part(&mut bytes, &step.to_le_bytes());
            }
            Self::Input(RunInput { name, digest, source_type, source, schema, profile, tags }) => {
                let described = serde_json::json!([schema, profile, tags]).to_string();
                parts(&mut bytes, &["input", name, digest, source_type, source, &described]);
            }
            Self::Artifact(RunArtifact { path, blob_digest, .. }) => {
                parts(&mut bytes, &["artifact", path, blob_digest]);
            }
        }
        ElementHash::of(&bytes)
    }
}

/// The digest of a run: 64 hexadecimal digits over its name, user, status, parent, start and end, and the sum of the
/// hashes of its elements.
pub fn run_digest(run: &Run, content: &RunSum) -> String {
    let mut bytes = Vec::with_capacity(512);
    part(&mut bytes, RUN_DOMAIN);
    let parent = run.parent_run_id.map(|id| id.to_string()).unwrap_or_default();
    parts(&mut bytes, &[&run.name, &run.user_id, run.status.as_str(), &parent]);
    part(&mut bytes, &run.start_ms.to_le_bytes());
    part(&mut bytes, run.end_ms.map(i64::to_le_bytes).as_ref().map_or(&[], |end| end.as_slice()));
    part(&mut bytes, &content.to_bytes());
    blake3::hash(&bytes).to_hex().to_string()
}

fn parts(bytes: &mut Vec<u8>, fields: &[&str]) {
    for field in fields {
        part(bytes, field.as_bytes());
    }
}
