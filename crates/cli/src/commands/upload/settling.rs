//! Leaves out the files of sources that may still be being written, as a server does with the files of its own folder.
//!
//! Uploaded files are loaded at once, so a file has to settle before it is uploaded: its last change, or the time that it was
//! seen unchanged here, is the source's `settle` time ago.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use perennial_config::Project;
use perennial_core::port::data::SourceFile;
use perennial_data::files_below;

use crate::output::note;

/// The longest wait for files to settle. Sources with a longer `settle` leave their fresh files out.
const WAIT_MAX_MS: i64 = 5_000;

/// A file of a source.
#[derive(Debug)]
struct Listed {
    file: SourceFile,
    dataset: String,
    settle_ms: i64,
}

impl Listed {
    /// The time until it has settled by its last change; all of the settle time for a change in the future, or an unknown one.
    fn wait_ms(&self, now_ms: i64) -> i64 {
        let since_ms = self.file.modified_ms().filter(|modified_ms| *modified_ms <= now_ms).unwrap_or(now_ms);
        (since_ms + self.settle_ms - now_ms).max(0)
    }

    /// Whether it has settled at `now_ms`, given the same file as it was `waited_ms` before.
    fn has_settled(&self, before: Option<&Self>, now_ms: i64, waited_ms: i64) -> bool {
        match before {
            Some(before) if before.file != self.file => false,
            Some(_) if waited_ms >= self.settle_ms => true,
            _ => self.wait_ms(now_ms) == 0,
        }
    }
}

/// The files of a project's relative sources that have settled. Waits for fresh ones; those left out are printed.
pub(super) async fn settled_files(root: &Path, project: &Project) -> Result<Vec<SourceFile>> {
    let (mut files, mut now_ms) = (list(root, project)?, now_ms());
    let mut before = BTreeMap::new();
    let waits = files.values().map(|listed| listed.wait_ms(now_ms)).filter(|wait_ms| *wait_ms <= WAIT_MAX_MS);
    let wait_ms = waits.max().unwrap_or(0);
    if wait_ms > 0 {
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        before = std::mem::replace(&mut files, list(root, project)?);
        now_ms = self::now_ms();
    }
    let (settled, fresh): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(path, listed)| listed.has_settled(before.get(path), now_ms, wait_ms));
    for (path, listed) in fresh {
        note!(
            "{}: `{path}` may still be being written and is left out; a file is uploaded when it is unchanged for the `settle` time of its source",
            listed.dataset
        );
    }
    Ok(settled.into_iter().map(|(_, listed)| listed.file).collect())
}

fn list(root: &Path, project: &Project) -> Result<BTreeMap<String, Listed>> {
    let mut files: BTreeMap<String, Listed> = BTreeMap::new();
    for (name, dataset) in project.datasets.iter().filter(|(_, dataset)| dataset.source.is_relative()) {
        let settle_ms = dataset.source.settle_time().map_or(0, perennial_config::SettleTime::as_millis);
        for file in files_below(root, &dataset.source.files)? {
            let listed = Listed { file, dataset: name.to_string(), settle_ms };
            // A file of several sources has settled when it has for each of them.
            files
                .entry(listed.file.path.clone())
                .and_modify(|known| known.settle_ms = known.settle_ms.max(settle_ms))
                .or_insert(listed);
        }
    }
    Ok(files)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(size_bytes: u64, modified_ms: i64) -> Listed {
        let file = SourceFile {
            path: "a.csv".to_owned(),
            size_bytes,
            modified_ns: Some(i128::from(modified_ms) * 1_000_000),
            etag: None,
        };
        Listed { file, dataset: "rows".to_owned(), settle_ms: 2_000 }
    }

    #[test]
    fn a_file_settles_by_its_last_change_or_unchanged_over_the_wait() {
        for (modified_ms, wait_ms) in [(0, 0), (8_000, 0), (9_000, 1_000), (10_000, 2_000), (99_000, 2_000)] {
            assert_eq!(listed(1, modified_ms).wait_ms(10_000), wait_ms, "{modified_ms}");
        }
        let (now, future) = (12_000, listed(1, 99_000));
        assert!(future.has_settled(Some(&listed(1, 99_000)), now, 2_000), "unchanged over the wait");
        assert!(!future.has_settled(Some(&listed(1, 99_000)), now, 1_000), "the wait was shorter");
        assert!(!listed(2, 11_900).has_settled(Some(&listed(1, 9_000)), now, 2_000), "it grew");
        assert!(!listed(2, 9_000).has_settled(Some(&listed(1, 9_000)), now, 2_000), "it grew and kept its time");
        assert!(!listed(1, 11_900).has_settled(None, now, 2_000), "it is new");
        assert!(listed(1, 9_000).has_settled(None, now, 0));
    }
}
