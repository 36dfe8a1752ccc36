//! The commands of the benchmarks beside other tools: this version's binary, and Python environments.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::support::{binary, good};

/// This version's binary in `folder`.
pub(crate) fn perennial(folder: &Path, args: &[&str]) -> Command {
    binary(Path::new(env!("CARGO_BIN_EXE_perennial")), folder, args)
}

/// The path of a Python from an environment variable that `cargo xtask bench` sets.
pub(crate) fn python(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set: run this with `cargo xtask bench`"))
}

/// The versions of Python and of packages, as text.
pub(crate) fn versions(python: &str, packages: &[&str]) -> Result<String> {
    let script = "import platform, sys\nfrom importlib.metadata import version\n\
        print(', '.join(['Python ' + platform.python_version(), *(f'{name} {version(name)}' for name in sys.argv[1:])]))";
    Ok(good(Command::new(python).args(["-c", script]).args(packages))?.trim().to_owned())
}
