//! Fuzz targets: see `fuzz/README.md`.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::python;
use crate::shell::{cache, cargo, ended_with_this_process, root, run};

/// Targets of the data stack, which takes long to build.
const DATA_TARGETS: [&str; 2] = ["csv", "json_lines"];

/// The verb `fuzz`: lists the targets, type-checks them, or runs one for some seconds.
pub(crate) fn run_verb(args: &[String]) -> Result<()> {
    let Some((target, rest)) = args.split_first() else {
        targets()?.iter().for_each(|target| println!("{target}"));
        return Ok(());
    };
    use_locked_versions()?;
    if target == "--check" {
        let mut command = in_own_folder(cargo(), "check")?;
        return run(command.args(["check", "--bins", "--features", "data", "--manifest-path", "fuzz/Cargo.toml"]));
    }
    if !targets()?.contains(target) {
        bail!("unknown target `{target}`; `cargo xtask fuzz` lists them");
    }
    let seconds: u32 =
        rest.first().map_or(Ok(60), |seconds| seconds.parse()).context("expected a number of seconds")?;
    let found = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let mut command = in_own_folder(Command::new(python::tool("cargo-fuzz")?), "fuzz")?;
    command.current_dir(root()).env("RUSTUP_TOOLCHAIN", "nightly").args(["fuzz", "run"]);
    if DATA_TARGETS.contains(&target.as_str()) {
        command.args(["--features", "data"]);
    }
    // What it finds goes to the first folder; it begins with both.
    command.arg(target).arg(found).arg(format!("fuzz/seeds/{target}"));
    command.args(["--", &format!("-max_total_time={seconds}"), "-timeout=10"]);
    run(ended_with_this_process(command))
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = file?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Fuzzing has a workspace of its own; it uses the versions of this one.
fn use_locked_versions() -> Result<()> {
    std::fs::copy(root().join("Cargo.lock"), root().join("fuzz/Cargo.lock")).context("cannot copy Cargo.lock")?;
    Ok(())
}

/// Builds with other flags do not share a folder with those of the workspace.
fn in_own_folder(mut command: Command, name: &str) -> Result<Command> {
    command.env("CARGO_TARGET_DIR", cache()?.join("target-fuzz").join(name));
    Ok(command)
}
