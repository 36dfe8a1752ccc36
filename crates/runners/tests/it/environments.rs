use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;
use perennial_core::port::runner::{Environment, EnvironmentSpec, Exit, Runner, run_to_end};
use perennial_runners::LocalRunner;
use perennial_worker::kernel_isolates;

use crate::{PROBE, TestStep};

pub(crate) fn uv(requirements: &str) -> EnvironmentSpec {
    EnvironmentSpec::Uv { requirements: requirements.to_owned() }
}

/// The Python of the tests, which has `uv`.
pub(crate) fn test_python() -> PathBuf {
    std::env::var_os("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with uv: run the tests by `cargo xtask test`")
        .into()
}

/// A runner that finds only the programs in `folders`.
pub(crate) fn runner(step: &TestStep, folders: &[&Path]) -> LocalRunner {
    step.runner_with(std::env::join_paths(folders).unwrap().to_str().unwrap())
}

/// A folder that contains only a `python3`, which starts `target`.
pub(crate) fn only_python(step: &TestStep, target: &Path) -> PathBuf {
    let folder = step.outside("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", target.display());
    std::fs::write(folder.join("python3"), script).unwrap();
    std::fs::set_permissions(folder.join("python3"), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// Runs `code` as a step in the environment.
pub(crate) async fn run_python(
    step: &TestStep,
    runner: &LocalRunner,
    environment: &Environment,
    code: &str,
) -> (Exit, String) {
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
    std::fs::remove_file(environment.with_extension("seal")).unwrap();
    first.prepare(&spec, &resolved).await.unwrap();
    assert!(environment.with_extension("seal").exists());

    // So is one that was changed.
    std::fs::set_permissions(environment, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(environment.join("sitecustomize.py"), "import evil").unwrap();
    first.prepare(&spec, &resolved).await.unwrap();
    assert!(!environment.join("sitecustomize.py").exists());

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

/// A folder with the tests' Python and a `uv` that is this script.
fn scripted_uv(step: &TestStep, script: &str) -> PathBuf {
    let folder = only_python(step, &test_python());
    std::fs::write(folder.join("uv"), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(folder.join("uv"), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// A script's part that finds the file to which the lock is written.
const RESULT: &str = "while [ \"$1\" != --output-file ]; do shift; done; result=$2; ";

#[tokio::test]
async fn a_tool_has_only_passed_variables_and_its_own_folders() {
    let step = TestStep::new();
    std::fs::write(step.outside("secret"), "s").unwrap();
    let (secret, new) = (step.outside("secret"), step.outside("cache/envs"));
    let script = format!(
        "{RESULT} env > $result; cat '{}' 2>> $result; mkdir '{}' 2>> $result; true",
        secret.display(),
        new.display()
    );
    let runner = runner(&step, &[&scripted_uv(&step, &script)]);
    let lock = runner.resolve(&uv("six"), "python").await.unwrap().lock.unwrap();
    let passed = ["PATH", "HOME", "LANG", "TMPDIR", "PWD", "OLDPWD", "_", "SHLVL"];
    for name in lock.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name) {
        let is_setting = ["PIP_", "UV_"].iter().any(|stem| name.starts_with(stem));
        let upper = name.to_uppercase();
        let is_network = ["_PROXY", "_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|end| upper.ends_with(end));
        assert!(is_setting || is_network || passed.contains(&name), "{name}");
    }
    let denials = lock.lines().filter(|line| line.starts_with("cat: ") || line.starts_with("mkdir: ")).count();
    assert_eq!(denials, if kernel_isolates() { 2 } else { 0 }, "{lock}");
    assert!(!step.outside("cache/envs").exists() || !kernel_isolates());
}

#[tokio::test]
async fn the_output_of_a_tool_is_bounded() {
    let step = TestStep::new();
    let script = "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1";
    let runner = runner(&step, &[&scripted_uv(&step, script)]);
    let error = runner.resolve(&uv("six"), "python").await.unwrap_err();
    assert!(error.message().len() < 2000, "{} bytes", error.message().len());
    let script = format!("{RESULT} head -c 300000000 /dev/zero > $result");
    let runner = self::runner(&step, &[&scripted_uv(&step, &script)]);
    let error = runner.resolve(&uv("seven"), "python").await.unwrap_err();
    assert!(error.chain().contains("larger than"), "{}", error.chain());
}

/// A source package whose build writes into the cache that all projects share.
fn source_package(step: &TestStep) -> PathBuf {
    let (folder, target) = (step.outside("package-1.0"), step.outside("cache/downloads/poison"));
    std::fs::create_dir(&folder).unwrap();
    let script = format!(
        "open({:?}, 'w').write('x')\nimport setuptools\nsetuptools.setup(name='package', version='1.0')\n",
        target.display().to_string()
    );
    std::fs::write(folder.join("setup.py"), script).unwrap();
    folder
}

#[tokio::test]
async fn a_package_of_one_project_changes_nothing_of_another() {
    let step = TestStep::new();
    let bare = step.outside("bare");
    let made = std::process::Command::new(test_python()).args(["-I", "-m", "venv"]).arg(&bare).status().unwrap();
    assert!(made.success());
    let package = source_package(&step);
    for python in [test_python(), bare.join("bin/python")] {
        let runner = runner(&step, &[&only_python(&step, &python)]);
        for requirement in [format!("package @ file://{}", package.display()), package.display().to_string()] {
            let error = runner.resolve(&uv(&requirement), "python").await.unwrap_err();
            assert!(error.message().contains("source package"), "{error}");
        }
        assert!(!step.outside("cache/downloads/poison").exists());
    }
}

#[tokio::test]
async fn a_package_without_a_wheel_is_not_built() {
    let step = TestStep::new();
    // Its only files are source packages.
    let without_wheel = "docopt==0.6.2";
    let bare = step.outside("bare");
    let made = std::process::Command::new(test_python()).args(["-I", "-m", "venv"]).arg(&bare).status().unwrap();
    assert!(made.success());
    for python in [test_python(), bare.join("bin/python")] {
        let runner = runner(&step, &[&only_python(&step, &python)]);
        let error = runner.resolve(&uv(without_wheel), "python").await.unwrap_err();
        assert!(error.message().starts_with("the requirements cannot be resolved"), "{error}");
    }
}
