use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;
use perennial_core::port::runner::{Environment, EnvironmentSpec, Exit, Runner, run_to_end};
use perennial_runners::LocalRunner;

use crate::{PROBE, TestStep};

fn uv(requirements: &str) -> EnvironmentSpec {
    EnvironmentSpec::Uv { requirements: requirements.to_owned() }
}

/// The Python of the tests, which has `uv`.
fn test_python() -> PathBuf {
    std::env::var_os("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with uv: run the tests by `cargo xtask test`")
        .into()
}

/// A runner that finds only the programs in `folders`.
fn runner(step: &TestStep, folders: &[&Path]) -> LocalRunner {
    step.runner_with(std::env::join_paths(folders).unwrap().to_str().unwrap())
}

/// A folder that contains only a `python3`, which starts `target`.
fn only_python(step: &TestStep, target: &Path) -> PathBuf {
    let folder = step.outside("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", target.display());
    std::fs::write(folder.join("python3"), script).unwrap();
    std::fs::set_permissions(folder.join("python3"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// Runs `code` as a step in the environment.
async fn run_python(step: &TestStep, runner: &LocalRunner, environment: &Environment, code: &str) -> (Exit, String) {
    let mut job = step.job(&["python", "-c", code]);
    job.environment = environment.clone();
    (run_to_end(runner, job).await.unwrap().outcome().unwrap().exit, step.log())
}

#[tokio::test]
async fn the_system_environment_has_the_digest_of_the_program_and_is_not_reproducible() {
    let step = TestStep::new();
    let programs = step.outside("opt/tool/bin");
    std::fs::create_dir_all(&programs).unwrap();
    std::fs::copy(PROBE, programs.join("tool")).unwrap();
    let runner = runner(&step, &[&programs]);
    let environment = runner.resolve(&EnvironmentSpec::System, "tool").await.unwrap();
    assert_eq!(environment.digest, blake3::hash(&std::fs::read(PROBE).unwrap()).to_hex().as_str());
    assert_eq!((environment.lock.as_ref(), environment.reproducible), (None, false));
    assert_eq!(environment.path, std::slice::from_ref(&programs));
    assert_eq!(environment.readable, [step.outside("opt/tool")], "the tree it was installed in");
    std::fs::write(programs.join("tool"), "another").unwrap();
    assert_ne!(runner.resolve(&EnvironmentSpec::System, "tool").await.unwrap().digest, environment.digest);
}

#[tokio::test]
async fn a_missing_program_is_an_error_of_resolve() {
    let step = TestStep::new();
    let error = runner(&step, &[]).resolve(&EnvironmentSpec::System, "julia").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StepFailed);
    assert!(error.message().contains("`julia`"), "{error}");
}

#[tokio::test]
async fn a_system_python_runs_isolated() {
    let step = TestStep::new();
    let programs = test_python().parent().unwrap().to_owned();
    let runner = runner(&step, &[&programs]);
    let environment = runner.resolve(&EnvironmentSpec::System, "python").await.unwrap();
    let code = "import sys, ssl, ctypes, multiprocessing; print(multiprocessing.Lock() is not None)";
    assert_eq!(run_python(&step, &runner, &environment, code).await, (Exit::Code(0), "True\n".to_owned()));
}

#[tokio::test]
async fn without_python_the_error_says_what_to_install() {
    let step = TestStep::new();
    let error = runner(&step, &[]).resolve(&uv("six"), "python").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotReady);
    assert!(error.message().contains("python3"), "{error}");
    assert!(error.hint().unwrap().contains("install Python 3"));
}

#[tokio::test]
async fn a_python_that_does_not_work_is_named() {
    let step = TestStep::new();
    let programs = only_python(&step, Path::new("/bin/false"));
    let error = runner(&step, &[&programs]).resolve(&uv("six"), "python").await.unwrap_err();
    assert!(error.message().contains("programs/python3` does not work as a Python interpreter"), "{error}");
}

/// Resolves, installs and uses an environment with the installer in `programs`.
async fn resolve_install_and_run(step: &TestStep, programs: &Path) {
    let first = runner(step, &[programs]);
    let spec = uv("six==1.16.0\n");
    let resolved = first.resolve(&spec, "python").await.unwrap();
    assert!(resolved.reproducible);
    let lock = resolved.lock.clone().unwrap();
    assert!(lock.starts_with("six==1.16.0"), "{lock}");
    assert!(lock.contains("--hash=sha256:"), "{lock}");
    let ready = first.prepare(&spec, &resolved).await.unwrap();
    assert_eq!(ready, resolved);
    let code = "import six, sys; print(six.__version__, sys.prefix)";
    let expected = format!("1.16.0 {}\n", ready.path[0].parent().unwrap().display());
    assert_eq!(run_python(step, &first, &ready, code).await, (Exit::Code(0), expected));

    // Another runner on the same cache needs neither network nor installer.
    let python = step.outside("programs-later");
    std::fs::create_dir(&python).unwrap();
    std::fs::copy(programs.join("python3"), python.join("python3")).unwrap();
    let later = runner(step, &[&python]);
    assert_eq!(later.resolve(&spec, "python").await.unwrap(), resolved);
    assert_eq!(later.prepare(&spec, &resolved).await.unwrap(), resolved);

    // An environment left incomplete by a crash is installed again.
    let environment = ready.path[0].parent().unwrap();
    std::fs::remove_file(environment.join(".perennial-complete")).unwrap();
    std::fs::remove_file(environment.join("bin/python")).unwrap();
    first.prepare(&spec, &resolved).await.unwrap();
    assert!(environment.join("bin/python").exists());

    // Other requirements, another environment.
    let other = first.resolve(&uv("six==1.15.0\n"), "python").await.unwrap();
    assert_ne!(other.digest, resolved.digest);
}

#[tokio::test]
async fn requirements_become_an_environment_with_uv() {
    let step = TestStep::new();
    resolve_install_and_run(&step, &only_python(&step, &test_python())).await;
}

#[tokio::test]
async fn requirements_become_an_environment_without_uv() {
    let step = TestStep::new();
    // A fresh environment has pip and venv, but no uv; -I ignores packages installed elsewhere.
    let bare = step.outside("bare");
    let made = std::process::Command::new(test_python()).args(["-I", "-m", "venv"]).arg(&bare).status().unwrap();
    assert!(made.success());
    resolve_install_and_run(&step, &only_python(&step, &bare.join("bin/python"))).await;
}

#[tokio::test]
async fn requirements_without_a_solution_fail_with_the_resolvers_error() {
    let step = TestStep::new();
    let runner = runner(&step, &[&only_python(&step, &test_python())]);
    let error = runner.resolve(&uv("six==1.16.0\nsix==1.15.0\n"), "python").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StepFailed);
    assert!(error.message().starts_with("the requirements cannot be resolved: "), "{error}");
    assert!(error.message().contains("six"), "{error}");
    assert!(!error.message().contains('\n'));
}
