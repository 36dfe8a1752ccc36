//! The digest of a dataset version, computed from that of the version before and the change of a load.

use perennial_core::digest::{TableDigest, TableSum};
use perennial_core::entity::{Dataset, DatasetVersion};
use perennial_core::port::data::{Change, Mode, Staged};
use perennial_core::{Error, ErrorCode, Result};
use serde_json::json;

/// The content of a dataset version, as it is recorded.
pub(super) struct VersionContent {
    pub(super) digest: String,
    /// The sum of the row hashes, as text.
    pub(super) row_sum: String,
    pub(super) rows: u64,
}

/// The content of the version that follows `base` by `change`.
pub(super) fn content_after(
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    staged: &Staged,
    change: &Change,
) -> Result<VersionContent> {
    let base = base.filter(|_| dataset.mode != Mode::Replace);
    let mut sum = base.map(|version| row_sum(dataset, version)).transpose()?.unwrap_or_default();
    let mut rows = base.map_or(0, |version| version.row_count);
    if dataset.mode != Mode::Replace {
        sum.remove(&change.removed);
        rows = rows.saturating_sub(change.removed_rows);
    }
    sum.merge(&change.added);
    rows += change.added_rows;
    let digest = TableDigest::of(&staged.schema, rows, &sum).as_str().to_owned();
    Ok(VersionContent { digest, row_sum: sum.to_string(), rows })
}

/// The row sum recorded with a version; the digest of the next version is computed from it.
fn row_sum(dataset: &Dataset, version: &DatasetVersion) -> Result<TableSum> {
    let recorded = version.row_sum.as_ref().and_then(|sum| serde_json::from_value(json!(sum)).ok());
    recorded.ok_or_else(|| {
        let message = format!("cannot parse the row sum of dataset version `{}@{}`", dataset.name, version.number);
        Error::new(ErrorCode::Corrupt, message).with_hint("restore the metadata from a backup")
    })
}
