//! Backup and restore of an embedded store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use perennial_core::ErrorCode;
use perennial_server::BACKUP_FILE;
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::done;
use crate::data_folder;
use crate::database;
use crate::embedded_server;
use crate::output::{note, user_error};

/// Fails if there is nothing to back up: the project folder has no data folder, or the data is stored elsewhere.
pub(crate) fn check_data_folder(folder: &Path) -> Result<()> {
    database::refuse_outside_storage("backup")?;
    let data =
        data_folder::of(&folder.canonicalize().with_context(|| format!("folder {} does not exist", folder.display()))?);
    if data.is_dir() {
        return Ok(());
    }
    let message = format!("nothing to back up: data folder {} does not exist", data.display());
    Err(user_error(ErrorCode::NotFound, message, "`-C DIR` names the project folder, PERENNIAL_DATA its data folder"))
}

/// Writes a backup. The server first makes a consistent copy inside its data folder, with hard links where possible;
/// this function copies it to the target and syncs each file.
pub(crate) async fn backup(client: &Client, folder: &Path, to: &Path, json: bool) -> Result<ExitCode> {
    if to.exists() {
        let message = format!("{} exists already", to.display());
        return Err(user_error(ErrorCode::AlreadyExists, message, "choose a folder that does not exist"));
    }
    let data = data_folder::of(&folder.canonicalize()?);
    let made = client.post("/api/v1/backup", &json!({})).await?;
    let copy = data.join(made.get("folder").and_then(Value::as_str).context("the server did not name its copy")?);
    if !copy.is_dir() {
        let message = format!("the server stores its data somewhere else than in {}", data.display());
        return Err(user_error(ErrorCode::WrongState, message, "set PERENNIAL_DATA to the data folder of the server"));
    }
    let copied = copy_folder(&copy, to).and_then(|()| {
        std::fs::write(to.join(BACKUP_FILE), serde_json::to_vec_pretty(&made)?)?;
        Ok(sync(&to.join(BACKUP_FILE)).and_then(|()| sync(to))?)
    });
    std::fs::remove_dir_all(&copy)?;
    copied.with_context(|| format!("the backup in {} is incomplete", to.display()))?;
    done(&format!("the backup is in {}", to.display()), &json!({ "folder": to }), json)
}

/// Replaces the data folder of a project with a backup. The present data folder is renamed, not deleted.
pub(crate) fn restore(folder: &Path, from: &Path, json: bool) -> Result<ExitCode> {
    database::refuse_outside_storage("restore")?;
    for part in [BACKUP_FILE, "metadata.sqlite"] {
        if !from.join(part).is_file() {
            let message = format!("{} is not a complete backup: `{part}` is missing", from.display());
            return Err(user_error(
                ErrorCode::InvalidArgument,
                message,
                "choose a folder that `perennial backup` wrote",
            ));
        }
    }
    let data = data_folder::of(&folder.canonicalize()?);
    let lock = if data.exists() { embedded_server::try_lock(&data)? } else { None };
    if data.exists() && lock.is_none() {
        let message = format!("data folder {} is in use", data.display());
        return Err(user_error(ErrorCode::WrongState, message, "stop the server first"));
    }
    let fresh = with_suffix(&data, "restoring");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh)?;
    }
    copy_folder(from, &fresh)?;
    if data.exists() {
        let old = with_suffix(&data, &format!("before-restore-{}", std::process::id()));
        std::fs::rename(&data, &old)?;
        note!("the previous data folder is now {}", old.display());
    }
    std::fs::rename(&fresh, &data)?;
    data.parent().map_or(Ok(()), sync)?;
    done(&format!("restored {}", data.display()), &json!({ "folder": data }), json)
}

/// `data` with a suffix at its name.
fn with_suffix(data: &Path, suffix: &str) -> PathBuf {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    data.with_file_name(format!("{name}.{suffix}"))
}

/// Copies a folder and syncs each file and folder.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
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
