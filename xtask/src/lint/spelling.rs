//! Spelling, by `typos`; words of our own are in `typos.toml`.

use std::process::Command;

use anyhow::Result;

use crate::python;
use crate::shell::root;

/// Checks the files that Git does not ignore.
pub(crate) fn check(_: &[String]) -> Result<Vec<String>> {
    let typos = python::tool("typos")?;
    super::program(Command::new(typos).args(["--config", "typos.toml", "--format", "brief"]).current_dir(root()))
}
