//! Packages that are built from source.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use perennial_core::ErrorCode;
use perennial_core::port::runner::{Environment, EnvironmentSpec, Exit, Runner};

use crate::TestStep;
use crate::environments::{only_python, run_python, runner, test_python, uv};

/// The package's module has what its build could do and see.
const MODULE: &str = "perennial_test_source";

/// Its build backend, in the package. The address of a listener and the path of the cache are inserted.
const BACKEND: &str = r#"
import os, socket, zipfile

def attempt(name, call):
    try:
        call()
        return [name]
    except OSError:
        return []

def found():
    import six
    reached = attempt("network", lambda: socket.create_connection((HOST, PORT), timeout=5))
    reached += attempt("cache", lambda: open(CACHE + "/poison", "w"))
    reached += attempt("downloads", lambda: os.listdir(CACHE + "/downloads"))
    reached += [name for name in os.environ if name.startswith(("PIP_", "UV_"))]
    return reached + [six.__version__]

def get_requires_for_build_wheel(settings=None):
    return ["attrs==23.2.0"]

def build_wheel(folder, settings=None, metadata=None):
    import attr
    name = "perennial_test_source-1.0-py3-none-any.whl"
    information = "perennial_test_source-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("perennial_test_source.py", f"FOUND = {found()}")
        wheel.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: perennial-test-source\nVersion: 1.0\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "perennial_test_source.py,,\n")
    return name
"#;

const PROJECT: &str =
    "[build-system]\nrequires = [\"six==1.16.0\"]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";

/// An index with the package.
struct Index {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Index {
    /// Serves the package, whose build attempts to reach this index and the step's cache.
    fn start(step: &TestStep) -> Self {
        Self::start_with(step, BACKEND)
    }

    fn start_with(step: &TestStep, backend: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let archive = Arc::new(archive(step, port, backend));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(path) = answer(stream, &archive) {
                    seen.lock().unwrap().push(path);
                }
            }
        });
        Self { port, requests }
    }

    fn requirements(&self) -> EnvironmentSpec {
        let port = self.port;
        uv(&format!(
            "--extra-index-url http://127.0.0.1:{port}/simple\n--no-binary perennial-test-source\n\
             perennial-test-source==1.0\n"
        ))
    }

    fn url(&self, fragment: &str) -> String {
        let port = self.port;
        format!("perennial-test-source @ http://127.0.0.1:{port}/perennial_test_source-1.0.tar.gz{fragment}\n")
    }

    fn downloads(&self) -> usize {
        self.requests.lock().unwrap().iter().filter(|path| path.ends_with(".tar.gz")).count()
    }
}

/// Answers one request; returns its path. `None` for a connection without one.
fn answer(mut stream: TcpStream, archive: &[u8]) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    while !lines.next()?.ok()?.is_empty() {}
    let page = b"<a href=\"/perennial_test_source-1.0.tar.gz\">perennial_test_source-1.0.tar.gz</a>";
    let (status, kind, body): (_, _, &[u8]) = match path.as_str() {
        "/simple/perennial-test-source/" => ("200 OK", "text/html", page),
        "/perennial_test_source-1.0.tar.gz" => ("200 OK", "application/gzip", archive),
        _ => ("404 Not Found", "text/html", b""),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    stream.write_all(body).ok()?;
    Some(path)
}

fn archive(step: &TestStep, port: u16, backend: &str) -> Vec<u8> {
    let folder = step.outside("perennial_test_source-1.0");
    std::fs::create_dir(&folder).unwrap();
    let constants =
        format!("HOST, PORT, CACHE = '127.0.0.1', {port}, {:?}\n", step.outside("cache").display().to_string());
    std::fs::write(folder.join("backend.py"), constants + backend).unwrap();
    std::fs::write(folder.join("pyproject.toml"), PROJECT).unwrap();
    let archive = step.outside("archive.tar.gz");
    let words =
        ["-czf".as_ref(), archive.as_os_str(), "-C".as_ref(), step.outside("").as_os_str()].map(ToOwned::to_owned);
    assert!(Command::new("tar").args(words).arg(folder.file_name().unwrap()).status().unwrap().success());
    std::fs::read(archive).unwrap()
}

/// What the build could do and see, printed by a step.
async fn found(step: &TestStep, runner: &perennial_runners::LocalRunner, environment: &Environment) -> String {
    let code = format!("import {MODULE}; print({MODULE}.FOUND)");
    let (exit, log) = run_python(step, runner, environment, &code).await;
    assert_eq!(exit, Exit::Code(0), "{log}");
    log
}

/// Builds, installs and uses the package with the installer in `programs`.
async fn build_and_use(step: &TestStep, programs: &Path) {
    let index = Index::start(step);
    let builder = runner(step, &[programs]).may_build_packages(true);
    let spec = index.requirements();
    let resolved = builder.resolve(&spec, "python").await.unwrap();
    let lock = resolved.lock.clone().unwrap();
    assert!(lock.contains("perennial-test-source==1.0 --hash=sha256:"), "{lock}");
    let ready = builder.prepare(&spec, &resolved).await.unwrap();
    assert_eq!(found(step, &builder, &ready).await, "['1.16.0']\n");
    assert!(!step.outside("cache/poison").exists());
    assert_eq!(index.downloads(), 1);
    // What builds leave is the wheel alone.
    assert_eq!(std::fs::read_dir(step.outside("cache/temporary")).unwrap().count(), 0);
    // An environment of the same lock is not built again.
    let environment = ready.path[0].parent().unwrap();
    std::fs::remove_file(environment.with_extension("seal")).unwrap();
    builder.prepare(&spec, &resolved).await.unwrap();
    assert_eq!(index.downloads(), 1);
    // A server that no longer allows builds refuses it although there is a lock.
    let error = runner(step, &[programs]).resolve(&spec, "python").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StepFailed);
    assert!(error.message().contains("`--no-binary` is not allowed"), "{error}");
}

#[tokio::test]
async fn a_source_package_is_built_without_network_and_settings_with_uv() {
    let step = TestStep::new();
    build_and_use(&step, &only_python(&step, &test_python())).await;
}

#[tokio::test]
async fn a_source_package_is_built_without_network_and_settings_without_uv() {
    let step = TestStep::new();
    let bare = step.outside("bare");
    let made = Command::new(test_python()).args(["-I", "-m", "venv"]).arg(&bare).status().unwrap();
    assert!(made.success());
    build_and_use(&step, &only_python(&step, &bare.join("bin/python"))).await;
}

#[tokio::test]
async fn a_source_package_may_be_named_by_its_address_and_digest() {
    let step = TestStep::new();
    let index = Index::start(&step);
    let programs = only_python(&step, &test_python());
    let builder = runner(&step, &[&programs]).may_build_packages(true);
    let error = builder.resolve(&uv(&index.url("#sha256=00")), "python").await.unwrap_err();
    assert!(error.message().contains("expected 00"), "{error}");
    let digest = Command::new("sha256sum").arg(step.outside("archive.tar.gz")).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let spec = uv(&index.url(&format!("#sha256={}", digest.split(' ').next().unwrap())));
    let ready = builder.prepare(&spec, &builder.resolve(&spec, "python").await.unwrap()).await.unwrap();
    assert_eq!(found(&step, &builder, &ready).await, "['1.16.0']\n");
}

#[tokio::test]
async fn a_build_that_fails_names_the_package_and_its_error() {
    let step = TestStep::new();
    let index = Index::start(&step);
    let builder = runner(&step, &[&only_python(&step, &test_python())]).may_build_packages(true);
    let other = index.url("").replace("perennial-test-source @", "other @");
    let error = builder.resolve(&uv(&other), "python").await.unwrap_err();
    assert!(error.message().starts_with("source package `other` cannot be built: it left the wheel"), "{error}");
}

#[tokio::test]
async fn a_wheel_of_another_folder_is_not_taken_for_the_built_one() {
    let step = TestStep::new();
    let wheel = "perennial_test_source-1.0-py3-none-any.whl";
    let other = step.outside("cache/built/other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join(wheel), "of another project").unwrap();
    let backend = format!(
        "import os\ndef build_wheel(folder, settings=None, metadata=None):\n    os.rmdir(folder)\n    \
         os.symlink(CACHE + '/built/other', folder)\n    return '{wheel}'\n"
    );
    let index = Index::start_with(&step, &backend);
    let builder = runner(&step, &[&only_python(&step, &test_python())]).may_build_packages(true);
    let error = builder.resolve(&index.requirements(), "python").await.unwrap_err();
    assert!(error.message().contains("its folder was replaced"), "{error}");
}

#[tokio::test]
async fn a_package_that_exists_as_source_only_is_built_from_its_index() {
    let step = TestStep::new();
    let builder = runner(&step, &[&only_python(&step, &test_python())]).may_build_packages(true);
    // Without `pyproject.toml`: it is built by setuptools.
    let spec = uv("--no-binary docopt\ndocopt==0.6.2\n");
    let ready = builder.prepare(&spec, &builder.resolve(&spec, "python").await.unwrap()).await.unwrap();
    let (exit, log) = run_python(&step, &builder, &ready, "import docopt; print(docopt.__version__)").await;
    assert_eq!((exit, log.as_str()), (Exit::Code(0), "0.6.2\n"));
}
