//! Cache keys: everything a step's outcome depends on, by content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// What differs from `before` to `now`, by part name; of parts that hold named values each value that differs.
pub fn differences(before: &KeyParts, now: &KeyParts) -> Vec<Difference> {
    let mut found = Vec::new();
    let values = |parts: &KeyParts| {
        parts.0.iter().map(|(name, content)| (name.clone(), Value::String(content.clone()))).collect()
    };
    compare("", &values(before), &values(now), &mut found);
    found
}

fn compare(within: &str, before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>, found: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    for name in names {
        let part = format!("{within}{name}");
        match (before.get(name), now.get(name)) {
            (Some(was), Some(is)) if was == is => {}
            (Some(was), Some(is)) => {
                let known = found.len();
                if let (Some(was), Some(is)) = (named_values(was), named_values(is)) {
                    compare(&format!("{part}."), &was, &is, found);
                }
                // The named values are equal, so the contents differ elsewhere.
                if found.len() == known {
                    let (was, is) = shorten(was, is);
                    found.push(Difference::Changed { part, was, is });
                }
            }
            (None, _) => found.push(Difference::Added { part }),
            (_, None) => found.push(Difference::Removed { part }),
        }
    }
}

/// The values of an object by name; of a list of lists by what each begins with. A part's content is the text of one.
fn named_values(content: &Value) -> Option<BTreeMap<String, Value>> {
    let parsed: Value = match content {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    match parsed {
        Value::Object(values) => Some(values.into_iter().collect()),
        Value::Array(lists) => {
            let named = lists.into_iter().map(|list| match list {
                Value::Array(list) => {
                    let (name, rest) = list.split_first()?;
                    Some((name.as_str()?.to_owned(), Value::Array(rest.to_vec())))
                }
                _ => None,
            });
            named.collect()
        }
        _ => None,
    }
}

/// Characters of a part's content that an explanation shows.
const SHOWN_MAX: usize = 48;
/// Characters of it before the first that differs.
const BEFORE_MAX: usize = 16;

/// Two contents where they differ; texts stand as they are, unless that would hide what parts them.
fn shorten(was: &Value, is: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (mut was_text, mut is_text) = (text(was), text(is));
    if was_text == is_text {
        (was_text, is_text) = (was.to_string(), is.to_string());
    }
    let (was, is) = (was_text.as_str(), is_text.as_str());
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest(was) && is_digest(is) {
        return (was[..8].to_owned(), is[..8].to_owned());
    }
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect::<Vec<char>>();
    let (was, is) = (line(was), line(is));
    let alike = was.iter().zip(&is).take_while(|(was, is)| was == is).count();
    let from = if was.len().max(is.len()) <= SHOWN_MAX { 0 } else { alike.saturating_sub(BEFORE_MAX) };
    let cut = |text: &[char]| {
        let shown: String = text.iter().skip(from).take(SHOWN_MAX).collect();
        let (before, after) = (if from > 0 { "…" } else { "" }, if text.len() > from + SHOWN_MAX { "…" } else { "" });
        format!("{before}{shown}{after}")
    };
    (cut(&was), cut(&is))
}
