//! Checks that a reviewer should not have to make.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{output, root};

/// The longest source file, in lines.
const FILE_LINES_MAX: usize = 700;

/// Runs every check; tells all findings at once.
pub(crate) fn check() -> Result<()> {
    let files: Vec<PathBuf> =
        output(Command::new("git").args(["ls-files"]).current_dir(root()))?.lines().map(PathBuf::from).collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
        source(file, &mut findings)?;
    }
    layers(&mut findings)?;
    error_pages(&mut findings)?;
    if findings.is_empty() {
        return Ok(());
    }
    bail!("tidy found:\n  {}", findings.join("\n  "))
}

fn source(file: &Path, findings: &mut Vec<String>) -> Result<()> {
    let path = root().join(file);
    if !path.is_file() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}: find the seam", file.display()));
    }
    let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
    for (number, line) in text.lines().enumerate() {
        if ["TO", "FIX"]
            .iter()
            .any(|half| line.contains(&format!("{half}{}", if *half == "TO" { "DO:" } else { "ME" })))
        {
            findings.push(format!("{}:{}: unfinished", file.display(), number + 1));
        }
        if is_test && (line.contains("thread::sleep") || line.contains("time::sleep") || line.contains("#[ignore")) {
            findings.push(format!("{}:{}: a test neither sleeps nor is ignored", file.display(), number + 1));
        }
    }
    Ok(())
}

/// Which crates may name a heavy dependency, and which of ours a crate may name.
fn layers(findings: &mut Vec<String>) -> Result<()> {
    let only = [
        ("sqlx", "store"),
        ("datafusion", "data"),
        ("deltalake", "data"),
        ("arrow", "data"),
        ("axum", "api console cli"),
    ];
    for entry in std::fs::read_dir(root().join("crates"))? {
        let folder = entry?.path();
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        if name == "workspace-hack" {
            continue;
        }
        let names = |dependency: &str| {
            manifest.lines().any(|line| {
                line.starts_with(&format!("{dependency}.workspace")) || line.starts_with(&format!("{dependency} ="))
            })
        };
        for (dependency, allowed) in only {
            if names(dependency) && !allowed.split(' ').any(|allowed| allowed == name) {
                findings.push(format!("crates/{name} names {dependency}, which is for {allowed} alone"));
            }
        }
        if name == "core"
            && manifest.lines().any(|line| line.starts_with("perennial-") && !line.starts_with("perennial-workspace-hack"))
        {
            findings.push("crates/core depends on another crate of ours".to_owned());
        }
    }
    Ok(())
}

/// Each error code has its page.
fn error_pages(findings: &mut Vec<String>) -> Result<()> {
    let table = std::fs::read_to_string(root().join("crates/core/src/error.rs"))?;
    for line in table.lines().filter(|line| line.starts_with("    ") && line.contains(" = \"") && line.ends_with(';')) {
        let name = line.split('"').nth(1).unwrap_or_default();
        if !root().join(format!("docs/errors/{name}.md")).is_file() {
            findings.push(format!("docs/errors/{name}.md is missing"));
        }
    }
    Ok(())
}
