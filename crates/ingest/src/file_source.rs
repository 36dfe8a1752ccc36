//! Files as a source: each file is a part, and its position is its size, time and tag.

use async_trait::async_trait;
use perennial_core::entity::SourceFileRecord;
use perennial_core::port::data::{DataEngine, FilesSource, SourceFile, StageInput};
use perennial_core::port::source::{Batch, Poll, Position, Positions, Source};
use perennial_core::{Error, ErrorCode, Result};

/// The files of a folder or an object store.
pub struct FileSource<'a> {
    /// Lists and reads the files.
    pub engine: &'a dyn DataEngine,
    /// Where the files are.
    pub source: &'a FilesSource,
}

#[async_trait]
impl Source for FileSource<'_> {
    async fn poll(&self, positions: &Positions) -> Result<Poll> {
        let files = self.engine.list(self.source).await?.files;
        let mut poll = Poll::default();
        for file in files {
            let position = position(&file);
            let after = positions.get(&file.path);
            // Without time and tag, a file of the same size may have other content.
            let has_version = file.modified_ns.is_some() || file.etag.is_some();
            if !has_version || after != Some(&position) {
                poll.batches.push(Batch {
                    part: file.path.clone(),
                    after: after.cloned(),
                    position,
                    size_bytes: Some(file.size_bytes),
                });
            }
            poll.parts.push(file.path);
        }
        Ok(poll)
    }

    async fn identify(&self, batch: &Batch) -> Result<String> {
        self.engine.fingerprint(self.source, &batch.part).await
    }

    async fn read(&self, batches: &[Batch]) -> Result<StageInput> {
        let files = batches.iter().map(Self::file_of).collect::<Result<_>>()?;
        Ok(StageInput::Files { source: self.source.clone(), files })
    }
}

impl FileSource<'_> {
    /// The position of a file at which it was loaded.
    pub(crate) fn position_of(record: &SourceFileRecord) -> Position {
        encode(record.size_bytes, record.modified_ns, record.etag.as_deref())
    }

    /// The size of a file at a position.
    pub(crate) fn size_at(position: &Position) -> Option<u64> {
        decode(position.as_str()).map(|(size_bytes, ..)| size_bytes)
    }

    /// The file of a batch, as it was listed.
    pub(crate) fn file_of(batch: &Batch) -> Result<SourceFile> {
        let decoded = decode(batch.position.as_str());
        let (size_bytes, modified_ns, etag) = decoded.ok_or_else(|| {
            let message = format!("`{}` is not a position of the file `{}`", batch.position.as_str(), batch.part);
            Error::new(ErrorCode::Corrupt, message)
        })?;
        Ok(SourceFile { path: batch.part.clone(), size_bytes, modified_ns: modified_ns.map(i128::from), etag })
    }
}

fn position(file: &SourceFile) -> Position {
    let modified_ns = file.modified_ns.and_then(|ns| i64::try_from(ns).ok());
    encode(file.size_bytes, modified_ns, file.etag.as_deref())
}

/// `size time tag`; what the store does not report is empty.
fn encode(size_bytes: u64, modified_ns: Option<i64>, etag: Option<&str>) -> Position {
    let modified_ns = modified_ns.map(|ns| ns.to_string()).unwrap_or_default();
    Position::new(format!("{size_bytes} {modified_ns} {}", etag.unwrap_or_default()))
}

fn decode(position: &str) -> Option<(u64, Option<i64>, Option<String>)> {
    let mut fields = position.splitn(3, ' ');
    let (size_bytes, modified_ns, etag) = (fields.next()?, fields.next()?, fields.next()?);
    let modified_ns = if modified_ns.is_empty() { None } else { Some(modified_ns.parse().ok()?) };
    Some((size_bytes.parse().ok()?, modified_ns, (!etag.is_empty()).then(|| etag.to_owned())))
}
