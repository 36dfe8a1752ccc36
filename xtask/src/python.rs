//! Python environments: the real clients the tests drive, and the tools benchmarks stand beside.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{apt, cache, find, output, root, run};

/// The interpreter of the tests' environment.
pub(crate) fn environment() -> Result<PathBuf> {
    made_from("conformance/requirements.txt", "python")
}

/// The interpreter of the benchmarks' environment: tools the tests do without.
pub(crate) fn bench_environment() -> Result<PathBuf> {
    made_from("conformance/requirements-bench.txt", "python")
}

/// A program of the lint, from an environment of its own.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    Ok(made_from("xtask/tools.txt", "tools")?.with_file_name(name))
}

/// An environment's interpreter. The environment is made when its requirements are new, and
/// keyed by them and the interpreter's version, so that another machine makes its own.
fn made_from(requirements: &str, kind: &str) -> Result<PathBuf> {
    if find("python3").is_none() {
        apt(&["python3", "python3-venv"])?;
    }
    let requirements = root().join(requirements);
    let text =
        std::fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = output(Command::new("python3").arg("--version"))?;
    let mut hasher = DefaultHasher::new();
    (text, version).hash(&mut hasher);
    let folder = cache()?.join(format!("{kind}-{:016x}", hasher.finish()));
    let interpreter = folder.join("bin/python");
    let finished = folder.join("finished");
    if finished.is_file() {
        return Ok(interpreter);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    if output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_err() {
        apt(&["python3-venv"])?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements))?;
    std::fs::write(finished, "")?;
    Ok(interpreter)
}

/// The ONNX Runtime library that the Python package brings.
pub(crate) fn onnx_runtime(interpreter: &Path) -> Option<PathBuf> {
    let place = "import glob, os, onnxruntime; print(glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi', 'libonnxruntime.so*'))[0])";
    output(Command::new(interpreter).args(["-c", place])).ok().map(|path| PathBuf::from(path.trim()))
}
