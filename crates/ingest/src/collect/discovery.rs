//! Finds the files of a source that have to be loaded. The content of a file decides; its position (size, time and tag)
//! only avoids reading it.

use std::collections::{BTreeMap, HashMap, HashSet};

use perennial_config::{Batch, Dataset as Declared, OnChange};
use perennial_core::entity::{Dataset, Load, SourceFileRecord};
use perennial_core::id::LoadId;
use perennial_core::port::data::{Mode, SourceFile};
use perennial_core::port::source::{Batch as SourceBatch, Poll, Source};
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{loads, source_files};

use crate::file_source::FileSource;
use crate::loads::{LoadFiles, find_replaced};
use crate::settling::Settling;
use perennial_kernel::Kernel;

/// Files that become one load.
pub(super) struct FileBatch {
    files: Vec<SourceFileRecord>,
    /// The committed load whose rows the new load replaces.
    pub(super) replaces: Option<LoadId>,
    /// The held load that the new load replaces.
    pub(super) supersedes: Option<LoadId>,
}

impl FileBatch {
    fn new(files: Vec<SourceFileRecord>) -> Self {
        Self { files, replaces: None, supersedes: None }
    }

    fn first(&self) -> Option<&str> {
        self.files.first().map(|file| file.path.as_str())
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// The files at the positions that they had when they were compared.
    pub(super) fn batches(&self) -> Vec<SourceBatch> {
        let batches = self.files.iter().map(|file| SourceBatch {
            part: file.path.clone(),
            after: None,
            position: FileSource::position_of(file),
            size_bytes: Some(file.size_bytes),
        });
        batches.collect()
    }

    /// The digest of their content.
    pub(super) fn digest(&self) -> String {
        digest_of(self.files.iter().map(|file| file.content_digest.as_str()))
    }

    pub(super) fn into_load_files(self) -> LoadFiles {
        LoadFiles {
            digest: self.digest(),
            size_bytes: self.files.iter().map(|file| file.size_bytes).sum(),
            records: self.files,
        }
    }
}

/// The files of a source, by what has to be done with them.
pub(super) struct Discovery {
    /// The loads to be made, ordered by path.
    pub(super) batches: Vec<FileBatch>,
    /// Paths of files that cannot be loaded, and why.
    pub(super) refused: Vec<(String, Error)>,
    /// Paths of files that may still be being written; none of them is in a load.
    pub(super) unsettled: Vec<String>,
    /// Every file of the source.
    pub(super) listing: Listing,
}

/// The paths of the files of a source, ordered.
pub(super) struct Listing(Vec<String>);

impl Listing {
    /// Whether the source has no file at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the source has one of the files of a load.
    pub(super) fn has_any_of(&self, load: &Load) -> bool {
        load.paths().any(|path| self.0.binary_search_by(|listed| listed.as_str().cmp(path)).is_ok())
    }
}

/// The digest of the files of one load; that of a single file is the digest of its content.
fn digest_of<'a>(contents: impl Iterator<Item = &'a str>) -> String {
    let contents: Vec<&str> = contents.collect();
    match contents.as_slice() {
        [one] => (*one).to_owned(),
        many => blake3::hash(many.join("\n").as_bytes()).to_hex().to_string(),
    }
}

/// Lists a source and finds the files that have to be loaded. A file whose content is known but whose size, time or tag
/// has changed is updated in the stat cache. With `settling`, files that may still be being written are left out; where
/// files are loaded together, or each replaces all rows, all of them wait for the last one.
pub(super) async fn discover(
    kernel: &Kernel,
    source: &FileSource<'_>,
    declared: &Declared,
    dataset: &Dataset,
    mut settling: Option<&mut Settling>,
) -> Result<Discovery> {
    let known = source_files::list(&mut *kernel.store().read().await?, dataset.id).await?;
    let known: BTreeMap<_, _> = known.into_iter().map(|file| (file.path.clone(), file)).collect();
    let positions = known.iter().map(|(path, file)| (path.clone(), FileSource::position_of(file))).collect();
    let Poll { parts, batches: mut offered } = source.poll(&positions).await?;
    let mut unsettled = Vec::new();
    if let Some(settling) = &mut settling {
        for batch in &offered {
            let modified_ms = FileSource::file_of(batch)?.modified_ms();
            if !settling.has_settled(&batch.part, &batch.position, modified_ms) {
                unsettled.push(batch.part.clone());
            }
        }
        let wait_together = declared.source.batch == Batch::All || declared.mode == Mode::Replace;
        offered
            .retain(|batch| unsettled.binary_search(&batch.part).is_err() && (unsettled.is_empty() || !wait_together));
    }
    let mut scan = Scan { kernel, source, declared, dataset, known, digests: HashMap::new() };
    let (mut new, mut changed): (Vec<SourceFileRecord>, BTreeMap<LoadId, Load>) = Default::default();
    let mut refused = Vec::new();
    for batch in &offered {
        let status = match scan.classify(batch).await {
            Ok(status) => status,
            // Where rows are only added, an unreadable file does not affect the others.
            Err(error)
                if declared.mode == Mode::Append && declared.source.batch == Batch::File && is_unreadable(&error) =>
            {
                FileStatus::Refused(error)
            }
            Err(error) => return Err(error),
        };
        match status {
            FileStatus::Known => {}
            FileStatus::Refused(error) => refused.push((batch.part.clone(), error)),
            FileStatus::New(record) => new.push(record),
            FileStatus::Changed(load) => drop(changed.insert(load.id, *load)),
        }
    }
    let mut batches = Vec::new();
    for load in changed.into_values() {
        batches.push(scan.reload(&offered, &parts, &load).await?);
    }
    match declared.source.batch {
        Batch::File => batches.extend(new.into_iter().map(|file| FileBatch::new(vec![file]))),
        Batch::All if new.is_empty() => {}
        Batch::All => batches.push(FileBatch::new(new)),
    }
    batches.sort_by(|a, b| a.first().cmp(&b.first()));
    Ok(Discovery { batches, refused, unsettled, listing: Listing(parts) })
}

/// Whether an error means that a file could not be read.
fn is_unreadable(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::SourceFile | ErrorCode::Storage | ErrorCode::NotFound)
}

/// What has to be done with a file.
enum FileStatus {
    /// Nothing: its content is in the dataset, held, or was rejected.
    Known,
    /// It was never loaded.
    New(SourceFileRecord),
    /// It was part of this load with other content, and is loaded again.
    Changed(Box<Load>),
    /// It was loaded with other content and may not change, or it cannot be read.
    Refused(Error),
}

/// One pass over the files of a source.
struct Scan<'a> {
    kernel: &'a Kernel,
    source: &'a FileSource<'a>,
    declared: &'a Declared,
    dataset: &'a Dataset,
    /// The stat cache, by path.
    known: BTreeMap<String, SourceFileRecord>,
    /// Digests of the files read in this pass.
    digests: HashMap<String, String>,
}

impl Scan<'_> {
    /// What has to be done with a file that is not at its known position.
    async fn classify(&mut self, batch: &SourceBatch) -> Result<FileStatus> {
        let record = self.record(batch).await?;
        let Some(before) = self.find_load(&batch.part).await? else { return Ok(FileStatus::New(record)) };
        if self.has_content_of(&before, &record).await? {
            let record = SourceFileRecord { load_id: Some(before.id), ..record };
            self.kernel
                .store()
                .write(move |tx| Box::pin(async move { Ok(source_files::upsert(tx, &record).await?) }))
                .await?;
            return Ok(FileStatus::Known);
        }
        let may_change = matches!(before.state, LoadState::Held | LoadState::Rejected)
            || self.declared.mode == Mode::Replace
            || self.declared.source.on_change == OnChange::Replace;
        if may_change {
            return Ok(FileStatus::Changed(Box::new(before)));
        }
        Ok(FileStatus::Refused(self.refusal(&before, &record).await?))
    }

    /// The error about a file whose content has changed since it was loaded.
    async fn refusal(&self, before: &Load, now: &SourceFileRecord) -> Result<Error> {
        let file = format!("file `{}` of dataset `{}`", now.path, self.dataset.name);
        let Some(old_bytes) = self.grown_from(before, now).await? else {
            let message = format!("{file} was loaded before, and its content has changed");
            return Ok(Error::new(ErrorCode::FileChanged, message).with_hint(
                "write the new content to a file with a new name, or declare `on_change = \"replace\"` at the source",
            ));
        };
        let message = format!(
            "{file} was loaded with {old_bytes} bytes and has grown to {} bytes: its beginning is unchanged, the new rows are not loaded",
            now.size_bytes
        );
        let hint = "put new rows into new files. If the file was loaded while it was being written, declare a longer \
            `settle` at its source, and `on_change = \"replace\"` to load the whole file in place of its first rows";
        Ok(Error::new(ErrorCode::FileChanged, message).with_hint(hint))
    }

    /// The size of a file when it was loaded, if it only grew since: its beginning is what was loaded.
    async fn grown_from(&self, before: &Load, now: &SourceFileRecord) -> Result<Option<u64>> {
        let loaded = before.files.iter().find(|file| file.path == now.path);
        let position = loaded.and_then(|file| file.position.as_ref());
        let size = position.and_then(FileSource::size_at);
        let (Some(old_bytes), Some(digest)) = (size, loaded.and_then(|file| file.content_digest.as_ref())) else {
            return Ok(None);
        };
        if old_bytes == 0 || old_bytes >= now.size_bytes {
            return Ok(None);
        }
        let start = self.kernel.data().fingerprint_start(self.source.source, &now.path, old_bytes).await?;
        Ok((start == *digest).then_some(old_bytes))
    }

    /// A new stat cache entry of a file, with the digest of its content.
    async fn record(&mut self, batch: &SourceBatch) -> Result<SourceFileRecord> {
        let SourceFile { path, size_bytes, modified_ns, etag } = FileSource::file_of(batch)?;
        let content_digest = self.source.identify(batch).await?;
        self.digests.insert(path.clone(), content_digest.clone());
        Ok(SourceFileRecord {
            dataset_id: self.dataset.id,
            path,
            size_bytes,
            modified_ns: modified_ns.and_then(|ns| i64::try_from(ns).ok()),
            etag,
            content_digest,
            load_id: None,
            seen_ms: self.kernel.services.clock.wall_ms(),
        })
    }

    async fn digest(&mut self, path: &str) -> Result<String> {
        if let Some(digest) = self.digests.get(path) {
            return Ok(digest.clone());
        }
        let digest = self.kernel.data().fingerprint(self.source.source, path).await?;
        self.digests.insert(path.to_owned(), digest.clone());
        Ok(digest)
    }

    /// The latest load that the file was part of and that did not fail.
    async fn find_load(&mut self, path: &str) -> Result<Option<Load>> {
        let mut reader = self.kernel.store().read().await?;
        if let Some(id) = self.known.get(path).and_then(|record| record.load_id) {
            let load = loads::get(&mut reader, id).await?;
            if load.state != LoadState::Failed {
                return Ok(Some(load));
            }
        }
        Ok(loads::find_by_path(&mut reader, self.dataset.id, path).await?)
    }

    /// Whether a file has the content that it had in `load`. Some loads of early versions store only the digest of all
    /// their files together; the content of each is then in the stat cache or, without its entry, in the file.
    async fn has_content_of(&mut self, load: &Load, now: &SourceFileRecord) -> Result<bool> {
        let cached = |known: &BTreeMap<String, SourceFileRecord>, path: &str| {
            let record = known.get(path).filter(|record| record.load_id == Some(load.id));
            record.map(|record| record.content_digest.clone())
        };
        let stored = load.files.iter().find(|file| file.path == now.path).and_then(|file| file.content_digest.clone());
        if let Some(content) = stored.or_else(|| cached(&self.known, &now.path)) {
            return Ok(content == now.content_digest);
        }
        let mut contents = Vec::new();
        for path in load.paths() {
            match cached(&self.known, path) {
                Some(content) => contents.push(content),
                None => match self.digest(path).await {
                    Ok(content) => contents.push(content),
                    Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(load.content_digest.as_deref() == Some(&digest_of(contents.iter().map(String::as_str))))
    }

    /// All files of a load of which one has changed: they were loaded together and are loaded together again.
    async fn reload(&mut self, offered: &[SourceBatch], parts: &[String], load: &Load) -> Result<FileBatch> {
        let paths: HashSet<&str> = load.paths().collect();
        let mut records = Vec::new();
        for path in parts.iter().filter(|path| paths.contains(path.as_str())) {
            let batch = offered.binary_search_by(|batch| batch.part.cmp(path)).ok().map(|index| &offered[index]);
            // A file without a batch is at its known position.
            if let Some(batch) = batch {
                records.push(self.record(batch).await?);
            } else if let Some(unchanged) = self.known.get(path) {
                records.push(unchanged.clone());
            }
        }
        let mut batch = FileBatch::new(records);
        if matches!(load.state, LoadState::Held | LoadState::Rejected) {
            batch.supersedes = Some(load.id).filter(|_| load.state == LoadState::Held);
            batch.replaces = find_replaced(self.kernel, load).await?;
        } else if self.declared.mode != Mode::Replace {
            batch.replaces = Some(load.id);
        }
        Ok(batch)
    }
}
