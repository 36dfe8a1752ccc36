//! The files that Git tracks, read once.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::shell::{output, root};

/// A text file below the root of the workspace.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl SourceFile {
    /// The ending of its name, without the dot.
    pub(crate) fn ending(&self) -> &str {
        self.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.ending() == "rs"
    }

    /// Whether it belongs to tests alone.
    pub(crate) fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests") || self.path.ends_with("tests.rs")
    }
}

/// Every file that Git tracks or would add, of text that people write.
pub(crate) fn all() -> Result<Vec<SourceFile>> {
    let list = output(
        Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()),
    )?;
    let mut files = Vec::new();
    for path in list.lines().map(PathBuf::from) {
        let is_text = path.extension().is_some_and(|ending| {
            ["rs", "md", "html", "toml", "py", "sql", "css", "yml"].iter().any(|known| ending == *known)
        });
        if !is_text {
            continue;
        }
        // A file that was removed and not yet committed is still listed.
        if let Ok(text) = std::fs::read_to_string(root().join(&path)) {
            files.push(SourceFile { path, text });
        }
    }
    Ok(files)
}
