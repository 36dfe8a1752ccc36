//! Finds the files of a source that have to be loaded. The content of a file decides; its size, time and tag only avoid
//! reading it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use perennial_config::{Batch, Dataset as Declared, OnChange};
use perennial_core::entity::{Dataset, Load, LoadOrigin, SourceFileRecord};
use perennial_core::id::LoadId;
use perennial_core::port::data::{FilesSource, Mode, SourceFile};
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{loads, source_files};

use crate::loads::{LoadFiles, find_replaced};
use perennial_kernel::Kernel;

/// Loads read from the store at once.
const LOADS_PER_PAGE: u32 = 1_000;

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

    /// The files with the size, time and tag that they had when they were compared.
    pub(super) fn source_files(&self) -> Vec<SourceFile> {
        let files = self.files.iter().map(|file| SourceFile {
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            modified_ns: file.modified_ns.map(i128::from),
            etag: file.etag.clone(),
        });
        files.collect()
    }

    pub(super) fn into_load_files(self) -> LoadFiles {
        LoadFiles {
            paths: self.paths().join("\n"),
            digest: digest_of(self.files.iter().map(|file| file.content_digest.as_str())),
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
    /// Every file of the source.
    pub(super) listing: Listing,
}

/// The files of a source, ordered by path.
pub(super) struct Listing(Vec<SourceFile>);

impl Listing {
    /// Whether the source has no file at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the source has one of the files of a load.
    pub(super) fn has_any_of(&self, load: &Load) -> bool {
        let is_listed = |path: &str| self.0.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        load.source_path.iter().flat_map(|paths| paths.lines()).any(is_listed)
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
/// has changed is updated in the stat cache.
pub(super) async fn discover(
    kernel: &Kernel,
    source: &FilesSource,
    declared: &Declared,
    dataset: &Dataset,
) -> Result<Discovery> {
    let files = kernel.data().list(source).await?.files;
    let known = source_files::list(&mut *kernel.store().read().await?, dataset.id).await?;
    let known = known.into_iter().map(|file| (file.path.clone(), file)).collect();
    let mut scan = Scan { kernel, source, declared, dataset, known, batch_loads: None, digests: HashMap::new() };
    let (mut new, mut changed): (Vec<SourceFileRecord>, BTreeMap<LoadId, Load>) = Default::default();
    let mut refused = Vec::new();
    for file in &files {
        let status = match scan.classify(file).await {
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
            FileStatus::Refused(error) => refused.push((file.path.clone(), error)),
            FileStatus::New(record) => new.push(record),
            FileStatus::Changed(load) => drop(changed.insert(load.id, *load)),
        }
    }
    let mut batches = Vec::new();
    for load in changed.into_values() {
        batches.push(scan.reload(&files, &load).await?);
    }
    match declared.source.batch {
        Batch::File => batches.extend(new.into_iter().map(|file| FileBatch::new(vec![file]))),
        Batch::All if new.is_empty() => {}
        Batch::All => batches.push(FileBatch::new(new)),
    }
    batches.sort_by(|a, b| a.first().cmp(&b.first()));
    Ok(Discovery { batches, refused, listing: Listing(files) })
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
    source: &'a FilesSource,
    declared: &'a Declared,
    dataset: &'a Dataset,
    /// The stat cache, by path.
    known: BTreeMap<String, SourceFileRecord>,
    /// The latest batch load that each path was part of; read when first needed.
    batch_loads: Option<HashMap<String, Arc<Load>>>,
    /// Digests of the files read in this pass.
    digests: HashMap<String, String>,
}

impl Scan<'_> {
    async fn classify(&mut self, file: &SourceFile) -> Result<FileStatus> {
        if self.find_unchanged(file).is_some() {
            return Ok(FileStatus::Known);
        }
        let record = self.record(file).await?;
        let Some(before) = self.find_load(&file.path).await? else { return Ok(FileStatus::New(record)) };
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
        Ok(FileStatus::Refused(
            Error::new(
                ErrorCode::FileChanged,
                format!(
                    "file `{}` of dataset `{}` was loaded before and has other content now",
                    file.path, self.dataset.name
                ),
            )
            .with_hint("give the new content a name of its own, or declare `on_change = \"replace\"` at the source"),
        ))
    }

    /// The stat cache entry of a file whose size, time and tag are unchanged.
    fn find_unchanged(&self, file: &SourceFile) -> Option<&SourceFileRecord> {
        let modified_ns = file.modified_ns.and_then(|ns| i64::try_from(ns).ok());
        self.known.get(&file.path).filter(|record| {
            record.size_bytes == file.size_bytes
                && record.modified_ns == modified_ns
                && record.etag == file.etag
                && (modified_ns.is_some() || file.etag.is_some())
        })
    }

    /// A new stat cache entry of a file, with the digest of its content.
    async fn record(&mut self, file: &SourceFile) -> Result<SourceFileRecord> {
        Ok(SourceFileRecord {
            dataset_id: self.dataset.id,
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            modified_ns: file.modified_ns.and_then(|ns| i64::try_from(ns).ok()),
            etag: file.etag.clone(),
            content_digest: self.digest(&file.path).await?,
            load_id: None,
            seen_ms: self.kernel.services.clock.wall_ms(),
        })
    }

    async fn digest(&mut self, path: &str) -> Result<String> {
        if let Some(digest) = self.digests.get(path) {
            return Ok(digest.clone());
        }
        let digest = self.kernel.data().fingerprint(self.source, path).await?;
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
        let single = loads::find_by_path(&mut reader, self.dataset.id, path).await?;
        drop(reader);
        if self.declared.source.batch == Batch::File {
            return Ok(single);
        }
        let batch = self.batch_loads().await?.get(path).map(|load| Load::clone(load));
        Ok(single.into_iter().chain(batch).max_by_key(|load| load.id))
    }

    async fn batch_loads(&mut self) -> Result<&HashMap<String, Arc<Load>>> {
        if self.batch_loads.is_none() {
            let mut by_path = HashMap::new();
            let mut after = None;
            loop {
                let mut reader = self.kernel.store().read().await?;
                let page = loads::list(&mut reader, self.dataset.id, after.as_deref(), LOADS_PER_PAGE).await?;
                for load in page.items {
                    if load.origin != LoadOrigin::Batch || load.state == LoadState::Failed {
                        continue;
                    }
                    let load = Arc::new(load);
                    for path in load.source_path.iter().flat_map(|paths| paths.lines()) {
                        // The list begins with the latest load.
                        by_path.entry(path.to_owned()).or_insert_with(|| load.clone());
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            self.batch_loads = Some(by_path);
        }
        Ok(self.batch_loads.get_or_insert_default())
    }

    /// Whether a file has the content that it had in `load`. A load of several files stores only the digest of all of
    /// them; the content of each is in the stat cache or, without its entry, in the file.
    async fn has_content_of(&mut self, load: &Load, now: &SourceFileRecord) -> Result<bool> {
        let cached = |known: &BTreeMap<String, SourceFileRecord>, path: &str| {
            let record = known.get(path).filter(|record| record.load_id == Some(load.id));
            record.map(|record| record.content_digest.clone())
        };
        if let Some(content) = cached(&self.known, &now.path) {
            return Ok(content == now.content_digest);
        }
        let mut contents = Vec::new();
        for path in load.source_path.iter().flat_map(|paths| paths.lines()) {
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
    async fn reload(&mut self, files: &[SourceFile], load: &Load) -> Result<FileBatch> {
        let paths: HashSet<&str> = load.source_path.iter().flat_map(|paths| paths.lines()).collect();
        let mut records = Vec::new();
        for file in files.iter().filter(|file| paths.contains(file.path.as_str())) {
            let unchanged = self.find_unchanged(file).cloned();
            records.push(match unchanged {
                Some(record) => record,
                None => self.record(file).await?,
            });
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
