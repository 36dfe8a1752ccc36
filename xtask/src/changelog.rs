//! The change log: one file a change in `changelog.d`, gathered at a release.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::root;

/// Kinds of entries by their file's name, with the heading that gathers them, in the order of the page.
const KINDS: [(&str, &str); 5] =
    [("security", "Security"), ("added", "Added"), ("changed", "Changed"), ("removed", "Removed"), ("fixed", "Fixed")];

/// Where entries wait for the next release.
pub(crate) const FOLDER: &str = "changelog.d";

/// An entry that waits for the next release.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// The entries of the next release.
pub(crate) fn entries() -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(root().join(FOLDER)).with_context(|| format!("cannot read {FOLDER}"))? {
        let path = Path::new(FOLDER).join(file?.file_name());
        if path.file_name().is_some_and(|name| name != "README.md") {
            let text = std::fs::read_to_string(root().join(&path))?;
            entries.push(Entry { path, text });
        }
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// What is wrong with an entry's name or text, if anything is.
pub(crate) fn fault(entry: &Entry) -> Option<String> {
    let path = entry.path.display();
    if heading(entry).is_none() {
        let kinds = KINDS.map(|(kind, _)| kind).join(", ");
        return Some(format!("{path}: expected `<slug>.<kind>.md`, the kind one of {kinds}"));
    }
    entry.text.trim().is_empty().then(|| format!("{path} has no text"))
}

/// The heading that gathers an entry, if its name is right.
fn heading(entry: &Entry) -> Option<&'static str> {
    let name = entry.path.file_name()?.to_str()?.strip_suffix(".md")?;
    let (slug, kind) = name.rsplit_once('.')?;
    let is_slug =
        !slug.is_empty() && slug.bytes().all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte));
    KINDS.iter().find(|(known, _)| is_slug && *known == kind).map(|(_, heading)| *heading)
}

/// The verb `changelog`: moves all entries into CHANGELOG.md, below a heading for `version`.
pub(crate) fn release(version: Option<&String>) -> Result<()> {
    let version = version.context("which version? `cargo xtask changelog VERSION`")?;
    let entries = entries()?;
    let faults: Vec<String> = entries.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let page = root().join("CHANGELOG.md");
    let text = std::fs::read_to_string(&page).context("cannot read CHANGELOG.md")?;
    std::fs::write(&page, with_release(&text, version, &entries))?;
    for entry in &entries {
        std::fs::remove_file(root().join(&entry.path))?;
    }
    println!("CHANGELOG.md has {} entries for {version}", entries.len());
    Ok(())
}

/// The page with a section for `version` before those of earlier releases.
fn with_release(page: &str, version: &str, entries: &[Entry]) -> String {
    let mut section = format!("## {version}\n");
    for (_, title) in KINDS {
        let of_kind: Vec<&Entry> = entries.iter().filter(|entry| heading(entry) == Some(title)).collect();
        if of_kind.is_empty() {
            continue;
        }
        section.extend(["\n### ", title, "\n\n"]);
        for entry in of_kind {
            section.extend(["- ", &entry.text.trim().replace('\n', "\n  "), "\n"]);
        }
    }
    match page.find("\n## ") {
        Some(at) => format!("{}\n{section}{}", &page[..at], &page[at..]),
        None => format!("{}\n\n{section}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests;
