//! Loads whose rows equal those of the dataset: nothing is committed.

use perennial_core::Result;
use perennial_core::clock::Instant;
use perennial_core::entity::{CheckResult, Dataset, DatasetVersion, SourceFileRecord};
use perennial_core::id::LoadId;
use perennial_core::port::data::{Mode, Severity, Staged};
use perennial_core::rule::Verdict;
use perennial_store::{check_results, loads, source_files};

use super::version_digest::content_after;
use super::writer::DatasetWriter;
use crate::checks::Report;
use perennial_kernel::Kernel;

/// Whether a commit would leave the dataset unchanged: the same content replaces the whole content, and it passes its
/// checks, or a person accepted it although it failed the same checks.
pub(super) async fn is_unchanged(
    kernel: &Kernel,
    dataset: &Dataset,
    base: &DatasetVersion,
    staged: &Staged,
    report: &Report,
) -> Result<bool> {
    if dataset.mode != Mode::Replace {
        return Ok(false);
    }
    let is_base =
        |change| content_after(dataset, Some(base), staged, change).is_ok_and(|after| after.digest == base.digest);
    let is_same = is_base(&staged.change) || (report.is_held() && is_base(&staged.change_all));
    if !is_same {
        return Ok(false);
    }
    let mut reader = kernel.store().read().await?;
    let load = loads::find_by_number(&mut reader, base.dataset_id, base.number).await?;
    if !report.is_held() {
        // Quarantined rows are compared by nothing but their number: where there are any, they may differ.
        return Ok(staged.quarantined.is_empty() && load.is_none_or(|load| load.set_aside == 0));
    }
    let Some(load) = load else { return Ok(false) };
    let results = check_results::list(&mut reader, load.id).await?;
    let failed = |result: &CheckResult| result.severity == Severity::Error && result.verdict != Verdict::Pass;
    let was_accepted = |name: &str| results.iter().any(|result| result.name == name && failed(result));
    Ok(report.holding().all(|result| was_accepted(&result.name)))
}

/// Records in the stat cache that files have the rows of the dataset, so that they are not read again. A held load that
/// they were to replace is replaced by the load that committed these rows.
pub(super) async fn record_unchanged(
    kernel: &Kernel,
    writer: &DatasetWriter,
    base: &DatasetVersion,
    mut files: Vec<SourceFileRecord>,
    held: Option<LoadId>,
    at: Instant,
) -> Result<()> {
    if files.is_empty() && held.is_none() {
        return Ok(());
    }
    let load = loads::find_by_number(&mut *kernel.store().read().await?, base.dataset_id, base.number).await?;
    for file in &mut files {
        // Another file may hold the same rows: an entry names a load of its own file only.
        let own = load.as_ref().filter(|load| load.paths().any(|path| path == file.path));
        file.load_id = own.map(|load| load.id);
    }
    let replaced = held.zip(load.map(|load| load.id));
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                for file in &files {
                    source_files::upsert(tx, file).await?;
                }
                if let Some((held, by)) = replaced {
                    loads::replace(tx, held, by, at.wall_ms).await?;
                }
                Ok(())
            })
        })
        .await?;
    match replaced {
        Some((held, _)) => writer.discard(kernel, held).await,
        None => Ok(()),
    }
}
