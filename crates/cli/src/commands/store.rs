//! Backup and restore of an embedded store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::client::Client;
use crate::commands::data_folder;

/// Folders of a data folder that a backup holds beside the metadata, and those it need not.
const KEPT: [&str; 3] = ["tables", "blobs", "predictions"];

/// The server writes a consistent copy of the metadata beside its own; what it names lies in
/// files that never change once they are named, so they are copied after it.
pub(crate) async fn backup(client: &Client, folder: &Path, to: &Path) -> Result<ExitCode> {
    if to.exists() {
        bail!("{} is there already: name a new folder", to.display());
    }
    let data = data_folder(&folder.canonicalize()?);
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let to = to.canonicalize()?;
    let made = client.post("/api/v1/backup", &json!({})).await?;
    let name = made.get("file").and_then(serde_json::Value::as_str).context("the server wrote no copy")?;
    let copy = data.join(name);
    std::fs::copy(&copy, to.join("metadata.sqlite"))?;
    std::fs::remove_file(&copy)?;
    for name in KEPT {
        let from = data.join(name);
        if from.is_dir() {
            copy_folder(&from, &to.join(name))?;
        }
    }
    std::fs::write(to.join("backup.json"), serde_json::to_vec_pretty(&made)?)?;
    println!("the backup is in {}", to.display());
    Ok(ExitCode::SUCCESS)
}

/// Puts a backup in place of a project's store; what was there is kept beside it.
pub(crate) fn restore(folder: &Path, from: &Path) -> Result<ExitCode> {
    if !from.join("metadata.sqlite").is_file() {
        bail!("{} is no backup: it holds no `metadata.sqlite`", from.display());
    }
    let data = data_folder(&folder.canonicalize()?);
    if data.exists() {
        let lock = std::fs::File::options().create(true).truncate(false).write(true).open(data.join("lock"))?;
        if !fs4::fs_std::FileExt::try_lock_exclusive(&lock)? {
            bail!("{} is in use: stop the server first", data.display());
        }
    }
    let fresh = beside(&data, "restoring");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh)?;
    }
    copy_folder(from, &fresh)?;
    if data.exists() {
        let old = beside(&data, &format!("before-restore-{}", std::process::id()));
        std::fs::rename(&data, &old)?;
        eprintln!("what was there is kept in {}", old.display());
    }
    std::fs::rename(&fresh, &data)?;
    println!("restored {}", data.display());
    Ok(ExitCode::SUCCESS)
}

fn beside(data: &Path, word: &str) -> PathBuf {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    data.with_file_name(format!("{name}.{word}"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
