//! `perennial init`: writes a new project.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use perennial_config::FILE_NAME;
use perennial_core::ErrorCode;
use serde_json::json;

use super::done;
use crate::args::Init;
use crate::examples;
use crate::output::user_error;

pub(super) fn init(project: &Path, init: &Init, json: bool) -> Result<ExitCode> {
    let folder = &if init.folder == Path::new(".") { project.to_owned() } else { project.join(&init.folder) };
    if let Some(example) = init.example {
        examples::write(example, folder)?;
        ignore_data(folder)?;
        let message = format!("wrote the example to {0}; next: `perennial -C {0} run`", folder.display());
        return done(&message, &json!({ "folder": folder }), json);
    }
    let file = folder.join(FILE_NAME);
    if file.exists() {
        let message = format!("{} exists already", file.display());
        let hint = "`perennial check` validates it; `perennial init DIR` writes a new project to another folder";
        return Err(user_error(ErrorCode::AlreadyExists, message, hint));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(&file, perennial_config::template())?;
    ignore_data(folder)?;
    let message = format!("wrote {}; next: edit it, then `perennial check`", file.display());
    done(&message, &json!({ "folder": folder }), json)
}

/// Keeps the data folder out of Git, unless the folder has rules of its own.
fn ignore_data(folder: &Path) -> Result<()> {
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, ".perennial/\n").with_context(|| format!("cannot write {}", ignore.display()))?;
    }
    Ok(())
}
