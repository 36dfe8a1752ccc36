//! URLs of objects in an object store: `s3://bucket/in/*.csv`.
//!
//! A URL has one spelling: nothing in it is decoded or normalized, and what could be written in another way is refused. So
//! two URLs are compared by their text alone.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorCode, Result};
use crate::path::PATH_MAX_BYTES;
use crate::text_enum::text_enum;

#[cfg(test)]
mod tests;

text_enum! {
    /// The kind of an object store, by the scheme of its URLs.
    ObjectScheme, "object store scheme" {
        /// S3, or a compatible server.
        S3 = "s3",
        /// Google Cloud Storage.
        Gs = "gs",
        /// Azure Blob Storage.
        Az = "az",
    }
}

/// Characters that make a component of a key a pattern.
const PATTERN: [char; 5] = ['*', '?', '[', ']', '{'];

/// The length of the longest name of a bucket, in bytes.
const BUCKET_MAX_BYTES: usize = 222;

/// A bucket with the key of an object in it, a glob of keys, or a prefix of keys that ends in `/`. The key of the whole
/// bucket is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectUrl {
    scheme: ObjectScheme,
    bucket: String,
    key: String,
}

impl ObjectUrl {
    /// Whether a text is a URL rather than a path.
    pub fn is_url(text: &str) -> bool {
        text.contains("://")
    }

    /// Parses a prefix, such as that of a grant: a URL without a pattern, with `/` added at its end where it is missing.
    pub fn parse_prefix(text: &str) -> Result<Self> {
        let mut url: Self = text.parse()?;
        if url.key.contains(PATTERN) {
            return Err(refused(text, "it has a pattern, expected a folder such as `s3://bucket/in/`"));
        }
        if !url.key.is_empty() && !url.key.ends_with('/') {
            url.key.push('/');
        }
        Ok(url)
    }

    /// The kind of the store.
    pub fn scheme(&self) -> ObjectScheme {
        self.scheme
    }

    /// The bucket or container.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key, glob or prefix.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The prefix of all keys that the glob can match: its leading components without a pattern.
    #[must_use]
    pub fn folder(&self) -> Self {
        let (folders, _) = self.key.rsplit_once('/').unwrap_or_default();
        let fixed = folders.split('/').take_while(|part| !part.is_empty() && !part.contains(PATTERN));
        let key: String = fixed.flat_map(|part| [part, "/"]).collect();
        Self { key, ..self.clone() }
    }

    /// Whether every object that the URL can name is below `prefix`.
    pub fn is_below(&self, prefix: &Self) -> bool {
        self.scheme == prefix.scheme && self.bucket == prefix.bucket && self.folder().key.starts_with(&prefix.key)
    }

    /// Whether the URL could name an object below `prefix`. Rather says so than misses one: buckets are compared without
    /// case, and whatever the kind of their stores, because one store may be served by two protocols.
    pub fn may_reach(&self, prefix: &Self) -> bool {
        if !self.bucket.eq_ignore_ascii_case(&prefix.bucket) {
            return false;
        }
        let parts: Vec<&str> = self.key.split('/').collect();
        let own: Vec<&str> = prefix.key.split('/').filter(|part| !part.is_empty()).collect();
        for (part, own) in parts.iter().zip(&own) {
            if part.contains(['{', '[']) || part.contains("**") {
                return true;
            }
            match part.find(PATTERN) {
                None if part != own => return false,
                Some(end) if !own.starts_with(&part[..end]) => return false,
                _ => {}
            }
        }
        parts.len() > own.len()
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme.as_str(), self.bucket, self.key)
    }
}

impl FromStr for ObjectUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refused(text, "it has no scheme"))?;
        // The scheme that Hadoop uses for the same store.
        let scheme = if scheme == "s3a" { "s3" } else { scheme };
        let scheme = scheme.parse().map_err(|_| refused(text, "expected `s3://`, `gs://` or `az://`"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty()
            || bucket.len() > BUCKET_MAX_BYTES
            || !bucket.chars().all(is_plain)
            || bucket.contains("..")
        {
            return Err(refused(text, "expected a bucket of letters, digits, `.`, `-` and `_` after the scheme"));
        }
        validate_key(key).map_err(|reason| refused(text, reason))?;
        Ok(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

fn validate_key(key: &str) -> Result<(), &'static str> {
    if key.len() > PATH_MAX_BYTES {
        return Err("its key is longer than 1024 bytes");
    }
    if key.contains('%') {
        return Err("it has a `%`; write each character as it is in the name of the object");
    }
    if key.contains('\\') || key.chars().any(char::is_control) {
        return Err("it has a backslash or a control character");
    }
    let folders = key.strip_suffix('/').unwrap_or(key);
    if !key.is_empty() && folders.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("it has a component that is empty, `.` or `..`");
    }
    Ok(())
}

fn refused(text: &str, reason: &str) -> Error {
    Error::new(
        ErrorCode::InvalidArgument,
        format!("`{}` is not a URL of an object store: {reason}", text.escape_debug()),
    )
}
