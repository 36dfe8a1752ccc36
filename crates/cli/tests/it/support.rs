//! Runs the binary in a temporary folder, as a command or as a server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A temporary folder with a project.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    /// A folder with an example.
    pub(crate) fn example(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = perennial(folder.path(), &["init", "--example", name, "project"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        settle(&folder.path().join("project"));
        Self { folder }
    }

    /// A folder with a project file and nothing else.
    pub(crate) fn with_file(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("project")).unwrap();
        std::fs::write(folder.path().join("project/perennial.toml"), content).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        perennial(&self.path(), args)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed; gives its standard output.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "perennial {args:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must succeed; gives its JSON result.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(args);
        serde_json::from_str(&self.good(&all)).unwrap()
    }

    /// Runs a pipeline that must report a held load, which this run or the scheduler of a server has collected. Gives
    /// the standard output.
    pub(crate) fn held(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.code() == Some(1) && out.contains(" is held: "), "{out}\n{err}");
        out
    }

    /// The rows of one SELECT.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Value>> {
        let page = self.json(&["data", "query", sql, "--limit", "1000"]);
        page["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect()
    }

    /// Writes a file so that a server sees either the complete file or none, and need not wait until it has settled.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let (fresh, to) = (self.folder.path().join("fresh"), self.path().join(path));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(&fresh, content).unwrap();
        settle(&fresh);
        std::fs::rename(fresh, to).unwrap();
    }

    /// Replaces a text in a file, which must contain it.
    pub(crate) fn edit(&self, path: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path().join(path)).unwrap();
        assert!(text.contains(old), "`{old}` is not in {path}");
        self.write(path, text.replace(old, new));
    }

    /// Moves the files of a folder away; [`Place::deliver`] moves one of them back.
    pub(crate) fn withhold(&self, folder: &str) {
        let away = self.folder.path().join("withheld").join(folder);
        std::fs::create_dir_all(away.parent().unwrap()).unwrap();
        std::fs::rename(self.path().join(folder), away).unwrap();
        std::fs::create_dir(self.path().join(folder)).unwrap();
    }

    /// The path of a withheld file.
    pub(crate) fn withheld(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("withheld").join(path)
    }

    /// Moves a withheld file back.
    pub(crate) fn deliver(&self, path: &str) {
        std::fs::rename(self.withheld(path), self.path().join(path)).unwrap();
    }

    /// A copy of the folder with its store. No server may be running in the folder.
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = self.folder.path().join(".");
        let copied = Command::new("cp").arg("-a").arg(from).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        Self { folder }
    }

    /// Keeps only the source files below `folder` whose names `keep` accepts.
    pub(crate) fn keep_only(&self, folder: &str, keep: impl Fn(&str) -> bool) {
        for entry in std::fs::read_dir(self.path().join(folder)).unwrap() {
            let entry = entry.unwrap();
            if !keep(&entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

/// The path that loads the prediction logs into their datasets.
pub(crate) const LOAD_PREDICTIONS: &str = "predictions/load";

/// A new token of an administrator, from the server over a data folder. A test is a client on the server's own machine.
pub(crate) async fn administrator_token(data: &Path) -> String {
    let client = reqwest::Client::builder().unix_socket(data.join("server.sock")).build().unwrap();
    let wanted = serde_json::json!({ "name": "tester", "role": "admin" });
    let answer = client.post("http://localhost/api/v1/tokens").json(&wanted).send().await.unwrap();
    let created: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    created["secret"].as_str().unwrap_or_else(|| panic!("no token: {created}")).to_owned()
}

/// A running `perennial up`, killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
    /// What the server has written to its standard error.
    log: Arc<Mutex<String>>,
    runtime: Runtime,
    http: reqwest::Client,
}

impl Server {
    /// Starts `perennial up` on a free port with further arguments, and waits until it answers.
    pub(crate) fn up(place: &Place, args: &[&str]) -> Self {
        let mut all = vec!["up", "--port", "0"];
        all.extend(args);
        Self::start(place.command(&all), &place.path().join(".perennial"))
    }

    /// Starts a server by a command whose data folder is `data`.
    pub(crate) fn start(command: Command, data: &Path) -> Self {
        let mut server = Self::start_with_token(command, "");
        server.token = server.block_on(administrator_token(data));
        server
    }

    /// Starts a server by a command, for requests with a token that it knows.
    pub(crate) fn start_with_token(mut command: Command, token: &str) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("the server ended before it was listening:\n{log}") };
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("listening at ") {
                break address.to_owned();
            }
            log.push_str(&line);
            log.push('\n');
        };
        // Reads the rest of the log, so that the server is never blocked by a full pipe.
        let log = Arc::new(Mutex::new(log));
        let rest = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                rest.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { child, address, token: token.to_owned(), log, runtime, http }
    }

    /// An HTTP client for tests with many tasks; run them with [`Server::block_on`].
    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// What the server has written to its standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Sends a request; gives the status and the body, parsed if it is JSON.
    pub(crate) fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let (status, _, value) = self.ask_with_headers(method, path, body);
        (status, value)
    }

    /// [`Self::ask`], with the headers of the answer.
    pub(crate) fn ask_with_headers(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.address)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            let text = answer.text().await.unwrap();
            (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
        })
    }

    /// Sends a GET request that must succeed.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask(Method::GET, path, None);
        assert!(status.is_success(), "GET {path}: {status} {value}");
        value
    }

    /// The items of a list.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        self.get(path)["items"].as_array().unwrap().clone()
    }

    /// Sends a POST request that must succeed.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, Some(body));
        assert!(status.is_success(), "POST {path}: {status} {value}");
        value
    }

    /// Steps a project's clock; gives the messages of the events that followed.
    pub(crate) fn step(&self, project: &str, to_ms: i64) -> Vec<String> {
        let answer = self.post(&format!("/api/v1/projects/{project}/clock"), &json!({ "to_ms": to_ms }));
        let events = answer["events"].as_array().unwrap();
        events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Epoch milliseconds of an instant, such as `2013-07-01T00:00:00-04:00`.
pub(crate) fn instant(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

pub(crate) fn perennial(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perennial"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).env("NO_COLOR", "1");
    for name in [
        "PERENNIAL_SERVER",
        "PERENNIAL_TOKEN",
        "PERENNIAL_DATABASE",
        "PERENNIAL_DATABASE_FILE",
        "PERENNIAL_ARTIFACTS",
        "PERENNIAL_DATA",
    ] {
        command.env_remove(name);
    }
    // The `uv` and Python of the tests; environments of steps are cached between test runs.
    if let Some(python) = std::env::var_os("PERENNIAL_TEST_PYTHON") {
        let mut folders = vec![Path::new(&python).parent().unwrap().to_owned()];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        command.env("PATH", std::env::join_paths(folders).unwrap());
    }
    command.env("PERENNIAL_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/environments"));
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes a file, or the files of a folder, an hour older, so that no run waits until they have settled.
fn settle(path: &Path) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            settle(&entry.unwrap().path());
        }
        return;
    }
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written - std::time::Duration::from_secs(3600)).unwrap();
}
