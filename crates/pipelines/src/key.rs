//! Cache keys: everything a step's outcome depends on, by content.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The parts a key is made of: a name such as `input:features` or `code:train.py`,
/// and the content (or its digest) that stands for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyParts(BTreeMap<String, String>);

impl KeyParts {
    /// No parts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part; a part of the same name is replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, content: impl Into<String>) -> Self {
        self.0.insert(name.into(), content.into());
        self
    }

    /// The parts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, content)| (name.as_str(), content.as_str()))
    }

    /// The content of one part.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The key: BLAKE3, in hex, over the parts in name order, each name and content
    /// preceded by its length, so that no two different sets of parts read alike.
    pub fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("perennial step cache key v1");
        for (name, content) in &self.0 {
            for part in [name, content] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// How one part differs between an earlier run and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Difference {
    /// It was not there before.
    Added {
        /// The part.
        part: String,
    },
    /// It is gone.
    Removed {
        /// The part.
        part: String,
    },
    /// Its content is another.
    Changed {
        /// The part.
        part: String,
        /// What it was, shortened.
        was: String,
        /// What it is, shortened.
        is: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { part } => write!(f, "{part} is new"),
            Self::Removed { part } => write!(f, "{part} is gone"),
            Self::Changed { part, was, is } => write!(f, "{part} changed ({was} → {is})"),
        }
    }
}

/// What differs from `before` to `now`, by part name.
pub fn differences(before: &KeyParts, now: &KeyParts) -> Vec<Difference> {
    let names: std::collections::BTreeSet<&str> = before.iter().chain(now.iter()).map(|(name, _)| name).collect();
    names
        .into_iter()
        .filter_map(|name| match (before.get(name), now.get(name)) {
            (Some(was), Some(is)) if was == is => None,
            (Some(was), Some(is)) => {
                Some(Difference::Changed { part: name.to_owned(), was: shorten(was), is: shorten(is) })
            }
            (None, _) => Some(Difference::Added { part: name.to_owned() }),
            (_, None) => Some(Difference::Removed { part: name.to_owned() }),
        })
        .collect()
}

/// Characters of a part's content that an explanation shows.
const SHOWN_MAX: usize = 24;

fn shorten(content: &str) -> String {
    let line = content.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return line[..8].to_owned();
    }
    if line.chars().count() <= SHOWN_MAX { line } else { line.chars().take(SHOWN_MAX).chain(['…']).collect() }
}
