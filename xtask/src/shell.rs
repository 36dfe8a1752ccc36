//! Running other programs, and the folders of the workspace.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Cargo, at the root of the workspace, without the variables that Cargo set for this package. Build scripts of
/// dependencies depend on such variables: with other values, the data stack would be built again.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let is_of_package =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_of_package {
            command.env_remove(name);
        }
    }
    command
}

/// The root of the workspace, from the variable that Cargo sets at each run: clones that share a target folder share this
/// program.
pub(crate) fn root() -> PathBuf {
    let given = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|here| here.ends_with("xtask"));
    let here = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// What is kept between runs, outside the clone: `$PERENNIAL_CACHE`, else `~/.cache/perennial`.
pub(crate) fn cache() -> Result<PathBuf> {
    let path = match std::env::var_os("PERENNIAL_CACHE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME").context("neither PERENNIAL_CACHE nor HOME is set")?)
            .join(".cache/perennial"),
    };
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make the cache folder {}", path.display()))?;
    Ok(path)
}

/// Runs a command without input; fails when the command does.
pub(crate) fn run(command: impl std::borrow::BorrowMut<Command>) -> Result<()> {
    let mut command = command;
    let command = command.borrow_mut();
    eprintln!("$ {}", words(command));
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{}`", words(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", words(command));
    }
    Ok(())
}

/// The command, sent TERM by the kernel when this process ends in any way; unchanged where `setpriv` is missing.
pub(crate) fn ended_with_this_process(command: Command) -> Command {
    if find("setpriv").is_none() {
        return command;
    }
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig=TERM", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    guarded
}

/// Runs a command and returns its output; fails with its error output when the command does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", words(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}\n{}", words(command), output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is on `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn words(command: &Command) -> String {
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(command.get_program().to_string_lossy().into_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs Debian packages, or says which command does.
pub(crate) fn apt(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if find("apt-get").is_none() || !is_root() {
        bail!("the tests need {list}: install with `sudo apt-get install -y {list}`, then run again");
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}
