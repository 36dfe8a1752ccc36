//! Relative paths: the validation of every path that a client, a manifest or a
//! project file names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};

#[cfg(test)]
mod tests;

/// The longest relative path, bytes.
pub const PATH_MAX_BYTES: usize = 1024;

/// The longest component of a path, bytes; what common file systems take.
pub const COMPONENT_MAX_BYTES: usize = 255;

/// A path below some folder that never leaves it: `/` between components, none
/// of them empty, `.` or `..`; no backslash, no control characters.
///
/// The path is text: code that joins it to a folder that others write must still
/// refuse symbolic links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

impl RelativePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// What two paths share when a file system without case would take them for one.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

fn validate(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > PATH_MAX_BYTES {
        return Err("it is longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Err("it is absolute");
    }
    if text.contains('\\') {
        return Err("it holds a backslash");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    for component in text.split('/') {
        match component {
            "" => return Err("it has an empty component"),
            "." | ".." => return Err("it has a component `.` or `..`"),
            long if long.len() > COMPONENT_MAX_BYTES => return Err("a component is longer than 255 bytes"),
            drive if drive.len() == 2 && drive.ends_with(':') => return Err("it names a drive"),
            _ => {}
        }
    }
    Ok(())
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RelativePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for RelativePath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        match validate(&text) {
            Ok(()) => Ok(Self(text)),
            Err(why) => Err(Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "path `{}` is refused: {why}; expected a path that stays inside its folder",
                    text.escape_debug()
                ),
            )),
        }
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

impl AsRef<std::path::Path> for RelativePath {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&self.0)
    }
}
