//! The columns of sources before their first load.

use perennial_config::{Batch, Dataset};
use perennial_core::Result;
use perennial_core::object_url::ObjectUrl;
use perennial_core::schema::Schema;
use perennial_kernel::Kernel;

use crate::ingest::files_source;

/// The size of the files that are read, at most, in bytes: the columns of larger ones are known after their load.
const FILES_BYTES_MAX: u64 = 64 << 20;

/// The columns that the first load of a local source would give its dataset. Relative sources are below the server's
/// folder. `None` when only the load finds them: there is no file, the files are large, or they cannot be read.
///
/// # Errors
/// If the data engine failed for another reason than the files.
pub async fn find_source_columns(kernel: &Kernel, declared: &Dataset, timezone: &str) -> Result<Option<Schema>> {
    if ObjectUrl::is_url(&declared.source.files) {
        return Ok(None);
    }
    let source = files_source(&declared.source, timezone, None);
    let Ok(listing) = kernel.data().list(&source).await else { return Ok(None) };
    let mut files = listing.files;
    if declared.source.batch != Batch::All {
        files.truncate(1);
    }
    let size_bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
    if files.is_empty() || size_bytes > FILES_BYTES_MAX {
        return Ok(None);
    }
    // A file that cannot be read is reported by its load.
    Ok(kernel.data().columns(&source, &files).await.ok())
}
