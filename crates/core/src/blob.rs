//! Blobs and folders by content: what names them, without where they lie.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};
use crate::path::RelativePath;

#[cfg(test)]
mod tests;

/// The most files one manifest may hold.
pub const MANIFEST_FILES_MAX: usize = 100_000;

/// The first line of a manifest's text.
const MANIFEST_HEAD: &str = "perennial manifest 1";

/// BLAKE3 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobDigest([u8; 32]);

impl BlobDigest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for BlobDigest {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.into())
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobDigest({self})")
    }
}

impl FromStr for BlobDigest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        let is_lowercase = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if is_lowercase => Ok(Self(bytes)),
            _ => Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("`{}` is not a content digest: expected 64 lowercase hexadecimal digits", text.escape_debug()),
            )),
        }
    }
}

impl TryFrom<String> for BlobDigest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<BlobDigest> for String {
    fn from(digest: BlobDigest) -> Self {
        digest.to_string()
    }
}

/// Some bytes that are kept: their name and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// BLAKE3 of the bytes.
    pub digest: BlobDigest,
    /// The number of bytes.
    pub size_bytes: u64,
}

/// One file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path below the folder.
    pub path: RelativePath,
    /// Its content.
    pub blob: Blob,
    /// Whether it may be executed.
    pub is_executable: bool,
}

/// A folder by content: its files, sorted by path. Folders without files are not kept.
/// In JSON it is its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Manifest {
    files: Vec<ManifestFile>,
    digest: BlobDigest,
}

impl Manifest {
    /// The manifest of `files`, in any order.
    ///
    /// # Errors
    /// When two paths differ only by case (some file systems ignore case), when one path is a folder of
    /// another, or when there are more than [`MANIFEST_FILES_MAX`].
    pub fn new(mut files: Vec<ManifestFile>) -> Result<Self, Error> {
        if files.len() > MANIFEST_FILES_MAX {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("the folder has {} files, expected at most {MANIFEST_FILES_MAX}", files.len()),
            ));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut folded: Vec<(Vec<String>, &RelativePath)> =
            files.iter().map(|file| (file.path.folded().split('/').map(str::to_owned).collect(), &file.path)).collect();
        folded.sort();
        for pair in folded.windows(2) {
            if pair[1].0.starts_with(&pair[0].0) {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    format!(
                        "paths `{}` and `{}` differ only by case, which some file systems ignore: expected names that differ by more than case",
                        pair[0].1, pair[1].1
                    ),
                ));
            }
        }
        let digest = BlobDigest::of(text_of(&files).as_bytes());
        Ok(Self { files, digest })
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// BLAKE3 of [`Manifest::text`]: the same for the same paths and contents.
    pub fn digest(&self) -> BlobDigest {
        self.digest
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|index| &self.files[index])
    }

    /// The sum of its files' sizes, bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.blob.size_bytes).sum()
    }

    /// The manifest as text: a head line, then one line a file, `<digest> <size> <x or -> <path>`.
    pub fn text(&self) -> String {
        text_of(&self.files)
    }

    /// Reads [`Manifest::text`] back.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let broken = |why: String| Error::new(ErrorCode::Corrupt, format!("a folder's manifest is damaged: {why}"));
        let mut lines = text.lines();
        if lines.next() != Some(MANIFEST_HEAD) {
            return Err(broken(format!("expected `{MANIFEST_HEAD}` in its first line")));
        }
        let mut files = Vec::new();
        for line in lines {
            let mut words = line.splitn(4, ' ');
            let (Some(digest), Some(size), Some(mode), Some(path)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(broken(format!("line `{}` lacks words", line.escape_debug())));
            };
            files.push(ManifestFile {
                path: path.parse()?,
                blob: Blob {
                    digest: digest.parse()?,
                    size_bytes: size.parse().map_err(|_| broken(format!("`{size}` is not a size in bytes")))?,
                },
                is_executable: mode == "x",
            });
        }
        Self::new(files)
    }
}

impl TryFrom<String> for Manifest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Manifest> for String {
    fn from(manifest: Manifest) -> Self {
        manifest.text()
    }
}

fn text_of(files: &[ManifestFile]) -> String {
    let mut text = format!("{MANIFEST_HEAD}\n");
    for ManifestFile { path, blob, is_executable } in files {
        let mode = if *is_executable { 'x' } else { '-' };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {mode} {path}", blob.digest, blob.size_bytes);
    }
    text
}
