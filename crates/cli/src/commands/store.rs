//! Backup and restore of an embedded store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use perennial_app::Caller;
use perennial_core::ErrorCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::{data_folder, done};
use crate::output::{note, refused};

/// What a backup tells of itself. Written last, so that a folder that has it is whole.
const NOTE: &str = "backup.json";

/// Refuses a folder in which no store was ever made: an empty backup is none.
pub(crate) fn judge_folder(folder: &Path) -> Result<()> {
    let data = data_folder(&folder.canonicalize().with_context(|| format!("{} is not there", folder.display()))?);
    if data.is_dir() {
        return Ok(());
    }
    let message = format!("there is nothing to back up: {} is not there", data.display());
    Err(refused(ErrorCode::NotFound, message, "`-C DIR` names the project's folder, PERENNIAL_DATA its data folder"))
}

/// The server makes a copy of one moment beside its store, by links where it can; from there its files
/// are copied to where they are wanted, each on disk when this returns.
pub(crate) async fn backup(client: &Client, folder: &Path, to: &Path, json: bool) -> Result<ExitCode> {
    if to.exists() {
        let message = format!("{} is there already", to.display());
        return Err(refused(ErrorCode::AlreadyExists, message, "name a new folder"));
    }
    let data = data_folder(&folder.canonicalize()?);
    let made = client.post("/api/v1/backup", &json!({})).await?;
    let copy = data.join(made.get("folder").and_then(Value::as_str).context("the server made no copy")?);
    if !copy.is_dir() {
        let message = format!("the server keeps its data elsewhere than in {}", data.display());
        return Err(refused(ErrorCode::WrongState, message, "name that folder by PERENNIAL_DATA"));
    }
    let copied = copy_folder(&copy, to).and_then(|()| {
        std::fs::write(to.join(NOTE), serde_json::to_vec_pretty(&made)?)?;
        Ok(sync(&to.join(NOTE)).and_then(|()| sync(to))?)
    });
    std::fs::remove_dir_all(&copy)?;
    copied.with_context(|| format!("the backup in {} is not whole", to.display()))?;
    done(&format!("the backup is in {}", to.display()), &json!({ "folder": to }), json)
}

/// Puts a backup in place of a project's store; what was there is kept beside it.
pub(crate) fn restore(folder: &Path, from: &Path, json: bool) -> Result<ExitCode> {
    for part in [NOTE, "metadata.sqlite"] {
        if !from.join(part).is_file() {
            let message = format!("{} is no whole backup: it holds no `{part}`", from.display());
            return Err(refused(ErrorCode::InvalidArgument, message, "name a folder that `perennial backup` wrote"));
        }
    }
    let data = data_folder(&folder.canonicalize()?);
    if data.exists() {
        let lock = std::fs::File::options().create(true).truncate(false).write(true).open(data.join("lock"))?;
        if !fs4::fs_std::FileExt::try_lock_exclusive(&lock)? {
            let message = format!("{} is in use", data.display());
            return Err(refused(ErrorCode::WrongState, message, "stop the server first"));
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
        note!("what was there is kept in {}", old.display());
    }
    std::fs::rename(&fresh, &data)?;
    data.parent().map_or(Ok(()), sync)?;
    done(&format!("restored {}", data.display()), &json!({ "folder": data }), json)
}

/// Records in the ledger that the store in `data` came back from a backup, with the first start after it.
pub(crate) async fn record_restore(caller: &Caller, data: &Path) -> Result<()> {
    let note = data.join(NOTE);
    let text = match std::fs::read(&note) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let told: Told = serde_json::from_slice(&text).with_context(|| format!("{} does not read", note.display()))?;
    perennial_app::backup::record_restore(caller, &told.heads).await?;
    Ok(std::fs::remove_file(note)?)
}

/// What is read of the note.
#[derive(Deserialize)]
struct Told {
    heads: BTreeMap<String, String>,
}

fn beside(data: &Path, word: &str) -> PathBuf {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    data.with_file_name(format!("{name}.{word}"))
}

/// Copies a folder; all of it is on disk when this returns.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("cannot write {}", target.display()))?;
            sync(&target)?;
        }
    }
    Ok(sync(to)?)
}

fn sync(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}
