//! Which files of a source are new. Size, time and tag only spare reading a file: its content decides.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use perennial_config::{Batch, Dataset as Declared, OnChange};
use perennial_core::id::LoadId;
use perennial_core::port::data::{FilesSource, Mode, SourceFile};
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::datasets::Dataset;
use perennial_store::loads::{Load, LoadOrigin};
use perennial_store::source_files::SourceFileRecord;
use perennial_store::{loads, source_files};

use crate::loads::{ArrivedFile, committed_before};
use perennial_kernel::Kernel;

/// Loads looked through at once.
const LOADS_AT_ONCE: u32 = 1_000;

/// Files that become one load.
pub(super) struct Together {
    files: Vec<SourceFileRecord>,
    /// The committed load whose rows they take the place of.
    pub(super) replaces: Option<LoadId>,
    /// The held load whose place they take.
    pub(super) supersedes: Option<LoadId>,
}

impl Together {
    fn new(files: Vec<SourceFileRecord>) -> Self {
        Self { files, replaces: None, supersedes: None }
    }

    fn first(&self) -> Option<&str> {
        self.files.first().map(|file| file.path.as_str())
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// The files as they looked when they were judged.
    pub(super) fn offered(&self) -> Vec<SourceFile> {
        let files = self.files.iter().map(|file| SourceFile {
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            modified_ns: file.modified_ns.map(i128::from),
            etag: file.etag.clone(),
        });
        files.collect()
    }

    pub(super) fn arrived(self) -> ArrivedFile {
        ArrivedFile {
            path: self.paths().join("\n"),
            digest: digest_of(self.files.iter().map(|file| file.content_digest.as_str())),
            size_bytes: self.files.iter().map(|file| file.size_bytes).sum(),
            seen: self.files,
        }
    }
}

/// What of a source's files is to be done.
pub(super) struct Offer {
    /// What has to be loaded, in order.
    pub(super) together: Vec<Together>,
    /// Paths of files that cannot be, and why.
    pub(super) refused: Vec<(String, Error)>,
    /// Every file that the source has.
    pub(super) there: There,
}

/// The files of a source, ordered by path.
pub(super) struct There(Vec<SourceFile>);

impl There {
    /// Whether the source has no file at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the source has one of the files of a load.
    pub(super) fn has_any_of(&self, load: &Load) -> bool {
        let is_there = |path: &str| self.0.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        load.source_path.iter().flat_map(|paths| paths.lines()).any(is_there)
    }
}

/// The digest of files that came together: a single one's is its own.
fn digest_of<'a>(contents: impl Iterator<Item = &'a str>) -> String {
    let contents: Vec<&str> = contents.collect();
    match contents.as_slice() {
        [one] => (*one).to_owned(),
        many => blake3::hash(many.join("\n").as_bytes()).to_hex().to_string(),
    }
}

/// The files of a source that have to be loaded, in the order they are to be. Files whose content is
/// known, but not as it looks now, are noted.
pub(super) async fn arriving(
    kernel: &Kernel,
    source: &FilesSource,
    declared: &Declared,
    dataset: &Dataset,
) -> Result<Offer> {
    let files = kernel.data().list(source).await?;
    let known = source_files::list(&mut *kernel.store().read().await?, dataset.id).await?;
    let known = known.into_iter().map(|file| (file.path.clone(), file)).collect();
    let mut look = Look { kernel, source, declared, dataset, known, batches: None, read: HashMap::new() };
    let (mut new, mut changed): (Vec<SourceFileRecord>, BTreeMap<LoadId, Load>) = Default::default();
    let mut refused = Vec::new();
    for file in &files {
        let found = match look.judge(file).await {
            Ok(found) => found,
            // One that cannot be read keeps no other from being loaded, where rows only join.
            Err(error)
                if declared.mode == Mode::Append && declared.source.batch == Batch::File && is_unread(&error) =>
            {
                Found::Refused(error)
            }
            Err(error) => return Err(error),
        };
        match found {
            Found::Known => {}
            Found::Refused(error) => refused.push((file.path.clone(), error)),
            Found::New(record) => new.push(record),
            Found::Changed(load) => drop(changed.insert(load.id, *load)),
        }
    }
    let mut all = Vec::new();
    for load in changed.into_values() {
        all.push(look.again(&files, &load).await?);
    }
    match declared.source.batch {
        Batch::File => all.extend(new.into_iter().map(|file| Together::new(vec![file]))),
        Batch::All if new.is_empty() => {}
        Batch::All => all.push(Together::new(new)),
    }
    all.sort_by(|a, b| a.first().cmp(&b.first()));
    Ok(Offer { together: all, refused, there: There(files) })
}

/// Whether reading a file failed.
fn is_unread(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::SourceFile | ErrorCode::Storage | ErrorCode::NotFound)
}

enum Found {
    /// Its content is in the dataset, held, or was discarded.
    Known,
    /// It was never loaded.
    New(SourceFileRecord),
    /// It was part of this load, with other content.
    Changed(Box<Load>),
    /// It was loaded with other content, and may not change.
    Refused(Error),
}

struct Look<'a> {
    kernel: &'a Kernel,
    source: &'a FilesSource,
    declared: &'a Declared,
    dataset: &'a Dataset,
    /// The stat cache, by path.
    known: BTreeMap<String, SourceFileRecord>,
    /// The newest load of several files that each path was part of, once somebody asked.
    batches: Option<HashMap<String, Arc<Load>>>,
    /// Digests of the files read now.
    read: HashMap<String, String>,
}

impl Look<'_> {
    async fn judge(&mut self, file: &SourceFile) -> Result<Found> {
        if self.looks_same(file).is_some() {
            return Ok(Found::Known);
        }
        let record = self.record(file).await?;
        let Some(before) = self.find_load(&file.path).await? else { return Ok(Found::New(record)) };
        if self.holds(&before, &record).await? {
            let record = SourceFileRecord { load_id: Some(before.id), ..record };
            self.kernel
                .store()
                .write(move |tx| Box::pin(async move { Ok(source_files::upsert(tx, &record).await?) }))
                .await?;
            return Ok(Found::Known);
        }
        let is_taken = matches!(before.state, LoadState::Held | LoadState::Discarded)
            || self.declared.mode == Mode::Replace
            || self.declared.source.on_change == OnChange::Replace;
        if is_taken {
            return Ok(Found::Changed(Box::new(before)));
        }
        Ok(Found::Refused(
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

    /// What is known of a file that looks as it did.
    fn looks_same(&self, file: &SourceFile) -> Option<&SourceFileRecord> {
        let modified_ns = file.modified_ns.and_then(|ns| i64::try_from(ns).ok());
        self.known.get(&file.path).filter(|seen| {
            seen.size_bytes == file.size_bytes
                && seen.modified_ns == modified_ns
                && seen.etag == file.etag
                && (modified_ns.is_some() || file.etag.is_some())
        })
    }

    /// The file as it is now, read.
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
        if let Some(read) = self.read.get(path) {
            return Ok(read.clone());
        }
        let digest = self.kernel.data().fingerprint(self.source, path).await?;
        self.read.insert(path.to_owned(), digest.clone());
        Ok(digest)
    }

    /// The newest load that the file was part of and that did not fail.
    async fn find_load(&mut self, path: &str) -> Result<Option<Load>> {
        let mut reader = self.kernel.store().read().await?;
        if let Some(id) = self.known.get(path).and_then(|seen| seen.load_id) {
            let load = loads::get(&mut reader, id).await?;
            if load.state != LoadState::Failed {
                return Ok(Some(load));
            }
        }
        let alone = loads::find_by_path(&mut reader, self.dataset.id, path).await?;
        drop(reader);
        if self.declared.source.batch == Batch::File {
            return Ok(alone);
        }
        let together = self.batches().await?.get(path).map(|load| Load::clone(load));
        Ok(alone.into_iter().chain(together).max_by_key(|load| load.id))
    }

    async fn batches(&mut self) -> Result<&HashMap<String, Arc<Load>>> {
        if self.batches.is_none() {
            let mut found = HashMap::new();
            let mut after = None;
            loop {
                let mut reader = self.kernel.store().read().await?;
                let page = loads::list(&mut reader, self.dataset.id, after.as_deref(), LOADS_AT_ONCE).await?;
                for load in page.items {
                    if load.origin != LoadOrigin::Batch || load.state == LoadState::Failed {
                        continue;
                    }
                    let load = Arc::new(load);
                    for path in load.source_path.iter().flat_map(|paths| paths.lines()) {
                        // The newest come first.
                        found.entry(path.to_owned()).or_insert_with(|| load.clone());
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            self.batches = Some(found);
        }
        Ok(self.batches.get_or_insert_default())
    }

    /// Whether the file's content is what came with `load`. Of several files only the digest of all is
    /// kept with the load; which was whose is told by the stat cache, and by the files where that is gone.
    async fn holds(&mut self, load: &Load, now: &SourceFileRecord) -> Result<bool> {
        let seen = |known: &BTreeMap<String, SourceFileRecord>, path: &str| {
            known.get(path).filter(|seen| seen.load_id == Some(load.id)).map(|seen| seen.content_digest.clone())
        };
        if let Some(content) = seen(&self.known, &now.path) {
            return Ok(content == now.content_digest);
        }
        let mut contents = Vec::new();
        for path in load.source_path.iter().flat_map(|paths| paths.lines()) {
            match seen(&self.known, path) {
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

    /// All files of a load that one of them has changed since: they came together and come together again.
    async fn again(&mut self, offered: &[SourceFile], load: &Load) -> Result<Together> {
        let paths: HashSet<&str> = load.source_path.iter().flat_map(|paths| paths.lines()).collect();
        let mut files = Vec::new();
        for file in offered.iter().filter(|file| paths.contains(file.path.as_str())) {
            let same = self.looks_same(file).cloned();
            files.push(match same {
                Some(seen) => seen,
                None => self.record(file).await?,
            });
        }
        let mut together = Together::new(files);
        if matches!(load.state, LoadState::Held | LoadState::Discarded) {
            together.supersedes = Some(load.id).filter(|_| load.state == LoadState::Held);
            together.replaces = committed_before(self.kernel, load).await?;
        } else if self.declared.mode != Mode::Replace {
            together.replaces = Some(load.id);
        }
        Ok(together)
    }
}
